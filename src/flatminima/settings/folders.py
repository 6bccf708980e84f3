"""Folders as the configuration names them: ~/data, $SCRATCH/data, or plainly."""

import os
import re
from pathlib import Path

from flatminima.errors import UserError

VARIABLE = re.compile(r"\$(\w+)|\$\{([^}]*)\}")


def placed(path: str, data_root: str) -> Path:
    """A file of data on this machine: absolute, or relative to the folder of data.

    Args:
        path: such as faces.npz, ~/faces.npz or $SCRATCH/faces.npz.
        data_root: the folder of data, as the configuration names it.

    Raises:
        UserError: as `expanded`.
    """
    return expanded(data_root, "data_root") / expanded(path, "dataset.path")


def expanded(folder: str, key: str) -> Path:
    """A folder on this machine, its home folder and environment variables put in.

    The configuration, and manifests, keep the text as it was written: it means the same to everybody, and each reader
    their own folder.

    Args:
        folder: such as data, ~/data or $SCRATCH/data.
        key: where it was written, for the message.

    Raises:
        UserError: if it names a variable that is not set here, or a user who is not known here.
    """
    for found in VARIABLE.finditer(folder):
        name = found[1] or found[2]
        if not os.environ.get(name):
            raise UserError(f"{key} is {folder!r}: the variable {name!r} is not set; set it, or write the folder out")
    path = Path(os.path.expandvars(folder))
    try:
        return path.expanduser()
    except RuntimeError:
        raise UserError(f"{key} is {folder!r}: {path.parts[0]!r} is not known here; write the folder out") from None
