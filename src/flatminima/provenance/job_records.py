"""Records of the workflow's jobs: Snakemake's records of outputs, and the logs of jobs."""

import ast
import json
import re
import shlex
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flatminima.progress import COST, DEVICE
from flatminima.provenance.digest import code_digest

METADATA = Path(".snakemake/metadata")
CODE = re.compile(r"code ([0-9a-f]{64}) of (.+)")
REDIRECTION = "2>&1"
ELSEWHERE = "(absolute path)"
SHIPPED = "workflow/"
"""The folder of the repository whose files rules read, wherever they run."""


@dataclass(frozen=True)
class Job:
    """The job that made a file; None or empty where Snakemake did not keep it.

    Attributes:
        rule: name of its rule.
        command: the program and its arguments, in which all parameters stand.
        code: what `code_stamp` said of the code when it ran.
        inputs: SHA-256 of the files that it read, None for those too large for Snakemake to take it.
        log: its log file.
        finished: when its output was written, in seconds since 1970.
    """

    rule: str | None
    command: tuple[str, ...]
    code: str | None
    inputs: Mapping[str, str | None]
    log: str | None
    finished: float | None


@dataclass(frozen=True)
class Cost:
    """Wall-clock seconds, largest resident memory in MB, threads, and device of a job."""

    seconds: float | None = None
    peak_memory: float | None = None
    threads: int | None = None
    device: str | None = None


def code_stamp(*modules: str, data: Sequence[str] = ()) -> str:
    """The digest of code, and what it is the digest of, so that an audit can take it again.

    Args:
        modules: dotted names, as `code_digest` takes them.
        data: glob patterns of other files, as it takes them.

    Raises:
        ValueError: as `code_digest`.
    """
    return f"code {code_digest(*modules, data=data)} of {' '.join([*modules, *data])}"


def read_jobs(root: Path, prefix: str, repository: Path) -> dict[str, Job]:
    """The jobs of outputs that Snakemake has on record, by the output's path.

    Snakemake keeps one JSON file for each output below .snakemake/metadata, named by the path in base 64. The form is
    its own affair: what is not found there is left out, never guessed. Records of other outputs are not opened, since
    their jobs may be at work.

    Args:
        root: the folder that the workflow ran in.
        prefix: how the outputs' paths begin: `results/digits/`.
        repository: the folder that the workflow lies in; files of its SHIPPED are named relative to it.
    """
    folder = root / METADATA
    records = {_output(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    jobs = {name: _job(path, root, repository) for name, path in records.items() if name.startswith(prefix)}
    return {name: job for name, job in jobs.items() if job}


def read_cost(root: Path, job: Job) -> Cost:
    """Read what a job took, and on which device, from its log; None for what that does not say."""
    log = root / job.log if job.log else None
    text = log.read_text(encoding="utf-8", errors="replace") if log and log.is_file() else ""
    device = next((line.removeprefix(DEVICE) for line in text.splitlines() if line.startswith(DEVICE)), None)
    cost = COST.search(text)
    if cost is None:
        return Cost(device=device)
    threads = cost["threads"]
    return Cost(float(cost["seconds"]), float(cost["memory"]), int(threads) if threads else None, device)


def _output(path: Path) -> str:
    """The output that a record is named after; nothing for files of others."""
    encoded = "".join(part.removeprefix("@") for part in path.parts)
    try:
        return urlsafe_b64decode(encoded).decode()
    except ValueError:
        return ""


def _job(path: Path, root: Path, repository: Path) -> Job | None:
    try:
        record = json.loads(path.read_bytes())
    except ValueError:
        return None
    checksums = record.get("input_checksums") or {}
    names = {name: _portable(name, root, repository) for name in record.get("input") or []}
    return Job(
        rule=record.get("rule"),
        command=_command(record.get("shellcmd") or "", names),
        code=next(_stamps(record.get("params") or []), None),
        inputs={portable: _sha256(checksums.get(name)) for name, portable in names.items()},
        log=next(iter(record.get("log") or []), None),
        finished=record.get("endtime"),
    )


def _portable(name: str, root: Path, repository: Path) -> str:
    """Path of an input; of a file of the workflow, relative to the repository, wherever the workflow ran."""
    path, folder = (place.absolute() for place in (root / name, repository / SHIPPED))
    return f"{SHIPPED}{path.relative_to(folder).as_posix()}" if path.is_relative_to(folder) else name


def _command(shell: str, names: Mapping[str, str]) -> tuple[str, ...]:
    """Words of the first command of a shell line, without its redirections; no absolute path, which names a machine."""
    words = shlex.split(shell.replace("\\\n", " "))
    program = words[: words.index(REDIRECTION)] if REDIRECTION in words else words
    return tuple(ELSEWHERE if word.startswith("/") else word for word in (names.get(word, word) for word in program))


def _stamps(parameters: Sequence[str]) -> Iterator[str]:
    """The code stamps among parameters, which Snakemake keeps as Python literals."""
    for text in parameters:
        value = _literal(text)
        if isinstance(value, str) and CODE.fullmatch(value):
            yield value


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return None


def _sha256(checksum: str | None) -> str | None:
    return checksum.removeprefix("sha256:") if checksum and checksum.startswith("sha256:") else None
