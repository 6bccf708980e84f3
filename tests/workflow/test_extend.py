"""Every recipe of docs/extend.md does what it promises, in no more places than it says."""

import json
import shutil
from html import unescape

import pandas as pd
import pytest
from extension import Copy
from project import ROOT
from safetensors.numpy import load_file

GENERATED = ["docs/measures.md", "workflow/config.schema.json"]
"""What commands write anew where a recipe changes statistics or the configuration's schema."""
WRITE_MEASURES = """
from pathlib import Path
from flatminima.report.glossary import glossary
from flatminima.report.scoreboard import update_between

update_between(Path("docs/measures.md"), "statistics", glossary(), check=False)
"""
SHOW_HEADING = """
import pandas as pd
from flatminima.figures.table_files import readable

print(*readable(pd.DataFrame({"ceiling_share": [0.5]})))
"""


@pytest.fixture
def copy(tmp_path):
    """The project with the configuration that it ships with, whose own studies are not run."""
    project = Copy.create(tmp_path / "copy")
    shutil.copy2(ROOT / "config.yaml", project.folder)
    return project


def page_of(copy, study):
    return unescape((copy.folder / f"results/{study}/report/index.html").read_text())


def verdict(copy, study, claim):
    claims = json.loads((copy.folder / f"results/{study}/claims.json").read_text())["claims"]
    return next(one for one in claims if one["id"] == claim)


def in_good_style(copy):
    copy.type("ruff", "check", "src", "tests")
    copy.type("ruff", "format", "--check", "src", "tests")


def test_a_study_then_a_figure_and_a_claim_of_it(copy):
    places = copy.apply("study")
    assert (places.new, places.modified) == ([], ["config.yaml"])
    copy.follow("study")
    page = page_of(copy, "mild_patches")
    assert "Denoising patches of two photographs, with little noise" in page
    assert "generalisation" not in page

    places = copy.apply("figure")
    assert places.new == ["src/flatminima/figures/training/generalisation.py"]
    assert places.modified == ["src/flatminima/studies/training.py"]
    in_good_style(copy)
    copy.follow("figure")
    assert (copy.folder / "results/mild_patches/figures/generalisation.svg").stat().st_size
    assert "Loss on samples held out for testing, against the largest eigenvalue" in page_of(copy, "mild_patches")
    plotted = pd.read_csv(copy.folder / "results/mild_patches/figures/generalisation.csv")
    assert len(plotted) == 15

    places = copy.apply("claim")
    assert (places.new, places.modified) == ([], ["workflow/claims.yaml"])
    copy.follow("claim")
    judged = verdict(copy, "mild_patches", "E1")
    assert judged["verdict"] == "REPRODUCED", judged["reason"]
    assert judged["criteria"][0]["control"]["fails"]


def test_images_of_ones_own(copy):
    places = copy.apply("images")
    assert (places.new, places.modified) == ([], ["config.yaml"])
    copy.follow("images")
    samples = load_file(copy.folder / "results/faces/data/noisy.safetensors")
    assert {array.shape for array in samples.values()} >= {(160, 120), (40, 120)}


def test_a_statistic(tmp_path):
    copy = Copy.create(tmp_path / "copy")
    places = copy.apply("statistic")
    assert places.new == []
    assert places.modified == ["src/flatminima/statistics/theory.py", "src/flatminima/theory/price.py"]
    in_good_style(copy)
    copy.follow("statistic")
    table = pd.read_parquet(copy.folder / "results/theory/measures/price.parquet")
    measured = table.pivot_table(
        index=["case", "setting", "depth", "seed", "start"], columns="statistic", values="value"
    )
    assert measured["ceiling_share"].between(0, 1, inclusive="right").all()
    assert measured["ceiling_share"].to_numpy() == pytest.approx(measured["balance_price"] / measured["price_ceiling"])
    assert copy.type("python", "-c", SHOW_HEADING).strip() == "Price / its bound"
    copy.type("python", "-c", WRITE_MEASURES)
    assert "Price of balance over the bound that no map exceeds." in (copy.folder / "docs/measures.md").read_text()


def test_a_paper(copy):
    places = copy.apply("paper")
    assert places.modified == [
        "config.yaml",
        "pyproject.toml",
        "src/flatminima/config.py",
        "src/flatminima/statistics/catalogue.py",
        "workflow/claims.yaml",
    ]
    assert places.lines <= 60
    row = f"a file for each thing it adds | {len(places.modified)}, with {places.lines} lines |"
    assert row in (copy.folder / "docs/extend.md").read_text()
    in_good_style(copy)
    copy.type("snakefmt", "--check", "workflow/rules/stability.smk")
    copy.type("lint-imports")
    copy.type("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit/test_stability.py")
    copy.follow("paper")
    assert verdict(copy, "stability", "S1")["verdict"] == "CHECKED"
    assert verdict(copy, "stability", "S1")["criteria"][0]["control"]["fails"]
    page = page_of(copy, "stability")
    assert "Gradient descent was run 100 times" in page
    assert page.count("data:image/svg+xml;base64,") == 1
    assert "../tables/descent.csv" in page

    (copy.folder / "workflow/config.schema.json").write_text(copy.type("flatminima", "schema"))
    copy.type("python", "-c", WRITE_MEASURES)
    written = copy.places().modified
    assert sorted(set(written) - set(places.modified)) == GENERATED
    assert len(written) <= 7
