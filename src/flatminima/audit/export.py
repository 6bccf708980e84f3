"""A study as a Workflow Run RO-Crate: its files, the workflow that made them, and how the two belong together."""

import mimetypes
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flatminima.audit.integrity import check_integrity
from flatminima.errors import UserError
from flatminima.files import atomic_path
from flatminima.provenance.manifest import NAME, Manifest, read_manifest

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
}
TERMS = "https://w3id.org/ro/terms/workflow-run/context"
WORKFLOW = "Snakefile"
SETTINGS = ("config.yaml", "workflow/claims.yaml")
SOFTWARE = (WORKFLOW, "pyproject.toml", "requirements.lock", "profiles/**/*", "workflow/**/*", "src/**/*")
LICENCE = "No licence has been stated by the authors."
TYPES = {
    ".parquet": "application/vnd.apache.parquet",
    ".safetensors": "application/octet-stream",
    ".tex": "application/x-tex",
    ".sha256": "text/plain",
    ".smk": "text/plain",
    ".yaml": "application/yaml",
}


def export(folder: Path, root: Path, output: Path) -> None:
    """Pack the results of a study, the workflow and the settings into one zip archive.

    Args:
        folder: the study's results, with their manifest.
        root: the repository.
        output: the archive.

    Raises:
        UserError: if rocrate is not installed, or the results are not those of the manifest.
    """
    try:
        from rocrate.rocrate import ROCrate
    except ModuleNotFoundError:
        raise UserError("export needs the package rocrate; install it with `pip install rocrate`") from None
    manifest = read_manifest(folder)
    findings = check_integrity(folder, manifest, root).findings
    if findings:
        raise UserError(f"{folder}: {findings[0]} ({len(findings)} findings); run `flatminima audit {folder}`")
    crate = ROCrate(version="1.1")
    crate.metadata.extra_contexts.append(TERMS)
    _describe(crate, manifest)
    _add_run(crate, manifest, folder, root)
    with atomic_path(output) as temporary:
        crate.write_zip(temporary)


def _describe(crate: Any, manifest: Manifest) -> None:
    crate.name = f"flatminima: results of the study {manifest.study}"
    crate.description = f"{manifest.settings.get('title', manifest.study)}. Evidence, verdicts, figures and workflow."
    crate.license = LICENCE
    crate.datePublished = _moments(manifest)[1]


def _add_run(crate: Any, manifest: Manifest, folder: Path, root: Path) -> None:
    workflow = _add_software(crate, root)
    settings = [crate.add_file(root / name, name, properties=_properties(name)) for name in SETTINGS]
    outputs = [
        crate.add_file(
            folder / manifest.relative(output),
            output.path,
            properties={**_properties(output.path), "sha256": output.sha256, "contentSize": str(output.size)},
        )
        for output in manifest.present()
    ]
    record = manifest.prefix + NAME
    outputs.append(crate.add_file(folder / NAME, record, properties=_properties(record)))
    start, end = _moments(manifest)
    run = crate.add_action(
        workflow,
        identifier="#run",
        object=settings,
        result=outputs,
        properties={"name": f"Run of the study {manifest.study}", "startTime": start, "endTime": end},
    )
    crate.root_dataset["mentions"] = [run]
    for identifier, name in PROFILES.items():
        profile = {"@id": identifier, "@type": "CreativeWork", "name": name, "version": identifier.rpartition("/")[2]}
        crate.root_dataset.append_to("conformsTo", crate.add_jsonld(profile))


def _add_software(crate: Any, root: Path) -> Any:
    workflow = crate.add_workflow(
        root / WORKFLOW, WORKFLOW, main=True, lang="snakemake", properties={"name": "flatminima"}
    )
    for path in sorted({path for pattern in SOFTWARE for path in root.glob(pattern) if path.is_file()}):
        name = path.relative_to(root).as_posix()
        if name not in (WORKFLOW, *SETTINGS) and not {"__pycache__", "egg-info"} & set(
            name.replace(".", "/").split("/")
        ):
            crate.add_file(path, name, properties=_properties(name))
    return workflow


def _properties(name: str) -> dict[str, str]:
    kind = TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "text/plain"
    return {"name": Path(name).name, "encodingFormat": kind}


def _moments(manifest: Manifest) -> tuple[str, str]:
    """When the first and the last file of record were finished, as ISO 8601; 1970 where nobody knows."""
    times = [expense.finished for expense in manifest.circumstances.outputs.values() if expense.finished is not None]
    first, last = (min(times), max(times)) if times else (0.0, 0.0)
    return _iso(first), _iso(last)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
