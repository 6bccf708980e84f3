"""Sharpness of linear networks from second moments: its cost does not grow with the number of samples."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from benchmarks.curvature import methods
from benchmarks.curvature.problems import linear
from benchmarks.timing import Row, Section, interleave
from flatminima.curvature.eigensolvers import Eigenpairs
from flatminima.minima.hessian import MomentHessian
from flatminima.networks.initialisations import initialise

WIDTH, DEPTH = 784, 5
TOLERANCE = 1e-6
REPETITIONS = 3


def measure() -> Section:
    """A narrow network against curvlinops, and a wide one on few and on many samples."""
    rows = [_narrow(), *(_wide(samples) for samples in (10_000, 60_000))]
    text = (
        "Seconds for the largest Hessian eigenvalue, two threads, median of interleaved runs. *Moments* is the time "
        "for the second moments, needed once for a data set; *eigenvalue* is all the rest. The narrow network is the "
        f"trained one above, float32 samples, tolerance {methods.TOLERANCE:.0e} for all: *speed-up* is against "
        "curvlinops with scipy's eigsh, with the moments known, and with their time added. The wide network has "
        f"{DEPTH} layers of width {WIDTH} and PyTorch's default start, Gaussian samples, and is certified to "
        f"{TOLERANCE:.0e} in float64; curvlinops is not run on it."
    )
    return Section("Linear networks from second moments", text, rows)


def _narrow() -> Row:
    problem = linear()
    known = methods.moments(problem)
    candidates: dict[str, Callable[[], object]] = {
        "moments": partial(methods.moments, problem),
        "eigenvalue": partial(methods.from_moments, problem, *known, 1),
        "curvlinops": partial(methods.curvlinops_eigsh, problem, 1),
    }
    seconds, _ = interleave(candidates, REPETITIONS)
    exact, found = methods.reference(problem, 1)[0], methods.from_moments(problem, *known, 1)[0]
    return {
        "network": problem.name,
        "samples": len(problem.inputs),
        "moments, s": seconds["moments"],
        "eigenvalue, s": seconds["eigenvalue"],
        "products": "",
        "relative residual": "",
        "error": abs(found / exact - 1),
        "curvlinops, s": seconds["curvlinops"],
        "speed-up": seconds["curvlinops"] / seconds["eigenvalue"],
        "with moments": seconds["curvlinops"] / (seconds["eigenvalue"] + seconds["moments"]),
    }


def _wide(samples: int) -> Row:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(samples, WIDTH, generator=generator, dtype=torch.float64)
    weights = initialise("pytorch", [WIDTH] * (DEPTH + 1), [generator]).weights
    moment = inputs.T @ inputs / samples
    candidates: dict[str, Callable[[], Eigenpairs | Tensor]] = {
        "moments": lambda: inputs.T @ inputs / samples,
        "eigenvalue": partial(_certified, weights, moment),
    }
    seconds, results = interleave(candidates, repetitions=1)
    top = results["eigenvalue"]
    assert isinstance(top, Eigenpairs)
    return {
        "network": f"linear, {DEPTH} layers of {WIDTH}",
        "samples": samples,
        "moments, s": seconds["moments"],
        "eigenvalue, s": seconds["eigenvalue"],
        "products": top.products,
        "relative residual": float(top.residuals[0, 0] / top.eigenvalues[0, 0]),
        "error": "",
        "curvlinops, s": "",
        "speed-up": "",
        "with moments": "",
    }


def _certified(weights: tuple[Tensor, ...], moment: Tensor) -> Eigenpairs:
    """Of a network that is to reproduce its inputs: Syx = Sx."""
    return MomentHessian(weights, moment, moment).top_eigenpair(TOLERANCE)
