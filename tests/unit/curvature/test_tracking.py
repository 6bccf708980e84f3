"""Sharpness followed through training, against dense Hessians in float64 at every step."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from flatminima.minima.tracking import LowRank, SharpnessTracker, hessian_product
from flatminima.training.descent import gradient_descent
from flatminima.training.moment_problem import DiagonalProblem, MomentProblem, Sweep

REPLICAS, STEPS = 3, 40
WIDTHS = {"two layers": [5, 4, 3], "three layers": [4, 5, 5, 3], "one layer": [4, 3]}


@pytest.fixture(params=WIDTHS)
def widths(request: pytest.FixtureRequest) -> list[int]:
    return WIDTHS[request.param]


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def problem(inputs: int, outputs: int) -> MomentProblem:
    root = drawn(inputs, 3 * inputs, seed=1)
    moment = root @ root.T / (3 * inputs)
    teacher = drawn(outputs, inputs, seed=2)
    return MomentProblem(moment, teacher @ moment, (teacher @ moment @ teacher.T).trace())


def networks(widths: Sequence[int]) -> list[Tensor]:
    return [0.6 * drawn(REPLICAS, b, a, seed=10 + k) / a**0.5 for k, (a, b) in enumerate(pairwise(widths))]


def loss(weights: Sequence[Tensor], moments: MomentProblem | DiagonalProblem) -> Tensor:
    """Written out for one network."""
    product = weights[0]
    for weight in weights[1:]:
        product = weight @ product
    mapped = moments.times_input_moment(product)
    return ((mapped - 2 * moments.cross_moment) * product).sum() + moments.target_energy


def dense(weights: Sequence[Tensor], moments: MomentProblem | DiagonalProblem) -> Tensor:
    """The Hessian of one network by torch.func."""
    sizes = [weight.numel() for weight in weights]

    def of(vector: Tensor) -> Tensor:
        parts = zip(torch.split(vector, sizes), weights, strict=True)
        return loss([part.reshape(weight.shape) for part, weight in parts], moments)

    return torch.func.hessian(of)(torch.cat([weight.flatten() for weight in weights]))


def expanded(direction: LowRank) -> Tensor:
    parts = [(p.mT @ q).flatten(1) for p, q in zip(direction.left, direction.right, strict=True)]
    return torch.cat(parts, 1)


def test_products_of_low_rank_are_those_of_the_dense_hessian(widths):
    """Of the directions' two rows, at networks that are no minima."""
    moments = DiagonalProblem.of(problem(widths[0], widths[-1]))
    weights = networks(widths)
    left = [drawn(REPLICAS, 2, b, seed=30 + b) for b in widths[1:]]
    direction = LowRank(left, [drawn(REPLICAS, 2, a, seed=40 + a) for a in widths[:-1]])
    found = expanded(hessian_product(direction, weights, moments, Sweep.through(weights, moments)))
    for replica in range(REPLICAS):
        expected = dense([weight[replica] for weight in weights], moments) @ expanded(direction)[replica]
        assert torch.allclose(found[replica], expected, rtol=1e-10, atol=1e-10)


class Noted(SharpnessTracker):
    """A tracker that also keeps the weights."""

    def __init__(self, **options: float) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.spectra: list[dict[int, Tensor]] = []

    def see(self, step: int, active: Tensor, weights: Sequence[Tensor], problem: DiagonalProblem, sweep: Sweep) -> None:
        """Note all eigenvalues of the active replicas."""
        super().see(step, active, weights, problem, sweep)
        if self.steps[-1] == step:
            alone = ([weight[k] for weight in weights] for k in range(len(active)))
            dense_ones = [torch.linalg.eigvalsh(dense(one, problem)) for one in alone]
            self.spectra.append(dict(zip(active.tolist(), dense_ones, strict=True)))


def followed(widths: Sequence[int], tracker: Noted, rates: Callable[[Tensor], Tensor] = lambda r: r) -> Noted:
    steps = rates(torch.tensor([0.02, 0.04, 0.06], dtype=torch.float64))
    moments = problem(widths[0], widths[-1])
    gradient_descent(
        networks(widths), moments, steps, steps=STEPS, tolerance=0.0, snapshots=0, job="test", watcher=tracker
    )
    return tracker


def test_values_and_residuals_hold_at_every_step(widths):
    """None is above the largest eigenvalue, and an eigenvalue lies within each residual."""
    tracker = followed(widths, Noted())
    assert tracker.steps == list(range(STEPS))
    for values, residuals, spectra in zip(tracker.values, tracker.residuals, tracker.spectra, strict=True):
        for replica, eigenvalues in spectra.items():
            rounding = 1e-6 * float(eigenvalues[-1])
            assert values[replica] <= eigenvalues[-1] + rounding
            assert (eigenvalues - values[replica]).abs().min() <= residuals[replica] + rounding


def test_the_largest_eigenvalue_is_followed(widths):
    """To five percent at every step, and to one at the end; by vectors of full rank, at small steps."""
    tracker = followed(widths, Noted(rank=5, tolerance=1e-3), lambda rates: rates / 4)
    errors = torch.tensor(
        [
            [1 - float(values[replica] / eigenvalues[-1]) for replica, eigenvalues in spectra.items()]
            for values, spectra in zip(tracker.values, tracker.spectra, strict=True)
        ]
    )
    assert errors.max() < 0.05
    assert errors[-1].max() < 1e-2


def test_every_third_step():
    """Others are left out."""
    tracker = followed(WIDTHS["two layers"], Noted(every=3))
    assert tracker.steps == list(range(0, STEPS, 3))
    assert tracker.products >= len(tracker.steps)


def test_replicas_that_stop_have_no_value():
    """One diverges by its step size; the others are followed as if it had never been."""

    def one_too_large(rates: Tensor) -> Tensor:
        return torch.cat([rates[:1], torch.full((1,), 20.0, dtype=torch.float64), rates[2:]])

    tracker = SharpnessTracker()
    moments, weights = problem(5, 3), networks([5, 4, 3])
    rates = one_too_large(torch.tensor([0.02, 0.04, 0.06], dtype=torch.float64))
    gradient_descent(weights, moments, rates, steps=400, tolerance=0.0, snapshots=0, job="test", watcher=tracker)
    assert tracker.values[-1].isnan().tolist() == [False, True, False]
    assert (tracker.residuals[-1][[0, 2]] < 0.05 * tracker.values[-1][[0, 2]]).all()
