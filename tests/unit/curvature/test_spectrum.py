"""Densities, traces and ranks of matrices whose spectra are known, and whether their errors are what they claim."""

import numpy as np
import pytest
import torch
from modules import Dense, data, dense_gauss_newton, mlp, with_spectrum
from references import DTYPE, normal
from torch import nn

from flatminima.curvature.operators import GaussNewton
from flatminima.curvature.spectrum import effective_rank, lanczos_quadrature, spectral_density, trace

OUTLIERS = torch.cat([torch.linspace(-1, 1, 292, dtype=DTYPE), torch.linspace(4, 11, 8, dtype=DTYPE)])


def smoothed(eigenvalues, grid, width):
    """The exact density after smoothing, with numpy."""
    distance = (grid.numpy()[:, None] - eigenvalues.numpy()) / width
    return np.exp(-(distance**2) / 2).mean(1) / (width * np.sqrt(2 * np.pi))


def test_a_density_and_its_band():
    """Pointwise, about 95 % of the bands should hold the exact density, where there are eigenvalues."""
    matrix, _ = with_spectrum(OUTLIERS, seed=1)
    inside = []
    for seed in range(20):
        density = spectral_density(Dense(matrix), 0.2, probes=20, seed=seed)
        exact = torch.from_numpy(smoothed(OUTLIERS, density.grid, 0.2))
        where = exact > 1e-2
        inside.append(((density.lower <= exact) & (exact <= density.upper))[where].double().mean().item())
        assert torch.trapezoid(density.mean, density.grid).item() == pytest.approx(1, abs=1e-3)
        assert ((density.mean - exact).abs() < 0.35 * exact.max()).all()
    assert 0.88 < np.mean(inside) <= 1


def test_more_probes_narrow_the_band():
    matrix, _ = with_spectrum(OUTLIERS, seed=1)
    few, many = (spectral_density(Dense(matrix), 0.2, probes=probes) for probes in (5, 80))
    widths = [(density.upper - density.lower).mean().item() for density in (few, many)]
    assert widths[1] < widths[0] / 3


@pytest.mark.parametrize("degree", range(9))
def test_quadrature_is_exact_for_polynomials(degree):
    """With m nodes up to degree 2m - 1: moments v' A^d v of matrices, computed by repeated products."""
    matrix, _ = with_spectrum(torch.linspace(-1, 1.5, 40), seed=1)
    start = normal(2, 40)
    nodes, weights = lanczos_quadrature(Dense(matrix), start, 5)
    moment = start @ torch.linalg.matrix_power(matrix, degree) @ start / (start @ start)
    assert len(nodes) == 5
    assert (weights * nodes**degree).sum().item() == pytest.approx(moment.item(), rel=1e-10, abs=1e-12)


def test_quadrature_ends_where_the_krylov_space_does():
    matrix, basis = with_spectrum([1.0, 2.0, 2.0, 5.0], seed=1)
    nodes, weights = lanczos_quadrature(Dense(matrix), 3 * basis[:, 0] + 4 * basis[:, 3], 4)
    assert nodes.tolist() == pytest.approx([1, 5], abs=1e-12)
    assert weights.tolist() == pytest.approx([9 / 25, 16 / 25], abs=1e-12)


def test_the_trace_of_a_low_rank_matrix_is_exact():
    """The sketch holds the whole range: Hutchinson's probes alone would be off by about a tenth."""
    matrix, _ = with_spectrum(torch.cat([torch.zeros(190), torch.linspace(1, 100, 10)]), seed=1)
    estimate = trace(Dense(matrix), products=60)
    assert estimate.value == pytest.approx(505, rel=1e-9)
    assert estimate.standard_error < 1e-9


def test_the_standard_error_of_a_trace_is_that_of_many_repetitions():
    matrix, _ = with_spectrum(OUTLIERS, seed=1)
    estimates = [trace(Dense(matrix), products=60, seed=seed) for seed in range(200)]
    values = np.array([estimate.value for estimate in estimates])
    claimed = np.mean([estimate.standard_error for estimate in estimates])
    assert values.std() == pytest.approx(claimed, rel=0.2)
    assert abs(values.mean() - OUTLIERS.sum().item()) < 4 * values.std() / len(values) ** 0.5


def test_traces_of_tiny_operators():
    assert trace(Dense(with_spectrum([1.0, 2.0, 4.0])[0])).value == pytest.approx(7, rel=1e-12)


def test_products_are_not_exceeded():
    operator = Dense(with_spectrum(OUTLIERS)[0])
    trace(operator, products=31)
    assert operator.count == 30


def test_effective_ranks():
    """Of a projector it is the rank; of a Gauss-Newton matrix, dense trace over dense top eigenvalue."""
    projector, _ = with_spectrum(torch.cat([torch.zeros(95), torch.ones(5)]), seed=1)
    assert effective_rank(Dense(projector)).value == pytest.approx(5, rel=1e-9)
    model, loss = mlp(), nn.CrossEntropyLoss()
    dense = dense_gauss_newton(model, loss, *data(model))
    expected = (dense.trace() / torch.linalg.eigvalsh(dense)[-1]).item()
    estimate = effective_rank(GaussNewton(model, loss, data(model)), products=60)
    assert estimate.value == pytest.approx(expected, abs=max(4 * estimate.standard_error, 1e-6))
    assert estimate.standard_error < 0.1 * estimate.value
