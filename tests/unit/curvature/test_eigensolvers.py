"""Eigenpairs of matrices whose spectra are known, one at a time and stacked."""

import math

import numpy as np
import pytest
import torch
from modules import Dense, with_spectrum
from references import DTYPE, normal

from flatminima.curvature.eigensolvers import eigenpairs, failure_probability, stacked_eigenpairs
from flatminima.curvature.subspace import value_errors
from flatminima.errors import UserError
from flatminima.minima.groups import certified

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


@pytest.mark.parametrize("angle", [0.05, 0.3, 0.7])
def test_the_error_of_a_value_by_hand(angle):
    """Of diag(3, 1), in the direction (cos a, sin a): value 3 - 2 sin^2 a, residual sin 2a, other eigenvalue 1."""
    value, residual = 3 - 2 * math.sin(angle) ** 2, math.sin(2 * angle)
    found = value_errors(torch.tensor([value, 1.0]), torch.tensor([residual, 0.0]))[0].item()
    assert found == pytest.approx(min(residual, residual**2 / (value - 1)), rel=1e-5)
    assert 3 - value <= found * (1 + 1e-6)


def test_neighbours_that_may_be_nearer_give_no_smaller_bound():
    """The second value, 2.9, is only known within 0.2: the gap of the first may be none, that of the third is 0.7."""
    values, residuals = torch.tensor([3.0, 2.9, 2.0]), torch.tensor([0.01, 0.2, 0.1])
    expected = [0.01, 0.2, 0.1**2 / 0.7]
    torch.testing.assert_close(value_errors(values, residuals), torch.tensor(expected), rtol=1e-5, atol=0)


@pytest.mark.parametrize("ends", ["top", "bottom", "both"])
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("name", ["even", "negative is larger", "all negative", "double top", "cluster at the top"])
def test_values_alone(name, k, ends):
    """Each is within its error of the eigenvalue, and that within the tolerance, by no more products."""
    eigenvalues = spectra()[name].double()
    matrix, _ = with_spectrum(eigenvalues, seed=1)
    values, pairs = (eigenpairs(Dense(matrix), k, ends, tolerance=1e-5, sought=s) for s in ("values", "pairs"))
    for found in (values, pairs):
        exact = torch.tensor(wanted(eigenvalues, k, ends), dtype=DTYPE)
        assert ((found.eigenvalues - exact).abs() <= found.errors + 1e-12).all()
        assert (found.errors <= 1e-5 * exact.abs() * (1 + 1e-4)).all()
        assert (found.errors <= found.residuals).all()
    assert values.products <= pairs.products


def test_values_alone_take_fewer_products():
    """The error is the square of the residual over the gap, 0.2: a residual of 4e-5 is enough for 1e-8."""
    matrix, _ = with_spectrum(torch.cat([torch.linspace(0, 0.8, 399), torch.ones(1)]).double(), seed=1)
    values, pairs = (eigenpairs(Dense(matrix), tolerance=1e-8, sought=sought) for sought in ("values", "pairs"))
    assert values.products <= 0.75 * pairs.products
    assert values.eigenvalues.item() == pytest.approx(1, abs=1e-8)
    assert values.errors.item() <= 1e-8 < values.residuals.item()


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


def outliers():
    """Eigenvalues as of a network with many classes: thirteen apart from the rest, from the largest down."""
    return torch.cat([1.2 ** -torch.arange(13, dtype=DTYPE), torch.linspace(0.03, 0, 287, dtype=DTYPE)])


def disturbed(matrix):
    noise = normal(2, *matrix.shape)
    return Dense(matrix + 1e-3 * (noise + noise.T))


def test_many_eigenvalues_share_one_start():
    """Ten take fewer products from a rough operator than from a random start, and fewer than three for each."""
    matrix, _ = with_spectrum(outliers(), seed=1)
    cold, warm = eigenpairs(Dense(matrix), 10), eigenpairs(Dense(matrix), 10, rough=disturbed(matrix))
    assert warm.products < min(30, cold.products)
    for pairs in (cold, warm):
        assert pairs.eigenvalues.tolist() == pytest.approx(outliers()[:10].tolist(), abs=1e-6)


@pytest.mark.parametrize("apart", [0, 1e-9, 1e-5])
@pytest.mark.parametrize("place", [0, 3, 7])
def test_copies_among_many_that_share_one_start(apart, place):
    """One Krylov space sees one direction of an eigenspace; the second combination of the start sees the other."""
    ordered = outliers()
    ordered[place + 1] = ordered[place] - apart
    matrix, _ = with_spectrum(ordered, seed=1)
    found = eigenpairs(Dense(matrix), 10, rough=disturbed(matrix))
    assert found.eigenvalues.tolist() == pytest.approx(ordered[:10].tolist(), abs=1e-6)


def test_values_and_residuals_of_the_precise_operators():
    matrix, _ = with_spectrum(torch.linspace(0.1, 1, 100) ** 4, seed=1)
    coarse, precise = DenseStack(matrix.float()), DenseStack(matrix)
    found = stacked_eigenpairs(coarse, tolerance=1e-5)
    pairs = certified(precise, found, 3 * found.eigenvectors[:, 0])
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
