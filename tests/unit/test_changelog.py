"""The changelog of predicates: up to date with the ledger, blind to wording, and shown for the claims of a page."""

import re
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from flatminima.claims.changelog import fingerprint, load_changelog
from flatminima.claims.ledger import load_ledger
from flatminima.errors import UserError
from flatminima.report.page import _templates

WORKFLOW = Path(__file__).resolve().parents[2] / "workflow"
LEDGER = (WORKFLOW / "claims.yaml").read_text()
CHANGES = load_changelog(WORKFLOW / "predicates.yaml").changes
MOVES = {
    "M2": {"before": "PARTIAL", "after": "REPRODUCED"},
    "M3": {"before": None, "after": "PARTIAL"},
    "M4": {"before": "PARTIAL", "after": None},
}
ENTRY = {
    "date": "2026-11-22T13:26:21Z",
    "commit": "96b293b",
    "claims": ["M2"],
    "change": "0.95 to 0.8 & more",
    "why": "not said",
    "then": "none",
    "today": {"digits": MOVES},
    "ledger": "0" * 64,
}


def written(tmp_path, **changed):
    path = tmp_path / "predicates.yaml"
    entry = {key: value for key, value in (ENTRY | changed).items() if value != "absent"}
    path.write_text(yaml.safe_dump({"changes": [entry]}).replace(f"'{ENTRY['date']}'", ENTRY["date"]))
    return path


def test_the_ledger_has_not_changed_since_the_last_entry():
    assert CHANGES[-1].ledger == fingerprint(LEDGER), "claims.yaml was changed: add an entry to predicates.yaml"


def test_entries_are_in_order_of_date():
    assert all(earlier.date <= later.date for earlier, later in pairwise(CHANGES))


def test_claims_of_entries_are_known():
    known = {claim.id for claim in load_ledger(WORKFLOW / "claims.yaml").claims}
    for change in CHANGES:
        moved = {claim for moves in (change.today or {}).values() for claim in moves}
        assert moved <= set(change.claims) <= known, change.commit


def test_verdicts_moved_today_are_moved():
    moves = [move for change in CHANGES for study in (change.today or {}).values() for move in study.values()]
    assert moves
    assert all(move.before != move.after for move in moves)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("at_most: 1.01", "at_most: 1.02"),
        ("{statistic: gradient_norm, at_most: 0.02}", "{statistic: gradient_norm, at_most: 0.03}"),
        ("share: 1.0", "share: 0.8"),
        ("smallest: 0.005", "smallest: 0.01"),
        ("class: measured", "class: theorem"),
        ("universal: true", "universal: false"),
        ("cases: [flattest_coloured]", "cases: [flattest_white]"),
        ("controls: [planted]", "controls: [far]"),
        ("instead: {flow: residual}", "instead: {flow: default}"),
    ],
)
def test_a_change_that_decides_changes_the_fingerprint(old, new):
    assert old in LEDGER
    assert fingerprint(LEDGER.replace(old, new, 1)) != fingerprint(LEDGER)


def test_wording_and_layout_leave_the_fingerprint():
    ledger = yaml.safe_load(LEDGER)
    reworded = re.sub(r"^( +(?:- )?)(title|paper): .*$", r"\1\2: other words", LEDGER, flags=re.MULTILINE)
    assert yaml.safe_load(reworded) != ledger
    same = (reworded, "# A comment\n" + LEDGER, yaml.safe_dump(ledger, sort_keys=True))
    assert {fingerprint(text) for text in same} == {fingerprint(LEDGER)}


def test_the_fingerprint_is_that_of_canonical_json():
    # printf '{"claims":[{"share":0.9}]}' | sha256sum
    text = "claims:\n  - title: t\n    share: 0.9\n"
    assert fingerprint(text) == "18c264c6222dd70d9b68f6562335c7a158aeb8076996c711543ca6956f56646e"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"date": "yesterday"}, "date"),
        ({"claims": []}, "claims"),
        ({"ledger": "abc"}, "ledger"),
        ({"why": "absent"}, "changes.0.why: missing key"),
        ({"reason": "x"}, "unknown key"),
        ({"today": {"digits": {"M2": "REPRODUCED"}}}, "today"),
    ],
)
def test_a_malformed_entry_is_told_in_one_line(tmp_path, changed, words):
    path = written(tmp_path, **changed)
    with pytest.raises(UserError, match=re.escape(words)) as error:
        load_changelog(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("content", "told"), [(None, "no such file"), ("changes: [", "not valid YAML: line 1")])
def test_a_changelog_that_cannot_be_read_is_told_in_one_line(tmp_path, content, told):
    path = tmp_path / "predicates.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=told) as error:
        load_changelog(path)
    assert "\n" not in str(error.value)


def test_a_ledger_that_is_not_yaml_has_no_fingerprint():
    with pytest.raises(UserError, match="not valid YAML"):
        fingerprint("claims: [")


def fragment(path, *ids, study="digits"):
    claims = SimpleNamespace(claims=[SimpleNamespace(id=name) for name in ids])
    template = _templates().get_template("changes.html")
    return template.render(changes=load_changelog(path).changes, ledger=claims, study=study)


def test_the_page_shows_what_a_change_moves_in_its_study(tmp_path):
    shown = fragment(written(tmp_path), "M2", "M3")
    assert "M2 from PARTIAL to REPRODUCED, M3 is new: PARTIAL, M4 is gone</td>" in shown
    assert '<time datetime="2026-11-22T13:26:21+00:00">2026-11-22 13:26</time> <code>96b293b</code>' in shown
    assert "0.95 to 0.8 &amp; more" in shown
    assert "<td>none</td></tr>" in fragment(written(tmp_path), "M2", study="theory")
    assert "<td>not known: runs or measurements were changed</td></tr>" in fragment(written(tmp_path, today=None), "M2")


def test_the_page_shows_changes_of_its_own_claims_alone(tmp_path):
    assert "No change on record" in fragment(written(tmp_path), "M1")


def test_the_table_is_accessible(tmp_path):
    shown = fragment(written(tmp_path), "M2")
    assert '<caption id="changes-caption">' in shown
    assert 'aria-labelledby="changes-caption"' in shown
    assert shown.count("<th ") == shown.count("<th scope=") == 6
