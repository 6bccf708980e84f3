"""README.md keeps what it promises: the two commands, the figure, and verdicts generated from the results of record."""

import re
from pathlib import Path

import pytest

from flatminima.audit.older import older_references
from flatminima.config import load
from flatminima.errors import UserError
from flatminima.report.scoreboard import update_between, update_readme
from flatminima.report.times import sentence

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
BENCHMARKS = ROOT / "docs" / "benchmarks.md"
CLAIMS = sorted((ROOT / "results" / "reference").glob("*/claims.json"))


def test_the_scoreboard_follows_from_the_results_of_record():
    assert CLAIMS
    update_readme(README, CLAIMS, check=True)


def test_the_readme_names_the_commit_of_every_study_whose_results_are_older():
    older = older_references(ROOT / "results" / "reference", load(ROOT / "config.yaml"), ROOT)
    update_between(README, "older", older, check=True)


def test_the_readme_tells_the_times_that_were_measured():
    update_between(README, "time", sentence(BENCHMARKS), check=True)


def test_a_page_without_times_is_named(tmp_path):
    (tmp_path / "benchmarks.md").write_text("# Benchmarks\n")
    with pytest.raises(UserError, match=r"benchmarks\.md: has no row 'no results' in its section 'Default run'"):
        sentence(tmp_path / "benchmarks.md")


def test_an_edited_verdict_is_noticed(tmp_path):
    copy = tmp_path / "README.md"
    copy.write_text(README.read_text().replace("REPRODUCED |", "INCONCLUSIVE |", 1))
    with pytest.raises(UserError, match="make readme"):
        update_readme(copy, CLAIMS, check=True)


def test_both_commands_stand_in_the_readme_and_in_the_makefile():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert {"make reproduce", "make test"} <= set(README.read_text().splitlines())
    assert set(re.findall(r"`?make ([a-z]+)", README.read_text())) <= targets


def test_every_file_that_the_readme_points_to_is_there():
    targets = re.findall(r"\]\(([^)#:]+)\)", README.read_text())
    assert "results/reference/digits/figures/overview.png" in targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
