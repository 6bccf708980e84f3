"""Snakemake without its limit on jobs per second; `python -m flatminima.workflow` takes what `snakemake` takes.

Snakemake 9 limits jobs to 100 a second unless told another limit, and cannot be told that there is none. To keep the
limit it looks for jobs again one second after each look, and once more for every job that has ended: in a long run it
looks hundreds of times a second. Its Python interface has no limit unless one is given.
"""

import sys
from collections.abc import Sequence

from snakemake.cli import args_to_api, parse_args
from snakemake.exceptions import print_exception


def run(arguments: Sequence[str]) -> int:
    """Run a workflow.

    Args:
        arguments: those of the command `snakemake`.

    Returns:
        The exit code: 0 if all went well, else 1.
    """
    try:
        parser, settings = parse_args(list(arguments))
        settings.max_jobs_per_timespan = None
        return 0 if args_to_api(settings, parser) else 1
    except Exception as error:
        print_exception(error)
        return 1


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
