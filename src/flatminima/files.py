"""Files that are either whole or absent: written to a temporary neighbour, then renamed; names of numbered files."""

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from flatminima.errors import UserError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
NUMBERS = re.compile(r"\{0\.\.(\d{1,6})\}")
"""Numbers from zero to the one named, as bash writes them in braces."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, delete it on failure.

    Errors of the block that have nothing to do with writing (a missing input, a failed download) pass unchanged.

    Args:
        path: the file to write; its folder is made when missing.

    Raises:
        UserError: if the folder cannot be written or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    except OSError as error:
        raise _for_people(path, error) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        if _errno(error) in DISK_FULL or getattr(error, "filename", None) == name:
            raise _for_people(path, error) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _for_people(path: Path, error: Exception) -> UserError:
    code = _errno(error)
    if code in DISK_FULL:
        return UserError(f"{path}: no space left on the disk; free some and run again: finished steps are kept")
    reason = os.strerror(code) if code else error
    return UserError(f"{path}: cannot be written ({reason}); make the folder writable or choose another")


def _errno(error: Exception) -> int | None:
    """The system's error number, which safetensors gives only in its message."""
    if isinstance(error, OSError):
        return error.errno
    found = re.search(r"os error (\d+)", str(error))
    return int(found[1]) if found else None


def numbered(name: str) -> list[str]:
    """The names that one stands for, in the notation of bash: `relu-part{0..2}.parquet` for three; else itself.

    A command's length is limited, and the number of its files is not.
    """
    found = NUMBERS.search(name)
    return [NUMBERS.sub(str(number), name) for number in range(int(found[1]) + 1)] if found else [name]
