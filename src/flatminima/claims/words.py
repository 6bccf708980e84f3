"""Headings of the two numbers that tell the cases of a claim apart: depth and step, or N and α of a perceptron."""

from collections.abc import Collection

from pydantic import BaseModel, ConfigDict


class Words(BaseModel):
    """Headings of the columns `shape` and `setting` of cases.

    Attributes:
        symbols: whether the headings are symbols, to be written as `N = 501` rather than `depth 3`.
    """

    model_config = ConfigDict(frozen=True)

    shape: str
    setting: str
    symbols: bool

    def shapes(self, values: Collection[int]) -> str:
        """`depth 2`, `depths 2, 3`, `N = 501, 1001`."""
        return self._named(self.shape, ", ".join(map(self.size, sorted(values))), len(values) > 1)

    def settings(self, values: Collection[float]) -> str:
        """`step 0.3`, `steps 0.3 to 0.95`, `α = 0.3 to 0.8`."""
        ends = dict.fromkeys(f"{end:.4g}" for end in (min(values), max(values)))
        return self._named(self.setting, " to ".join(ends), len(ends) > 1)

    def size(self, value: int) -> str:
        """`3`; `∞` for the size 0, which stands for perceptrons of infinitely many weights."""
        return str(value) if value else "∞"

    def _named(self, name: str, text: str, several: bool) -> str:
        return f"{name} = {text}" if self.symbols else f"{name.lower()}{'s' * several} {text}"


WORDS = {
    "depth": Words(shape="Depth", setting="Step", symbols=False),
    "size": Words(shape="N", setting="α", symbols=True),
}
"""Headings by the column of the table of record that cases are told apart by."""
