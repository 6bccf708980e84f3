"""Runs all benchmarks, prints their tables and writes them to docs/benchmarks.md."""

from pathlib import Path

from benchmarks import moment_descent, perceptron_solvers, perceptron_theory, pipeline, rescaling, stacked_training
from flatminima.files import atomic_path
from flatminima.provenance.environment import environment

REPORT = Path("docs/benchmarks.md")
HEADER = "# Benchmarks\n\nMeasured and written by `make benchmark`, on this machine:\n"


def main() -> None:
    """Run them one after the other; each table is printed as soon as it is there."""
    machine = "".join(f"- {name}: {value}\n" for name, value in environment().items())
    sections = [HEADER, machine]
    every = (stacked_training, moment_descent, rescaling, perceptron_theory, perceptron_solvers, pipeline)
    for benchmark in every:
        sections.append(benchmark.measure().markdown())
        print(sections[-1], flush=True)
    with atomic_path(REPORT) as temporary:
        temporary.write_text("\n".join(sections), encoding="utf-8")


if __name__ == "__main__":
    main()
