"""The picture of the first paper: step size and sharpness; gain, and singular vectors, along the signal's path."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from flatminima.claims.intervals import mean_interval
from flatminima.errors import EmptyFigureError
from flatminima.figures import frames, labels, style
from flatminima.figures.claimed import Claimed
from flatminima.figures.training import sweeps
from flatminima.figures.training.compared import BALANCE, COUPLING, GAIN, NETWORK, RESIDUALS, compared, found
from flatminima.record import final

NAMES = {"linear": "● linear", "residual_linear": "◆ zero residuals", "relu": "▲ ReLU"}
MARKERS = {"linear": "o", "residual_linear": "D", "relu": "^"}
KINDS = {True: "flat", False: "sharp"}
COLOURS = {True: style.FAMILY_COLOUR["linear"], False: style.CONTROL}
LOOKS: dict[bool, dict[str, Any]] = {
    True: {"color": COLOURS[True], "ls": "-"},
    False: {"color": COLOURS[False], "ls": style.DASHED},
}
SIDES = {"left": 1, "right": -1}
MARKS = {"left": "^", "right": "v"}
WORDS = {
    BALANCE: {
        1: "more balanced",
        -1: "less balanced",
        0: "no difference in balance detected",
        None: "balance undecided",
    },
    COUPLING: {
        1: "more coupled",
        -1: "less coupled",
        0: "no difference in coupling detected",
        None: "coupling undecided",
    },
}
NONE_FLAT = "(b), (c): no flat minimum of a linear network in this record"
NO_TABLE = "(c): not in this record"


@style.styled
def overview(measures: pd.DataFrame, shared: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Three panels: (a) sharpness against step size, (b) gain along the path, (c) singular vectors that carry it.

    (a) shows networks of all depths, linear ones as far as claim M4 takes them for minima. (b) and (c) show the flat
    and the sharp minima that it compares, at one depth; where there are none the panels say so.

    Returns:
        The figure, and what its panels show, behind a column `panel`.

    Raises:
        EmptyFigureError: if there is nothing to draw in any panel.
    """
    swept, pair = families(measures, claimed), compared(claimed)
    gains, vectors = along_path(claimed.measures, pair), carriers(shared, pair)
    if swept.empty and pair.empty:
        raise EmptyFigureError("no network with a step size; add an experiment with step_sizes")
    page = style.figure(4.4 if pair.empty else 6.6, message(claimed, pair), style.NARROW)
    below = "none none" if pair.empty else "gains vectors"
    grid: list[Any] = [["steps", "steps"], below.split()]
    axes = page.subplot_mosaic(grid, height_ratios=(1, 0.15) if pair.empty else (1.1, 1))
    _draw_steps(axes["steps"], swept)
    if pair.empty:
        _say(axes["none"], NONE_FLAT)
    else:
        _draw_gains(axes["gains"], gains)
        _draw_vectors(axes["vectors"], vectors, residuals(claimed, pair))
    tables = {"steps": swept, "gains": gains, "vectors": vectors}
    return page, pd.concat([rows.assign(panel=name) for name, rows in tables.items() if len(rows)], ignore_index=True)


def families(measures: pd.DataFrame, claimed: Claimed) -> pd.DataFrame:
    """The sweeps of linear networks, of zero residuals, and of the ReLU experiment with most networks.

    Linear networks are those that claim M4 counts, and those that diverged.
    """
    rows = sweeps.sweeps(claimed.measures)
    asked = claimed.networks(BALANCE, GAIN)
    asked = asked[~asked["as_control"] & (asked["counted"] | asked["diverged"]) & asked["setting"].notna()]
    linear = rows[rows["family"] == "linear"].merge(asked[NETWORK].drop_duplicates(), on=NETWORK)
    residual = rows[(rows["family"] == "residual_linear") & (rows["at_minimum"] | rows["diverged"])]
    relu = rows[(rows["family"] == "relu") & (rows["optimiser"] == "sgd")]
    relu = relu[relu["case"].isin(measures["case"].unique())]
    relu = relu[relu["case"].eq(relu["case"].mode().min())]
    return pd.concat([linear, residual, relu], ignore_index=True)


def along_path(measures: pd.DataFrame, pair: pd.DataFrame) -> pd.DataFrame:
    """The gain from the input to every layer, 1 at layer 0: that along the path, and that of equal steps.

    Returns:
        One row per network and layer: the columns of `pair`, layer, gain, equal_steps.
    """
    ends = frames.trained(final(measures))
    rows = ends[ends["statistic"] == GAIN].rename(columns={"value": "relative"})
    ends = ends[ends["statistic"] == "end_to_end_gain"].rename(columns={"value": "end"})
    pair = pair.merge(ends[[*NETWORK, "task", "end"]], on=NETWORK)
    rows = pair.merge(rows[[*NETWORK, "layer", "relative"]], on=NETWORK)
    start = pair.assign(layer=0, relative=1.0, end=1.0)
    rows = pd.concat([start, rows], ignore_index=True)
    equal = rows["end"] ** (rows["layer"] / rows["depth"])
    rows = rows.assign(gain=rows["relative"] * equal, equal_steps=equal)
    return rows.drop(columns=["relative", "end"]).sort_values([*NETWORK, "layer"], ignore_index=True)


def carriers(shared: pd.DataFrame, pair: pd.DataFrame) -> pd.DataFrame:
    """The singular vector that has most of the signal, on both sides of all interfaces.

    Returns:
        One row per network, interface and side: the columns of `pair`, layer, rank, side, share; empty if none was
        recorded.
    """
    if "rank" not in shared or pair.empty:
        return pd.DataFrame()
    rows = pair.merge(shared[[*NETWORK, "layer", "rank", *SIDES]], on=NETWORK)
    rows = rows.melt([*pair.columns, "layer", "rank"], list(SIDES), "side", "share")
    return rows.loc[rows.groupby([*NETWORK, "layer", "side"])["share"].idxmax()].reset_index(drop=True)


def message(claimed: Claimed, pair: pd.DataFrame) -> str:
    """The figure's one sentence: whether flat minima are more balanced and more coupled than sharp ones."""
    if pair.empty:
        return "Sharpness against step size; no linear network ended at a flat minimum, to be compared with a sharp one"
    depth, signs = pair["depth"].iloc[0], {claim: found(claimed, claim, pair) for claim in WORDS}
    words = [WORDS[claim][sign] for claim, sign in signs.items() if sign is not None]
    if not words:
        return f"Flat minima and sharp ones at depth {depth}: too few seeds to tell whether balance or coupling differ"
    if all(signs.values()):
        return f"At depth {depth}, flat minima are {' and '.join(words)} than sharp ones"
    return f"Flat minima against sharp ones, depth {depth}: {', '.join(words)}"


def flatter(swept: pd.DataFrame) -> str:
    """Describe the change of linear networks from the smallest step of each seed to its largest."""
    rows = swept[(swept["family"] == "linear") & ~swept["diverged"]].sort_values("x")
    seeds = rows.groupby(["case", "depth", "seed"])["sharpness_ratio"].agg(["first", "last", "size"])
    changes = (seeds["last"] - seeds["first"])[seeds["size"] > 1].groupby(["case", "depth"])
    ends = [mean_interval(change.to_numpy()) for _, change in changes if len(change) > 1]
    if ends and all(end.high < 0 for end in ends):
        return "Large steps end at flatter minima"
    return "Sharpness where training ends" + ("; falls with the step, but not always" if ends else "")


def residuals(claimed: Claimed, pair: pd.DataFrame) -> pd.DataFrame:
    """Mean over networks of the residuals of claim M3 in the worst layer: a row for flat and for sharp ones."""
    for name in RESIDUALS:
        rows = claimed.counted(COUPLING, name).drop_duplicates(NETWORK)
        pair = pair.merge(rows[[*NETWORK, "value"]].rename(columns={"value": name}), on=NETWORK, how="left")
    return pair.groupby("flat")[list(RESIDUALS)].mean()


def _say(panel: Axes, words: str) -> None:
    """Why a panel is empty."""
    panel.axis("off")
    panel.text(0.5, 0.5, words, transform=panel.transAxes, ha="center", va="center", color="0.3")


def _draw_steps(panel: Axes, rows: pd.DataFrame) -> None:
    """Medians of every experiment and depth in critical units, the limit of stability, diverged networks above."""
    medians = sweeps.summary(rows).merge(rows[["case", "family"]].drop_duplicates(), on="case")
    for (family, _, _), line in medians.groupby(["family", "case", "depth"]):
        sweeps.draw_line(panel, line, style.FAMILY_COLOUR[str(family)], MARKERS[str(family)])
    panel.set(xscale="log", yscale="log", xlabel=style.CRITICAL_STEP, ylabel=style.OVER_LEAST)
    panel.set_xlim(medians["x"].min() / 1.5, medians["x"].max() * 1.6)
    low, high = (medians["median"].min(), medians["median"].max()) if medians["median"].notna().any() else (1.0, 1.0)
    panel.set_ylim(low / 1.5, high * 1.25)
    sweeps.draw_limit(panel)
    for axis in (panel.xaxis, panel.yaxis):
        style.plain_log(axis)
    count = f"medians; {_depths(medians)}; {labels.n_of(medians['replicas'])}"
    panel.text(0.01, 0.02, count, transform=panel.transAxes, size=labels.SIZE)
    strip = labels.diverged_strip(panel, rows, "x", "family", style.FAMILY_COLOUR)
    key = [(name, style.FAMILY_COLOUR[family]) for family, name in NAMES.items() if family in set(rows["family"])]
    labels.header(panel, f"(a) {flatter(rows)}", [key], rows=strip)


def _depths(rows: pd.DataFrame) -> str:
    depths = style.span(rows["depth"])
    return f"depth{'s' * (' ' in depths)} {depths}"


def _draw_gains(panel: Axes, rows: pd.DataFrame) -> None:
    """A line per network from the input to the output, over the straight line of equal steps."""
    for (flat, _), network in rows.groupby(["flat", "seed"]):
        panel.plot(network["layer"], network["gain"], **LOOKS[bool(flat)], lw=1, alpha=0.8)
    equal = rows.groupby("layer")["equal_steps"].median()
    panel.plot(equal.index, equal, color=style.THEORY, lw=1, ls=style.DASHDOT)
    panel.set(yscale="log", xlabel="layer k", ylabel="gain from the input to layer k")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.yaxis.set_major_locator(MaxNLocator(5))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda gain, _: f"{gain:.3g}"))
    panel.yaxis.set_minor_locator(NullLocator())
    lines = [[(f"dash-dotted: equal steps; task {rows['task'].iloc[0]}", style.THEORY)]]
    for flat, name in KINDS.items():
        own = rows[rows["flat"] == flat]
        ratios = "–".join(dict.fromkeys(f"{ratio:.3g}" for ratio in (own["ratio"].min(), own["ratio"].max())))
        lines.append([(f"{name}, {ratios} × least; {labels.n_of(pd.Series([own['seed'].nunique()]))}", COLOURS[flat])])
    labels.header(panel, "(b) Gain along the path", lines)


def _draw_vectors(panel: Axes, rows: pd.DataFrame, residual: pd.DataFrame) -> None:
    """The vector with the largest share, left ones upwards, right ones downwards: one point per network and layer."""
    if rows.empty:
        _say(panel, NO_TABLE)
        return
    for (flat, side), own in rows.groupby(["flat", "side"]):
        look = {"color": COLOURS[bool(flat)], "marker": MARKS[str(side)], "ms": 3.5, "mew": 0.8, "alpha": 0.8, "ls": ""}
        panel.plot(own["rank"], SIDES[str(side)] * own["share"], **look, fillstyle="full" if flat else "none")
    for height in (-1, 0, 1):
        panel.axhline(height, color=style.THEORY, lw=0.8, ls="-" if height == 0 else style.DASHDOT, zorder=0)
    panel.set(xscale="log", xlabel="rank of the singular value", ylabel="largest share of one vector", ylim=(-1.1, 1.1))
    panel.set_xlim(0.8, max(10, rows["rank"].max()) * 1.25)
    style.plain_log(panel.xaxis)
    panel.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{abs(share):g}"))
    for text, place, align in (("left, layer k", 0.93, "top"), ("right, layer k + 1", 0.07, "bottom")):
        panel.text(0.98, place, text, transform=panel.transAxes, ha="right", va=align, size=labels.SIZE)
    lines = [[("dash-dotted: one vector has all", style.THEORY)]]
    for flat, name in KINDS.items():
        sides = ", ".join(f"{value:.2f}" for value in residual.loc[flat])
        lines.append([(f"{name}: residuals {sides}", COLOURS[flat])])
    labels.header(panel, "(c) The vectors that carry it", lines)
