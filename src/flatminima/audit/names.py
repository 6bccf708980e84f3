"""Names of the levels of an audit; apart from what they run, so that the command line loads quickly."""

from enum import StrEnum


class LevelName(StrEnum):
    """The levels, in the order in which they run."""

    INTEGRITY = "integrity"
    DERIVATION = "derivation"
    CODE = "code"
    RECOMPUTATION = "recomputation"
