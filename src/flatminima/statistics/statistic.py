"""Declaration of a statistic."""

from dataclasses import dataclass
from typing import Literal

Worst = Literal["far from one", "small", "large"]
"""Bad end of a statistic's values: gains far from one, small cosines, large residuals."""


@dataclass(frozen=True)
class Statistic:
    """A statistic of the tables of measures.

    Attributes:
        heading: of its columns in tables for people.
        symbol: its formula in LaTeX, symbols as in `place`; empty where words say it better.
        meaning: one sentence.
        place: page and anchor in docs/ where its formula is explained.
        kinds: of studies that measure it; empty for all kinds.
        unit: empty for pure numbers.
        within: columns that tell its values of one network apart; none for a statistic of the whole network.
        worst: which end of its values deviates most from a flattest minimum, None where neither does.
        quantiles: whether its quantiles over samples are measured, under its name with the endings of
            `flatminima.record.QUANTILES`; under its own name stands the median.
    """

    heading: str
    symbol: str
    meaning: str
    place: str
    kinds: tuple[str, ...]
    unit: str = ""
    within: tuple[str, ...] = ()
    worst: Worst | None = None
    quantiles: bool = False

    def measured_in(self, kind: str) -> bool:
        """Whether studies of a kind measure it."""
        return not self.kinds or kind in self.kinds
