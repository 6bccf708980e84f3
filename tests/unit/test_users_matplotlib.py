"""Figures do not depend on what a user prefers for figures of their own: matplotlibrc, backend, styles."""

import os
import subprocess
import sys

import matplotlib as mpl
import pytest
from drawing import LEDGER, ROOT
from synthetic import synthetic_study

from flatminima.figures.render import render
from flatminima.studies.registry import KINDS

NAME = "sharpness"
PREFERENCES = {
    "axes.grid": "True",
    "axes.titlesize": "20",
    "figure.dpi": "50",
    "figure.facecolor": "red",
    "font.family": "serif",
    "mathtext.fontset": "cm",
    "pdf.compression": "0",
    "savefig.bbox": "tight",
    "svg.fonttype": "none",
    "text.usetex": "True",
}
COMMAND = "from flatminima.cli import main; main()"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The tables of a study, and the figure that is drawn where nobody prefers anything."""
    folder = tmp_path_factory.mktemp("study")
    measures, shared = synthetic_study(depths=(2,))
    measures.to_parquet(folder / "measures.parquet")
    shared.to_parquet(folder / "shared.parquet")
    render(
        KINDS["training"], NAME, folder / "measures.parquet", folder / "shared.parquet", LEDGER, folder / "plain" / NAME
    )
    return folder


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_settings_of_the_process_change_no_byte(study, tmp_path):
    with mpl.rc_context(PREFERENCES):
        render(KINDS["training"], NAME, study / "measures.parquet", study / "shared.parquet", LEDGER, tmp_path / NAME)
        assert mpl.rcParams["font.family"] == ["serif"]
    assert files(tmp_path) == files(study / "plain")
    assert len(files(tmp_path)) == 4


@pytest.mark.parametrize(
    ("place", "environment"),
    [
        ("mine", {"MATPLOTLIBRC": "mine/matplotlibrc", "MPLBACKEND": "nonsense"}),
        (".", {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}),
        ("home/.config/matplotlib", {"HOME": "home", "XDG_CONFIG_HOME": "home/.config", "MPLBACKEND": "qtagg"}),
        ("mine", {"MPLCONFIGDIR": "mine", "MATPLOTLIBRC": "no/such/file"}),
    ],
)
def test_a_matplotlibrc_or_a_backend_changes_no_byte_of_the_command_s_figures(study, tmp_path, place, environment):
    settings = "".join(f"{key}: {value}\n" for key, value in PREFERENCES.items())
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    (tmp_path / place / "matplotlibrc").write_text(settings)
    inputs = [f"--measures={study}/measures.parquet", f"--details={study}/shared.parquet"]
    arguments = ["figure", NAME, "--kind=training", f"--ledger={ROOT}/workflow/claims.yaml", *inputs]
    arguments.append(f"--output=made/{NAME}.svg")
    run = subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")} | environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert files(tmp_path / "made") == files(study / "plain")
