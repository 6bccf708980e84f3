"""The changelog of predicates: what decided a verdict when, why it was changed, and which verdicts the change moves."""

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, Field

from flatminima.settings.base import Grid, Strict
from flatminima.settings.parsing import parse
from flatminima.settings.yaml_files import parse_yaml, read_mapping

FREE_TEXT = frozenset({"title", "statement", "scope", "description", "figures", "paper", "caveat", "note"})
"""Keys of claims.yaml that explain a verdict and do not decide it."""


class Move(Strict):
    """The verdict on one claim in one study before and after a change, None where it is not there yet or any more."""

    before: str | None
    after: str | None


class Change(Strict):
    """One change of what decides a verdict.

    Attributes:
        date: when it was committed.
        commit: abbreviated hash of the commit; None where this entry came with it, before it had one.
        claims: ids of the claims concerned.
        change: what was changed, with old and new numbers.
        why: the reason given at the time, or "not said".
        then: verdicts that it moved at the time.
        today: verdicts that it moves on the results of record, by study and claim; None where runs or measurements
            were changed, which the tables cannot tell.
        ledger: `fingerprint` of claims.yaml after the change.
    """

    date: AwareDatetime
    commit: str | None = Field(default=None, pattern=r"^[0-9a-f]{7,40}$")
    claims: Grid[str]
    change: str
    why: str
    then: str
    today: dict[str, dict[str, Move]] | None
    ledger: str = Field(pattern=r"^[0-9a-f]{64}$")


class Changelog(Strict):
    """The whole of workflow/predicates.yaml, oldest change first."""

    changes: list[Change] = Field(min_length=1)


def load_changelog(path: Path) -> Changelog:
    """Read and validate workflow/predicates.yaml.

    Raises:
        UserError: if it is missing, is not YAML or does not fit the schema.
    """
    return parse(Changelog, read_mapping(path), str(path))


def fingerprint(ledger_text: str) -> str:
    """SHA-256 of the part of claims.yaml that decides verdicts, as 64 hexadecimal digits.

    Comments, layout, order of keys, YAML's aliases and the keys of FREE_TEXT leave it as it is.

    Args:
        ledger_text: the text of claims.yaml, of any version.

    Raises:
        UserError: if the text is not YAML.
    """
    deciding = _without_free_text(parse_yaml(ledger_text, "claims.yaml"))
    return hashlib.sha256(json.dumps(deciding, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _without_free_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_free_text(inner) for key, inner in value.items() if key not in FREE_TEXT}
    if isinstance(value, list):
        return [_without_free_text(inner) for inner in value]
    return value
