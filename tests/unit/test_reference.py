"""The results of record in this repository: whole, derived from their measures, made by this code, and small.

`make readme` after `make reproduce`, from a clean checkout, makes them anew. Those of studies that need a download may
be older than this code, which README.md then says.
"""

from pathlib import Path

import pytest

from flatminima.audit.audit import audit, for_people
from flatminima.audit.levels import LevelName
from flatminima.audit.outcome import Outcome
from flatminima.config import load
from flatminima.provenance.manifest import read_manifest

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "results" / "reference"
EMBEDDED = load(ROOT / "config.yaml").embedded
STUDIES = sorted({*EMBEDDED, *(path.name for path in REFERENCE.iterdir())})
LARGEST = 12_000_000
"""Bytes of one study: enough for its measures, and little enough for a repository."""


def test_every_study_that_needs_no_download_has_a_reference():
    assert [study for study in EMBEDDED if not (REFERENCE / study / "manifest.json").exists()] == []


@pytest.mark.parametrize("study", STUDIES)
def test_the_reference_passes_integrity_derivation_and_code(study):
    levels = [LevelName.INTEGRITY, LevelName.DERIVATION, LevelName.CODE]
    result = audit(REFERENCE / study, levels, ROOT, sample=1, seed=0)
    assert result.passed, for_people(result)
    if study in EMBEDDED:
        assert {level.outcome for level in result.levels} == {Outcome.PASSED}, for_people(result)


@pytest.mark.parametrize("study", STUDIES)
def test_the_reference_was_made_from_a_clean_checkout_and_is_small(study):
    manifest = read_manifest(REFERENCE / study)
    assert manifest.kept == "of record"
    assert manifest.circumstances.commit is not None
    assert manifest.circumstances.dirty is False
    assert sum(path.stat().st_size for path in (REFERENCE / study).rglob("*") if path.is_file()) < LARGEST
