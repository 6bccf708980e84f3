"""The manifest of a study: what every file is, and where it came from."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from flatminima.errors import UserError
from flatminima.files import atomic_path
from flatminima.provenance.environment import environment, packages
from flatminima.provenance.folder import left_beside, names_below
from flatminima.provenance.git import checkout
from flatminima.provenance.job_records import CODE, SHIPPED, Cost, Job, read_cost, read_jobs

NAME = "manifest.json"
OF_RECORD = (
    "claims.json",
    "measures.parquet",
    "shared.parquet",
    "curves.parquet",
    "tables/*.csv",
    "figures/*.csv",
    "figures/*overview.png",
)
"""Files of a study that results/reference keeps, relative to its folder: all that verdicts and figures rest on."""

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Code(_Record):
    """The code of a rule when it ran: a digest, and the modules and other files that it is the digest of."""

    sha256: Sha256
    modules: list[str]
    files: list[str]


class Output(_Record):
    """One file, and the job that made it; null or empty where the workflow kept no record of the job."""

    path: str = Field(description="Relative to the folder that the workflow ran in, by default the repository's root.")
    sha256: Sha256
    size: int = Field(ge=0, description="In bytes.")
    rule: str | None
    command: list[str] = Field(description="Program and arguments; all parameters of the rule stand here.")
    code: Code | None
    inputs: dict[str, Sha256 | None] = Field(
        description="SHA-256 of every file that the job read, by its path; workflow/... lies in the repository."
    )


class Expense(_Record):
    """When a file was made, and what its job took; null where there is no record."""

    finished: float | None = Field(description="Seconds since 1970.")
    seconds: float | None = Field(description="Wall clock.")
    peak_memory: float | None = Field(description="Largest resident memory of the job, in MB.")
    threads: int | None
    device: str | None = Field(default=None, description="Where a job on networks computed: cpu, or the GPU's name.")


class Circumstances(_Record):
    """Facts of a run in which two runs of one code on one machine may differ."""

    commit: Annotated[str, Field(pattern="^[0-9a-f]{40,64}$")] | None = Field(
        description="Git commit of the repository that was checked out when the manifest was written."
    )
    dirty: bool | None = Field(description="Whether tracked files differed from that commit.")
    outputs: dict[str, Expense]


class Rejudged(_Record):
    """Verdicts of record that were taken again from their measures, by a later ledger or later code.

    The entry of claims.json then names that ledger and that code; what the run itself made had another SHA-256.
    """

    original: Sha256 = Field(description="SHA-256 of the claims.json that the run made.")
    finished: float = Field(description="When the verdicts were taken again, in seconds since 1970.")
    environment: dict[str, str] = Field(description="Software and hardware that took them.")


class Manifest(_Record):
    """Every file of a study. Two runs of one code on one machine differ in `circumstances` alone."""

    version: Literal[1] = 1
    study: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    kept: Literal["all", "of record"] = Field(
        description="Which outputs lie beside the manifest: all, or those of record, as in results/reference."
    )
    settings: dict[str, Any] = Field(description="The study's section of config.yaml.")
    environment: dict[str, str] = Field(description="Software and hardware, when the manifest was written.")
    packages: dict[str, str] = Field(
        description="Versions of all packages that flatminima requires, and of those that they require."
    )
    outputs: list[Output] = Field(min_length=1)
    circumstances: Circumstances
    rejudged: Rejudged | None = Field(
        default=None, description="Null where verdicts are those that the run itself made."
    )

    migrated: dict[str, Sha256] = Field(
        default={}, description="SHA-256 that the run made of tables of record whose columns have other names since."
    )

    @model_validator(mode="after")
    def _paths_are_inside(self) -> Self:
        paths = [output.path for output in self.outputs]
        for path in paths:
            if not inside(path, self.prefix):
                raise ValueError(f"path {path!r} is not below {self.prefix}")
        if len(set(paths)) < len(paths):
            raise ValueError("a path is listed twice")
        return self

    @model_validator(mode="after")
    def _verdicts_of_a_run_are_its_own(self) -> Self:
        if self.rejudged and self.kept == "all":
            raise ValueError("rejudged: only verdicts of record are taken again")
        if self.migrated and self.kept == "all":
            raise ValueError("migrated: only tables of record have other names of columns since")
        return self

    @property
    def prefix(self) -> str:
        """The study's folder in a run, relative to the repository's root, with a slash at the end."""
        return f"results/{self.study}/"

    def relative(self, output: Output) -> PurePosixPath:
        """Path of an output relative to the study's folder."""
        return PurePosixPath(output.path.removeprefix(self.prefix))

    def present(self) -> list[Output]:
        """The outputs that lie beside the manifest."""
        return [output for output in self.outputs if self.kept == "all" or of_record(self.relative(output))]


def inside(path: str, prefix: str) -> bool:
    """Whether a relative path names a file below a folder (`results/toy/`), and cannot lead out of it."""
    plain = PurePosixPath(path)
    return path.startswith(prefix) and path == str(plain) and not plain.is_absolute() and ".." not in plain.parts


def of_record(path: PurePosixPath) -> bool:
    """Whether results/reference keeps a file, given its path in the study's folder."""
    return any(path.match(pattern) for pattern in OF_RECORD)


def sha256(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_manifest(
    study: str, settings: Mapping[str, Any], targets: Sequence[str], root: Path, repository: Path
) -> Manifest:
    """List the files that the workflow made of a study: targets, what they were made from, and what came with them.

    Where the records of jobs are not whole, all other files in the study's folder are listed too.

    Args:
        study: the study's name.
        settings: its section of config.yaml.
        targets: its last files, relative to the root.
        root: the folder that the workflow ran in.
        repository: the folder that the workflow lies in, mostly the same.

    Raises:
        UserError: if a target is missing.
    """
    prefix = f"results/{study}/"
    jobs = read_jobs(root, prefix, repository)
    made = _made(targets, jobs, prefix, root)
    commit, dirty = checkout(repository)

    @cache  # many jobs read the same samples
    def hashes(path: str) -> str | None:
        return _sha256_or_none((repository if inside(path, SHIPPED) else root) / path)

    return Manifest(
        study=study,
        kept="all",
        settings=dict(settings),
        environment=environment(),
        packages=packages(),
        outputs=[_output(path, jobs.get(path), root, hashes) for path in made],
        circumstances=Circumstances(
            commit=commit, dirty=dirty, outputs={path: _expense(jobs.get(path), root) for path in made}
        ),
    )


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Write a manifest as JSON, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(manifest.model_dump(), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a folder of results.

    Raises:
        UserError: if it is missing or not in the form of `Manifest`.
    """
    path = folder / NAME
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file; run `make reproduce` to make the study's results and manifest"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{path}: not a manifest: {where}: {first['msg']}; run `make reproduce`") from error


def _made(targets: Sequence[str], jobs: Mapping[str, Job], prefix: str, root: Path) -> list[str]:
    """All files of a study behind some of its files; where records lack, all that are there."""
    together = defaultdict(list)
    for path, job in jobs.items():
        together[job.rule, job.log].append(path)
    found: set[str] = set()
    waiting = list(targets)
    while waiting:
        path = waiting.pop()
        if path in found or not path.startswith(prefix):
            continue
        found.add(path)
        if found_job := jobs.get(path):
            beside = together[found_job.rule, found_job.log]
            waiting += [*found_job.inputs, *(other for other in beside if (root / other).is_file())]
    if not found <= jobs.keys():
        found.update(prefix + name for name in names_below(root / prefix) if name != NAME and not left_beside(name))
    return sorted(found)


def _output(path: str, job: Job | None, root: Path, hashes: Callable[[str], str | None]) -> Output:
    found = hashes(path)
    if found is None:
        raise UserError(f"{path}: no such file; run `make reproduce` to make it")
    return Output(
        path=path,
        sha256=found,
        size=(root / path).stat().st_size,
        rule=job.rule if job else None,
        command=list(job.command) if job else [],
        code=_code(job.code) if job else None,
        inputs={name: known or hashes(name) for name, known in sorted(job.inputs.items())} if job else {},
    )


def _sha256_or_none(path: Path) -> str | None:
    return sha256(path) if path.is_file() else None


def _code(stamp: str | None) -> Code | None:
    if stamp is None or (found := CODE.fullmatch(stamp)) is None:
        return None
    names = found[2].split()
    modules = [name for name in names if "/" not in name]
    return Code(sha256=found[1], modules=modules, files=[name for name in names if "/" in name])


def _expense(job: Job | None, root: Path) -> Expense:
    cost = read_cost(root, job) if job else Cost()
    return Expense(
        finished=job.finished if job else None,
        seconds=cost.seconds,
        peak_memory=cost.peak_memory,
        threads=cost.threads,
        device=cost.device,
    )
