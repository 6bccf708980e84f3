"""Tables count every network, agree with the measures, and say the same in all three formats."""

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from synthetic import synthetic_study

from flatminima.errors import UserError
from flatminima.figures.tables import render_table
from flatminima.figures.training import tables as training_tables
from flatminima.figures.training.tables import crosscheck

TABLES = [name for name in training_tables.TABLES if name != "crosscheck"]
KEY = ["case", "control", "depth", "setting"]
WORST = {
    "path_gain": lambda values: values[np.abs(np.log(values)).argmax()],
    "product_norm": lambda values: values[np.abs(np.log(values)).argmax()],
    "path_cosine": np.min,
    "path_residual": np.max,
    "singular_overlap": np.min,
}


@pytest.fixture(scope="module")
def measures() -> pd.DataFrame:
    return synthetic_study(depths=(2, 3))[0]


@pytest.fixture(scope="module")
def folder(measures, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    measures.to_parquet(folder / "measures.parquet")
    for name in TABLES:
        render_table(name, folder / "measures.parquet", folder / name)
    return folder


def read_csv(folder: Path, name: str) -> pd.DataFrame:
    """A table; what is empty in its column of controls is the case itself."""
    table = pd.read_csv(folder / f"{name}.csv")
    return table.fillna({"control": ""}) if "control" in table else table


@pytest.mark.parametrize("name", [name for name in TABLES if name != "summary"])
def test_every_final_network_is_counted_once_diverged_or_not(measures, folder, name):
    table = read_csv(folder, name)
    flags = measures[measures["final"] & (measures["statistic"] == "diverged")]
    assert table["networks"].sum() == len(flags)
    assert table["diverged"].sum() == flags["value"].sum() > 0
    by_group = flags.groupby(KEY, dropna=False)["value"].agg(["size", "sum"]).reset_index()
    both = table.merge(by_group, on=KEY, validate="one_to_one")
    assert len(both) == len(table)
    assert (both["networks"] == both["size"]).all()
    assert (both["diverged"] == both["sum"]).all()


def test_gradient_flow_has_a_row_though_it_has_no_step_size(folder):
    flow = read_csv(folder, "sharpness").query("case == 'residual_flow'")
    assert len(flow) == 2
    assert flow["step_size"].isna().all()
    assert flow["sharpness_ratio_median"].notna().all()


@pytest.mark.parametrize("statistic", ["sharpness", "sharpness_ratio", "loss"])
def test_median_and_interval_of_whole_networks(measures, folder, statistic):
    table = read_csv(folder, "sharpness").set_index(KEY)
    rows = measures[measures["final"] & (measures["statistic"] == statistic)].dropna(subset=["value", "setting"])
    for key, values in rows.groupby(KEY)["value"]:
        shown = table.loc[key, [f"{statistic}_{part}" for part in ("median", "low", "high")]]
        assert list(shown) == pytest.approx(list(np.percentile(values, [50, 5, 95])))


@pytest.mark.parametrize(
    ("name", "statistic"),
    [
        ("balance", "path_gain"),
        ("balance", "product_norm"),
        ("coupling", "path_cosine"),
        ("coupling", "path_residual"),
        ("coupling", "singular_overlap"),
    ],
)
def test_layers_are_summarised_by_the_worst(measures, folder, name, statistic):
    table = read_csv(folder, name).set_index(KEY)[f"{statistic}_median"]
    rows = measures[measures["final"] & (measures["statistic"] == statistic)].dropna(subset=["value", "setting"])
    worst = rows.groupby([*KEY, "seed"])["value"].apply(lambda values: WORST[statistic](values.to_numpy()))
    for key, value in worst.groupby(KEY).median().items():
        assert table.loc[key] == pytest.approx(value)


def test_summary_takes_all_step_sizes_of_trained_networks_together(measures, folder):
    table = read_csv(folder, "summary").set_index(["case", "depth"])
    assert "control" not in table
    rows = measures[measures["final"] & (measures["control"] == "") & (measures["layer"] == 0)]
    for statistic in ("sharpness_ratio", "gradient_norm"):
        for shape, values in rows[rows["statistic"] == statistic].groupby(["case", "depth"])["value"]:
            shown = table.loc[shape, [f"{statistic}_{part}" for part in ("median", "low", "high")]]
            assert list(shown) == pytest.approx(list(np.nanpercentile(values, [50, 5, 95])))
    sound = rows[(rows["statistic"] == "diverged") & (rows["value"] == 0)]
    for shape, steps in sound.groupby(["case", "depth"])["step"]:
        assert table.loc[shape, "step_median"] == steps.median()


def cells_of_html(path: Path) -> list[list[str]]:
    table = ElementTree.fromstring(path.read_text())
    assert table.tag == "table"
    assert table.get("class").split() == ["dataframe", "measures", f"measures-{path.stem}"]
    return [["".join(cell.itertext()) for cell in row] for row in table.iter("tr")]


def cells_of_tex(path: Path) -> list[list[str]]:
    lines = [line for line in path.read_text().splitlines() if line.endswith(r"\\") and " & " in line]
    return [[cell.strip().replace(r"\_", "_") for cell in line.removesuffix(r"\\").split(" & ")] for line in lines]


@pytest.mark.parametrize("name", TABLES)
def test_the_three_formats_agree(folder, name):
    html, tex = cells_of_html(folder / f"{name}.html"), cells_of_tex(folder / f"{name}.tex")
    headings, rows = html[0], html[1:]
    assert tex[0] == headings
    assert [row for row in tex if row != headings] == rows
    table = read_csv(folder, name)
    assert len(rows) == len(table)
    medians = [column for column in table if column.endswith("_median")]
    for row, (_, values) in zip(rows, table.iterrows(), strict=True):
        assert row[headings.index("Diverged")] == str(values["diverged"])
        for cell, column in zip(row[-len(medians) :], medians, strict=True):
            numbers = [float(number) for number in re.findall(r"[\d.]+(?:e[+-]\d+)?", cell)]
            bounds = values[[column, column.replace("_median", "_low"), column.replace("_median", "_high")]].dropna()
            expected = list(bounds) if len(numbers) == 3 else list(bounds[:1])
            assert numbers == pytest.approx(expected, rel=5e-4)


def test_diverged_groups_show_a_dash_and_their_count(folder):
    html = cells_of_html(folder / "sharpness.html")
    headings = html[0]
    place = {name: headings.index(name) for name in ("Networks", "Diverged", "Sharpness")}
    lost = [row for row in html[1:] if row[place["Diverged"]] == row[place["Networks"]]]
    assert lost
    assert all(row[place["Sharpness"]] == "–" for row in lost)


def test_tables_are_the_same_bytes_again(folder, tmp_path):
    for name in TABLES:
        render_table(name, folder / "measures.parquet", tmp_path / name)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == sorted(f"{name}.{suffix}" for name in TABLES for suffix in ("csv", "html", "tex"))
    assert [name for name in files if (tmp_path / name).read_bytes() != (folder / name).read_bytes()] == []


def test_a_measured_study_is_required(folder, tmp_path, measures):
    with pytest.raises(UserError, match="'balance'"):
        render_table("balanc", folder / "measures.parquet", tmp_path / "balance")
    with pytest.raises(UserError, match="no such file"):
        render_table("balance", tmp_path / "measures.parquet", tmp_path / "balance")
    measures[~measures["final"]].to_parquet(tmp_path / "measures.parquet")
    with pytest.raises(UserError, match="end of training"):
        render_table("balance", tmp_path / "measures.parquet", tmp_path / "balance")
    assert [path.name for path in tmp_path.iterdir()] == ["measures.parquet"]


def checked_networks():
    """Two networks, one with a step size and one of a gradient flow, and a third that was not checked."""
    base = {"case": "linear", "task": "noisy", "depth": 2, "step_size": 0.1, "setting": 0.5, "seed": 0}
    flow = base | {"case": "flow", "step_size": np.nan, "setting": np.nan}
    values = [
        (base, "sharpness_checked", 4.0, 0.004),
        (base, "sharpness_curvlinops", 4.002, 1e-9),
        (base, "sharpness_pyhessian", 3.0, np.nan),
        (flow, "sharpness_checked", 2.0, 0.0),
        (flow, "sharpness_curvlinops", 2.0, 1e-9),
        (flow, "sharpness_pyhessian", 2.2, np.nan),
        (base | {"seed": 1}, "sharpness", 5.0, 0.0),
    ]
    rows = [key | {"statistic": name, "value": value, "error_bound": bound} for key, name, value, bound in values]
    return pd.DataFrame(rows).assign(final=True, layer=0)


def test_crosscheck_puts_other_libraries_beside_ours():
    table = crosscheck(checked_networks()).set_index("case")
    assert len(table) == 2
    linear, flow = table.loc["linear"], table.loc["flow"]
    assert (linear["sharpness"], linear["residual"], linear["sharpness_pyhessian"]) == (4.0, 0.001, 3.0)
    assert linear["curvlinops_difference"] == pytest.approx(0.0005)
    assert linear["pyhessian_difference"] == pytest.approx(0.25)
    assert (flow["curvlinops_difference"], flow["pyhessian_difference"]) == (0.0, pytest.approx(0.1))


def test_crosscheck_asks_for_its_measures():
    with pytest.raises(UserError, match="run the study's crosscheck first"):
        crosscheck(checked_networks().query("statistic == 'sharpness'"))
