"""Results of record that an earlier commit made, and what this checkout would make otherwise."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from flatminima.config import Config
from flatminima.provenance.digest import PACKAGE, code_digest, digested
from flatminima.provenance.job_records import SHIPPED
from flatminima.provenance.manifest import Code, Manifest, Output, inside, read_manifest
from flatminima.settings.base import unlabelled

"""Folder of the checkout whose files jobs read, relative to the repository's root."""
CLAIMS = "claims.json"
SHOWN = 3
"""Names in a list that is cut short."""


def commit_of_record(manifest: Manifest) -> str | None:
    """The commit that made results of record; None for other results, and where no clean commit is on record."""
    made = manifest.circumstances
    return made.commit if manifest.kept == "of record" and made.dirty is False else None


def short(commit: str) -> str:
    """A commit as people read it."""
    return commit[:12]


def is_code_of(code: Code, tree: Path | None = None) -> bool:
    """Whether the package's code is that of a digest.

    Args:
        code: a digest, and what it is the digest of.
        tree: the repository's files at some commit, as `tree_at` has them; this code if none is given.
    """
    try:
        return code_digest(*code.modules, data=code.files, package=_package(tree)) == code.sha256
    except ValueError:
        return False


def changed_inputs(output: Output, root: Path) -> set[str]:
    """Files of the checkout, such as the ledger of claims, that a job read and that have another SHA-256 here."""
    read = {name: known for name, known in output.inputs.items() if inside(name, SHIPPED)}
    return {name for name, known in read.items() if not is_recorded(root / name, known)}


def is_recorded(path: Path, known: str | None) -> bool:
    """Whether a text of the checkout has a SHA-256, with either kind of line endings, which git may have converted."""
    content = path.read_bytes() if path.is_file() else None
    if content is None:
        return False
    unix = content.replace(b"\r\n", b"\n")
    return known in {hashlib.sha256(text).hexdigest() for text in (content, unix, unix.replace(b"\n", b"\r\n"))}


def outdated(manifest: Manifest, root: Path) -> set[str]:
    """Paths of outputs that other code made than this, or from another file of the checkout than is there.

    Args:
        manifest: the study's manifest.
        root: the repository.
    """
    codes = {output.code.model_dump_json(): output.code for output in manifest.outputs if output.code}
    other = {key for key, code in codes.items() if not is_code_of(code)}
    return {
        output.path
        for output in manifest.outputs
        if (output.code and output.code.model_dump_json() in other) or changed_inputs(output, root)
    }


def changed_settings(manifest: Manifest, config: Config) -> list[str]:
    """Keys of the study's section of config.yaml whose values are not those of the manifest; none without a section."""
    if manifest.study not in config.studies:
        return []
    values, recorded = (
        unlabelled(s) for s in (config.studies[manifest.study].model_dump(mode="json"), manifest.settings)
    )
    return [key for key in {**values, **recorded} if values.get(key) != recorded.get(key)]


def changed_code(code: Code, tree: Path | None) -> set[str]:
    """Modules and files by which a digest differs from this code's.

    Args:
        code: a digest that is not this code's.
        tree: the repository's files at the commit that made it; without them, only entry modules can be named.
    """
    if tree is None:
        return set(code.modules)
    try:
        now, then = (digested(*code.modules, data=code.files, package=_package(place)) for place in (None, tree))
    except ValueError:
        return set(code.modules)
    return {name for name in now | then if now.get(name) != then.get(name)}


def abridged(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are: `a, b, c and 12 more`."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def older_references(reference: Path, config: Config, root: Path) -> str:
    """A Markdown sentence for each study whose results of record an earlier commit made; nothing if there is none.

    Args:
        reference: the folder of results of record, one folder for each study.
        config: config.yaml of this checkout.
        root: the repository.

    Raises:
        UserError: if a manifest cannot be read.
    """
    manifests = [read_manifest(path.parent) for path in sorted(reference.glob("*/manifest.json"))]
    return "".join(f"{sentence}\n" for manifest in manifests for sentence in _sentences(manifest, config, root))


def _sentences(manifest: Manifest, config: Config, root: Path) -> Iterator[str]:
    commit = commit_of_record(manifest)
    if commit and (changed_settings(manifest, config) or outdated(manifest, root)):
        again = "; its verdicts were taken again from its measures" if manifest.rejudged else ""
        yield (
            f"The results of `{manifest.study}` are those of commit {short(commit)}{_date(manifest)}, and code or "
            f"settings have changed since{again}."
        )


def _date(manifest: Manifest) -> str:
    times = [expense.finished for expense in manifest.circumstances.outputs.values() if expense.finished is not None]
    return f" ({datetime.fromtimestamp(max(times), UTC):%Y-%m-%d})" if times else ""


def _package(tree: Path | None) -> Path:
    return PACKAGE if tree is None else tree / "src" / PACKAGE.name
