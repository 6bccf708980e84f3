"""Text for terminals that cannot show all of it, and for readers who stop reading."""

import codecs
import errno
import io
import os
import re
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from flatminima.errors import UserError

PLAIN = "flatminima.plain"
"""The name by which streams know `replace`."""
HOME = re.compile(r"^((?:--[a-z-]+=)?)~(?=/|$)")


def prepare() -> None:
    """Let standard output and error replace what their encoding lacks, in place of ending in a traceback."""
    codecs.register_error(PLAIN, replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=PLAIN)


def words(arguments: Sequence[str]) -> list[str]:
    """Arguments with the home folder put in where a shell leaves ~ as it is: in quotes, in `--output=~/figure.svg`."""
    return [HOME.sub(lambda found: f"{found[1]}{Path.home()}", word) for word in arguments]


def replace(error: UnicodeError) -> tuple[str, int]:
    """A codec's error handler that writes what is missing in ASCII: ... for an ellipsis, - for a dash, alpha for α."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(plain, error.object[error.start : error.end])), error.end


def plain(character: str) -> str:
    """One character in ASCII; a question mark where it has no likeness."""
    name = unicodedata.name(character, "")
    if unicodedata.category(character) == "Pd" or name == "MINUS SIGN":
        return "-"
    if name.startswith("GREEK "):
        return name.split(" WITH ")[0].split()[-1].lower()
    return unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode() or "?"


def finish() -> None:
    """Write what is left, unless its reader has gone, as `head` does after its last line.

    Raises:
        UserError: if the disk is full.
    """
    if sys.stdout is None:  # closed before the command began
        return
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno != errno.EPIPE:
            raise UserError(
                f"standard output: cannot be written ({error.strerror}); free space or name another file"
            ) from None
