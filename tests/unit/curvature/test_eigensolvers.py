"""Eigenpairs of matrices whose spectra are known, one at a time and stacked."""

import math

import numpy as np
import pytest
import torch
from modules import Dense, with_spectrum
from references import DTYPE, normal

from flatminima.curvature.eigensolvers import eigenpairs, failure_probability, stacked_eigenpairs
from flatminima.errors import UserError

SIZE = 90


class DenseStack:
    """Stacked matrices as an operator whose products are counted."""

    device = torch.device("cpu")

    def __init__(self, *matrices):
        self.matrix, self.count = torch.stack(matrices), 0
        self.shape = self.matrix.shape[:2]

    def matvec(self, vector):
        self.count += 1
        return (self.matrix @ vector.to(self.matrix).unsqueeze(2)).squeeze(2).to(vector)


def spectra(size=SIZE):
    """Matrices that have little in common but their size."""
    return {
        "even": torch.linspace(0.1, 1, size),
        "steep": torch.logspace(-6, 3, size),
        "negative is larger": torch.linspace(-50, 2, size),
        "all negative": torch.linspace(-9, -1, size),
        "rank one": torch.cat([torch.zeros(size - 1), torch.tensor([7.0])]),
        "multiple of the identity": torch.full((size,), 2.5),
        "double top": torch.cat([torch.linspace(-1, 1, size - 2), torch.tensor([3.0, 3.0])]),
        "cluster at the top": torch.cat([torch.linspace(-1, 1, size - 4), 3 + torch.tensor([0.0, 1e-3, 2e-3, 3e-3])]),
    }


def wanted(eigenvalues, k, ends):
    ordered = sorted(eigenvalues.tolist())
    return {"top": ordered[::-1][:k], "bottom": ordered[:k], "both": ordered[::-1][:k] + ordered[:k]}[ends]


CASES = [(name, ends) for name in spectra() for ends in ("top", "bottom", "both")]
OUT_OF_REACH = [("steep", "bottom"), ("steep", "both")]


@pytest.mark.parametrize(("name", "ends"), [case for case in CASES if case not in OUT_OF_REACH])
@pytest.mark.parametrize("k", [1, 2, 7])
def test_known_spectra(name, ends, k):
    """Algebraic ends, not magnitude; copies of a double eigenvalue are counted."""
    eigenvalues = spectra()[name].double()
    matrix, _ = with_spectrum(eigenvalues, seed=1)
    pairs = eigenpairs(Dense(matrix), k, ends, tolerance=1e-8)
    scale = eigenvalues.abs().max().item()
    assert pairs.eigenvalues.tolist() == pytest.approx(wanted(eigenvalues, k, ends), rel=1e-9, abs=1e-11 * scale)
    vectors = pairs.eigenvectors
    torch.testing.assert_close(vectors @ vectors.T, torch.eye(len(vectors), dtype=DTYPE), rtol=0, atol=1e-11)
    residuals = (vectors @ matrix - pairs.eigenvalues.unsqueeze(1) * vectors).norm(dim=1)
    torch.testing.assert_close(pairs.residuals, residuals, rtol=0, atol=1e-12 * scale)


def test_values_that_are_out_of_reach_have_residuals_that_say_so():
    """The smallest of "steep" are nine orders of magnitude below the largest."""
    eigenvalues = spectra()["steep"].double()
    pairs = eigenpairs(Dense(with_spectrum(eigenvalues, seed=1)[0]), 3, "bottom", max_products=300)
    distance = (eigenvalues.unsqueeze(1) - pairs.eigenvalues).abs().amin(0)
    assert (distance <= pairs.residuals + 1e-9).all()
    assert (pairs.residuals > pairs.eigenvalues.abs()).all()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 64, 65, 66])
def test_small_operators_have_all_their_eigenvalues(size):
    matrix = normal(1, size, size)
    matrix = matrix + matrix.T
    expected = np.linalg.eigvalsh(matrix.numpy())
    for k in {1, size // 2, size} - {0}:
        pairs = eigenpairs(Dense(matrix), k, tolerance=1e-9)
        assert pairs.eigenvalues.tolist() == pytest.approx(expected[::-1][:k].tolist(), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("k", [1, 3])
def test_a_stack_of_very_different_spectra(k):
    """Easy problems wait for the hard ones, through restarts, and must keep what they have found."""
    eigenvalues = [values.double() for values in spectra().values()]
    matrices = [with_spectrum(values, seed)[0] for seed, values in enumerate(eigenvalues)]
    pairs = stacked_eigenpairs(DenseStack(*matrices), k, tolerance=1e-8)
    for values, found, residuals in zip(eigenvalues, pairs.eigenvalues, pairs.residuals, strict=True):
        scale = values.abs().max().item()
        assert found.tolist() == pytest.approx(wanted(values, k, "top"), rel=1e-9, abs=1e-11 * scale)
        assert residuals.max() <= 1e-7 * scale


def test_a_zero_operator_among_others():
    """As dead networks have: its eigenvalue is zero, and nothing becomes NaN."""
    hard, _ = with_spectrum(torch.linspace(0.1, 1, SIZE), seed=1)
    pairs = stacked_eigenpairs(DenseStack(torch.zeros_like(hard), hard), tolerance=1e-8)
    assert pairs.eigenvalues[:, 0].tolist() == pytest.approx([0.0, 1.0], abs=1e-9)
    assert pairs.residuals[0] == 0


@pytest.mark.parametrize("tolerance", [0.3, 1e-2, 1e-4])
@pytest.mark.parametrize("seed", range(4))
def test_what_is_certified(tolerance, seed):
    """Some eigenvalue lies within the residual of each value, and no value is above the top one."""
    eigenvalues = torch.linspace(-3, 1, SIZE, dtype=DTYPE) ** 3
    matrix, _ = with_spectrum(eigenvalues, seed)
    pairs = eigenpairs(Dense(matrix), 3, tolerance=tolerance, seed=seed + 50)
    distance = (eigenvalues.unsqueeze(1) - pairs.eigenvalues).abs().amin(0)
    assert (distance <= pairs.residuals + 1e-12).all()
    assert pairs.eigenvalues[0] <= 1 + 1e-12
    assert (pairs.residuals <= tolerance * pairs.eigenvalues.abs() * (1 + 1e-9)).all()


@pytest.mark.parametrize("most", [4, 7, 40])
def test_after_the_last_product_the_residual_tells(most):
    matrix, _ = with_spectrum(torch.linspace(0.1, 1, 200), seed=1)
    operator = Dense(matrix)
    pairs = eigenpairs(operator, tolerance=1e-14, max_products=most)
    assert most <= operator.count == pairs.products <= most + 1
    vector = pairs.eigenvectors[0]
    assert pairs.eigenvalues[0].item() == pytest.approx((vector @ matrix @ vector).item(), rel=1e-12)
    remainder = matrix @ vector - pairs.eigenvalues[0] * vector
    assert pairs.residuals.item() == pytest.approx(remainder.norm().item(), rel=1e-9)
    assert pairs.residuals.item() > 1e-8


def test_a_rough_operator_gives_the_start():
    matrix, basis = with_spectrum(torch.linspace(0, 1, 300) ** 6, seed=1)
    noise = normal(2, 300, 300)
    rough, exact = Dense(matrix + 1e-3 * (noise + noise.T)), Dense(matrix)
    cold = eigenpairs(exact, tolerance=1e-5)
    warm = eigenpairs(exact, tolerance=1e-5, rough=rough)
    assert rough.count > 0
    assert warm.products < cold.products / 2
    assert exact.count == warm.products + cold.products
    for pairs in (cold, warm):
        assert pairs.eigenvalues.item() == pytest.approx(1, abs=1e-9)
        assert abs(pairs.eigenvectors[0] @ basis[:, -1]) == pytest.approx(1, abs=1e-6)


def test_a_rough_operator_whose_eigenvalues_come_in_another_order():
    """The second eigenvector of the rough operator is the first of the exact one."""
    spectrum = torch.cat([torch.linspace(0, 0.5, 298), torch.tensor([0.987, 1.0])]).double()
    matrix, basis = with_spectrum(spectrum, seed=1)
    spectrum[-2:] = torch.tensor([1.05, 0.95])
    rough = basis * spectrum @ basis.mT
    pairs = eigenpairs(Dense(matrix), rough=Dense(rough))
    assert pairs.eigenvalues.item() == pytest.approx(1, abs=1e-7)


def test_a_rough_operator_that_knows_nothing():
    """A poor start costs products, not correctness."""
    matrix, _ = with_spectrum(torch.linspace(0, 1, 120, dtype=DTYPE) ** 4, seed=1)
    other, _ = with_spectrum(torch.linspace(0, 1, 120, dtype=DTYPE) ** 4, seed=2)
    pairs = eigenpairs(Dense(matrix), 2, rough=Dense(other), tolerance=1e-6)
    assert pairs.eigenvalues.tolist() == pytest.approx([1.0, (118 / 119) ** 4], abs=1e-8)


def test_values_and_residuals_of_the_precise_operators():
    matrix, _ = with_spectrum(torch.linspace(0.1, 1, 100) ** 4, seed=1)
    coarse, precise = DenseStack(matrix.float()), DenseStack(matrix)
    pairs = stacked_eigenpairs(coarse, tolerance=1e-5, precise=precise)
    assert precise.count == 1
    vector = pairs.eigenvectors[0, 0]
    assert pairs.eigenvalues.item() == pytest.approx((vector @ matrix @ vector).item(), rel=1e-14)
    remainder = matrix @ vector - pairs.eigenvalues.item() * vector
    assert pairs.residuals.item() == pytest.approx(remainder.norm().item(), rel=1e-9)
    assert abs(pairs.eigenvalues.item() - 1) <= pairs.residuals.item() <= 1e-4


def test_the_same_seed_gives_the_same_bits():
    matrix, _ = with_spectrum(torch.linspace(-1, 1, 100), seed=1)
    first, again, other = (eigenpairs(Dense(matrix), 2, seed=seed) for seed in (5, 5, 6))
    assert torch.equal(first.eigenvectors, again.eigenvectors)
    assert not torch.equal(first.eigenvectors, other.eigenvectors)


@pytest.mark.parametrize(("k", "ends", "asked"), [(81, "top", 81), (41, "both", 82)])
def test_more_eigenvalues_than_there_are(k, ends, asked):
    with pytest.raises(
        UserError, match=rf"^k: {asked} eigenvalues of an operator of size 80; expected 1 to 80 in all$"
    ):
        eigenpairs(Dense(torch.eye(80, dtype=DTYPE)), k, ends)


def test_the_probability_of_a_miss():
    """Kuczynski & Wozniakowski's bound: 1.648 sqrt(n) exp(-sqrt(eps) (2k - 1)), by hand for n = 10,000."""
    assert failure_probability(100, 10_000, 0.01) == pytest.approx(164.8 * math.exp(-19.9), rel=1e-12)
    assert failure_probability(100, 10_000, 0.01, starts=2) == pytest.approx((164.8 * math.exp(-19.9)) ** 2, rel=1e-12)
    assert failure_probability(1, 10_000, 0.01) == 1


def test_misses_are_no_more_frequent_than_the_bound():
    """Rayleigh-Ritz on Krylov spaces by numpy, from 400 random starts, on a spectrum that is hard for it."""
    spectrum = np.concatenate([np.linspace(0, 0.9, 199), [1.0]])
    rng = np.random.default_rng(0)
    for steps, error in [(9, 0.2), (14, 0.09), (20, 0.05)]:
        misses = 0
        for _ in range(400):
            krylov = rng.standard_normal(200)[:, None] * spectrum[:, None] ** 0
            basis = np.linalg.qr(np.polynomial.chebyshev.chebvander(2 * spectrum - 1, steps - 1) * krylov)[0]
            misses += np.linalg.eigvalsh(basis.T * spectrum @ basis)[-1] < 1 - error
        assert misses / 400 <= failure_probability(steps, 200, error)
