"""Numbers as the report and the README print them."""

import math

MINUS = "\N{MINUS SIGN}"


def number(value: float | None) -> str:
    """Four significant digits; a dash where there is no value."""
    return "–" if value is None or math.isnan(value) else f"{value:.4g}".replace("-", MINUS)


def percent(share: float | None) -> str:
    """A share as a percentage with one decimal where it needs one; a dash where there is no value."""
    if share is None or math.isnan(share):
        return "–"
    return f"{share * 100:.1f}".removesuffix(".0") + "\N{NO-BREAK SPACE}%"


def plural(count: int, noun: str, several: str = "") -> str:
    """`1 network`, `2,000 networks`; `several` where the plural is not made with s."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {several or noun + 's'}"


def interval(low: float | None, high: float | None, share: bool = False) -> str:
    """`[0.1, 0.3]`, of shares in per cent; nothing where there is no interval."""
    text = percent if share else number
    return "" if low is None or high is None else f"[{text(low)}, {text(high)}]"
