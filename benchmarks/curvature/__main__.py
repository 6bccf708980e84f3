"""Runs the benchmarks of the curvature engine, prints their tables and writes docs/benchmarks-curvature.md."""

from importlib.metadata import version
from pathlib import Path

import torch

from benchmarks.curvature import linear, memory, product, stacked, top
from flatminima.provenance.files import atomic_path
from flatminima.report.environment import environment

REPORT = Path("docs/benchmarks-curvature.md")
PEERS = ("curvlinops-for-pytorch", "pyhessian")
HEADER = (
    "# Benchmarks of the curvature engine\n\nMeasured and written by `make benchmark-curvature`, on this machine:\n"
)


def main() -> None:
    """Run them one after the other; each table is printed as soon as it is there."""
    torch.set_num_threads(2)
    versions = environment() | {peer: version(peer) for peer in PEERS}
    sections = [HEADER, "".join(f"- {name}: {value}\n" for name, value in versions.items())]
    for benchmark in (top, linear, product, memory, stacked):
        sections.append(benchmark.measure().markdown())
        print(sections[-1], flush=True)
    with atomic_path(REPORT) as temporary:
        temporary.write_text("\n".join(sections))


if __name__ == "__main__":
    main()
