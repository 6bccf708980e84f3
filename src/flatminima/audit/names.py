"""Levels and tolerance of an audit; apart from what they run, so that the command line loads quickly."""

from enum import StrEnum

TOLERANCE = 1e-2
"""Relative difference that another machine may make: rounding grows along thousands of training steps."""


class LevelName(StrEnum):
    """The levels, in the order in which they run."""

    INTEGRITY = "integrity"
    DERIVATION = "derivation"
    CODE = "code"
    RECOMPUTATION = "recomputation"
