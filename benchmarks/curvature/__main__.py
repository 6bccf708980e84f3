"""Runs the benchmarks of the curvature engine, prints their tables and writes docs/benchmarks-curvature.md."""

from importlib.metadata import version
from pathlib import Path

import torch

from benchmarks.curvature import linear, memory, product, stacked, top, tracking
from flatminima.files import atomic_path
from flatminima.provenance.environment import environment

REPORT = Path("docs/benchmarks-curvature.md")
PEERS = ("curvlinops-for-pytorch", "pyhessian")
HEADER = "# Benchmarks of the curvature engine\n\nMeasured and written by `make benchmark`, on this machine:\n"
LIMITS = """## What limits

- *Any network, one eigenvalue.* The time is that of the products, and a product cannot cost less than its
  multiplications (table of products). The engine needs few of them, because it starts from a tenth of the samples.
- *Any network, ten eigenvalues.* Ten vectors share one Krylov space, so that all methods need about as many products:
  what is gained is the cost of each.
- *Linear networks.* With the moments known and few outputs, vectors have about 2 d_y numbers per unit, and the dearest
  part of a product is that of d_y rows with the input moment. A search takes less time than the moments, a symmetric
  matrix product of which half is computed. With as many outputs as units, products and orthogonalisation share the
  time.
- *Every step.* A product with a vector of rank 2 passes over all matrices that a gradient passes over, but takes a few
  rows instead of as many as the layers are wide: the wider they are, the smaller its share of a step.
- *Replicas.* Stacked or not, the arithmetic is the same; what is saved is the overhead of many small operations.
"""


def main() -> None:
    """Run them one after the other; each table is printed as soon as it is there."""
    torch.set_num_threads(2)
    versions = environment() | {peer: version(peer) for peer in PEERS}
    sections = [HEADER, "".join(f"- {name}: {value}\n" for name, value in versions.items())]
    for benchmark in (top, linear, product, memory, stacked, tracking):
        sections.append(benchmark.measure().markdown())
        print(sections[-1], flush=True)
    sections.append(LIMITS)
    with atomic_path(REPORT) as temporary:
        temporary.write_text("\n".join(sections), encoding="utf-8")


if __name__ == "__main__":
    main()
