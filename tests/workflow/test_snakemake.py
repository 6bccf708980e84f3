"""Snakemake's own tools work on this workflow: lint, the report archive, other loggers."""

import re
import zipfile

import pytest
from project import ROOT

CAPTIONS = {
    "src/flatminima/studies/training.py": "Largest eigenvalue of the Hessian at the end of training, over the least",
    "src/flatminima/studies/theory.py": "One row per construction, inputs, depth and prescribed sharpness",
    "workflow/report/report.rst": "Verdicts on all claims in study",
    "workflow/report/workflow.rst": "No numerical agreement",
}


def test_lint_finds_nothing(project):
    run = project.snakemake("--lint")
    assert run.returncode == 0
    assert "Congratulations, your workflow is in a good condition!" in run.stdout


@pytest.fixture(scope="module")
def texts():
    """A sentence of each caption, which must stand in its source as it does here."""
    for name, sentence in CAPTIONS.items():
        assert sentence in re.sub(r"\s+", " ", (ROOT / name).read_text()), name
    return CAPTIONS.values()


def test_a_report_of_one_file_holds_figures_tables_and_captions(copied, texts):
    run = copied.snakemake("--report=out.html")
    assert run.returncode == 0, run.stdout
    page = re.sub(r"(\\n|\s)+", " ", (copied.folder / "out.html").read_text())
    for sentence in texts:
        assert sentence in page
    for name in ("coupling-excess.svg", "sharpness.html", "index.html"):
        assert name in page


def test_a_report_archive_holds_the_files(copied):
    run = copied.snakemake("--report=out.zip")
    assert run.returncode == 0, run.stdout
    with zipfile.ZipFile(copied.folder / "out.zip") as archive:
        assert archive.testzip() is None
        names = [name.rsplit("/", 1)[-1] for name in archive.namelist()]
    assert names.count("coupling-excess.svg") == 2
    assert "report.html" in names


def test_the_rich_logger_shows_a_run(copied, finished):
    target = "results/patches/figures/coupling-excess.svg"
    run = copied.snakemake(target, "--forcerun=figure", "--logger=rich")
    assert run.returncode == 0, run.stdout
    assert "Workflow Finished" in run.stdout
    assert copied.files()[target] == finished.files()[target]
