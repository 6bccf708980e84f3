"""Fourth level: jobs drawn at random are run again and must make equal files."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

import flatminima
from flatminima.audit.compare import COUNTS, compare_tables, of_interest
from flatminima.audit.jobs import Job, behind, is_evidence, measuring, recorded_jobs
from flatminima.audit.levels import TOLERANCE, UNRECORDED, LevelName
from flatminima.audit.machine import same_machine
from flatminima.audit.neighbours import neighbours, place_of
from flatminima.audit.older import commit_of_record, outdated, short
from flatminima.audit.outcome import Level
from flatminima.data.sources import is_there
from flatminima.errors import UserError
from flatminima.forkclient import THREADS
from flatminima.forkserver import serving
from flatminima.provenance.manifest import Manifest, inside, sha256
from flatminima.record import full_name, read_table
from flatminima.seeding import sequence
from flatminima.settings.folders import expanded

CPU = "cpu"
ON_SAMPLES = ("sgd", "adam")
"""Optimisers in single precision on batches, along which rounding may grow without a bound."""
ELSEWHERE = "another machine, or a GPU"
QUESTION = "Do jobs drawn at random, run again, make the same files?"


class _NoDataError(UserError):
    """A data set is not there, so that what is made from it cannot be made again."""


def check_recomputation(folder: Path, manifest: Manifest, root: Path, sample: int, seed: int) -> Level:
    """Run some jobs again in a scratch folder: those that train or construct networks, and measure what they made.

    Inputs that are not kept are made again too, from their own jobs. A job whose data set is not there is
    noted, not run: nothing is downloaded.

    On the machine of the manifest all files must be equal byte by byte, those that a GPU made apart. Elsewhere the
    measures must agree within TOLERANCE: all of them, or where training ran ON_SAMPLES at least half of the values of
    each statistic.

    Results of record are not made again where code later than theirs would make, or measure, networks otherwise.

    Args:
        folder: the study's results; studies that it reads from lie beside it.
        manifest: its manifest.
        root: the repository.
        sample: how many jobs are drawn.
        seed: of the draw.

    Raises:
        ValueError: if `sample` is not positive.
    """
    if sample < 1:
        raise ValueError(f"sample is {sample}, expected at least 1")
    manifests = [manifest, *neighbours(folder, manifest)]
    jobs = recorded_jobs(manifest)
    every = [job for known in manifests for job in recorded_jobs(known)]
    recorded = {output.path: output.sha256 for known in manifests for output in known.outputs}
    candidates = [job for job in jobs if is_evidence(job, manifest.prefix)]
    if (commit := commit_of_record(manifest)) and _made_earlier(candidates, jobs, every, manifests, root):
        older = f"not run: made by code of commit {short(commit)} that has changed since"
        return Level(LevelName.RECOMPUTATION, QUESTION, "0 files", (), ran=False, older=(older,))
    order = np.random.default_rng(sequence("audit", manifest.study, str(seed))).permutation(len(candidates))
    drawn = [candidates[k] for k in order[:sample]]
    findings: list[str] = []
    notes = [f"seed {seed}, {len(drawn)} of {len(candidates)} jobs: {', '.join(job.outputs[-1] for job in drawn)}"]
    environment = _environment()
    with tempfile.TemporaryDirectory() as scratch, serving(environment) as server:
        workshop = _Workshop(folder, manifest, root, Path(scratch), every, recorded, environment | server)
        for job in drawn:
            try:
                for again in [job, *measuring(job, jobs, manifest.prefix)]:
                    workshop.run(again)
            except _NoDataError as absence:
                notes.append(f"{job.outputs[-1]}: not run: {absence}")
            except UserError as error:
                findings.append(f"{job.outputs[-1]}: cannot be made again: {error}")
        findings += workshop.findings
        notes += workshop.notes
        checked = len(workshop.made)
    if not drawn:
        findings.append(f"no job is on record that trains, constructs or measures: {UNRECORDED}")
    return Level(LevelName.RECOMPUTATION, QUESTION, f"{checked} files", tuple(findings), tuple(notes), ran=checked > 0)


def _made_earlier(
    candidates: Sequence[Job], jobs: Sequence[Job], every: Sequence[Job], manifests: Sequence[Manifest], root: Path
) -> bool:
    """Whether other code than this made networks or their measures, or anything that they were made from."""
    prefix = manifests[0].prefix
    measures = [again for job in candidates for again in measuring(job, jobs, prefix)]
    earlier = {path for manifest in manifests for path in outdated(manifest, root)}
    return any(earlier.intersection(job.outputs) for job in behind([*candidates, *measures], every))


def _environment() -> dict[str, str]:
    """Environment variables of jobs: they run this code, in which assertions count."""
    variables = os.environ | {"PYTHONPATH": str(Path(flatminima.__file__).parents[1])}
    variables.pop("PYTHONOPTIMIZE", None)
    return variables


@dataclass
class _Workshop:
    """A scratch folder in which recorded jobs run again."""

    folder: Path
    manifest: Manifest
    root: Path
    scratch: Path
    jobs: Sequence[Job]
    recorded: Mapping[str, str]
    environment: Mapping[str, str]
    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    made: set[str] = field(default_factory=set)

    def run(self, job: Job) -> None:
        """Run a job once, and compare what it makes with what the manifest says."""
        if set(job.outputs) <= self.made:
            return
        self._refuse_paths_that_lead_out(job)
        for path in job.inputs:
            self._provide(path)
        for path in job.outputs:
            (self.scratch / path).unlink(missing_ok=True)
            (self.scratch / path).parent.mkdir(parents=True, exist_ok=True)
        self._execute(job, self._command(job))
        self.made.update(job.outputs)
        for path in job.outputs:
            self.findings += self._compare(path, exact=same_machine(self.manifest) and job.device in (None, CPU))

    def _provide(self, path: str) -> None:
        if not inside(path, ""):
            raise UserError(f"{path}: leads out of the repository")
        target = self.scratch / path
        if target.exists():
            return
        source = self._kept(path)
        if source:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        else:
            self.run(self._maker(path))

    def _command(self, job: Job) -> list[str]:
        """The words of a job's command; where it ends in a folder of data, that folder on this machine."""
        if job.dataset is None:
            return [*job.command[1:]]
        try:
            folder = self.root / expanded(job.command[-1], "data_root")
        except UserError as error:
            raise _NoDataError(str(error)) from None
        if not is_there(job.dataset, job.images, str(folder)):
            raise _NoDataError(f"the data set {job.dataset} is not in the folder {job.command[-1]}")
        return [*job.command[1:-1], str(folder.resolve())]

    def _kept(self, path: str) -> Path | None:
        """Find an input: in this study, in one beside it, or in the repository."""
        parts = PurePosixPath(path).parts
        if inside(path, self.manifest.prefix):
            source = self.folder / path.removeprefix(self.manifest.prefix)
        else:
            source = place_of(self.folder).parent.joinpath(*parts[1:]) if parts[0] == "results" else self.root / path
        return source if source.is_file() else None

    def _maker(self, path: str) -> Job:
        job = next((job for job in self.jobs if path in job.outputs), None)
        if job is None:
            raise UserError(f"{path} is not kept, and no job on record makes it")
        return job

    def _refuse_paths_that_lead_out(self, job: Job) -> None:
        words = job.command[1:-1] if job.dataset else job.command[1:]  # a folder of data is only read
        outside = [word for word in words if ".." in PurePosixPath(word.partition("=")[2] or word).parts]
        outside += [word for word in words if word.startswith(("/", "(")) or "=/" in word]
        if job.command[0] != "flatminima" or outside:
            raise UserError(f"command {' '.join([job.command[0], *outside])!r} is not one that runs in a folder")

    def _execute(self, job: Job, words: Sequence[str]) -> None:
        program = [sys.executable, "-c", "from flatminima.cli import main; main()", *words]
        environment = {**self.environment, **dict.fromkeys(THREADS, str(job.threads))}
        run = subprocess.run(  # noqa: S603 (no shell, and only commands of this package)
            program,
            cwd=self.scratch,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        if run.returncode:
            raise UserError(f"{' '.join(job.command[:2])} ended with {run.returncode}: {run.stderr.strip()[-300:]}")

    def _compare(self, path: str, exact: bool) -> Iterator[str]:
        made = self.scratch / path
        if not made.is_file():
            yield f"{path}: was not made again"
        elif sha256(made) == self.recorded[path]:
            return
        elif exact:
            yield f"{path}: other bytes when made again"
        elif path.startswith(f"{self.manifest.prefix}measures/"):
            yield from self._compare_measures(path)
        else:
            self.notes.append(f"{path}: other bytes on {ELSEWHERE}")

    def _compare_measures(self, path: str) -> Iterator[str]:
        again = read_table(self.scratch / path)
        kept = read_table(self.folder / "measures.parquet")
        counts = compare_tables(of_interest(kept, again), again, TOLERANCE)
        alike = counts["equal"] + counts["within"]
        on_samples = again["optimiser"].isin(ON_SAMPLES) if "optimiser" in again else np.zeros(len(again), bool)
        chaotic = counts["case"].isin(again.loc[on_samples, "case"].unique())
        wrong = (counts["missing"] > 0) | (counts["different"] > alike.where(chaotic, 0))
        apart, values = counts.loc[~wrong, "different"].sum(), counts[COUNTS].to_numpy().sum()
        self.notes.append(
            f"{path}: other bytes on {ELSEWHERE}; measures compared within {TOLERANCE:g}"
            + (f", which {apart} of {values} exceed: rounding grows in training on samples" if apart else "")
        )
        for row in counts[wrong].itertuples():
            name = f"{full_name(str(row.case), str(row.control))} {row.statistic}"
            yield f"{path}: {name}: differs by up to {row.largest:.2g} when measured again"
