"""Third level: the code and the settings that made the files are those of this checkout, or of the commit of record."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flatminima.audit.levels import UNRECORDED, LevelName
from flatminima.audit.older import (
    abridged,
    changed_code,
    changed_inputs,
    changed_settings,
    commit_of_record,
    is_code_of,
    short,
)
from flatminima.audit.outcome import Level
from flatminima.config import Config
from flatminima.provenance.digest import code_digest
from flatminima.provenance.environment import packages
from flatminima.provenance.git import checkout, is_complete, tree_at
from flatminima.provenance.manifest import Code, Manifest, Output

QUESTION = "Is this the code that made the files?"


@dataclass(frozen=True)
class _Other:
    """Files that this checkout's code did not make."""

    files: str
    code: Code
    reason: str


def check_code(manifest: Manifest, config: Config, root: Path) -> Level:
    """Take every code digest of a manifest again in this checkout, and compare settings.

    Results of record of a clean commit may be older: that commit's code must then have the digests that this one's
    has not. Without git, or in a clone without the commit, they count as older unseen, and the level says so.

    Args:
        manifest: the study's manifest.
        config: config.yaml of this checkout.
        root: the repository.
    """
    groups = _groups(manifest)
    others = [other for group in groups if (other := _other(group))]
    findings = list(_unrecorded(groups))
    settings = changed_settings(manifest, config)
    if manifest.study not in config.studies:
        findings.append(
            f"config.yaml: has no study {manifest.study!r}; give the file that has it with --configfile FILE"
        )
    inputs = {name for output in manifest.outputs for name in changed_inputs(output, root)}
    older: tuple[str, ...] = ()
    if (commit := commit_of_record(manifest)) is None:
        findings += _differences(manifest, others, settings)
    elif others or settings or inputs:
        with tree_at(root, commit) as tree:
            findings += _unlike_commit(others, commit, tree, root)
            older = (_older(others, settings, inputs, commit, tree),)
    digests = {output.code.sha256 for output in manifest.outputs if output.code}
    notes = tuple(_notes(manifest, root))
    return Level(LevelName.CODE, QUESTION, f"{len(digests)} digests", tuple(findings), notes, older=older)


def _groups(manifest: Manifest) -> list[list[Output]]:
    """The outputs that one rule made by one code."""
    groups: dict[tuple[str | None, str | None], list[Output]] = defaultdict(list)
    for output in manifest.outputs:
        groups[output.rule, output.code.model_dump_json() if output.code else None].append(output)
    return [groups[key] for key in sorted(groups, key=str)]


def _files(group: Sequence[Output]) -> str:
    return group[0].path if len(group) == 1 else f"{group[0].path} and {len(group) - 1} more"


def _unrecorded(groups: Sequence[Sequence[Output]]) -> Iterator[str]:
    for group in groups:
        if group[0].code is None:
            reason = f"rule {group[0].rule}" if group[0].rule else UNRECORDED
            yield f"{_files(group)}: no record of the code that made it ({reason})"


def _other(group: Sequence[Output]) -> _Other | None:
    code = group[0].code
    if code is None:
        return None
    try:
        same = code_digest(*code.modules, data=code.files) == code.sha256
        reason = f"made by other code of {', '.join(code.modules)} (rule {group[0].rule})"
    except ValueError as error:
        same, reason = False, str(error)
    return None if same else _Other(_files(group), code, reason)


def _differences(manifest: Manifest, others: Sequence[_Other], settings: Sequence[str]) -> Iterator[str]:
    """Describe what differs where all code and settings must be of this checkout."""
    yield from (f"{other.files}: {other.reason}" for other in others)
    if settings:
        yield (
            f"config.yaml: studies.{manifest.study}: not the settings of the manifest: {', '.join(settings)}; where "
            "the run was given --configfile or --config, give the audit the same settings with --configfile FILE"
        )
    if manifest.kept == "of record" and (others or settings):
        place = _place(manifest.circumstances.commit, manifest.circumstances.dirty)
        yield f"made at {place}: results of record may be older only where a commit without changes made them"


def _unlike_commit(others: Sequence[_Other], commit: str, tree: Path | None, root: Path) -> Iterator[str]:
    """Describe what is wrong with outputs that another commit is said to have made."""
    if tree is None and is_complete(root):
        yield f"commit {short(commit)}, which the manifest names, is not in this repository"
    for other in others:
        if tree and not is_code_of(other.code, tree):
            yield f"{other.files}: made by code that is neither this checkout's nor that of commit {short(commit)}"


def _older(others: Sequence[_Other], settings: Sequence[str], inputs: set[str], commit: str, tree: Path | None) -> str:
    code = {name for other in others for name in changed_code(other.code, tree)}
    parts = [f"made at commit {short(commit)}"]
    parts += ["which is not at hand to be compared"] if tree is None else []
    parts += [f"changed since: {abridged(sorted(code | inputs))}"] if code | inputs else []
    parts += [f"settings changed since: {abridged(settings)}"] if settings else []
    return "; ".join(parts)


def _notes(manifest: Manifest, root: Path) -> Iterator[str]:
    yield f"manifest written at {_place(manifest.circumstances.commit, manifest.circumstances.dirty)}"
    yield f"this checkout is at {_place(*checkout(root))}"
    here = packages()
    for name, made in manifest.packages.items():
        if here.get(name) != made:
            yield f"{name}: made with {made}, here is {here.get(name, 'none')}"


def _place(commit: str | None, dirty: bool | None) -> str:
    if commit is None:
        return "no known commit"
    return f"commit {short(commit)}{', with changes' if dirty else ''}"
