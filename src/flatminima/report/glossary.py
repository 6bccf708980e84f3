"""The statistics of the tables of measures, as docs/measures.md lists them."""

from flatminima.record import FIRST_LAYER
from flatminima.report.verdict_tables import markdown
from flatminima.statistics.catalogue import SECTIONS
from flatminima.statistics.statistic import Statistic

HEADER = ["statistic", "formula", "meaning", "unit", "one value for each", "studies of kind"]


def glossary() -> str:
    """A table in Markdown for every section of the catalogue; formulas in LaTeX between dollars."""
    return "\n".join(
        f"## {heading}\n\n{markdown([HEADER, *(_row(name, one) for name, one in section.items())])}"
        for heading, section in SECTIONS.items()
    )


def _row(name: str, one: Statistic) -> list[str]:
    formula = f"${one.symbol}$" if one.symbol else ""
    kinds = ", ".join(one.kinds) or "all"
    return [f"[`{name}`]({one.place})", formula, one.meaning, one.unit, _within(name, one), kinds]


def _within(name: str, one: Statistic) -> str:
    columns = " or ".join({"flips": "number of flips"}.get(column, column) for column in one.within)
    first = FIRST_LAYER.get(name, 1)
    return (columns or "network") + f", from {first}" * (first > 1) + "; quantiles" * one.quantiles
