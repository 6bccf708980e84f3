"""What rescaling does to sharpness, in one picture: no limit above, a floor below (theory D1, D4, B1, I3)."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import rescaling_selection, selection, style
from flatminima.figures.claimed import Claimed

LOOKS = [
    {"color": style.BLUE, "marker": "o"},
    {"color": style.ORANGE, "marker": "D", "ls": style.DASHED},
    {"color": style.GREEN, "marker": "^", "ls": style.DOTTED},
]
LINEAR = {"orbit_linear-unminimised": "rescaled at random", "orbit_linear": "its flattest rescaling"}
NAME = "rescaling-overview"
FACTOR = r"$\alpha$ (layer 1 times $\alpha$, layer 2 over $\alpha$)"
DODGE = 0.6
FLOOR = "flattest rescaling of each network"
THEORY = "flattest of all minima (theory)"


@style.styled
def rescaling_overview(measures: pd.DataFrame, _curves: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Sharpness along T_alpha over that of the flattest rescaling, and linear networks over the least of all minima.

    Returns:
        The figure, and its networks: kind, sharpness ratio, alpha (for rectified networks) and test error.

    Raises:
        EmptyFigureError: if networks were not rescaled, or linear networks' orbits not minimised.
    """
    rescaled, linear = heights(measures), floors(measures)
    page = style.figure(4.2, message(rescaled, linear))
    left, right = page.subplots(1, 2, sharey=True, width_ratios=[1.5, 1])
    _draw_heights(left, rescaled)
    _draw_floors(right, linear)
    style.legend_under(left, last=[FLOOR])
    style.legend_under(right, last=[THEORY])
    return page, pd.concat([rescaled, linear], ignore_index=True)


def heights(measures: pd.DataFrame) -> pd.DataFrame:
    """One network of rectifiers of each depth, as trained (alpha = 1) and rescaled, over the least of its rescalings.

    Raises:
        EmptyFigureError: if there is none, or its orbit was not minimised.
    """
    key, values = rescaling_selection.KEY, ["sharpness", "test_error"]
    rescaled = rescaling_selection.networks(measures, NAME, {"two_layers": "rectified"}, values, "alpha")
    orbits = {"orbit_layers": "rectified"}
    trained = rescaling_selection.networks(measures, NAME, orbits, [*values, "orbit_minimum"], "alpha").drop(
        columns="detailed"
    )
    trained = trained.merge(rescaled[[*key, "detailed"]].drop_duplicates(), on=key, validate="one_to_one")
    rows = rescaled.merge(trained[[*key, "orbit_minimum"]], on=key, validate="many_to_one")
    rows = rescaling_selection.present(rows, NAME, "rescaled network whose orbit was minimised")
    rows = pd.concat([rows, trained.assign(alpha=1.0)]).sort_values([*key, "alpha"])
    rows = rows[rows.pop("detailed") & rows["depth"].isin(selection.spread(rows["depth"], len(LOOKS)))]
    ratio = rows["sharpness"] / rows["orbit_minimum"]
    return rows.drop(columns=["sharpness", "orbit_minimum"]).assign(sharpness_ratio=ratio)


def floors(measures: pd.DataFrame) -> pd.DataFrame:
    """Linear networks, rescaled at random and then as flat as rescaling makes them, over the least of all minima.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = rescaling_selection.networks(measures, NAME, LINEAR, ["orbit_ratio"])
    return rows.drop(columns=["setting", "detailed"]).rename(columns={"orbit_ratio": "sharpness_ratio"})


def message(rescaled: pd.DataFrame, linear: pd.DataFrame) -> str:
    """The figure's one message: how sharp one function is made, and how close linear networks' floors are to theory."""
    floors = linear.loc[linear["kind"] == LINEAR["orbit_linear"], "sharpness_ratio"]
    ratios = rescaled["sharpness_ratio"]
    return (
        f"Rescaling makes one function up to {style.scientific(ratios.max())} times as sharp as its floor, "
        f"below it in {(ratios < 1).sum()} of {len(ratios)} cases;\nfor {len(floors)} linear networks the floor is the "
        f"flattest of all minima, to within {style.scientific((floors - 1).abs().max())}"
    )


def _draw_heights(panel: Axes, rows: pd.DataFrame) -> None:
    for (depth, line), look in zip(rows.groupby("depth"), LOOKS, strict=False):
        panel.plot(line["alpha"], line["sharpness_ratio"], label=f"depth {depth}", **look)
    trained = rows[rows["alpha"] == 1]
    panel.plot(trained["alpha"], trained["sharpness_ratio"], **style.TRAINED)
    panel.axhline(1, color="black", lw=1, ls=style.DASHDOT, zorder=0, label=FLOOR)
    errors = " / ".join(_percent(line["test_error"]) for _, line in rows.groupby("depth"))
    panel.text(
        0.5,
        0.93,
        f"same function, test error\n{errors} %\nat every $\\alpha$",
        ha="center",
        va="top",
        transform=panel.transAxes,
    )
    panel.set(xscale="log", yscale="log", xlabel=FACTOR, ylabel="sharpness / floor")
    panel.set_title("No ceiling: networks with rectifiers, rescaled")


def _percent(errors: pd.Series) -> str:
    ends = [f"{100 * error:.1f}" for error in (errors.min(), errors.max())]
    return "–".join(dict.fromkeys(ends))


def _draw_floors(panel: Axes, rows: pd.DataFrame) -> None:
    wide = rows.pivot(index=rescaling_selection.KEY, columns="kind", values="sharpness_ratio").reset_index()  # noqa: PD010
    before, after = (wide[kind] for kind in LINEAR.values())
    places = wide["depth"] + DODGE * (
        wide.groupby("depth").cumcount() / (wide.groupby("depth").cumcount().max() or 1) - 0.5
    )
    panel.vlines(places, after, before, color="0.7", lw=0.8, zorder=0)
    panel.plot(places, before, ls="", marker="v", color=style.VERMILION, label=LINEAR["orbit_linear-unminimised"])
    panel.plot(places, after, ls="", marker="o", color="black", label=LINEAR["orbit_linear"])
    panel.axhline(1, color="black", lw=1, ls=style.DASHDOT, zorder=0, label=THEORY)
    panel.set(xlabel="depth m (layers)", xticks=sorted(wide["depth"].unique()))
    panel.set_title("A floor: linear networks")
