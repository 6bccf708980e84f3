"""The scoreboard in the README and the table at the end of a run say what claims.json says."""

import json

import pytest

from flatminima.errors import UserError
from flatminima.report.scoreboard import (
    markers,
    scoreboard,
    terminal_table,
    update_between,
    update_readme,
    update_tables,
)

BEGIN, END = markers("scoreboard")
TITLE = "Residual networks that start at zero end at a flattest minimum"


@pytest.fixture
def studies(tmp_path):
    """Write the claims.json of several studies, given as study name -> claim id -> verdict."""

    def write(title=TITLE, **verdicts):
        paths = []
        for study, claims in verdicts.items():
            texts = dict.fromkeys(("paper", "statement", "scope", "reason"), "text")
            control = {"description": "text", "criteria": [], "fails": True}
            records = [
                {"id": k, "title": title, "verdict": v, "figures": [], "criteria": [], "control": control} | texts
                for k, v in claims.items()
            ]
            paths.append(tmp_path / study / "claims.json")
            paths[-1].parent.mkdir()
            paths[-1].write_text(json.dumps({"study": study, "claims": records}))
        return paths

    return write


def test_scoreboard_has_claims_down_and_studies_across(studies):
    paths = studies(
        digits={"M1": "REPRODUCED", "M2": "PARTIAL"}, patches={"M2": "NOT REPRODUCED", "M3": "INCONCLUSIVE"}
    )
    assert scoreboard(paths) == (
        "|  | claim | digits | patches |\n"
        "| --- | --- | --- | --- |\n"
        f"| M1 | {TITLE} | ✓ REPRODUCED | – |\n"
        f"| M2 | {TITLE} | ◐ PARTIAL | ✗ NOT REPRODUCED |\n"
        f"| M3 | {TITLE} | – | ? INCONCLUSIVE |\n"
    )


def test_scoreboard_keeps_its_shape_whatever_a_title_holds(studies):
    row = scoreboard(studies(title="a | b\nc", digits={"M1": "PARTIAL"})).splitlines()[2]
    assert row == r"| M1 | a \| b c | ◐ PARTIAL |"


def test_studies_that_share_no_claim_have_tables_of_their_own(studies):
    claims = [("M1",), ("P1",), ("D1", "M2"), ("M1", "M2")]
    paths = studies(**{f"study{k}": dict.fromkeys(names, "PARTIAL") for k, names in enumerate(claims)})
    tables = scoreboard(paths).split("\n\n")
    assert [table.splitlines()[0] for table in tables] == [
        "|  | claim | study0 | study2 | study3 |",
        "|  | claim | study1 |",
    ]
    assert [line.split()[1] for line in tables[0].splitlines()[2:]] == ["M1", "D1", "M2"]
    assert [block.count("PARTIAL") for block in terminal_table(paths).split("\n\n")] == [5, 1]


def test_readme_is_updated_between_the_markers_and_then_up_to_date(studies, tmp_path):
    paths = studies(digits={"M1": "REPRODUCED"})
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    update_readme(readme, paths)
    assert readme.read_text() == f"before\n{BEGIN}\n{scoreboard(paths)}{END}\nafter\n"
    update_readme(readme, paths, check=True)


def test_stale_readme_is_left_alone_and_the_message_says_what_mends_it(studies, tmp_path):
    paths = studies(digits={"M1": "REPRODUCED"})
    readme = tmp_path / "README.md"
    update_to = f"{BEGIN}\n{scoreboard(paths).replace('✓ REPRODUCED', '◐ PARTIAL')}{END}\n"
    readme.write_text(update_to)
    with pytest.raises(UserError, match=r"README\.md: .*run `make readme`"):
        update_readme(readme, paths, check=True)
    assert readme.read_text() == update_to


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END}\n{BEGIN}\n"])
@pytest.mark.parametrize("check", [True, False])
def test_readme_without_both_markers_is_an_error(studies, tmp_path, text, check):
    readme = tmp_path / "README.md"
    readme.write_text(text)
    with pytest.raises(UserError, match="no place for the scoreboard"):
        update_readme(readme, studies(digits={"M1": "REPRODUCED"}), check=check)
    assert readme.read_text() == text


def test_nothing_may_stand_between_two_markers(tmp_path):
    page = tmp_path / "page.md"
    begin, end = markers("older")
    page.write_text(f"{BEGIN}\nkept\n{END}\n{begin}\nold\n{end}\n")
    update_between(page, "older", "")
    assert page.read_text() == f"{BEGIN}\nkept\n{END}\n{begin}\n{end}\n"
    with pytest.raises(UserError, match=r"page\.md: no place for the rest; add the lines <!-- rest:begin --> and"):
        update_between(page, "rest", "")


def test_missing_readme_is_named(studies, tmp_path):
    with pytest.raises(UserError, match=r"README\.md: no such file"):
        update_readme(tmp_path / "README.md", studies(digits={"M1": "REPRODUCED"}))


def test_terminal_table_is_aligned(studies):
    lines = terminal_table(studies(digits={"M1": "REPRODUCED"}, patches={"M1": "NOT REPRODUCED"})).splitlines()
    assert [line.index(word) for line, word in zip(lines, ("digits", "REPRODUCED"), strict=True)] == [
        len(TITLE[:61]) + 7
    ] * 2
    assert lines[1].startswith("M1   Residual networks")
    assert lines[1].endswith("NOT REPRODUCED")


@pytest.mark.parametrize("count", range(1, 10))
def test_terminal_table_fits_and_shows_every_study(studies, count):
    verdicts = {f"study_{k}": {"M1": "NOT REPRODUCED"} for k in range(count)}
    table = terminal_table(studies(title="A very long title " * 20, **verdicts))
    assert all(len(line) <= 100 for line in table.splitlines())
    assert all(study in table for study in verdicts)
    assert table.count("NOT REPRODUCED") == count
    assert "\x1b" not in table


PAGE = "before\n<!-- mnist/summary:begin -->\nold\n<!-- mnist/summary:end -->\nbetween\n<!-- other/x:begin -->\n"


@pytest.fixture
def page(tmp_path):
    """A page that shows a table of record."""
    (tmp_path / "mnist/tables").mkdir(parents=True)
    table = "experiment,depth,path_gain_median,path_gain_low,path_gain_high,flips\nrelu,2,1.25,1.0,2.0,none\n"
    (tmp_path / "mnist/tables/summary.csv").write_text(table)
    page = tmp_path / "results.md"
    page.write_text(PAGE)
    return page


def test_tables_of_record_stand_between_their_markers(page, tmp_path):
    update_tables(page, tmp_path)
    shown = "| Experiment | Depth | Path gain | Flips |\n| --- | --- | --- | --- |\n| relu | 2 | 1.25 [1, 2] | none |\n"
    assert page.read_text() == PAGE.replace("old\n", shown)
    update_tables(page, tmp_path, check=True)


def test_a_page_that_is_not_up_to_date_is_noticed_and_left_alone(page, tmp_path):
    with pytest.raises(UserError, match=r"results\.md: does not match the results of record; run `make readme`"):
        update_tables(page, tmp_path, check=True)
    assert page.read_text() == PAGE


def test_a_table_that_was_not_made_is_named(page, tmp_path):
    (tmp_path / "mnist/tables/summary.csv").unlink()
    with pytest.raises(UserError, match=r"summary\.csv: no such file; run its study, then `make readme`"):
        update_tables(page, tmp_path)
