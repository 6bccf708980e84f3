"""All statistics of the tables of measures, each declared once."""

from flatminima.record import QUANTILES
from flatminima.statistics.coupling import COUPLING
from flatminima.statistics.orbits import ORBITS
from flatminima.statistics.perceptron import SOLUTIONS
from flatminima.statistics.rescaling import THEOREMS
from flatminima.statistics.sharpness import SHARPNESS
from flatminima.statistics.statistic import Statistic
from flatminima.statistics.theory import SEARCHES

SECTIONS: dict[str, dict[str, Statistic]] = {
    "Loss and sharpness": SHARPNESS,
    "Balance and coupling of layers": COUPLING,
    "Searches, prices and ends of training": SEARCHES,
    "Rescaled networks": THEOREMS,
    "Orbits of rescaled networks": ORBITS,
    "Binary perceptrons": SOLUTIONS,
}
"""Statistics by the heading of their section in docs/measures.md."""
STATISTICS: dict[str, Statistic] = {name: one for section in SECTIONS.values() for name, one in section.items()}


def declared_name(name: str) -> str:
    """Name under which a statistic is declared: of `path_gain_q05`, `path_gain`.

    Raises:
        KeyError: if there is no declaration.
    """
    for ending in QUANTILES:
        stem = name.removesuffix(ending)
        if stem in STATISTICS and (stem == name or STATISTICS[stem].quantiles):
            return stem
    raise KeyError(name)
