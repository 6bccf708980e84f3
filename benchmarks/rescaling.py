"""The flattest network of an orbit, in units of one top eigenvalue, and against searches of scipy over log-scales."""

import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor, nn
from torch.optim import SGD

from benchmarks.sweep import digits
from benchmarks.timing import Row, Section, interleave
from flatminima.curvature.eigensolvers import Eigenpairs, eigenpairs
from flatminima.curvature.operators import GaussNewton
from flatminima.networks.losses import squared_error
from flatminima.rescaling.maps import Rescaling
from flatminima.rescaling.orbit import OrbitMinimum, Rescaled, flattest
from flatminima.rescaling.tracing import Kind

TOLERANCE = 1e-6
RESIDUAL = TOLERANCE**0.5 / 10
REPETITIONS = 3
STEPS, BATCH, RATE = 200, 64, 0.1
EVALUATIONS = 400
LIMIT = 20.0
Batch = tuple[Tensor, Tensor]
Array = NDArray[np.float64]


def measure() -> Section:
    """Time both on the digits, and on Gaussian samples with as many inputs as MNIST has."""
    torch.set_num_threads(1)
    samples = digits("labels")
    images = torch.from_numpy(samples.inputs).double(), torch.from_numpy(samples.targets).double()
    rows = [
        _row([64, 16, 16, 10], images, "layers", peers=True),
        _row([64, 16, 16, 10], images, "units", peers=True),
        _row([64, 256, 256, 256, 10], images, "layers", peers=False),
        _row([784, 256, 256, 256, 10], _synthetic(samples=2000, inputs=784), "layers", peers=False),
    ]
    text = (
        f"ReLU networks with biases after {STEPS} steps of SGD. *Eigenvalue*: the top eigenvalue of the Gauss-Newton "
        f"matrix to a relative residual of {RESIDUAL:g}, hence an accuracy of about {RESIDUAL**2:g}; *orbit*: its "
        f"least value over all rescalings of layers or of units, with a certified gap of at most {TOLERANCE:g}. "
        f"Seconds are medians of {REPETITIONS} interleaved runs on one thread; *ratio* is that of seconds (allowed: "
        f"{LIMIT:g}), products are those with the matrix. *BFGS* (gradients from the eigenvector) and *simplex* "
        "(Nelder & Mead) of scipy minimise the logarithm of the top eigenvalue over log-scales, with an eigensolve to "
        f"the same residual at each of at most {EVALUATIONS} points, and stop where they have come as close to the "
        "minimum as the orbit's gap, which they could not know: products relative to the orbit's, and the relative "
        "distance from the minimum in the end."
    )
    return Section("Flattest network of an orbit", text, rows)


def _row(widths: list[int], data: Batch, kind: Kind, *, peers: bool) -> Row:
    model = _trained(widths, data)
    group, curvature = Rescaling(model, kind), GaussNewton(model, squared_error, data)
    candidates: dict[str, Callable[[], Eigenpairs | OrbitMinimum]] = {
        "eigenvalue": partial(eigenpairs, curvature, tolerance=RESIDUAL),
        "orbit": partial(flattest, curvature, group, tolerance=TOLERANCE),
    }
    seconds, found = interleave(candidates, REPETITIONS)
    least = found["orbit"]
    assert isinstance(least, OrbitMinimum)
    row: Row = {"network": "-".join(map(str, widths)), "samples": len(data[0]), "scales": f"{group.size} ({kind})"}
    for name, result in found.items():
        row |= {f"{name}, s": seconds[name], f"{name}, products": result.products}
    ratio = seconds["orbit"] / seconds["eigenvalue"]
    row |= {"ratio": ratio, "within": "yes" if ratio <= LIMIT else "no"}
    for name, method in (("BFGS", "BFGS"), ("simplex", "Nelder-Mead")):
        row |= dict.fromkeys((f"{name}, products", f"{name}, gap"), "")
        if peers:
            products, gap = _search(curvature, group, method, least.value)
            row |= {f"{name}, products": products / least.products, f"{name}, gap": gap}
    return row


def _search(curvature: GaussNewton, group: Rescaling, method: str, least: float) -> tuple[int, float]:
    """Products that a search of scipy needs, and how far above the minimum it ends, relative to it."""
    products, values = 0, []

    def objective(scales: Array) -> tuple[float, Array]:
        nonlocal products
        multipliers = torch.exp(-group.exponents(torch.from_numpy(scales)))
        top = eigenpairs(Rescaled(curvature, multipliers), tolerance=RESIDUAL)
        products += top.products
        values.append(float(top.eigenvalues[0]))
        if values[-1] <= least * (1 + TOLERANCE) or len(values) == EVALUATIONS:
            raise StopIteration
        return math.log(values[-1]), -2 * group.pullback(top.eigenvectors[0].square()).numpy()

    gradients = method == "BFGS"
    options = {} if gradients else {"xatol": 0, "fatol": 0, "adaptive": True}
    with suppress(StopIteration):
        minimize(
            objective if gradients else lambda scales: objective(scales)[0],
            np.zeros(group.size),
            jac=gradients,
            method=method,
            options=options,
        )
    return products, min(values) / least - 1


def _trained(widths: list[int], data: Batch) -> nn.Sequential:
    inputs, targets = data
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    layers = [layer for shape in pairwise(widths) for layer in (nn.Linear(*shape), nn.ReLU())]
    model = nn.Sequential(*layers[:-1]).double()
    optimiser = SGD(model.parameters(), RATE)
    for _ in range(STEPS):
        batch = torch.randint(len(inputs), (BATCH,), generator=generator)
        optimiser.zero_grad()
        squared_error(model(inputs[batch]), targets[batch]).backward()
        optimiser.step()
    return model


def _synthetic(samples: int, inputs: int) -> Batch:
    """Gaussian samples that fill 50 directions, in ten classes."""
    generator = torch.Generator().manual_seed(0)
    latent, mixing, classes = (
        torch.randn(shape, generator=generator, dtype=torch.float64)
        for shape in ((samples, 50), (50, inputs), (50, 10))
    )
    labels = (latent @ classes).argmax(1)
    return latent @ mixing / inputs**0.5, nn.functional.one_hot(labels, 10).double()
