"""What the two numbers that tell the cases of an experiment apart are called: depth and step, or N and alpha."""

from collections.abc import Collection
from dataclasses import dataclass

PERCEPTRON = (
    *("attempts_", "planted", "enumerated", "margin_solutions"),
    *("zero_margin", "high_margin", "ordering", "reversals", "thresholds"),
)
"""How the names of a perceptron study's experiments begin (perceptron/records.py says what their columns hold)."""


@dataclass(frozen=True)
class Words:
    """Headings of the two columns, and whether they are written as symbols."""

    depth: str
    step: str
    symbols: bool

    def depths(self, values: Collection[int]) -> str:
        """`depth 2`, `depths 2, 3`, `N = 501, 1001`."""
        return self._named(self.depth, ", ".join(map(str, sorted(values))), len(values) > 1)

    def steps(self, values: Collection[float]) -> str:
        """`step 0.3`, `steps 0.3 to 0.95`, `α = 0.3 to 0.8`."""
        ends = dict.fromkeys(f"{end:.4g}" for end in (min(values), max(values)))
        return self._named(self.step, " to ".join(ends), len(ends) > 1)

    def _named(self, name: str, text: str, several: bool) -> str:
        return f"{name} = {text}" if self.symbols else f"{name.lower()}{'s' * several} {text}"


def words(experiment: str) -> Words:
    """The words for an experiment, or for one of its controls."""
    return Words("N", "α", symbols=True) if experiment.startswith(PERCEPTRON) else Words("Depth", "Step", symbols=False)
