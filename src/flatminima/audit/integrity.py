"""First level: every file is the one in the manifest, none is missing, none is there besides."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

from flatminima.audit.levels import LevelName
from flatminima.audit.neighbours import neighbours, place_of, study_of
from flatminima.audit.older import CLAIMS, abridged, changed_inputs, commit_of_record, is_recorded
from flatminima.audit.outcome import Level
from flatminima.provenance.folder import left_beside, names_below
from flatminima.provenance.git import is_complete, tree_at
from flatminima.provenance.job_records import SHIPPED
from flatminima.provenance.manifest import NAME, Manifest, Output, inside, sha256

RUNS = ("results", "reference")
"""Names of the folders in which every folder has the name of its study."""
OTHER = "was read with another SHA-256 than the file that is there or listed now"
EXTRA = "not in the manifest: an earlier run made it, or somebody put it there; move it out of the folder"
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
    listed = {NAME, *(str(manifest.relative(output)) for output in present)}
    extra = [name for name in names_below(folder) if name not in listed]
    findings = [
        *_misplaced(folder, manifest.study),
        *(finding for output in present for finding in _changed(folder / manifest.relative(output), output)),
        *(f"{name}: {EXTRA}" for name in extra if not left_beside(name)),
        *_broken_links(folder, manifest),
        *_changed_checkout(manifest, root),
        *_unlisted_inputs(manifest),
    ]
    absent = len(manifest.outputs) - len(present)
    beside = [name for name in extra if left_beside(name)]
    notes = [f"{absent} files of the run are listed but not kept here"] if absent else []
    notes += [f"not looked at, since no study makes such files: {abridged(beside)}"] if beside else []
    checked = f"{len(present)} files"
    return Level(LevelName.INTEGRITY, "Are these the files of the manifest?", checked, tuple(findings), tuple(notes))


def _misplaced(folder: Path, study: str) -> Iterator[str]:
    """Results of one study where those of another belong; a copy elsewhere may have any name."""
    place = place_of(folder)
    if place.parent.name in RUNS and place.name != study:
        yield f"{folder}: holds the study {study!r}; give the folder that name"


def _changed(path: Path, output: Output) -> Iterator[str]:
    if path.is_symlink():
        yield (
            f"{output.path}: is a symbolic link to {path.readlink()}, whose content may change unseen; put the file "
            "itself there: `cp --remove-destination $(readlink -f LINK) LINK`"
        )
    elif not path.is_file():
        yield f"{output.path}: missing"
    elif (size := path.stat().st_size) != output.size:
        yield f"{output.path}: has {size} bytes, not {output.size}"
    elif sha256(path) != output.sha256:
        yield f"{output.path}: changed: its SHA-256 is not the one in the manifest"


def _broken_links(folder: Path, manifest: Manifest) -> Iterator[str]:
    """Inputs whose recorded hash is not that of the file of a study that they name; files of the checkout apart."""
    known = {output.path: {output.sha256} for output in manifest.outputs}
    known |= {output.path: {output.sha256} for other in neighbours(folder, manifest) for output in other.outputs}
    if manifest.rejudged:
        known.setdefault(manifest.prefix + CLAIMS, set()).add(manifest.rejudged.original)
    for path, original in manifest.migrated.items():
        known.setdefault(path, set()).add(original)
    for name, recorded in sorted({item for output in manifest.outputs for item in output.inputs.items()}):
        if inside(name, SHIPPED):
            continue
        study = study_of(name) if inside(name, "results/") else ""
        if study and name not in known and not (place_of(folder).parent / study / NAME).is_file():
            yield f"{name}: was read, but the results of {study} do not lie beside these; copy or link them there"
        elif not (study and name in known):
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
            kept = [place / name for place in (root, tree) if place]
            read = {output.inputs[name] for output in manifest.outputs if name in output.inputs}
            if not all(any(is_recorded(path, known) for path in kept) for known in read):
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
