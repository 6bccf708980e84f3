"""Sensitivity of verdicts to choices of protocol: a table of experiments that change one choice each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from flatminima.claims.ledger import Ledger
from flatminima.claims.results import Verdict
from flatminima.claims.sensitivity import judge_alone, on_grid
from flatminima.errors import UserError
from flatminima.figures import frames
from flatminima.figures.table_files import VERDICT, save
from flatminima.record import final, read_table
from flatminima.settings.variations import Variation

NAME = "sensitivity"
SUMMARISED = ["sharpness_ratio", "path_cosine", "least_gain", "largest_gain"]


def render_sensitivity(measures: Path, ledger: Ledger, variations: Sequence[Variation], output: Path) -> None:
    """Write the table of a study's variations as CSV, HTML and LaTeX.

    Args:
        measures: measures.parquet of the study.
        ledger: the claims.
        variations: the study's.
        output: the files' path without suffix.

    Raises:
        UserError: if the measures are missing, or lack a variation.
    """
    save(NAME, sensitivity(read_table(measures), ledger, variations), output)


def sensitivity(measures: pd.DataFrame, ledger: Ledger, variations: Sequence[Variation]) -> pd.DataFrame:
    """One row for each variation, after one for its baseline on its depths and step sizes.

    Args:
        measures: the long table measures.parquet.
        ledger: the claims.
        variations: experiments that change one choice each.

    Returns:
        Columns case, choice, before, after, depths, step_sizes, networks, diverged; of the networks that did not
        diverge the median and 5-95 % interval of sharpness_ratio, path_cosine (worst interface), least_gain and
        largest_gain (path gain over layers); for each claim verdict_<id> and reason_<id>; and flips, the claims whose
        verdict is not the baseline's, where both are conclusive.

    Raises:
        UserError: if a variation was not measured.
    """
    pairs = [_pair(measures, ledger, variation) for variation in variations]
    pairs.sort(key=lambda pair: [pair[0][key] for key in ("case", "depths", "step_sizes")])
    table = pd.DataFrame([row for pair in pairs for row in pair]).drop_duplicates(ignore_index=True)
    first = ["case", "choice", "before", "after"]
    return table[[*first, *table.columns.difference([*first, "flips"], sort=False), "flips"]]


def _pair(measures: pd.DataFrame, ledger: Ledger, variation: Variation) -> tuple[dict[str, Any], dict[str, Any]]:
    """Rows of the baseline on the variation's grid, and of the variation."""
    networks = measures[measures["case"] == variation.experiment]
    if networks.empty:
        raise UserError(f"table {NAME}: no network of {variation.experiment!r} in the measures; run it first")
    reference = on_grid(measures, variation.baseline, variation.experiment)
    old = _row(reference, ledger, variation.baseline, variation.baseline)
    new = _row(networks, ledger, variation.experiment, variation.baseline)
    flips = [key.removeprefix(VERDICT) for key in old if key.startswith(VERDICT) and _differ(old[key], new.get(key))]
    choice = variation.model_dump(include={"choice", "before", "after"})
    return old | dict.fromkeys([*choice, "flips"], "–"), new | choice | {"flips": ", ".join(flips) or "none"}


def _differ(before: str, after: str | None) -> bool:
    """Whether a choice flips a verdict: what is inconclusive on either side says nothing."""
    return before != after and not {before, after} & {Verdict.INCONCLUSIVE, None}


def _row(measures: pd.DataFrame, ledger: Ledger, case: str, baseline: str) -> dict[str, Any]:
    own = frames.trained(measures[measures["case"] == case])
    rows = final(frames.networks(own)).merge(_gain_range(own), on=frames.NETWORK, how="left")
    row: dict[str, Any] = {
        "case": case,
        "depths": _listed(rows["depth"]),
        "step_sizes": _listed(rows["setting"].dropna()),
        "networks": len(rows),
        "diverged": int(rows["diverged"].sum()),
    }
    for statistic in SUMMARISED:
        low, median, high = rows[statistic].quantile([frames.LOW, 0.5, frames.HIGH])
        row |= {f"{statistic}_median": median, f"{statistic}_low": low, f"{statistic}_high": high}
    for claim in judge_alone(ledger, measures, case, baseline):
        row |= {f"{VERDICT}{claim.id}": claim.verdict, f"reason_{claim.id}": claim.reason}
    return row


def _gain_range(measures: pd.DataFrame) -> pd.DataFrame:
    """The least and the largest path gain of each network; that of the last layer is one by definition."""
    gains = measures[(measures["statistic"] == "path_gain") & measures["layer"].between(1, measures["depth"] - 1)]
    groups = gains.groupby(frames.NETWORK, dropna=False)["value"]
    return groups.agg(least_gain="min", largest_gain="max").reset_index()


def _listed(values: pd.Series) -> str:
    return ", ".join(f"{value:g}" for value in sorted(values.unique()))
