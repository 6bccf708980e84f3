"""Sharpness under rescaling in one picture: no limit above, a floor below (theory D1, D4, B1, I3)."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import frames, strips, style
from flatminima.figures.claimed import Claimed
from flatminima.figures.rescaling import selection

MOST = 3
"""Depths that are shown."""
LINEAR = {
    ("orbit_linear", "unminimised"): "rescaled at random",
    ("orbit_linear", ""): "their flattest rescalings",
}
FACTOR = r"$\alpha$ (layer 1 times $\alpha$, layer 2 over $\alpha$)"
FLOOR = "flattest rescaling"
THEORY = "no minimum is this flat"
ROUNDING = 1e-6
"""Relative depth below its floor at which sharpness may be found: the precision of floors."""
BELOW, CLEARANCE = 0.7, 2.0
"""Lower end of the axis of linear networks, and its margin beyond the sharpest."""


@style.styled
def rescaling_overview(measures: pd.DataFrame, _curves: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Sharpness along T_alpha over that of the flattest rescaling, and linear networks over the least of all minima.

    Returns:
        The figure, and its networks: kind, sharpness ratio, alpha (for rectified networks) and test error.

    Raises:
        EmptyFigureError: if networks were not rescaled, or linear networks' orbits not minimised.
    """
    rescaled, linear = heights(measures), floors(measures)
    page = style.figure(6.0, message(rescaled, claimed), style.NARROW)
    above, below = page.subplots(2, 1, height_ratios=[2.1, 1])
    _draw_heights(above, rescaled)
    _draw_floors(below, linear)
    return page, pd.concat([rescaled, linear], ignore_index=True)


def heights(measures: pd.DataFrame) -> pd.DataFrame:
    """One network of rectifiers of each depth, as trained (alpha = 1) and rescaled, over the least of its rescalings.

    Raises:
        EmptyFigureError: if there is none, or its orbit was not minimised.
    """
    key, values = selection.KEY, ["sharpness", "test_error"]
    rescaled = selection.networks(measures, {("two_layers", ""): "rectified"}, values, "alpha")
    orbits = {("orbit_layers", ""): "rectified"}
    trained = selection.networks(measures, orbits, [*values, "orbit_minimum"], "alpha").drop(columns="detailed")
    trained = trained.merge(rescaled[[*key, "detailed"]].drop_duplicates(), on=key, validate="one_to_one")
    rows = rescaled.merge(trained[[*key, "orbit_minimum"]], on=key, validate="many_to_one")
    rows = selection.present(rows, "rescaled network whose orbit was minimised")
    rows = pd.concat([rows, trained.assign(alpha=1.0)]).sort_values([*key, "alpha"])
    rows = rows[rows.pop("detailed") & rows["depth"].isin(frames.spread(rows["depth"], MOST))]
    ratio = rows["sharpness"] / rows["orbit_minimum"]
    return rows.drop(columns=["sharpness", "orbit_minimum"]).assign(sharpness_ratio=ratio)


def floors(measures: pd.DataFrame) -> pd.DataFrame:
    """Linear networks, rescaled at random and then as flat as rescaling makes them, over the least of all minima.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = selection.networks(measures, LINEAR, ["orbit_ratio"])
    return rows.drop(columns=["setting", "detailed"]).rename(columns={"orbit_ratio": "sharpness_ratio"})


def message(rescaled: pd.DataFrame, claimed: Claimed) -> str:
    """The figure's one message: whether sharpness grows, stays above its floor, and what that of linear networks is."""
    grows = selection.holds(claimed, "D4", "sharpness_growth", "growth_exponent")
    above = (rescaled["sharpness_ratio"] >= 1 - ROUNDING).all()
    least = selection.holds(claimed, "B1", "orbit_ratio")
    return (
        f"Rescaling {'makes' if grows else 'does not make'} a network ever sharper, "
        f"{'never' if above else 'and sometimes'} flatter than its floor; for linear networks "
        f"this floor is {'' if least else 'not '}the least of all minima"
    )


def _draw_heights(panel: Axes, rows: pd.DataFrame) -> None:
    for (depth, line), look in zip(rows.groupby("depth"), style.looks(rows["depth"]).values(), strict=True):
        error = _percent(line["test_error"])
        panel.plot(line["alpha"], line["sharpness_ratio"], label=f"depth {depth}: test error {error} %", **look)
    trained = rows[rows["alpha"] == 1]
    panel.plot(trained["alpha"], trained["sharpness_ratio"], **style.TRAINED)
    panel.axhline(1, color="black", lw=1, ls=style.DASHDOT, zorder=0)
    place = panel.get_yaxis_transform()
    panel.annotate(FLOOR, (0.01, 1), (0, -3), place, textcoords="offset points", va="top")
    panel.set(xscale="log", yscale="log", xlabel=FACTOR, ylabel="sharpness / its floor", ylim=(0.2, None))
    panel.legend(loc="upper center")
    panel.set_title(f"No ceiling: rectifiers, rescaled (n = {len(trained)} networks)", loc="left")


def _percent(errors: pd.Series) -> str:
    ends = [f"{100 * error:.1f}" for error in (errors.min(), errors.max())]
    return "–".join(dict.fromkeys(ends))


def _draw_floors(panel: Axes, rows: pd.DataFrame) -> None:
    values = {kind: rows.loc[rows["kind"] == kind, "sharpness_ratio"] for kind in LINEAR.values()}
    panel.set(xscale="log", xlim=(BELOW, CLEARANCE * rows["sharpness_ratio"].max()))
    panel.set_xlabel("sharpness / least sharpness of all minima")
    panel.axvspan(BELOW, 1, color="0.9", lw=0, zorder=0)
    panel.axvline(1, color="0.3", lw=1, zorder=0)
    looks = [{"color": style.CONTROL, "marker": "^"}, {"color": style.GREEN, "marker": "o"}]
    named = zip(values.items(), looks, strict=True)
    strips.draw(panel, [strips.Strip.counted(kind, found, look | {"ms": 4}) for (kind, found), look in named], 1.1)
    panel.set_title("A floor: linear networks at a minimum", loc="left")
