"""Runs all cases, prints what is not right, and writes the table of docs/curvature.md."""

from pathlib import Path

import torch

from benchmarks.layers.families import FAMILIES
from benchmarks.layers.outcomes import outcomes
from benchmarks.layers.table import RIGHT, labels, table
from flatminima.report.scoreboard import update_between

PAGE = Path("docs/curvature.md")


def main() -> None:
    """One family after the other; what is not right is printed as soon as it is known."""
    torch.set_num_threads(1)
    found = {}
    for family, cases in FAMILIES.items():
        found[family] = {case.name: outcomes(case) for case in cases}
        for name, outcome in found[family].items():
            for label, one in labels(name, outcome).items():
                if one != RIGHT:
                    print(f"{label}: {one.verdict}: {one.detail}", flush=True)
    update_between(PAGE, "sweep", table(found))


if __name__ == "__main__":
    main()
