"""First level: every file is the one in the manifest, none is missing, none is there besides."""

from collections.abc import Iterator
from pathlib import Path

from flatminima.audit.level import Level, neighbours, study_of
from flatminima.provenance.manifest import NAME, Manifest, Output, inside, sha256


def check_integrity(folder: Path, manifest: Manifest, root: Path) -> Level:
    """Compare the files of a study with its manifest, and the manifest with itself.

    Args:
        folder: the study's results; studies that it reads from lie beside it.
        manifest: its manifest.
        root: the repository, for inputs such as workflow/claims.yaml.
    """
    present = manifest.present()
    findings = [
        *([f"{folder}: holds the study {manifest.study!r}"] if folder.resolve().name != manifest.study else []),
        *(finding for output in present for finding in _changed(folder / manifest.relative(output), output)),
        *_extra(folder, {str(manifest.relative(output)) for output in present}),
        *_broken_links(folder, manifest, root),
        *_unlisted_inputs(manifest),
    ]
    absent = len(manifest.outputs) - len(present)
    notes = (f"{absent} files of the run are listed but not kept here",) if absent else ()
    return Level("integrity", "Are these the files of the manifest?", f"{len(present)} files", tuple(findings), notes)


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


def _broken_links(folder: Path, manifest: Manifest, root: Path) -> Iterator[str]:
    """Inputs whose recorded hash is not that of the file that they name."""
    known = {output.path: output.sha256 for output in manifest.outputs}
    known |= {output.path: output.sha256 for other in neighbours(folder, manifest) for output in other.outputs}
    for name, recorded in sorted({item for output in manifest.outputs for item in output.inputs.items()}):
        if study_of(name):
            found = known.get(name)
        else:
            found = sha256(root / name) if inside(name, "workflow/") and (root / name).is_file() else None
        if found is None:
            yield f"{name}: was read, but no manifest lists it and it is no file of this checkout"
        elif found != recorded:
            yield f"{name}: was read with another SHA-256 than the file that is there or listed now"


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
