"""Names of an audit's levels, and what they ask of every run; apart from them, so that the command line loads fast."""

from enum import StrEnum

TOLERANCE = 1e-2
"""Relative difference that another machine may make: rounding grows along thousands of training steps."""

UNRECORDED = (
    "Snakemake's records of the run (.snakemake/metadata) were not there when the manifest was written; put them back "
    "and run `snakemake STUDY --forcerun manifest`, or make the study again: `snakemake STUDY --forceall`"
)
"""Why nothing says what made files, and what to do."""


class LevelName(StrEnum):
    """The levels, in the order in which they run."""

    INTEGRITY = "integrity"
    DERIVATION = "derivation"
    CODE = "code"
    RECOMPUTATION = "recomputation"
