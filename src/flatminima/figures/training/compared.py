"""Flat and sharp minima of each seed, as the claims on balance and coupling compare them (M2, M3, M4)."""

import numpy as np
import pandas as pd

from flatminima.claims.findings import Finding
from flatminima.figures import frames
from flatminima.figures.claimed import Claimed

RATIO = "sharpness_ratio"
BALANCE, COUPLING = "M4", "M3"
GAIN, RESIDUALS = "path_gain", ("left_residual", "right_residual")
DEEPEST = 4
NETWORK = ["case", "depth", "setting", "seed"]


def compared(claimed: Claimed) -> pd.DataFrame:
    """The minima that claim M4 compares in one experiment and depth: of each seed the flattest and the sharpest.

    Flat are those below the sharpness from which on the claim's control takes minima for not flat. The depth is the
    moderate one of those where there are both; the experiment, the one whose minima differ most in sharpness.

    Returns:
        One row per network: NETWORK, ratio, flat. Empty if no experiment has both.
    """
    rows = claimed.counted(BALANCE, GAIN).dropna(subset=["dose"]).rename(columns={"dose": "ratio"})
    seeds = rows.groupby(["case", "depth", "seed"])["ratio"]
    ends = pd.concat([rows.loc[seeds.idxmin()], rows.loc[seeds.idxmax()]]) if len(rows) else rows
    ends = ends.assign(flat=ends["ratio"] < not_flat_from(claimed)).drop_duplicates([*NETWORK])
    shapes = ends.groupby(["case", "depth"])
    both = ends[shapes["flat"].transform("nunique") == 2] if len(ends) else ends
    if both.empty:
        return both[[*NETWORK, "ratio", "flat"]]
    both = both[both["depth"] == frames.moderate_depth(both["depth"], DEEPEST)]
    means = both.groupby(["case", "flat"])["ratio"].mean().unstack()  # noqa: PD010
    widest = (means[True] / means[False]).idxmin()
    return both.loc[both["case"] == widest, [*NETWORK, "ratio", "flat"]].reset_index(drop=True)


def not_flat_from(claimed: Claimed) -> float:
    """The relative sharpness from which on the control of claim M4 takes minima for not flat; else infinite."""
    controls = [criterion.control for criterion in claimed.claim(BALANCE).criteria if criterion.statistic == GAIN]
    conditions = [condition for control in controls if control for condition in control.where or []]
    bounds = [c.at_least for c in conditions if c.statistic == RATIO and c.at_least is not None]
    return min(bounds, default=np.inf)


def findings(claimed: Claimed, claim: str, networks: pd.DataFrame) -> list[Finding]:
    """Findings of a claim that can fail in the experiment and depth of these networks, one for each criterion."""
    shape = networks["case"].iloc[0], networks["depth"].iloc[0]
    cases = [case for case in claimed.cases(claim) if case.counted]
    return [f for case in cases if (case.case, case.shape) == shape for f in case.findings]


def found(claimed: Claimed, claim: str, networks: pd.DataFrame) -> int | None:
    """Whether all of a claim's intervals at these networks lie above zero (1), below (-1), or some do not (0).

    None where seeds are too few for an interval, or nothing was measured.
    """
    ends = [(f.low, f.high) for f in findings(claimed, claim, networks)]
    if not ends or any(low is None or high is None for low, high in ends):
        return None
    if all(low is not None and low > 0 for low, _ in ends):
        return 1
    return -1 if all(high is not None and high < 0 for _, high in ends) else 0
