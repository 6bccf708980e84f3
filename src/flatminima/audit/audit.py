"""The audit of a study: four levels, each with its own verdict."""

import json
import textwrap
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flatminima.audit.code import check_code
from flatminima.audit.configuration import configured
from flatminima.audit.derivation import check_derivation
from flatminima.audit.integrity import check_integrity
from flatminima.audit.levels import LevelName
from flatminima.audit.outcome import Level, Outcome
from flatminima.audit.recomputation import check_recomputation
from flatminima.errors import UserError
from flatminima.provenance.manifest import read_manifest

SHOWN = 10
"""Findings and notes of one level that are printed; all of them stand in the JSON file."""


@dataclass(frozen=True)
class Audit:
    """Outcome of the levels that ran on one folder, with the seconds that each took."""

    folder: str
    levels: tuple[Level, ...]
    seconds: tuple[float, ...]

    @property
    def passed(self) -> bool:
        """Whether all levels that ran are passed."""
        return all(level.passed for level in self.levels)


def audit(
    folder: Path, levels: Sequence[LevelName], root: Path, sample: int, seed: int, configfiles: Sequence[Path] = ()
) -> Audit:
    """Audit the results of one study.

    Args:
        folder: the results, with their manifest.
        levels: which levels run.
        root: the repository: config.yaml, workflow/claims.yaml, and the commit.
        sample: how many jobs the level of recomputation draws.
        seed: of that draw.
        configfiles: what the run was given with --configfile.

    Raises:
        UserError: if the manifest, config.yaml, workflow/claims.yaml or any file of the study cannot be read.
    """
    try:
        return _audit(folder, levels, root, sample, seed, configfiles)
    except PermissionError as error:
        cure = f"who owns it can let others read: chmod -R a+rX {folder}"
        raise UserError(f"{error.filename}: you may not read it; {cure}") from error


def _audit(
    folder: Path, levels: Sequence[LevelName], root: Path, sample: int, seed: int, configfiles: Sequence[Path]
) -> Audit:
    manifest = read_manifest(folder)
    config = configured(root / "config.yaml", configfiles)
    checks = {
        LevelName.INTEGRITY: lambda: check_integrity(folder, manifest, root),
        LevelName.DERIVATION: lambda: check_derivation(folder, manifest, root),
        LevelName.CODE: lambda: check_code(manifest, config, root),
        LevelName.RECOMPUTATION: lambda: check_recomputation(folder, manifest, root, sample, seed),
    }
    outcomes, seconds = [], []
    for name in [name for name in LevelName if name in levels]:
        start = time.perf_counter()
        outcomes.append(checks[name]())
        seconds.append(time.perf_counter() - start)
    return Audit(str(folder), tuple(outcomes), tuple(seconds))


def for_people(result: Audit) -> str:
    """An audit as text: a line for each level, then what was found."""
    lines = [result.folder]
    for level, seconds in zip(result.levels, result.seconds, strict=True):
        lines.append(f"  {level.name:<14} {level.outcome:<7} {level.checked:>12}  {seconds:6.1f} s  {level.question}")
    for level in result.levels:
        lines += _indented(f"{level.name}: note: ", level.notes[:SHOWN])
        if (more := len(level.notes) - SHOWN) > 0:
            lines += _indented(f"{level.name}: ", [f"{more} more notes; --json FILE has them all"])
        lines += _indented(f"{level.name}: OLDER: ", level.older)
        lines += _indented(f"{level.name}: FAILED: ", level.findings[:SHOWN])
        if (more := len(level.findings) - SHOWN) > 0:
            lines += _indented(f"{level.name}: ", [f"{more} more findings; --json FILE has them all"])
    return "\n".join(lines)


def tally(results: Sequence[Audit]) -> str:
    """Count the outcomes of all levels of all audits: `in all: 20 PASSED, 3 OLDER`."""
    counts = Counter(level.outcome for result in results for level in result.levels)
    return f"in all: {', '.join(f'{counts[outcome]} {outcome}' for outcome in Outcome if counts[outcome])}"


def for_machines(results: Sequence[Audit]) -> str:
    """Audits as JSON."""
    return json.dumps([_plain(result) for result in results], indent=1) + "\n"


def _plain(result: Audit) -> dict[str, Any]:
    levels = [
        {**asdict(level), "outcome": level.outcome, "passed": level.passed, "seconds": seconds}
        for level, seconds in zip(result.levels, result.seconds, strict=True)
    ]
    return {"folder": result.folder, "passed": result.passed, "levels": levels}


def _indented(start: str, texts: Sequence[str]) -> list[str]:
    return [
        line
        for text in texts
        for line in textwrap.wrap(start + text, 110, initial_indent="  ", subsequent_indent="      ")
    ]
