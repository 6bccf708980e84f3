"""Errors meant for people: one line that names the key, file or value, what was expected, and the cure."""


class UserError(Exception):
    """A mistake the user can mend. The command line prints its message alone and exits with 2."""


class EmptyFigureError(UserError):
    """The study has no data for this figure; a placeholder is drawn, and the run goes on."""
