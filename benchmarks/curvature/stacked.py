"""Sharpness of thirty replicas of a small network, in one stack and one by one."""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import one_hot

from benchmarks.curvature.methods import TOLERANCE, curvlinops_eigsh
from benchmarks.curvature.problems import Problem
from benchmarks.timing import Row, Section, interleave
from flatminima.curvature.eigensolvers import eigenpairs, stacked_eigenpairs
from flatminima.curvature.losses import sample_losses
from flatminima.curvature.operators import Hessian
from flatminima.curvature.stacked import StackedHessian
from flatminima.generators import generators
from flatminima.networks.initialisations import initialise
from flatminima.networks.modules import as_module
from flatminima.networks.stack import Stack

REPLICAS = 30
WIDTHS = [64, 32, 10]
STEPS, RATE = 200, 1.0
LOSS, SCALE = nn.MSELoss(), 1 / WIDTHS[-1]
REPETITIONS = 3
MEMORY = 2**31


def measure() -> Section:
    """Train the replicas, and compare."""
    inputs, targets = _data()
    stack = _trained(inputs, targets)

    def together() -> Tensor:
        hessian = StackedHessian(sample_losses(stack, inputs, targets, SCALE, MEMORY), stack.parameters)
        return stacked_eigenpairs(hessian, tolerance=TOLERANCE).eigenvalues[:, 0]

    def one_by_one() -> Tensor:
        return torch.cat([_alone(stack, replica, inputs, targets) for replica in range(REPLICAS)])

    def with_curvlinops() -> Tensor:
        problems = (Problem("", as_module(stack, k), LOSS, inputs, targets) for k in range(REPLICAS))
        return torch.tensor([curvlinops_eigsh(problem, 1)[0] for problem in problems])

    candidates = {"stacked": together, "one by one": one_by_one, "one by one, curvlinops": with_curvlinops}
    seconds, values = interleave(candidates, REPETITIONS)
    rows: list[Row] = [
        {
            "method": name,
            "replicas": REPLICAS,
            "samples": len(inputs),
            "seconds": seconds[name],
            "speed-up": seconds[name] / seconds["stacked"],
            "largest difference": float((values[name] / values["stacked"] - 1).abs().max()),
        }
        for name in candidates
    ]
    text = (
        f"ReLU networks 64-32-10 on scikit-learn's digits, {REPLICAS} seeds trained for {STEPS} steps, float32: their "
        f"largest eigenvalues by one stacked solve, by one solve each, and by curvlinops with scipy's eigsh; tolerance "
        f"{TOLERANCE:.0e}, two threads, median of {REPETITIONS} interleaved runs. *Speed-up* is that of the stack."
    )
    return Section("Thirty replicas of a small network", text, rows)


def _data() -> tuple[Tensor, Tensor]:
    digits = load_digits()
    return torch.from_numpy(digits.data / 16).float(), one_hot(torch.from_numpy(digits.target), WIDTHS[-1]).float()


def _trained(inputs: Tensor, targets: Tensor) -> Stack:
    streams = generators("benchmarks", "curvature", 2, range(REPLICAS), "weights")
    stack = initialise("pytorch", WIDTHS, streams, rectified=True)
    parameters = [weight.float() for weight in stack.weights]
    for _ in range(STEPS):
        leaves = [parameter.requires_grad_() for parameter in parameters]
        loss = sum(chunk(tuple(leaves)).sum() for chunk in sample_losses(stack, inputs, targets, SCALE, MEMORY))
        gradients = torch.autograd.grad(loss, leaves)
        parameters = [(p - RATE * g).detach() for p, g in zip(leaves, gradients, strict=True)]
    return stack.with_parameters(parameters)


def _alone(stack: Stack, replica: int, inputs: Tensor, targets: Tensor) -> Tensor:
    hessian = Hessian(as_module(stack, replica), LOSS, (inputs, targets))
    return eigenpairs(hessian, tolerance=TOLERANCE).eigenvalues
