"""Results of record that an earlier commit made are OLDER, not failed; and nothing can hide behind that."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from audited import digest, edited
from planted import (
    CONFIG,
    JUDGED,
    LEDGER,
    ROOT,
    TABLES,
    TRAINED,
    VERDICTS,
    code,
    committed,
    git,
    reference,
    repository,
)

from flatminima.audit.audit import audit
from flatminima.audit.code import check_code
from flatminima.audit.derivation import check_derivation
from flatminima.audit.integrity import check_integrity
from flatminima.audit.levels import LevelName
from flatminima.audit.older import older_references
from flatminima.audit.outcome import Level, Outcome
from flatminima.audit.recomputation import check_recomputation
from flatminima.audit.rejudging import rejudge
from flatminima.claims.ledger import load_ledger
from flatminima.claims.verdicts import results_of
from flatminima.errors import UserError
from flatminima.provenance.manifest import read_manifest


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("planted") / "repository"
    reference(root, repository(root))
    return root


@pytest.fixture
def root(planted, tmp_path) -> Path:
    return shutil.copytree(planted, tmp_path / "repository")


@pytest.fixture
def folder(root) -> Path:
    return root / "results" / "reference" / "digits"


def commit_of(root: Path) -> str:
    return git(root, "rev-parse", "HEAD")[:12]


def level_of_code(folder: Path) -> Level:
    return check_code(read_manifest(folder), CONFIG, folder.parents[2])


def integrity(folder: Path) -> Level:
    return check_integrity(folder, read_manifest(folder), folder.parents[2])


def derivation(folder: Path) -> Level:
    return check_derivation(folder, read_manifest(folder), folder.parents[2])


def recomputation(folder: Path) -> Level:
    return check_recomputation(folder, read_manifest(folder), folder.parents[2], sample=1, seed=0)


def change(folder: Path, name: str, **fields) -> None:
    """Change the entry of a file in the manifest."""

    def entry(values: dict) -> None:
        next(output for output in values["outputs"] if output["path"] == f"results/digits/{name}").update(fields)

    edited(folder, entry)


def agree(folder: Path, name: str) -> None:
    """Make the manifest agree with a file that was changed."""
    content = (folder / name).read_bytes()
    change(folder, name, sha256=digest(content), size=len(content))


def all_of_today(folder: Path) -> None:
    """Let the manifest say that this code made the tables and the networks."""
    change(folder, "networks/linear.safetensors", code=code(ROOT, TRAINED))
    for kind in ("csv", "html", "tex"):
        change(folder, f"tables/sharpness.{kind}", code=code(ROOT, TABLES))


def test_code_names_the_commit_and_all_that_changed_and_nothing_else(root, folder):
    level = level_of_code(folder)
    assert (level.outcome, level.passed) == (Outcome.OLDER, True)
    assert level.older == (f"made at commit {commit_of(root)}; changed since: {TABLES}, {TRAINED}, {LEDGER}",)


def test_a_long_list_of_changes_is_cut_short(root, folder):
    for path in ("settings/base.py", "errors.py"):
        with (root / "src/flatminima" / path).open("a") as file:
            file.write("\nLATER = True\n")
    commit = committed(root)
    for output in read_manifest(folder).outputs:
        name = output.path.removeprefix("results/digits/")
        change(folder, name, code=code(root, *output.code.modules))
    edited(folder, lambda values: values["circumstances"].update(commit=commit))
    (older,) = level_of_code(folder).older
    assert older.endswith(f": flatminima.errors, {TABLES}, flatminima.settings.base and 2 more")


def test_settings_that_changed_are_named(folder):
    edited(folder, lambda values: values["settings"].update(title="Earlier", more=1))
    level = level_of_code(folder)
    assert level.outcome == Outcome.OLDER
    assert level.older[0].endswith("; settings changed since: title, more")


def test_where_a_value_comes_from_makes_no_results_older(root, folder):
    all_of_today(folder)
    rejudge(folder, root)
    edited(folder, lambda values: values["settings"]["tasks"]["noisy"].update(stated=[], derived=["noise"]))
    assert level_of_code(folder).outcome == Outcome.PASSED


def test_settings_alone_make_results_older(root, folder):
    all_of_today(folder)
    rejudge(folder, root)
    assert level_of_code(folder).outcome == Outcome.PASSED
    edited(folder, lambda values: values["settings"].update(title="Earlier"))
    assert level_of_code(folder).older == (f"made at commit {commit_of(root)}; settings changed since: title",)


def test_results_that_are_not_of_record_fail(folder):
    edited(folder, lambda values: values.update(kept="all"))
    level = level_of_code(folder)
    assert (level.outcome, level.older) == (Outcome.FAILED, ())
    assert (
        f"results/digits/tables/sharpness.csv and 2 more: made by other code of {TABLES} (rule table)" in level.findings
    )


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ({"commit": None, "dirty": None}, "made at no known commit: results of record may be older only where"),
        ({"dirty": True}, "with changes: results of record may be older only where a commit without changes"),
        ({"dirty": None}, "results of record may be older only where a commit without changes"),
    ],
)
def test_results_of_record_of_no_clean_commit_fail(folder, place, found):
    edited(folder, lambda values: values["circumstances"].update(place))
    level = level_of_code(folder)
    assert (level.outcome, level.older) == (Outcome.FAILED, ())
    assert found in level.findings[-1]
    assert derivation(folder).outcome == Outcome.FAILED
    assert integrity(folder).findings == (
        f"{LEDGER}: was read with another SHA-256 than the file that is there or listed now",
    )


def test_a_digest_that_the_code_of_the_commit_has_not_fails(root, folder):
    change(folder, "tables/sharpness.csv", code=code(root, TABLES) | {"sha256": "0" * 64})
    assert level_of_code(folder).findings == (
        "results/digits/tables/sharpness.csv: made by code that is neither this checkout's nor that of commit "
        f"{commit_of(root)}",
    )


def test_a_commit_that_is_not_in_the_repository_fails(folder):
    edited(folder, lambda values: values["circumstances"].update(commit="0" * 40))
    assert level_of_code(folder).findings == (
        "commit 000000000000, which the manifest names, is not in this repository",
    )
    assert integrity(folder).outcome == Outcome.FAILED


def test_a_commit_is_a_name_and_no_option_of_git(folder):
    with pytest.raises(ValueError, match="commit"):
        edited(folder, lambda values: values["circumstances"].update(commit="--output=broken"))


def shallow(root: Path) -> Path:
    """A clone that lacks the commit, with the same results."""
    committed(root)
    clone = root.with_name("clone")
    git(root, "clone", "--depth=1", f"file://{root}", str(clone))
    return clone


def without_git(root: Path) -> Path:
    shutil.rmtree(root / ".git")
    return root


def unpacked_in_another_checkout(root: Path) -> Path:
    """As one unpacks a download below a home folder that is a repository itself."""
    shutil.rmtree(root / ".git")
    git(root.parent, "init")
    git(root.parent, "commit", "--allow-empty", "--message", "another")
    return root


@pytest.mark.parametrize("forget", [shallow, without_git, unpacked_in_another_checkout])
def test_where_git_lacks_the_commit_entry_modules_are_named_and_it_is_said(root, folder, forget):
    commit = commit_of(root)
    there = forget(root) / folder.relative_to(root)
    level = level_of_code(there)
    assert level.outcome == Outcome.OLDER
    start = f"made at commit {commit}; which is not at hand to be compared; changed since: "
    assert level.older == (f"{start}{TABLES}, {TRAINED}, {LEDGER}",)
    assert integrity(there).outcome == Outcome.PASSED


def test_a_hook_of_another_repository_does_not_hide_this_one(root, folder, tmp_path, monkeypatch):
    before = level_of_code(folder)
    git(tmp_path, "init", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other/.git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other/.git/index"))
    assert level_of_code(folder) == before


def test_the_ledger_may_be_that_of_the_commit_and_no_other(folder):
    assert integrity(folder).outcome == Outcome.PASSED
    inputs = {"results/digits/measures.parquet": digest((folder / "measures.parquet").read_bytes())}
    change(folder, "claims.json", inputs=inputs | {LEDGER: digest(b"forged")})
    assert integrity(folder).findings == (
        f"{LEDGER}: was read with another SHA-256 than the file that is there or listed now",
    )


@pytest.mark.parametrize("name", ["claims.json", "measures.parquet", "tables/sharpness.csv"])
def test_changed_bytes_fail_however_old_they_are(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert integrity(folder).findings == (
        f"results/digits/{name}: changed: its SHA-256 is not the one in the manifest",
    )


def test_verdicts_of_an_earlier_ledger_fail_until_they_are_taken_again(root, folder):
    (finding,) = derivation(folder).findings
    assert finding.startswith("claims.json: claims")
    assert finding.endswith("; `make readme` takes verdicts of record again")
    rejudge(folder, root)
    kept = json.loads((folder / "claims.json").read_text())
    ledger, measures = load_ledger(ROOT / LEDGER), pd.read_parquet(folder / "measures.parquet")
    assert kept == json.loads(results_of("digits", ledger, measures).to_json())
    assert len(kept["claims"]) > 0
    levels = audit_of(root, folder)
    assert levels == {"integrity": "PASSED", "derivation": "OLDER", "code": "OLDER", "recomputation": "OLDER"}


def audit_of(root: Path, folder: Path) -> dict[str, str]:
    shutil.copy(ROOT / "config.yaml", root)
    result = audit(folder, list(LevelName), root, sample=1, seed=0)
    assert result.passed
    return {level.name: level.outcome.value for level in result.levels}


def test_the_manifest_says_what_took_the_verdicts_and_what_the_run_made(root, folder):
    rejudge(folder, root)
    manifest = read_manifest(folder)
    (entry,) = (output for output in manifest.outputs if output.path == "results/digits/claims.json")
    assert entry.sha256 == digest((folder / "claims.json").read_bytes())
    assert entry.inputs[LEDGER] == digest((ROOT / LEDGER).read_bytes())
    assert JUDGED in entry.code.modules
    assert manifest.rejudged.original == digest(VERDICTS)


def test_verdicts_are_taken_once_for_each_ledger(root, folder):
    rejudge(folder, root)
    first = (folder / "manifest.json").read_bytes()
    rejudge(folder, root)
    assert (folder / "manifest.json").read_bytes() == first
    with (root / LEDGER).open("a") as file:
        file.write("# later\n")
    assert integrity(folder).outcome == Outcome.FAILED, "neither the ledger of the commit nor that of the checkout"
    rejudge(folder, root)
    assert integrity(folder).outcome == Outcome.PASSED
    assert read_manifest(folder).rejudged.original == digest(VERDICTS)


def test_verdicts_taken_again_cannot_be_edited(root, folder):
    rejudge(folder, root)
    values = json.loads((folder / "claims.json").read_text())
    values["claims"][0]["verdict"] = "EDITED"
    (folder / "claims.json").write_text(json.dumps(values, indent=1) + "\n")
    assert integrity(folder).outcome == Outcome.FAILED
    agree(folder, "claims.json")
    (finding,) = derivation(folder).findings
    assert finding.startswith("claims.json: claims.0.verdict is 'EDITED', made anew ")


def test_verdicts_are_not_taken_from_measures_that_were_changed(root, folder):
    measures = pd.read_parquet(folder / "measures.parquet")
    measures.assign(value=1.0).to_parquet(folder / "measures.parquet")
    with pytest.raises(UserError, match=r"measures\.parquet: not the file of the manifest; restore it"):
        rejudge(folder, root)
    assert (folder / "claims.json").read_bytes() == VERDICTS


def test_verdicts_of_today_s_ledger_are_left_alone_even_if_they_do_not_follow(root, folder):
    inputs = {"results/digits/measures.parquet": digest((folder / "measures.parquet").read_bytes())}
    change(folder, "claims.json", inputs=inputs | {LEDGER: digest((ROOT / LEDGER).read_bytes())})
    rejudge(folder, root)
    assert (folder / "claims.json").read_bytes() == VERDICTS
    assert derivation(folder).outcome == Outcome.FAILED


def test_tables_that_this_code_makes_otherwise_are_older_only_if_other_code_made_them(root, folder):
    rejudge(folder, root)
    level = derivation(folder)
    assert (level.outcome, level.findings) == (Outcome.OLDER, ())
    assert level.older == (f"made otherwise by code later than commit {commit_of(root)}: tables/sharpness.csv",)
    all_of_today(folder)
    (finding,) = derivation(folder).findings
    assert finding.startswith("tables/sharpness.csv: sharpness_median in row 1 is ")


def test_tables_that_this_code_makes_alike_pass_whoever_made_them(root, folder):
    rejudge(folder, root)
    shutil.copy(root / "sharpness.csv", folder / "tables" / "sharpness.csv")
    assert derivation(folder).outcome == Outcome.PASSED


def test_networks_of_other_code_are_not_made_again_and_those_of_this_code_are(folder):
    level = recomputation(folder)
    assert (level.outcome, level.ran, level.checked) == (Outcome.OLDER, False, "0 files")
    all_of_today(folder)
    level = recomputation(folder)
    assert level.older == ()
    assert "cannot be made again" in level.findings[0], "the recorded command is none that trains"


def test_pages_name_the_commit_and_the_day_of_each_older_study(root, folder):
    shown = older_references(folder.parent, CONFIG, root)
    start = f"The results of `digits` are those of commit {commit_of(root)} (2000-02-29), and code or settings have"
    assert shown == f"{start} changed since.\n"
    rejudge(folder, root)
    again = f"{start} changed since; its verdicts were taken again from its measures.\n"
    assert older_references(folder.parent, CONFIG, root) == again
    all_of_today(folder)
    assert older_references(folder.parent, CONFIG, root) == ""
