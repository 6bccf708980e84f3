"""Jobs as manifests record them, and which of them make the evidence of a study."""

from collections.abc import Sequence
from dataclasses import dataclass

from flatminima.provenance.manifest import Manifest, Output
from flatminima.settings.datasets import DATASETS

DATA = "data"
"""The command that may read a published data set."""
NO_FOLDER = "data"
"""Stands for the folder of downloaded data sets where none is read."""
OTHER_LIBRARIES = "crosscheck"
"""The command that measures by optional libraries; it is no evidence of a claim."""


@dataclass(frozen=True)
class Job:
    """A recorded job: its command, and the files that it read and made.

    Not its rule, whose name another workflow that imports this one as a module may change.

    Attributes:
        dataset: the data set that it reads, in the folder that its command names last; None if it reads none.
        images: the file of the user's own images that it reads, as `dataset.path` has it; None if it reads none.
        device: where it computed, if its log says so: cpu, or the name of a GPU.
    """

    command: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    threads: int
    dataset: str | None
    images: str | None = None
    device: str | None = None

    def runs(self, command: str) -> bool:
        """Whether it is a job of one command of `flatminima`."""
        return self.command[1:2] == (command,)


def recorded_jobs(manifest: Manifest) -> list[Job]:
    """The jobs of a manifest, in the order of their first outputs."""
    together: dict[tuple[str, ...], list[Output]] = {}
    for output in manifest.outputs:
        if output.rule and output.command:
            together.setdefault((output.rule, *output.command), []).append(output)
    expenses = manifest.circumstances.outputs
    return [
        Job(
            command=_command(manifest, first),
            inputs=tuple(sorted({path for output in outputs for path in output.inputs})),
            outputs=tuple(output.path for output in outputs),
            dataset=_published(manifest) if first.command[1:2] == [DATA] else None,
            images=manifest.settings.get("dataset", {}).get("path"),
            threads=(first.path in expenses and expenses[first.path].threads) or 1,
            device=expenses[first.path].device if first.path in expenses else None,
        )
        for outputs in together.values()
        for first in outputs[:1]
    ]


def _published(manifest: Manifest) -> str | None:
    name = manifest.settings.get("dataset", {}).get("name")
    return None if name in DATASETS and DATASETS[name].bundled else name


def _command(manifest: Manifest, output: Output) -> tuple[str, ...]:
    """The command of a job; what folder it names for data sets does not matter where the data set is bundled."""
    if output.command[1:2] == [DATA] and _published(manifest) is None:
        return (*output.command[:-1], NO_FOLDER)
    return tuple(output.command)


def _writes(job: Job, prefix: str, folder: str) -> bool:
    return any(path.startswith(f"{prefix}{folder}/") for path in job.outputs)


def is_evidence(job: Job, prefix: str) -> bool:
    """Whether a job trains networks, or measures something that is no network of the study."""
    measures = _writes(job, prefix, "measures") and not job.runs(OTHER_LIBRARIES)
    trained = any(path.startswith(f"{prefix}networks/") for path in job.inputs)
    return _writes(job, prefix, "networks") or (measures and not trained)


def behind(jobs: Sequence[Job], every: Sequence[Job]) -> list[Job]:
    """Jobs, and those that made what they read, to the first.

    Args:
        jobs: where to begin.
        every: all jobs on record.
    """
    makers = {path: job for job in every for path in job.outputs}
    found: list[Job] = []
    waiting = list(jobs)
    while waiting:
        job = waiting.pop()
        if job not in found:
            found.append(job)
            waiting += [makers[path] for path in job.inputs if path in makers]
    return found


def measuring(job: Job, jobs: Sequence[Job], prefix: str) -> list[Job]:
    """The jobs that measure what a job made."""
    return [
        other
        for other in jobs
        if _writes(other, prefix, "measures")
        and not other.runs(OTHER_LIBRARIES)
        and set(other.inputs) & set(job.outputs)
    ]
