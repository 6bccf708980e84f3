"""Claims and files that the page of a study is made from, and a reader of the page."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd

from flatminima.config import load
from flatminima.report import page
from flatminima.settings.theory import TheoryStudy
from flatminima.settings.training import TrainingStudy

REPOSITORY = Path(__file__).parents[2]
STUDIES = load(REPOSITORY / "config.yaml").studies
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 240"><rect width="640" height="240" fill="#9cf"/></svg>'
TABLE = (
    '<table border="1" class="dataframe"><thead><tr><th>depth</th><th>ratio</th></tr></thead>'
    "<tbody><tr><td>2</td><td>1.07</td></tr><tr><td>3</td><td>1.12</td></tr></tbody></table>"
)
VOID = {"meta", "img", "br"}


def case(experiment="residual", depth=3, holds=True, **changes) -> dict:
    values = {"networks": 25, "excluded": 1, "diverged": 2, "share": 0.987, "required": 0.9}
    spread = {"median": 1.00021, "low": 1.0, "high": 1.0072}
    return {"experiment": experiment, "depth": depth, **values, **spread, "holds": holds} | changes


def criterion(*cases: dict, statistic="sharpness_ratio") -> dict:
    return {
        "statistic": statistic,
        "predicate": "at most 1.01 in every layer, for at least 90% of the networks",
        "selection": "experiments residual, residual_flow; networks with excess_loss at most 0.001",
        "cases": list(cases),
    }


def claim(identity="M1", verdict="REPRODUCED", figures=(), fails=True, **changes) -> dict:
    return {
        "id": identity,
        "paper": "Mulayoff and Michaeli, Unique Properties of Flat Minima in Deep Networks, ICML 2020",
        "title": "Residual networks that start at zero end at a flattest minimum",
        "statement": "Linear residual networks initialised at zero converge to the flattest of all global minima.",
        "scope": "Linear residual networks on denoising, depths 2 to 5, gradient descent and gradient flow.",
        "verdict": verdict,
        "reason": "8 of 8 cases hold",
        "figures": list(figures),
        "criteria": [criterion(*[case(depth=depth) for depth in (2, 3, 4, 5)])],
        "control": {
            "description": "The same functions with their layers unbalanced at random.",
            "criteria": [criterion(case("residual-unbalanced", holds=not fails, share=0.0, median=14.2))],
            "fails": fails,
        },
    } | changes


CLAIMS = [
    claim(figures=["sharpness", "training"]),
    claim(
        "M2",
        "PARTIAL",
        title="Flattest minima are nearly balanced",
        statement="The gain from the input to any layer does not change drastically from one layer to the next.",
        reason="5 of 8 cases hold; in 1 no network met the conditions",
        figures=["gains"],
        criteria=[criterion(case(), case(depth=4, holds=False, share=0.64), case(depth=5, holds=None, networks=0))],
    ),
    claim(
        "M3", "NOT REPRODUCED", title="Consecutive layers are coupled", figures=["coupling"], reason="0 of 8 cases hold"
    ),
    claim(
        "M5",
        "INCONCLUSIVE",
        title="Networks trained in practice show these properties",
        reason="4 of 8 cases hold, but the predicate does not fail on every control, so it proves nothing",
        figures=["sharpness", "landscape"],
        fails=False,
    ),
]


def measures(study: TrainingStudy | TheoryStudy) -> pd.DataFrame:
    """Three networks per experiment, one of which diverged in the first, and two controls."""
    names = list(getattr(study, "experiments", ["residual", "flow"]))
    finals = [(name, float(name == names[0] and seed == 0), True) for name in names for seed in range(3)]
    controls = [(f"{names[0]}-unbalanced", 0.0, True)] * 2
    snapshots = [(names[0], 0.0, False)] * 7
    frame = pd.DataFrame([*finals, *controls, *snapshots], columns=["experiment", "value", "final"])
    return frame.assign(statistic="diverged", layer=0, task="noisy", family="linear", optimiser="gradient_descent")


def save_claims(results: Path, claims: list[dict]) -> None:
    (results / "claims.json").write_text(json.dumps({"study": "digits", "claims": claims}))


def build(results: Path, study="digits") -> str:
    page.write_report(
        study,
        STUDIES[study],
        results / "claims.json",
        sorted((results / "figures").glob("*.svg")),
        sorted((results / "tables").glob("*.html")),
        results / "report/index.html",
    )
    return (results / "report/index.html").read_text()


class Page(HTMLParser):
    """Start tags with attributes, the text of every table cell, and whether all tags are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.text += data
        if "td" in self.open or "th" in self.open:
            self.tables[-1][-1][-1] += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]
