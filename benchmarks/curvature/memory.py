"""Peak memory of products with a convolutional network's Hessian, each in a process of its own."""

import multiprocessing
import os
import time
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from benchmarks.curvature.methods import pyhessian_operator
from benchmarks.curvature.problems import convolutional
from benchmarks.timing import Row, Section
from flatminima.curvature.operators import Hessian

SAMPLES = (2_000, 50_000)
BUDGETS = (256, 1024)
LIMIT = 2048
PRODUCTS = 2


def measure() -> Section:
    """As the samples grow, under two budgets; and PyHessian, which keeps the whole graph, on the fewer samples."""
    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        del os.environ[name]  # memory that is kept for speed would count
    few, many = SAMPLES
    rows = [_apart("PyHessian", few, 0), *(_apart("flatminima", few, budget) for budget in BUDGETS)]
    rows.append(_apart("flatminima", many, BUDGETS[0]))
    text = (
        "What a process takes at its peak beyond what it takes with the network trained and the samples in memory, "
        f"and in all: wanted are {LIMIT} MiB in all at any number of samples. Seconds for setting up and {PRODUCTS} "
        "products. PyHessian keeps the graph of all samples."
    )
    return Section("Memory, convolutional network", text, rows)


def _apart(method: str, samples: int, budget: float) -> Row:
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(sender, method, samples, budget))
    process.start()
    sender.close()
    row: Row = receiver.recv()
    process.join()
    return row


def _measure(sender: Connection, method: str, samples: int, budget: float) -> None:
    torch.set_num_threads(2)
    problem = convolutional(samples)
    _restart_peak()
    before, start = _peak(), time.perf_counter()
    if method == "flatminima":
        hessian = Hessian(problem.model, problem.loss, (problem.inputs, problem.targets), memory=budget)
        for _ in range(PRODUCTS):
            hessian.matvec(torch.ones(hessian.shape[0]))
    else:
        pyhessian_operator(problem).eigenvalues(maxIter=PRODUCTS)
    row: Row = {"method": method, "samples": samples, "budget, MiB": budget if budget else "none"}
    row |= {"samples, MiB": problem.inputs.nbytes / 2**20, "seconds": time.perf_counter() - start}
    sender.send(row | {"beyond, MiB": round(_peak() - before), "in all, MiB": round(_peak())})


def _restart_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def _peak() -> float:
    """Resident MiB, at most since the last restart."""
    (line,) = (
        line for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM")
    )
    return int(line.split()[1]) / 2**10
