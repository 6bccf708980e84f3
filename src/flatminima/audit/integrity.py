"""First level: every file is the one in the manifest, none is missing, none is there besides."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

from flatminima.audit.level import Level, neighbours, study_of
from flatminima.audit.names import LevelName
from flatminima.audit.older import CLAIMS, LEDGERS, changed_inputs, commit_of_record
from flatminima.provenance.git import is_complete, tree_at
from flatminima.provenance.manifest import NAME, Manifest, Output, inside, sha256

OTHER = "was read with another SHA-256 than the file that is there or listed now"
UNKNOWN = "was read, but no manifest lists it and it is no file of this checkout"


def check_integrity(folder: Path, manifest: Manifest, root: Path) -> Level:
    """Compare the files of a study with its manifest, and the manifest with itself.

    Args:
        folder: the study's results; studies that it reads from lie beside it.
        manifest: its manifest.
        root: the repository, for inputs such as workflow/claims.yaml; results of record may have read them as they
            were at their commit, if git has it.
    """
    present = manifest.present()
    findings = [
        *([f"{folder}: holds the study {manifest.study!r}"] if folder.resolve().name != manifest.study else []),
        *(finding for output in present for finding in _changed(folder / manifest.relative(output), output)),
        *_extra(folder, {str(manifest.relative(output)) for output in present}),
        *_broken_links(folder, manifest),
        *_changed_checkout(manifest, root),
        *_unlisted_inputs(manifest),
    ]
    absent = len(manifest.outputs) - len(present)
    notes = (f"{absent} files of the run are listed but not kept here",) if absent else ()
    return Level(
        LevelName.INTEGRITY, "Are these the files of the manifest?", f"{len(present)} files", tuple(findings), notes
    )


def _changed(path: Path, output: Output) -> Iterator[str]:
    if path.is_symlink() or not path.is_file():
        yield f"{output.path}: missing"
    elif (size := path.stat().st_size) != output.size:
        yield f"{output.path}: has {size} bytes, not {output.size}"
    elif sha256(path) != output.sha256:
        yield f"{output.path}: changed: its SHA-256 is not the one in the manifest"


def _extra(folder: Path, listed: set[str]) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_dir() and name not in listed and name != NAME:
            yield f"{name}: not in the manifest; delete it, or find out who put it there"


def _broken_links(folder: Path, manifest: Manifest) -> Iterator[str]:
    """Inputs whose recorded hash is not that of the file of a study that they name; files of the checkout apart."""
    known = {output.path: {output.sha256} for output in manifest.outputs}
    known |= {output.path: {output.sha256} for other in neighbours(folder, manifest) for output in other.outputs}
    if manifest.rejudged:
        known.setdefault(manifest.prefix + CLAIMS, set()).add(manifest.rejudged.original)
    for name, recorded in sorted({item for output in manifest.outputs for item in output.inputs.items()}):
        if inside(name, LEDGERS):
            continue
        if not (study_of(name) and name in known):
            yield f"{name}: {UNKNOWN}"
        elif recorded not in known[name]:
            yield f"{name}: {OTHER}"


def _changed_checkout(manifest: Manifest, root: Path) -> Iterator[str]:
    """Files of the checkout that were read as they are neither here nor, for results of record, at their commit."""
    names = {name for output in manifest.outputs for name in changed_inputs(output, root)}
    commit = commit_of_record(manifest)
    if not names:
        return
    with tree_at(root, commit) if commit else nullcontext() as tree:
        if commit and tree is None and not is_complete(root):
            return
        for name in sorted(names):
            kept = {sha256(place / name) for place in (root, tree) if place and (place / name).is_file()}
            read = {output.inputs[name] for output in manifest.outputs if name in output.inputs}
            if not read <= kept:
                yield f"{name}: {OTHER if (root / name).is_file() else UNKNOWN}"


def _unlisted_inputs(manifest: Manifest) -> Iterator[str]:
    """Files of the study that a command names, but neither reads nor makes by the manifest."""
    made: dict[tuple[str, ...], set[str]] = {}
    for output in manifest.outputs:
        made.setdefault(tuple(output.command), set()).add(output.path)
    paths = {output.path for output in manifest.outputs}
    for output in manifest.outputs:
        named = {word.partition("=")[2] or word for word in output.command} & paths
        for name in sorted(named - output.inputs.keys() - made[tuple(output.command)]):
            yield f"{output.path}: its command names {name}, which is not among its inputs"
