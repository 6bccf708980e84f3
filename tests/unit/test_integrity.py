"""The level of integrity: the files are those of the manifest, and the manifest agrees with itself."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from audited import CONTENTS, PREFIX, digest, edited, manifest, results
from hypothesis import given
from hypothesis import strategies as st

from flatminima.audit.integrity import check_integrity
from flatminima.provenance.manifest import read_manifest, write_manifest

NETWORK = f"{PREFIX}networks/linear-depth2.safetensors"


@pytest.fixture
def folder(tmp_path):
    return results(tmp_path)


def findings(folder) -> tuple[str, ...]:
    return check_integrity(folder, read_manifest(folder), folder.parents[1]).findings


def entry(values: dict, name: str) -> dict:
    return next(output for output in values["outputs"] if output["path"] == PREFIX + name)


def test_what_was_written_passes(folder):
    level = check_integrity(folder, read_manifest(folder), folder.parents[1])
    assert (level.passed, level.checked, level.notes) == (True, "5 files", ())


@given(st.sampled_from(sorted(CONTENTS)), st.data())
def test_every_flipped_bit_is_found(tmp_path_factory, name, data):
    folder = results(tmp_path_factory.mktemp("flip"))
    content = bytearray(CONTENTS[name])
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    (folder / name).write_bytes(content)
    assert findings(folder) == (f"{PREFIX}{name}: changed: its SHA-256 is not the one in the manifest",)


@pytest.mark.parametrize("name", CONTENTS)
def test_a_missing_file_is_found(folder, name):
    (folder / name).unlink()
    assert findings(folder) == (f"{PREFIX}{name}: missing",)


def test_a_truncated_file_is_found(folder):
    (folder / "claims.json").write_bytes(CONTENTS["claims.json"][:-1])
    assert findings(folder) == (f"{PREFIX}claims.json: has 15 bytes, not 16",)


@pytest.mark.parametrize("name", ["more.txt", "networks/deep/er.parquet", "claims (copy).json"])
def test_an_added_file_is_found(folder, name):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).touch()
    (finding,) = findings(folder)
    assert finding.startswith(f"{name}: not in the manifest: ")
    assert finding.endswith("move it out of the folder"), "whose cure loses nothing"


@pytest.mark.parametrize(
    "name",
    [
        "claims.json~",
        ".claims.json.swp",
        ".#claims.json",
        "#claims.json#",
        ".DS_Store",
        "networks/._linear-depth2.safetensors",
        "tables/Thumbs.db",
        "tables/.ipynb_checkpoints/a-checkpoint.csv",
        ".~lock.summary.csv#",
        "~$summary.csv",
        "desktop.ini",
        ".nfs000000000123",
        ".claims-x7d_2k9q.json",
    ],
)
def test_what_editors_systems_and_killed_jobs_leave_is_a_note(folder, name):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).touch()
    level = check_integrity(folder, read_manifest(folder), folder.parents[1])
    assert level.passed
    assert level.notes == (f"not looked at, since no study makes such files: {name}",)


def test_a_link_is_no_file_of_record_even_to_the_same_content_and_is_called_a_link(folder, tmp_path):
    (folder / "claims.json").rename(tmp_path / "claims.json")
    (folder / "claims.json").symlink_to(tmp_path / "claims.json")
    (finding,) = findings(folder)
    assert finding.startswith(f"{PREFIX}claims.json: is a symbolic link to {tmp_path}/claims.json, ")
    cure = re.search("`(.*)`", finding)[1].replace("LINK", str(folder / "claims.json"))
    subprocess.run(["bash", "-c", cure], check=True)
    assert findings(folder) == ()
    assert (tmp_path / "claims.json").read_bytes() == CONTENTS["claims.json"]


def test_results_may_lie_on_another_disk_behind_a_link_to_a_folder(folder, tmp_path):
    folder.rename(tmp_path / "run42")
    folder.symlink_to(tmp_path / "run42")
    assert findings(folder) == ()
    (folder / "networks").rename(tmp_path / "networks")
    (folder / "networks").symlink_to(tmp_path / "networks")
    assert findings(folder) == ()
    (folder / "networks/more.txt").touch()
    (finding,) = findings(folder)
    assert finding.startswith("networks/more.txt: not in the manifest")


def test_a_copy_elsewhere_may_have_any_name(folder, tmp_path, monkeypatch):
    copy = folder.rename(tmp_path / "my copy")
    assert check_integrity(copy, read_manifest(copy), tmp_path).passed
    monkeypatch.chdir(copy)
    assert check_integrity(Path(), read_manifest(Path()), tmp_path).passed


def test_two_swapped_networks_are_found_even_where_their_entries_were_swapped_too(folder):
    two, three = (folder / f"networks/linear-depth{depth}.safetensors" for depth in (2, 3))
    two.write_bytes(CONTENTS["networks/linear-depth3.safetensors"])
    three.write_bytes(CONTENTS["networks/linear-depth2.safetensors"])
    assert len(findings(folder)) == 2

    def swap(values):
        first, second = values["outputs"][:2]
        for key in ("sha256", "size"):
            first[key], second[key] = second[key], first[key]

    edited(folder, swap)
    assert findings(folder) == tuple(
        f"{PREFIX}networks/linear-depth{depth}.safetensors: was read with another SHA-256 than the file that is there "
        "or listed now"
        for depth in (2, 3)
    )


def test_a_file_that_was_dropped_together_with_its_entry_is_missed_by_those_that_read_it(folder):
    (folder / "networks/linear-depth2.safetensors").unlink()
    edited(folder, lambda values: values["outputs"].pop(0))
    assert findings(folder) == (f"{NETWORK}: was read, but no manifest lists it and it is no file of this checkout",)


def test_inputs_that_were_dropped_from_an_entry_are_missed_by_its_command(folder):
    edited(folder, lambda values: entry(values, "measures/linear.parquet")["inputs"].pop(NETWORK))
    reader = f"{PREFIX}measures/linear.parquet"
    assert findings(folder) == (f"{reader}: its command names {NETWORK}, which is not among its inputs",)


def test_a_changed_file_of_the_checkout_is_found(folder):
    ledger = folder.parents[1] / "workflow/claims.yaml"
    ledger.parent.mkdir()
    ledger.write_text("at_most: 1.01")
    known = digest(ledger.read_bytes())
    edited(folder, lambda values: entry(values, "claims.json")["inputs"].update({"workflow/claims.yaml": known}))
    assert findings(folder) == ()
    ledger.write_text("at_most: 1.02")
    assert findings(folder) == ("workflow/claims.yaml: was read with another SHA-256 than the file that is there or listed now",)  # fmt: skip  # noqa: E501


@pytest.mark.parametrize(("read", "there"), [("a:\n  b\n", "a:\r\n  b\r\n"), ("a:\r\n  b\r\n", "a:\n  b\n")])
def test_line_endings_of_a_file_of_the_checkout_do_not_count(folder, read, there):
    """Git may be told to convert them, on Windows."""
    ledger = folder.parents[1] / "workflow/claims.yaml"
    ledger.parent.mkdir()
    ledger.write_bytes(there.encode())
    known = digest(read.encode())
    edited(folder, lambda values: entry(values, "claims.json")["inputs"].update({"workflow/claims.yaml": known}))
    assert findings(folder) == ()
    ledger.write_bytes(there.replace("b", "c").encode())
    assert len(findings(folder)) == 1


def test_inputs_from_another_study_are_those_of_its_manifest(folder):
    known = digest(b"a")
    edited(folder, lambda values: values["outputs"][0]["inputs"].update({"results/other/a.txt": known}))
    assert findings(folder) == (
        "results/other/a.txt: was read, but the results of other do not lie beside these; copy or link them there",
    )
    other = {"path": "results/other/a.txt", "sha256": known, "size": 1, "rule": None, "command": [], "code": None}
    write_manifest(manifest(study="other", outputs=[{**other, "inputs": {}}]), folder.parent / "other/manifest.json")
    assert findings(folder) == ()


@pytest.mark.parametrize("name", ["/etc/hostname", "workflow/../../secret", "../secret"])
def test_no_file_outside_the_repository_is_looked_at(folder, name):
    """Not even to say whether its hash is the recorded one."""
    (folder.parents[1] / "workflow").mkdir()
    (folder.parents[2] / "secret").write_bytes(b"secret")
    edited(folder, lambda values: values["outputs"][0]["inputs"].update({name: digest(b"secret")}))
    assert findings(folder) == (f"{name}: was read, but no manifest lists it and it is no file of this checkout",)


def test_results_of_another_study_do_not_pass_for_these(folder):
    other = folder.rename(folder.with_name("digits"))
    assert f"{other}: holds the study 'toy'; give the folder that name" in findings(other)
    other = other.rename(folder)
    folder.with_name("run").symlink_to(folder)
    assert f"{folder.with_name('run')}: holds the study 'toy'; give the folder that name" in findings(
        folder.with_name("run")
    )


def test_files_of_record_are_enough_where_the_manifest_says_so(folder):
    edited(folder, lambda values: values.update(kept="of record"))
    assert len(findings(folder)) == 3, "files that are not kept count as added"
    for name in CONTENTS.keys() - {"claims.json", "measures.parquet"}:
        (folder / name).unlink()
    level = check_integrity(folder, read_manifest(folder), folder.parents[1])
    assert (level.findings, level.notes) == ((), ("3 files of the run are listed but not kept here",))


def test_a_manifest_entry_that_was_forged_does_not_match_its_file(folder):
    edited(folder, lambda values: entry(values, "claims.json").update(sha256=digest(b"forged")))
    assert findings(folder) == (f"{PREFIX}claims.json: changed: its SHA-256 is not the one in the manifest",)
    assert json.loads((folder / "claims.json").read_text()) == {"study": "toy"}


@pytest.mark.parametrize("marked", [True, False])
def test_a_table_whose_columns_were_renamed_is_the_one_that_verdicts_were_taken_from(folder, marked):
    """The manifest says what the run had made of it; without that, its readers read another file."""
    renamed = b"all numbers under other names"
    (folder / "measures.parquet").write_bytes(renamed)
    for source in (
        "networks/linear-depth2.safetensors",
        "networks/linear-depth3.safetensors",
        "measures/linear.parquet",
    ):
        (folder / source).unlink()

    def of_record(values):
        values["kept"] = "of record"
        entry(values, "measures.parquet").update(sha256=digest(renamed), size=len(renamed))
        if marked:
            values["migrated"] = {f"{PREFIX}measures.parquet": digest(CONTENTS["measures.parquet"])}

    edited(folder, of_record)
    found = [finding for finding in findings(folder) if "measures.parquet: was read" in finding]
    assert len(found) == (0 if marked else 1)
