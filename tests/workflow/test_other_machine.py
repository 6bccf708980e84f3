"""The audit where hardware or software are not those of the manifest: rounding passes, edits do not."""

import json
from pathlib import Path

import pandas as pd
import pytest

from flatminima.audit.derivation import check_derivation
from flatminima.audit.recomputation import check_recomputation
from flatminima.provenance.manifest import read_manifest

PART = "results/patches/measures/relu-depth2.parquet"


@pytest.fixture
def study(copied):
    """The smallest study, with a manifest from another machine, on which two files had other bytes."""
    folder = copied.folder / "results" / "patches"
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["environment"]["Processor"] = "another"
    for output in manifest["outputs"]:
        if output["path"] in (PART, "results/patches/networks/relu-depth2.safetensors"):
            output["sha256"] = "0" * 64
    path.write_text(json.dumps(manifest))
    return folder


def scale(path: Path, statistic: str, factor: float) -> None:
    measures = pd.read_parquet(path)
    measures.loc[measures["statistic"] == statistic, "value"] *= factor
    measures.to_parquet(path, index=False)


def recomputation(study: Path):
    return check_recomputation(study, read_manifest(study), study.parents[1], sample=100, seed=0)


def test_networks_with_other_bytes_pass_where_their_measures_agree(study):
    scale(study / "measures.parquet", "sharpness", 1.005)
    level = recomputation(study)
    assert level.findings == ()
    assert f"{PART}: other bytes on another machine, or a GPU; measures compared within 0.01" in level.notes
    assert any(note.startswith("results/patches/networks/relu-depth2.safetensors: other bytes") for note in level.notes)


@pytest.mark.parametrize(("device", "findings"), [("cpu", 1), ("Accelerator X", 0)])
def test_equal_bytes_are_asked_of_a_processor_alone(copied, device, findings):
    folder = copied.folder / "results" / "patches"
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    networks = "results/patches/networks/relu-depth2.safetensors"
    for output in manifest["outputs"]:
        if output["path"] == networks:
            output["sha256"] = "0" * 64
    costs = manifest["circumstances"]["outputs"]
    assert costs[networks]["device"] == "cpu"
    costs[networks]["device"] = costs["results/patches/histories/relu-depth2.parquet"]["device"] = device
    path.write_text(json.dumps(manifest))
    assert len(recomputation(folder).findings) == findings


def test_measures_that_no_run_of_this_code_made_are_found(study):
    scale(study / "measures.parquet", "sharpness", 1.05)
    found = recomputation(study).findings
    assert found == tuple(
        f"{PART}: {name} sharpness: differs by up to 0.048 when measured again" for name in ("relu", "relu-unbalanced")
    )


def test_half_of_the_values_trained_on_samples_may_end_elsewhere(study):
    measures = pd.read_parquet(study / "measures.parquet")
    of_part = measures["case"].eq("relu") & measures["depth"].eq(2) & measures["final"]
    of_part &= measures["control"].eq("")
    values = measures.index[of_part & measures["statistic"].eq("path_gain")]
    assert len(values) >= 2

    def moved(count):
        measures.assign(value=measures["value"].mask(measures.index.isin(values[:count]), 0.3)).to_parquet(
            study / "measures.parquet", index=False
        )
        return recomputation(study)

    level = moved(len(values) // 2)
    assert level.findings == ()
    assert any(f"0.01, which {len(values) // 2} of " in note for note in level.notes)
    assert any("relu path_gain: differs by" in finding for finding in moved(len(values) // 2 + 1).findings)


def derivation(study: Path) -> tuple[str, ...]:
    return check_derivation(study, read_manifest(study), study.parents[1]).findings


def test_tables_that_differ_by_rounding_pass_and_pictures_are_not_compared(study):
    table = pd.read_csv(study / "tables/sharpness.csv")
    table["sharpness_median"] *= 1 + 1e-12
    table.to_csv(study / "tables/sharpness.csv", index=False)
    (study / "figures/coupling-excess.svg").write_text("<svg/>")
    assert derivation(study) == ()
    table["sharpness_median"] *= 1 + 1e-6
    table.to_csv(study / "tables/sharpness.csv", index=False)
    (finding,) = derivation(study)
    assert finding.startswith("tables/sharpness.csv: sharpness_median in row 1 is ")


@pytest.mark.parametrize(
    ("variable", "value"),
    [("ATEN_CPU_CAPABILITY", "default"), ("OPENBLAS_CORETYPE", "Haswell"), ("NPY_DISABLE_CPU_FEATURES", "AVX2")],
)
def test_a_processor_of_the_same_name_may_round_otherwise(copied, monkeypatch, variable, value):
    folder = copied.folder / "results" / "patches"
    table = pd.read_csv(folder / "tables/sharpness.csv")
    table["sharpness_median"] *= 1 + 1e-12
    table.to_csv(folder / "tables/sharpness.csv", index=False)
    assert len(derivation(folder)) == 1
    monkeypatch.setenv(variable, value)
    assert derivation(folder) == ()
