"""Fault drills: whatever is changed in the results of a run, the level of the audit that should find it does."""

import hashlib
import json
import shutil
from collections import defaultdict
from pathlib import Path

import pandas as pd
import pytest

from flatminima.audit.audit import audit
from flatminima.audit.levels import LevelName

INTEGRITY, DERIVATION, CODE, RECOMPUTATION = LevelName
EVERY_JOB = 100
NETWORKS = [f"networks/{name}-depth2.safetensors" for name in ("relu", "start_identity")]


@pytest.fixture
def study(copied):
    """The folder of the smallest study."""
    return copied.folder / "results" / "patches"


def findings(study: Path, level: LevelName) -> tuple[str, ...]:
    root = study.parents[1]
    (outcome,) = audit(study, [level], root, sample=EVERY_JOB, seed=0).levels
    return outcome.findings


def forge(study: Path, *names: str, **fields) -> None:
    """Make the manifest agree with files that were changed: their own entries, and those of all that read them."""
    path = study / "manifest.json"
    manifest = json.loads(path.read_text())
    for name in names:
        content = (study / name).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        for output in manifest["outputs"]:
            if output["path"] == f"results/patches/{name}":
                output.update(sha256=digest, size=len(content), **fields)
            if f"results/patches/{name}" in output["inputs"]:
                output["inputs"][f"results/patches/{name}"] = digest
    path.write_text(json.dumps(manifest))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def kinds(study: Path) -> list[Path]:
    """One file of each folder and suffix."""
    found = defaultdict(list)
    for path in sorted(study.rglob("*")):
        if path.is_file() and path.name != "manifest.json":
            found[path.parent, path.suffix].append(path)
    return [paths[0] for paths in found.values()]


def test_a_flipped_byte_in_any_kind_of_output_is_found_by_integrity(study):
    paths = kinds(study)
    assert {path.suffix for path in paths} == {
        ".safetensors", ".sha256", ".json", ".parquet", ".svg", ".pdf", ".png", ".csv", ".html", ".tex"
    }  # fmt: skip
    for path in paths:
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        (finding,) = findings(study, INTEGRITY)
        assert finding.startswith(f"results/patches/{path.relative_to(study)}: changed")
        path.write_bytes(content)
    assert findings(study, INTEGRITY) == ()


def test_deleted_added_and_truncated_files_are_found_by_integrity(study):
    (study / "tables/balance.csv").unlink()
    (study / "networks/more.safetensors").touch()
    content = (study / "measures.parquet").read_bytes()
    (study / "measures.parquet").write_bytes(content[: len(content) // 2])
    found = "\n".join(findings(study, INTEGRITY))
    assert "results/patches/tables/balance.csv: missing" in found
    assert "networks/more.safetensors: not in the manifest" in found
    assert f"measures.parquet: has {len(content) // 2} bytes, not {len(content)}" in found


@pytest.mark.parametrize("forged", [False, True], ids=["careless", "forged"])
def test_an_edited_verdict_cell_and_picture(study, forged):
    """By integrity; by derivation too where the manifest was made to agree."""
    edit(study / "claims.json", '"verdict": "', '"verdict": "NOT ')
    table = pd.read_csv(study / "tables/sharpness.csv")
    table.loc[0, "sharpness_median"] *= 1.01
    table.to_csv(study / "tables/sharpness.csv", index=False)
    edit(study / "figures/coupling-excess.svg", "</svg>", "<!-- --></svg>")
    names = ["claims.json", "figures/coupling-excess.svg", "tables/sharpness.csv"]
    if forged:
        forge(study, *names)
        assert findings(study, INTEGRITY) == ()
    else:
        assert len(findings(study, INTEGRITY)) == len(names)
    claims, picture, cell = findings(study, DERIVATION)
    assert claims.startswith("claims.json: claims.0.verdict is 'NOT ")
    assert picture == "figures/coupling-excess.svg: other bytes than those made anew"
    assert cell.startswith("tables/sharpness.csv: sharpness_median in row 1 is ")


def test_an_edited_page_is_not_the_one_that_follows_from_the_results(study):
    edit(study / "report/index.html", "REPRODUCED", "NOT REPRODUCED")
    forge(study, "report/index.html")
    assert findings(study, INTEGRITY) == ()
    assert findings(study, DERIVATION) == ("report/index.html: other bytes than those made anew",)


def test_edited_measures_do_not_follow_from_their_parts(study):
    measures = pd.read_parquet(study / "measures.parquet")
    measures.loc[0, "value"] += 1e-9
    measures.to_parquet(study / "measures.parquet", index=False)
    forge(study, "measures.parquet")
    assert findings(study, INTEGRITY) == ()
    assert "measures.parquet: other rows than those made anew" in findings(study, DERIVATION)


def test_an_edited_tolerance_of_a_claim(study, copied):
    """The ledger is not the one that was read, and the verdicts do not follow from it."""
    copied.edit("workflow/claims.yaml", "smallest: 0.05\n", "smallest: 0.06\n", count=5)
    assert any(
        finding.startswith("workflow/claims.yaml: was read with another") for finding in findings(study, INTEGRITY)
    )
    assert any(finding.startswith("claims.json: ") for finding in findings(study, DERIVATION))


def test_an_edited_setting_is_found_by_code(study, copied):
    assert findings(study, CODE) == ()
    copied.configure("studies", "patches", "measure", "tolerance", value=0.02)
    (found,) = findings(study, CODE)
    assert found.startswith("config.yaml: studies.patches: not the settings of the manifest: measure;")


def test_edited_code_is_found_by_code_and_names_what_it_made(study, copied):
    copied.edit("src/flatminima/claims/verdicts.py", "2 * len(decided)", "3 * len(decided)")
    audited = copied.run("flatminima", "audit", "--level=code", "results/patches")
    assert audited.returncode == 1
    assert "results/patches/claims.json: made by other code of" in audited.stdout.replace("\n      ", " ")


def test_two_swapped_runs_are_found_by_integrity_and_if_forged_by_recomputation(study):
    one, other = (study / name for name in NETWORKS)
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    assert len(findings(study, INTEGRITY)) == 2
    forge(study, *NETWORKS)
    assert findings(study, INTEGRITY) == ()
    found = findings(study, RECOMPUTATION)
    assert {f"results/patches/{name}: other bytes when made again" for name in NETWORKS} <= set(found)


def test_a_network_of_the_same_shape_in_place_of_the_trained_one_is_found_by_recomputation(study):
    path = study / NETWORKS[0]
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)
    forge(study, NETWORKS[0])
    assert findings(study, INTEGRITY) == ()
    assert findings(study, DERIVATION) == ()
    assert findings(study, RECOMPUTATION) == (f"results/patches/{NETWORKS[0]}: other bytes when made again",)


def test_edited_parts_of_the_measures_are_found_by_recomputation(study):
    part = "measures/relu-depth2.parquet"
    measures = pd.read_parquet(study / part)
    measures.loc[0, "value"] += 1e-9
    measures.to_parquet(study / part, index=False)
    forge(study, part)
    assert f"results/patches/{part}: other bytes when made again" in findings(study, RECOMPUTATION)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("command", ["sh", "-c", "touch broken"]),
        ("command", ["flatminima", "collect", "--output=../../broken", "a.parquet"]),
        ("command", ["flatminima", "collect", "--output", "../broken", "a.parquet"]),
        ("command", ["flatminima", "collect", "--output=/tmp/broken", "a.parquet"]),
        ("inputs", {"../../../etc/hostname": None}),
    ],
)
def test_a_forged_command_is_refused_and_not_run(study, field, value):
    forge(study, NETWORKS[0], **{field: value})
    before = sorted(study.parents[2].rglob("*"))
    found = findings(study, RECOMPUTATION)
    refused = [finding for finding in found if "is not one that runs in a folder" in finding or "leads out" in finding]
    assert refused
    assert sorted(study.parents[2].rglob("*")) == before


def test_a_forged_code_digest_is_found_by_code(study):
    code = {"sha256": "0" * 64, "modules": ["flatminima.claims.verdicts"], "files": []}
    forge(study, "claims.json", code=code)
    assert findings(study, INTEGRITY) == ()
    assert findings(study, CODE) == (
        "results/patches/claims.json: made by other code of flatminima.claims.verdicts (rule claims)",
    )


def test_an_entry_that_was_dropped_with_its_file(study):
    """What others read is missed by integrity; what was made together with others, by derivation."""
    path = study / "manifest.json"
    manifest = json.loads(path.read_text())
    dropped = {"results/patches/networks/relu-depth2.safetensors", "results/patches/figures/coupling-excess.csv"}
    manifest["outputs"] = [output for output in manifest["outputs"] if output["path"] not in dropped]
    path.write_text(json.dumps(manifest))
    for name in dropped:
        (study.parents[1] / name).unlink()
    assert findings(study, INTEGRITY) == (
        f"results/patches/{NETWORKS[0]}: was read, but no manifest lists it and it is no file of this checkout",
    )
    assert findings(study, DERIVATION) == (
        "figures/coupling-excess.csv: is made by this code, and not in the manifest",
    )


def test_results_of_another_study_in_this_one_s_place(study):
    shutil.copytree(study.with_name("theory"), study, dirs_exist_ok=True)
    assert any("holds the study 'theory'" in finding for finding in findings(study, INTEGRITY))
