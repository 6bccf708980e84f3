"""Peak memory of products with Hessians, of convolutions and of attention, each in a process of its own."""

import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from benchmarks.curvature.methods import pyhessian_operator
from benchmarks.curvature.problems import Problem, attention, convolutional
from benchmarks.timing import Row, Section
from flatminima.curvature.operators import Hessian

IMAGES = (2_000, 50_000)
SEQUENCES = (200, 2_000)
BUDGETS = (256, 1024)
LIMIT = 2048
NETWORKS: dict[str, Callable[[int], Problem]] = {"convolutional": convolutional, "attention": attention}
PRODUCTS = {"convolutional": 2, "attention": 1}


def measure() -> Section:
    """As the samples grow, under two budgets; and PyHessian, which keeps the whole graph, on the fewer samples."""
    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        del os.environ[name]  # memory that is kept for speed would count
    few, many = IMAGES
    rows = [_apart("PyHessian", "convolutional", few, 0)]
    rows += [_apart("flatminima", "convolutional", few, budget) for budget in BUDGETS]
    rows.append(_apart("flatminima", "convolutional", many, BUDGETS[0]))
    rows += [_apart("flatminima", "attention", count, BUDGETS[0]) for count in SEQUENCES]
    text = (
        "What a process takes at its peak beyond what it takes with the network ready and the samples in memory, "
        f"and in all: wanted are {LIMIT} MiB in all at any number of samples. Seconds for setting up and "
        f"{PRODUCTS['convolutional']} products with the convolutional network's Hessian, {PRODUCTS['attention']} with "
        "that of the network with attention, which has a layer of two heads on sequences of 1,024 tokens: the scores "
        "of one sequence alone would take 8 MiB each time that they are kept, and are not. PyHessian keeps the graph "
        "of all samples; with attention it is not run, for it would take more memory than there is."
    )
    return Section("Memory", text, rows)


def _apart(method: str, network: str, samples: int, budget: float) -> Row:
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(sender, method, network, samples, budget))
    process.start()
    sender.close()
    row: Row = receiver.recv()
    process.join()
    return row


def _measure(sender: Connection, method: str, network: str, samples: int, budget: float) -> None:
    torch.set_num_threads(2)
    problem = NETWORKS[network](samples)
    _restart_peak()
    before, start = _peak(), time.perf_counter()
    if method == "flatminima":
        hessian = Hessian(problem.model, problem.loss, (problem.inputs, problem.targets), memory=budget)
        for _ in range(PRODUCTS[network]):
            hessian.matvec(torch.ones(hessian.shape[0]))
    else:
        pyhessian_operator(problem).eigenvalues(maxIter=PRODUCTS[network])
    row: Row = {"method": method, "network": network, "samples": samples, "budget, MiB": budget if budget else "none"}
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
