"""The settings that a run was asked for: config.yaml, and what --configfile put in place of some of it."""

from collections.abc import Sequence
from pathlib import Path

from flatminima.config import Config, load
from flatminima.errors import UserError
from flatminima.settings.parsing import parse


def configured(path: Path, further: Sequence[Path]) -> Config:
    """Settings as Snakemake merges them: mappings key by key, everything else replaced.

    Args:
        path: config.yaml of the checkout.
        further: configuration files of the command line, in their order.

    Raises:
        UserError: if a file cannot be read, or the settings do not fit the schema.
    """
    if not further:
        return load(path)
    from snakemake.common.configfile import load_configfile
    from snakemake.exceptions import WorkflowError
    from snakemake.utils import update_config

    values: dict[str, object] = {}
    for file in (path, *further):
        try:
            update_config(values, load_configfile(file))
        except (WorkflowError, OSError, UnicodeDecodeError) as error:
            raise UserError(f"{file}: not a configuration: {' '.join(str(error).split())}") from error
    return parse(Config, values, " with ".join(map(str, (path, *further))))
