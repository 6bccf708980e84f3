"""Titles of figures of record: one sentence with at most one number, which is one of the study's claims.json."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from drawing import LEDGER, ROOT

from flatminima.config import StudySettings
from flatminima.errors import EmptyFigureError
from flatminima.figures import render
from flatminima.figures.claimed import Claimed
from flatminima.provenance.manifest import read_manifest
from flatminima.settings.parsing import parse
from flatminima.studies.registry import KINDS, kind_of

REFERENCE = ROOT / "results/reference"
STUDIES = sorted(path.parent.name for path in REFERENCE.glob("*/manifest.json"))
SIGNS = {**dict(zip("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789", strict=True)), "−": "-"}
NO_NUMBER = (
    r"\b[A-Z]+\d+[a-z]?\b",  # M1b, I3, CIFAR10
    r"\bdepths? \d+(?:(?:, | to | and )\d+)*",
    r"95.%",
    r"\b\d/\(?(?:step|least)",  # 2/step
    r"\(\d{4}\)",  # a year
    r"±1",
)
"""Names and formulas that hold digits."""
NUMBER = re.compile(r"10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)|(\d+(?:,\d{3})*(?:\.\d+)?)(?:×10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))?(?:\s?(%))?")


def numbers_of(title: str) -> list[tuple[float, float]]:
    """Numbers of a title: value, and by how much it may be rounded."""
    text = " ".join(title.split())
    for name in NO_NUMBER:
        text = re.sub(name, "", text)
    found = []
    for bare, digits, power, percent in NUMBER.findall(text):
        scale = 10.0 ** int("".join(SIGNS[sign] for sign in power or bare or "⁰")) / (100 if percent else 1)
        plain = (digits or "1").replace(",", "")
        last = 10.0 ** -len(plain.partition(".")[2])
        found.append((float(plain) * scale, 0.5 * last * scale * (1 + 1e-9)))
    return found


def numbers_in(node: Any) -> Iterator[float]:
    """Every number of claims.json, by its absolute value, and those that its reasons name."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "reason" and isinstance(value, str):
                yield from (float(number.replace(",", "")) for number in re.findall(r"\d+(?:[.,]\d+)*", value))
            yield from numbers_in(value)
    elif isinstance(node, list):
        yield len(node)
        for value in node:
            yield from numbers_in(value)
    elif isinstance(node, int | float) and not isinstance(node, bool):
        yield abs(node)


@cache
def record(study: str) -> tuple[pd.DataFrame, pd.DataFrame, Any]:
    """Measures, the other table, and settings of a study of record."""
    folder = REFERENCE / study
    details = next((pd.read_parquet(path) for path in folder.glob("[cs]*.parquet")), render.NO_DETAILS)
    settings = parse(StudySettings, {"study": read_manifest(folder).settings}, study).study
    return pd.read_parquet(folder / "measures.parquet"), details, settings


def title_of(study: str, name: str) -> str | None:
    """The title of a figure; None where the record lacks what it shows."""
    measures, details, settings = record(study)
    kind = kind_of(settings)
    without = kind.left_out(settings, name)
    shown = measures[~measures["case"].isin(without)]
    try:
        page, _ = render.draw(kind, name, shown, details, Claimed(LEDGER, measures))
    except EmptyFigureError:
        return None
    return page.get_suptitle()


def figures_of_record() -> Iterator[tuple[str, str]]:
    for study in STUDIES:
        kind = json.loads((REFERENCE / study / "manifest.json").read_text())["settings"]["kind"]
        yield from ((study, name) for name in KINDS[kind].figures)


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("At depth 4, flat minima are more balanced", []),
        ("M2 and I3 at depths 2 to 5, 95 % intervals, below 2/step", []),
        ("falls in 12 cases", [12]),
        ("ratio 1.05, or −0.30", [1.05, 0.30]),
        ("1,200 networks", [1200]),
        ("80 % of them", [0.8]),
        ("errors of 3×10⁻⁵ and 10⁸", [3e-5, 1e8]),
    ],
)
def test_numbers_are_told_from_names(title, expected):
    assert [value for value, _ in numbers_of(title)] == pytest.approx(expected)


@pytest.mark.parametrize(("study", "name"), list(figures_of_record()))
def test_a_title_is_one_sentence_with_at_most_one_number_that_a_claim_has(study, name):
    title = title_of(study, name)
    if title is None:
        return
    assert not re.search(r"[.!?] [A-Z]", title.replace("\n", " ")), f"more than one sentence: {title!r}"
    numbers = numbers_of(title)
    assert len(numbers) <= 1, f"more than one number: {title!r}"
    cited = {figure for claim in LEDGER.claims for figure in claim.figures}
    if not any(figure == name or figure.startswith(f"{name}-") for figure in cited):
        return
    known = list(numbers_in(json.loads(Path(REFERENCE / study / "claims.json").read_text())["claims"]))
    for value, rounding in numbers:
        assert any(abs(number - value) <= rounding for number in known), f"{value:g} is in no claim: {title!r}"
