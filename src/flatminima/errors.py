"""Errors meant for people: one line that names the key, file or value, what was expected, and the cure."""


class UserError(Exception):
    """A mistake the user can mend. The command line prints its message alone and exits with 2."""


class EmptyFigureError(UserError):
    """A study without what a figure shows: such a figure says so, and the run goes on."""
