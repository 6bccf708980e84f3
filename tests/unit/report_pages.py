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


def finding(criterion=0, holds=True, **changes) -> dict:
    values = {"units": 8, "diverged": 2, "excluded": 1, "effect": 1.00042, "low": 1.0, "high": 1.0072, "worst": 1.02}
    return {"criterion": criterion, **values, "holds": holds} | changes


def case(name="flow", shape=3, holds=True, *findings, **changes) -> dict:
    values = {"case": name, "control": "", "shape": shape, "setting": None, "class": "measured", "counted": True}
    return {**values, "holds": holds, "findings": list(findings) or [finding(holds=holds)]} | changes


def control(*cases: dict, broken=None) -> dict:
    return {
        "description": "The same problems from PyTorch's usual start.",
        "condition": "sharpness_ratio at least 1.1",
        "fails": broken is None,
        "broken": broken,
        "cases": list(cases) or [case("default", 3, False, finding(holds=False, effect=14.2, low=13.1, high=15.3))],
    }


def criterion(name="ends at the least sharpness", **changes) -> dict:
    return {
        "name": name,
        "class": "measured",
        "statistic": "sharpness_ratio",
        "predicate": "95 % interval of the mean over seeds or instances at most 1.01",
        "share": False,
        "smallest": 0.005,
        "condition": "excess_loss at most 0.001",
        "control": control(),
    } | changes


def claim(identity="M1", verdict="REPRODUCED", figures=(), **changes) -> dict:
    cases = changes.get("cases") or [case(shape=depth) for depth in (2, 3, 4, 5)]
    place = {"case": "flow", "shape": 2, "setting": None, "cases": len(cases)}
    return {
        "id": identity,
        "class": "measured",
        "paper": "Mulayoff and Michaeli, Unique Properties of Flat Minima in Deep Networks, ICML 2020",
        "title": "Residual networks that start at zero end at a flattest minimum",
        "statement": "Linear residual networks initialised at zero converge to the flattest of all global minima.",
        "scope": "Linear residual networks on random maps, depths 2 to 5, gradient descent and gradient flow.",
        "caveat": None,
        "verdict": verdict,
        "reason": "8 of 8 cases hold",
        "words": {"shape": "Depth", "setting": "Step", "symbols": False},
        "figures": list(figures),
        "criteria": [criterion()],
        "cases": cases,
        "decisive": place | {"name": "ends at the least sharpness", "share": False} | finding(),
        "characteristics": characteristics(),
    } | changes


def characteristics(**changes) -> dict:
    size, power = [0.032, 0.022, 0.045], [0.971, 0.959, 0.98]
    named = {"populations": 1000, "criterion": "ends at the least sharpness", "sound": True}
    return {"size": size, "power": power} | named | changes


CLAIMS = [
    claim(figures=["sharpness", "training"]),
    claim(
        "M2",
        "PARTIAL",
        title="Flattest minima are nearly balanced",
        statement="The gain from the input to any layer does not change drastically from one layer to the next.",
        reason="1 of 2 cases hold; 1 case could not be tested (no network met the conditions)",
        caveat="Whether the paper assumes white inputs is unknown.",
        figures=["dose-response"],
        cases=[
            case(setting=0.5),
            case("flow", 4, False, finding(holds=False, effect=-0.25, low=-0.5, high=0.0)),
            case("flow", 5, None, finding(holds=None, units=0, effect=None, low=None, high=None, worst=None)),
            case(setting=0.1, counted=False),
            case("residual", **{"class": "by symmetry"}, counted=False),
        ],
    ),
    claim("M3", "REFUTED", title="Consecutive layers are coupled", figures=["path-cosine"], reason="1 of 4 refute it"),
    claim(
        "M5",
        "INCONCLUSIVE",
        title="Networks trained in practice show these properties",
        reason="“ends at the least sharpness” proves nothing: the control holds too",
        figures=["sharpness", "landscape"],
        criteria=[criterion(control=control(broken="the control holds too"))],
    ),
    claim("I2", "CHECKED", **{"class": "theorem"}, title="Minimal sharpness for white inputs", characteristics=None),
    claim("I6", "CONFIRMED", **{"class": "prediction of ours"}, title="Where zero residuals end"),
]


def measures(study: TrainingStudy | TheoryStudy) -> pd.DataFrame:
    """Three networks per case, one of which diverged in the first, and two controls."""
    names = list(getattr(study, "experiments", ["residual", "flow"]))
    finals = [(name, "", float(name == names[0] and seed == 0), True) for name in names for seed in range(3)]
    controls = [(names[0], "unbalanced", 0.0, True)] * 2
    snapshots = [(names[0], "", 0.0, False)] * 7
    frame = pd.DataFrame([*finals, *controls, *snapshots], columns=["case", "control", "value", "final"])
    return frame.assign(statistic="diverged", layer=0, task="noisy", family="linear", optimiser="gradient_descent")


def save_claims(results: Path, claims: list[dict]) -> None:
    (results / "claims.json").write_text(json.dumps({"study": "digits", "claims": claims}))


def build(results: Path, study="digits") -> str:
    page.write_report(
        study,
        STUDIES[study],
        results / "claims.json",
        REPOSITORY / "workflow/predicates.yaml",
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
