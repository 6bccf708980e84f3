"""Every statistic is declared once: with a formula that is explained where the declaration says, and a page of all."""

import re
import string
from pathlib import Path

import pytest
from synthetic import synthetic_study
from synthetic_perceptron import synthetic_perceptron
from synthetic_rescaling import synthetic_rescaling
from synthetic_theory import synthetic_theory

from flatminima.claims.deviations import DEVIATIONS
from flatminima.record import FIRST_LAYER, QUANTILES
from flatminima.report.glossary import glossary
from flatminima.report.scoreboard import update_between
from flatminima.statistics.catalogue import SECTIONS, STATISTICS, declared_name
from flatminima.studies.registry import KINDS

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "flatminima"
DESCRIBING = {"audit", "claims", "commands", "figures", "report", "settings", "statistics", "studies"}
"""Folders that read statistics and compute none."""
COMPUTED = [path for path in SOURCE.rglob("*.py") if path.relative_to(SOURCE).parts[0] not in DESCRIBING]
TABLES = {
    "training": lambda: synthetic_study()[0],
    "theory": synthetic_theory,
    "rescaling": lambda: synthetic_rescaling()[0],
    "perceptron": lambda: synthetic_perceptron()[0],
}


def anchors(page):
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", (ROOT / "docs" / page).read_text(), flags=re.MULTILINE)
    kept = set(string.ascii_lowercase + string.digits + "-_")
    return {"".join(c for c in heading.lower().replace(" ", "-") if c in kept) for heading in headings}


def test_no_statistic_is_declared_twice():
    assert len(STATISTICS) == sum(len(section) for section in SECTIONS.values())


@pytest.mark.parametrize("name", STATISTICS)
def test_a_declaration_leads_to_a_heading_that_is_there(name):
    page, _, anchor = STATISTICS[name].place.partition("#")
    assert anchor in anchors(page)


@pytest.mark.parametrize("name", STATISTICS)
def test_a_declaration_says_what_and_of_which_studies(name):
    one = STATISTICS[name]
    assert (one.heading and one.meaning[0].isupper()) or one.meaning[0] == "1"
    assert one.meaning.endswith(".")
    assert set(one.kinds) <= set(KINDS)
    assert (one.kinds == ()) == (name == "diverged")
    assert set(one.within) <= {"layer", "distance", "flips"}


def test_none_is_declared_that_nothing_computes():
    """Names stand in quotes where values are computed; those of a worst layer must be of layers."""
    text = "\n".join(path.read_text() for path in COMPUTED)
    assert [name for name in STATISTICS if f'"{name}"' not in text] == []
    assert all(STATISTICS[name].within == ("layer",) for name in DEVIATIONS)


@pytest.mark.parametrize("kind", TABLES)
def test_statistics_of_a_study_are_declared_for_its_kind(kind):
    measures = TABLES[kind]()
    names = {declared_name(name) for name in measures["statistic"].unique()}
    assert names
    assert all(STATISTICS[name].measured_in(kind) for name in names)
    for name, rows in measures[measures["layer"] > 0].groupby("statistic"):
        assert "layer" in STATISTICS[declared_name(name)].within
        assert rows["layer"].min() >= FIRST_LAYER.get(name, 1)


def test_quantiles_are_declared_under_the_name_of_their_median():
    assert {declared_name(f"path_gain{ending}") for ending in QUANTILES} == {"path_gain"}
    with pytest.raises(KeyError):
        declared_name("sharpness_q05")


def test_the_page_of_all_statistics_is_up_to_date():
    """Make it anew by `make readme`."""
    update_between(ROOT / "docs" / "measures.md", "statistics", glossary(), check=True)
