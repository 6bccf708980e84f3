"""The sentence of the README on how long the default run takes, from the page of benchmarks."""

import re
from pathlib import Path

from flatminima.errors import UserError

RUN = "no results"
"""Name of the row of the default run from nothing."""
TITLE = "## Default run"
PROCESSOR = re.compile(r"^- Processor: (.+)$", re.MULTILINE)


def default_run(page: Path) -> dict[str, str]:
    """The default run from nothing, as the page of benchmarks has it: cells of its row by column.

    Raises:
        UserError: if there is no page, or no such row on it.
    """
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    lines = [line for line in text.partition(TITLE)[2].splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]
    rows = [dict(zip(cells[0], row, strict=True)) for row in cells if row[0] == RUN]
    if not rows:
        raise UserError(
            f"{page}: has no row {RUN!r} in its section {TITLE.strip('# ')!r}; write it by `make benchmark`"
        )
    return rows[0]


def sentence(page: Path) -> str:
    """Number of jobs of the default run, and the time they took where they were measured.

    Raises:
        UserError: as `default_run`.
    """
    row = default_run(page)
    minutes, processor = (float(row[column]) / 60 for column in ("seconds", "processor, s"))
    machine = PROCESSOR.findall(page.read_text(encoding="utf-8"))[0]
    place = f"docs/{page.name}"
    return (
        f"Its {row['jobs']} jobs took {minutes:.0f} minutes on {row['cores']} idle cores ({machine}),\n"
        f"{processor:.0f} minutes of processor time; installation apart. [{place}]({place}) tells of other runs.\n"
    )
