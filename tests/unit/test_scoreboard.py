"""The scoreboard in the README and the table at the end of a run say what claims.json says."""

import json
import re

import pytest

from flatminima.errors import UserError
from flatminima.report.scoreboard import markers, update_between, update_readme, update_tables
from flatminima.report.verdict_tables import scoreboard, terminal_table

BEGIN, END = markers("scoreboard")
TITLE = "Residual networks that start at zero end at a flattest minimum"


def decisive(**changes):
    place = {"case": "flow", "shape": 3, "setting": 0.5, "cases": 9, "name": "arrives", "share": False}
    values = {"criterion": 0, "units": 8, "effect": 1.5, "low": -0.25, "high": 3.25, "worst": 4.0, "holds": True}
    return place | values | {"diverged": 0, "excluded": 0} | changes


@pytest.fixture
def studies(tmp_path):
    """Write the claims.json of several studies, given as study name -> claim id -> verdict."""

    def write(title=TITLE, found=None, classes=None, **verdicts):
        paths = []
        for study, claims in verdicts.items():
            texts = dict.fromkeys(("paper", "statement", "scope", "reason"), "text")
            rest = {"figures": [], "criteria": [], "cases": [], "caveat": None, "characteristics": None}
            rest["words"] = {"shape": "Depth", "setting": "Step", "symbols": False}
            records = [
                {"id": k, "title": title, "verdict": v, "decisive": found, "class": (classes or {}).get(k, "measured")}
                | texts
                | rest
                for k, v in claims.items()
            ]
            paths.append(tmp_path / study / "claims.json")
            paths[-1].parent.mkdir()
            paths[-1].write_text(json.dumps({"study": study, "claims": records}))
        return paths

    return write


def matrices(text):
    """The tables of verdicts by heading, without the folded one, of what they rest on."""
    verdicts = text.partition("<details>")[0]
    parts = re.split(r"^\*\*(.*)\*\*$\n\n", verdicts, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], [part.rstrip("\n").split("\n\n") for part in parts[1::2]], strict=True))


def grounds(text):
    """Rows of the table of what verdicts rest on."""
    lines = text.partition("<summary>What each verdict rests on</summary>\n\n")[2].partition("\n\n")[0].splitlines()
    return [line.strip("| ").split(" | ") for line in lines if line]


def test_scoreboard_has_claims_down_and_studies_across(studies):
    paths = studies(
        digits={"M1": "REPRODUCED", "M2": "PARTIAL"}, patches={"M2": "NOT REPRODUCED", "M3": "INCONCLUSIVE"}
    )
    ((heading, tables),) = matrices(scoreboard(paths)).items()
    assert heading == "Claims of the papers, measured"
    assert tables == [
        "|  | claim | digits | patches |\n"
        "| --- | --- | --- | --- |\n"
        f"| M1 | {TITLE} | ✓ REPRODUCED | – |\n"
        f"| M2 | {TITLE} | ◐ PARTIAL | ✗ NOT REPRODUCED |\n"
        f"| M3 | {TITLE} | – | ? INCONCLUSIVE |"
    ]


def test_classes_of_claims_have_matrices_of_their_own(studies):
    classes = {"I2": "theorem", "I6": "prediction of ours"}
    paths = studies(theory={"I2": "CHECKED", "M1b": "REFUTED", "I6": "CONFIRMED"}, classes=classes)
    found = matrices(scoreboard(paths))
    assert list(found) == ["Claims of the papers, measured", "Predictions of ours", "Theorems, checked"]
    assert [table[0].splitlines()[2].split(" | ")[::2] for table in found.values()] == [
        ["| M1b", "⊘ REFUTED |"],
        ["| I6", "✓ CONFIRMED |"],
        ["| I2", "∎ CHECKED |"],
    ]
    blocks = [block.splitlines() for block in terminal_table(paths).split("\n\n")]
    assert [block[0] for block in blocks] == [heading.upper() for heading in found]
    assert [block[2].split()[-1] for block in blocks] == ["REFUTED", "CONFIRMED", "CHECKED"]


def test_what_each_verdict_rests_on(studies):
    paths = studies(found=decisive(), digits={"M2": "PARTIAL"}, patches={"M2": "REPRODUCED", "M1": "REFUTED"})
    header, _, *rows = grounds(scoreboard(paths))
    assert header[:6] == ["claim", "study", "class", "verdict", "cases", "units"]
    assert [row[:2] for row in rows] == [["M1", "patches"], ["M2", "digits"], ["M2", "patches"]]
    assert rows[1] == [
        *("M2", "digits", "measured", "◐ PARTIAL", "9", "8", "flow, depth 3, step 0.5"),
        "arrives: 1.5 [−0.25, 3.25]",
    ]


@pytest.mark.parametrize(
    ("found", "end"),
    [
        (None, ["–", "–", "–", "–"]),
        (decisive(share=True, effect=1.0, low=0.478, high=1.0), "arrives: 100 % [47.8 %, 100 %]; worst 4"),
        (decisive(low=None, high=None, setting=None), "arrives: 1.5"),
    ],
)
def test_effects_are_shares_with_the_worst_unit_or_means_or_absent(studies, found, end):
    row = grounds(scoreboard(studies(found=found, digits={"M1": "INCONCLUSIVE"})))[2]
    assert (row[4:] if found is None else row[-1]) == end


def test_scoreboard_keeps_its_shape_whatever_a_title_holds(studies):
    row = scoreboard(studies(title="a | b\nc", digits={"M1": "PARTIAL"})).splitlines()[4]
    assert row == r"| M1 | a \| b c | ◐ PARTIAL |"


def test_studies_that_share_no_claim_have_tables_of_their_own(studies):
    claims = [("M1",), ("P1",), ("D1", "M2", "M1b"), ("M1", "M2")]
    paths = studies(**{f"study{k}": dict.fromkeys(names, "PARTIAL") for k, names in enumerate(claims)})
    (tables,) = matrices(scoreboard(paths)).values()
    assert [table.splitlines()[0] for table in tables] == [
        "|  | claim | study0 | study2 | study3 |",
        "|  | claim | study1 |",
    ]
    assert [line.split()[1] for line in tables[0].splitlines()[2:]] == ["M1", "M1b", "M2", "D1"]
    assert [block.count("PARTIAL") for block in terminal_table(paths).split("\n\n")] == [6, 1]


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
    paths = studies(digits={"M1": "REPRODUCED"}, patches={"M1": "NOT REPRODUCED"})
    heading, *lines = terminal_table(paths).splitlines()
    assert heading == "CLAIMS OF THE PAPERS, MEASURED"
    assert lines[0].index("digits") == lines[1].index("REPRODUCED")
    assert lines[0].index("patches") == lines[1].index("NOT REPRODUCED")
    assert lines[1].startswith("M1   Residual networks")


@pytest.mark.parametrize("count", range(1, 10))
@pytest.mark.parametrize("verdict", ["NOT REPRODUCED", "REFUTED AS PREDICTED"])
def test_terminal_table_fits_and_shows_every_study(studies, count, verdict):
    verdicts = {f"study_{k}": {"M1": verdict} for k in range(count)}
    table = terminal_table(studies(title="A very long title " * 20, **verdicts))
    assert all(len(line) <= 100 for line in table.splitlines())
    assert all(study in table for study in verdicts)
    assert table.count(verdict) == count
    assert "\x1b" not in table


def test_terminal_table_leaves_out_claims_without_a_verdict_among_its_studies(studies):
    paths = studies(
        **{f"study_{k}": {"M1": "INCONCLUSIVE"} for k in range(8)} | {"last": {"M1": "PARTIAL", "M2": "PARTIAL"}}
    )
    assert [block.count("M2 ") for block in terminal_table(paths).split("\n\n")] == [0, 0, 1]


PAGE = "before\n<!-- mnist/summary:begin -->\nold\n<!-- mnist/summary:end -->\nbetween\n<!-- other/x:begin -->\n"


@pytest.fixture
def page(tmp_path):
    """A page that shows a table of record."""
    (tmp_path / "mnist/tables").mkdir(parents=True)
    table = "case,depth,path_gain_median,path_gain_low,path_gain_high,flips\nrelu,2,1.25,1.0,2.0,none\n"
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
