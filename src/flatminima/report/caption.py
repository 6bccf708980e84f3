"""What a reader is told about one figure or table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Caption:
    """What a reader is told about one figure or table.

    Attributes:
        title: a few words.
        text: how to read it, in plain text.
        alternative: what a reader who cannot see the figure needs to know; empty for tables.
    """

    title: str
    text: str
    alternative: str = ""
