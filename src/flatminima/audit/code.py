"""Third level: the code and the settings that made the files are those of this checkout."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from flatminima.audit.level import Level
from flatminima.config import Config
from flatminima.provenance.digest import code_digest
from flatminima.provenance.environment import checkout, packages
from flatminima.provenance.manifest import Code, Manifest


def check_code(manifest: Manifest, config: Config, root: Path) -> Level:
    """Take every code digest of a manifest again in this checkout, and compare settings.

    Args:
        manifest: the study's manifest.
        config: config.yaml of this checkout.
        root: the repository, for its commit.
    """
    codes: dict[tuple[str | None, str | None], list[str]] = defaultdict(list)
    kinds: dict[str, Code] = {}
    for output in manifest.outputs:
        key = output.code.model_dump_json() if output.code else None
        codes[output.rule, key].append(output.path)
        if output.code and key:
            kinds[key] = output.code
    findings = [
        finding
        for (rule, key), paths in sorted(codes.items(), key=str)
        if (finding := _compare(rule, kinds[key] if key else None, paths))
    ]
    findings += _settings(manifest, config)
    question = "Is this the code that made the files?"
    return Level("code", question, f"{len(kinds)} digests", tuple(findings), tuple(_notes(manifest, root)))


def _compare(rule: str | None, code: Code | None, paths: list[str]) -> str | None:
    which = paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
    if code is None:
        return f"{which}: no record of the code that made it (rule {rule or 'unknown'})"
    try:
        digest = code_digest(*code.modules, data=code.files)
    except ValueError as error:
        return f"{which}: {error}"
    return None if digest == code.sha256 else f"{which}: made by other code of {', '.join(code.modules)} (rule {rule})"


def _settings(manifest: Manifest, config: Config) -> Iterator[str]:
    study = config.studies.get(manifest.study)
    if study is None:
        yield f"config.yaml: has no study {manifest.study!r}"
    elif (values := study.model_dump(mode="json")) != manifest.settings:
        changed = [key for key in {**values, **manifest.settings} if values.get(key) != manifest.settings.get(key)]
        yield f"config.yaml: studies.{manifest.study}: not the settings of the manifest: {', '.join(changed)}"


def _notes(manifest: Manifest, root: Path) -> Iterator[str]:
    commit, dirty = checkout(root)
    yield f"manifest written at {_place(manifest.circumstances.commit, manifest.circumstances.dirty)}"
    yield f"this checkout is at {_place(commit, dirty)}"
    here = packages()
    for name in sorted(here.keys() | manifest.packages.keys()):
        if here.get(name) != manifest.packages.get(name):
            yield f"{name}: made with {manifest.packages.get(name, 'none')}, here is {here.get(name, 'none')}"


def _place(commit: str | None, dirty: bool | None) -> str:
    if commit is None:
        return "no known commit"
    return f"commit {commit[:12]}{', with changes' if dirty else ''}"
