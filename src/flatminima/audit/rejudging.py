"""Verdicts taken from measures: of a study that is audited, and again for results of record under a later ledger."""

import time
from pathlib import Path

from flatminima.audit.older import CLAIMS, commit_of_record, outdated
from flatminima.claims.ledger import Ledger, load_ledger
from flatminima.claims.verdicts import results_of
from flatminima.errors import UserError
from flatminima.files import atomic_path
from flatminima.provenance.digest import code_digest
from flatminima.provenance.environment import environment
from flatminima.provenance.job_records import SHIPPED
from flatminima.provenance.manifest import (
    NAME,
    Code,
    Manifest,
    Output,
    Rejudged,
    inside,
    read_manifest,
    sha256,
    write_manifest,
)
from flatminima.record import read_table

LEDGER = "claims.yaml"
MEASURES = "measures.parquet"


def verdicts_of(folder: Path, study: str, ledger: Ledger) -> str:
    """The content of claims.json that follows from the measures of a study.

    Args:
        folder: the study's results.
        study: its name.
        ledger: the claims.

    Raises:
        UserError: if there are no measures, or they are damaged.
    """
    return results_of(study, ledger, read_table(folder / MEASURES)).to_json()


def rejudge(reference: Path, root: Path) -> None:
    """Take the verdicts of record of a study again, if an earlier commit's code or ledger of claims took them.

    The manifest goes on to say what made every file: the entry of claims.json names this code and this ledger, and
    the mark `rejudged` what the run itself had made. All else stays as it is.

    Args:
        reference: the study's results of record, with their manifest.
        root: the repository.

    Raises:
        UserError: if the manifest, the measures or the ledger cannot be read, or the measures are not the manifest's.
    """
    manifest = read_manifest(reference)
    entries = {str(manifest.relative(output)): output for output in manifest.present()}
    claims, measures = entries.get(CLAIMS), entries.get(MEASURES)
    if not (claims and measures and commit_of_record(manifest) and claims.path in outdated(manifest, root)):
        return
    if sha256(reference / MEASURES) != measures.sha256:
        raise UserError(f"{reference / MEASURES}: not the file of the manifest; restore it, then `make readme`")
    text = verdicts_of(reference, manifest.study, load_ledger(root / SHIPPED / LEDGER))
    with atomic_path(reference / CLAIMS) as temporary:
        temporary.write_text(text, encoding="utf-8")
    write_manifest(_rejudged(manifest, claims, reference / CLAIMS, root), reference / NAME)


def _rejudged(manifest: Manifest, claims: Output, path: Path, root: Path) -> Manifest:
    modules = [results_of.__module__, load_ledger.__module__]
    inputs = {name: sha256(root / name) if inside(name, SHIPPED) else known for name, known in claims.inputs.items()}
    code = Code(sha256=code_digest(*modules), modules=modules, files=[])
    changes = {"sha256": sha256(path), "size": path.stat().st_size, "code": code, "inputs": inputs}
    outputs = [output.model_copy(update=changes) if output is claims else output for output in manifest.outputs]
    original = manifest.rejudged.original if manifest.rejudged else claims.sha256
    mark = Rejudged(original=original, finished=time.time(), environment=environment())
    return manifest.model_copy(update={"outputs": outputs, "rejudged": mark})
