"""Gradient descent of linear networks on second moments, against full-batch PyTorch training on the samples."""

from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.optim import SGD

from benchmarks.sweep import configuration, digits, largest_difference, sweep
from benchmarks.timing import Row, Section, interleave
from flatminima.data.moments import second_moments
from flatminima.data.tasks import Samples
from flatminima.networks.modules import as_module
from flatminima.networks.stack import Stack
from flatminima.training.descent import gradient_descent
from flatminima.training.moment_problem import MomentProblem

EXPERIMENT = "linear"
STEPS = 5
REPETITIONS = 5
SAME = 1e-9
Weights = tuple[Tensor, ...]


def measure() -> Section:
    """Time both on the digits, and on samples of MNIST's size, each with the networks of its study."""
    torch.set_num_threads(1)
    rows = _rows("digits", replace(digits("noisy"), noise_draw="fixed"), slice(None))
    rows += _rows("mnist", _synthetic(samples=10_000, inputs=28 * 28), slice(1))
    rows += _rows("mnist", _synthetic(samples=60_000, inputs=28 * 28), slice(1), repetitions=2)
    text = (
        f"The experiment `{EXPERIMENT}` of the studies of digits and MNIST as in config.yaml, but {STEPS} steps, and "
        "for MNIST one replica on Gaussian samples. `gradient_descent` sees the samples' second moments and trains the "
        "replicas in one stack; the loop trains a `torch.nn.Sequential` with `torch.optim.SGD` on all samples, replica "
        "by replica. Both in float64 on one thread. Milliseconds per step of all replicas, median of "
        f"{REPETITIONS} interleaved runs, 2 with 60,000 samples. *Difference* is the largest of any weight after "
        "training, relative to the largest weight of its layer. *Rate* is the arithmetic of a step on moments per "
        "second, as a share of what products of square matrices as wide as the inputs reach in the same runs."
    )
    return Section("Descent on second moments", text, rows)


def _rows(study: str, samples: Samples, replicas: slice, repetitions: int = REPETITIONS) -> list[Row]:
    experiment = configuration().studies[study].experiments[EXPERIMENT]
    moments = second_moments(samples)
    problem = MomentProblem(
        torch.from_numpy(moments.input_moment),
        torch.from_numpy(moments.cross_moment),
        torch.tensor(moments.target_energy, dtype=torch.float64),
    )
    inputs, targets = torch.from_numpy(samples.inputs).double(), torch.from_numpy(samples.targets).double()
    rows: list[Row] = []
    for depth in experiment.depths.value:
        stack, rates = sweep(EXPERIMENT, experiment, depth, moments)
        stack, rates = stack.select(torch.arange(stack.replicas)[replicas]), rates[replicas]
        candidates = {
            "loop": partial(_loop, stack, rates, inputs, targets),
            "moments": partial(_on_moments, stack, rates, problem),
            "products": partial(_products, stack.replicas, inputs.shape[1]),
        }
        seconds, weights = interleave(candidates, repetitions)
        row: Row = {"study": study, "samples": len(inputs), "inputs": inputs.shape[1], "layers": depth}
        row |= {"replicas": stack.replicas}
        row |= {f"{name}, ms": 1e3 * seconds[name] / STEPS for name in ("loop", "moments")}
        row["ratio"] = seconds["loop"] / seconds["moments"]
        row["rate"] = _operations(stack) / seconds["moments"] * seconds["products"] / (2 * inputs.shape[1] ** 3)
        row["difference"] = largest_difference(weights["moments"], weights["loop"], SAME)
        rows.append(row)
    return rows


def _on_moments(stack: Stack, rates: Tensor, problem: MomentProblem) -> Weights:
    return gradient_descent(
        stack.weights, problem, rates, steps=STEPS, tolerance=0.0, snapshots=0, job="benchmark"
    ).parameters


def _products(replicas: int, size: int) -> Weights:
    """As many products of square matrices as there are steps."""
    left, right = torch.ones(2, replicas, size, size, dtype=torch.float64)
    for _ in range(STEPS):
        product = torch.bmm(left, right)
    return (product,)


def _operations(stack: Stack) -> int:
    """Floating-point operations of one replica's gradient on moments: all partial products, P Sx, and the way back."""
    shapes = [weight.shape[1:] for weight in stack.weights]
    (_, inputs), (outputs, _) = shapes[0], shapes[-1]
    later = sum(rows * columns for rows, columns in shapes[1:])
    return 2 * inputs * (outputs * inputs + 3 * later)


def _loop(stack: Stack, rates: Tensor, inputs: Tensor, targets: Tensor) -> Weights:
    trained = []
    for replica in range(stack.replicas):
        network = as_module(stack, replica)
        optimiser = SGD(network.parameters(), lr=float(rates[replica]))
        for _ in range(STEPS):
            optimiser.zero_grad()
            (network(inputs) - targets).square().sum(1).mean().backward()
            optimiser.step()
        trained.append([parameter.detach() for parameter in network.parameters()])
    return tuple(torch.stack(layer) for layer in zip(*trained, strict=True))


def _synthetic(samples: int, inputs: int) -> Samples:
    """Denoising of Gaussian samples that fill 50 directions, with noise as strong as on the digits."""
    generator = np.random.default_rng(0)
    clean = generator.normal(size=(samples, 50)) @ generator.normal(size=(50, inputs)) / np.sqrt(inputs)
    noisy = clean + 1.25 * generator.normal(size=clean.shape)
    x, y = noisy.astype(np.float32), clean.astype(np.float32)
    return Samples(x, y, x, y, noise=1.25, noise_draw="fixed", loss="sum")
