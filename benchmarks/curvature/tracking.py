"""Sharpness at every step of gradient descent of linear networks, against training alone."""

import contextlib
import io
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from benchmarks.sweep import configuration, digits, sweep
from benchmarks.timing import Row, Section
from flatminima.data.moments import second_moments
from flatminima.generators import generators
from flatminima.minima.hessian import MomentHessian
from flatminima.minima.tracking import SharpnessTracker
from flatminima.networks.initialisations import initialise
from flatminima.training.descent import gradient_descent
from flatminima.training.moment_problem import DiagonalProblem, MomentProblem, Sweep

EXPERIMENT, DEPTH = "linear", 3
WIDTH, WIDE_REPLICAS = 784, 2
REPETITIONS = 3
LARGEST = 0.9
"""Largest step size, in units of the critical one, of the replicas: they all converge."""
TOLERANCE = 1e-3
Weights = Sequence[Tensor]


class SearchedAnew:
    """Searches the largest eigenvalue from nothing at every step."""

    def see(self, step: int, active: Tensor, weights: Weights, problem: DiagonalProblem, sweep: Sweep) -> None:
        """Search it."""
        moment = torch.diag_embed(problem.spectrum.squeeze(-2))
        MomentHessian(weights, moment, problem.cross_moment).top_eigenpair(TOLERANCE)


def measure() -> Section:
    """Follow narrow and wide networks, from the start and from when they have settled."""
    torch.set_num_threads(1)
    narrow, wide = _narrow(), _wide()
    rows = [_row(f"{DEPTH} layers of 64", *narrow, steps=300, every=every) for every in (1, 4)]
    rows.append(_row(f"{DEPTH} layers of {WIDTH}", *wide, steps=20, every=1))
    text = (
        "Training of stacked linear networks on second moments, with their sharpness followed by a vector of rank 2 in "
        f"each layer. Narrow: the experiment `{EXPERIMENT}` of the study of digits as in config.yaml, from its starts, "
        f"step sizes up to {LARGEST:g} critical ones; wide: Gaussian samples. *Overhead* is the time added to that of "
        "training alone, without the search for the first vector, whose time in steps stands beside it, as does that "
        f"of a search from nothing at residuals of {TOLERANCE:g}, which is what a step would take otherwise. "
        "*Residuals*, relative to the value, are the median and the largest over replicas and the second half of the "
        f"steps seen. Processor time of one thread, median of {REPETITIONS} interleaved runs."
    )
    return Section("Sharpness at every step", text, rows)


def _row(name: str, weights: Weights, problem: MomentProblem, rates: Tensor, *, steps: int, every: int) -> Row:
    trackers: list[SharpnessTracker] = []

    def tracked(count: int) -> float:
        trackers.append(SharpnessTracker(every))
        return _seconds(weights, problem, rates, count, trackers[-1])

    candidates: dict[str, Callable[[], float]] = {
        "alone": partial(_seconds, weights, problem, rates, steps),
        "start": partial(tracked, 1),
        "tracked": partial(tracked, steps),
        "anew": partial(_seconds, weights, problem, rates, 1, SearchedAnew()),
    }
    medians = _medians(candidates)
    step, tracker = medians["alone"] / steps, trackers[-1]
    late = slice(len(tracker.steps) // 2, None)
    residuals = torch.stack(tracker.residuals[late]) / torch.stack(tracker.values[late])
    return {
        "network": name,
        "replicas": len(rates),
        "steps": steps,
        "seen every": every,
        "products": tracker.products,
        "step, ms": 1e3 * step,
        "overhead, %": 100 * ((medians["tracked"] - medians["start"]) / (step * (steps - 1)) - 1),
        "start, steps": medians["start"] / step,
        "from nothing, steps": medians["anew"] / step - 1,
        "median residual": float(residuals.median()),
        "largest residual": float(residuals.max()),
    }


def _medians(candidates: dict[str, Callable[[], float]]) -> dict[str, float]:
    """Median of what interleaved runs return."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    with contextlib.redirect_stderr(io.StringIO()):
        for _ in range(REPETITIONS):
            for name, run in candidates.items():
                times[name].append(run())
    return {name: statistics.median(taken) for name, taken in times.items()}


def _seconds(
    weights: Weights,
    problem: MomentProblem,
    rates: Tensor,
    steps: int,
    watcher: SharpnessTracker | SearchedAnew | None = None,
) -> float:
    """Processor seconds of a run."""
    start = time.process_time()
    gradient_descent(weights, problem, rates, steps=steps, tolerance=0.0, snapshots=0, job="benchmark", watcher=watcher)
    return time.process_time() - start


def _narrow() -> tuple[Weights, MomentProblem, Tensor]:
    experiment = configuration().studies["digits"].experiments[EXPERIMENT]
    assert experiment.step_sizes is not None
    moments = second_moments(replace(digits("noisy"), noise_draw="fixed"))
    energy = torch.tensor(moments.target_energy, dtype=torch.float64)
    problem = MomentProblem(torch.from_numpy(moments.input_moment), torch.from_numpy(moments.cross_moment), energy)
    stack, rates = sweep(EXPERIMENT, experiment, DEPTH, moments)
    chosen = torch.tensor([size <= LARGEST for size in experiment.step_sizes] * experiment.seeds)
    return stack.select(chosen).weights, problem, rates[chosen]


def _wide() -> tuple[Weights, MomentProblem, Tensor]:
    """Networks that are to reproduce Gaussian inputs of fifty directions and noise."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(WIDTH, 50, generator=generator, dtype=torch.float64) / WIDTH**0.5
    signal = inputs @ inputs.T
    moment = signal + 0.1 * torch.eye(WIDTH, dtype=torch.float64) / WIDTH
    streams = generators("benchmarks", "tracking", DEPTH, range(WIDE_REPLICAS), "weights")
    weights = initialise("pytorch", [WIDTH] * (DEPTH + 1), streams).weights
    return weights, MomentProblem(moment, signal, signal.trace()), torch.tensor([0.05, 0.1], dtype=torch.float64)
