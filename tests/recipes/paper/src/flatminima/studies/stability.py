"""Studies of stability: gradient descent beside minima of random quadratic losses."""

from flatminima.config import Config
from flatminima.settings.stability import StabilityStudy
from flatminima.studies.kind import MEASURED, Exhibit, Kind


def parts(_: Config, study: StabilityStudy, table: str) -> list[str]:
    """All runs together."""
    return ["descent"]


FIGURES = {
    "stability-limit": Exhibit(
        "Below 2 / sharpness runs approach the minimum, above it they leave",
        "How far from its minimum gradient descent on a random quadratic loss ends, over how far it starts, against "
        "the step size in units of 2 / sharpness. Each point is a loss; claim S1 counts those left of the dashed "
        "line, and those right of it are its control.",
        "Points below 1 left of a vertical line, far above 1 right of it, on a logarithmic scale.",
    ),
}

TABLES = {
    "descent": Exhibit(
        "Distance from the minimum",
        "One row per step size, in units of 2 / sharpness: how many runs there are, and the median distance from the "
        "minimum after the last step, over that of the start, with the 5 % and 95 % quantiles in brackets.",
    ),
}

KIND = Kind(name="stability", stages=MEASURED, overview="stability-limit", figures=FIGURES, tables=TABLES, parts=parts)
