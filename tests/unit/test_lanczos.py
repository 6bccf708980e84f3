"""Top eigenpairs of matrices whose spectra are known."""

import pytest
import torch
from references import DTYPE, generator, normal

from flatminima.curvature.lanczos import top_eigenpair

TIGHT = 1e-10


def symmetric(eigenvalues, seed):
    """A matrix with these eigenvalues in a random basis, and the basis."""
    size = len(eigenvalues)
    basis = torch.linalg.qr(normal(seed, size, size)).Q
    return basis * torch.as_tensor(eigenvalues, dtype=DTYPE) @ basis.mT, basis


class Counted:
    """Products with stacked matrices, counted."""

    def __init__(self, *matrices):
        self.matrix, self.count = torch.stack(matrices), 0

    def __call__(self, vector):
        self.count += 1
        return torch.linalg.vecdot(self.matrix, vector.unsqueeze(1))


def spectra(size=40):
    """Matrices that have little in common but their size."""
    return {
        "even": torch.linspace(0.1, 1, size),
        "steep": torch.logspace(-6, 3, size),
        "negative is larger": torch.linspace(-50, 2, size),
        "all negative": torch.linspace(-9, -1, size),
        "rank one": torch.cat([torch.zeros(size - 1), torch.tensor([7.0])]),
        "multiple of the identity": torch.full((size,), 2.5),
        "double top": torch.cat([torch.linspace(-1, 1, size - 2), torch.tensor([3.0, 3.0])]),
    }


@pytest.mark.parametrize("name", spectra())
def test_known_spectra(name):
    eigenvalues = spectra()[name].double()
    matrix, _ = symmetric(eigenvalues, seed=1)
    pair = top_eigenpair(Counted(matrix), normal(2, 1, 40), TIGHT, 40)
    assert pair.value.item() == pytest.approx(eigenvalues.max().item(), rel=1e-9)
    assert pair.vector.norm().item() == pytest.approx(1, abs=1e-12)
    residual = (matrix @ pair.vector[0] - pair.value * pair.vector[0]).norm().item()
    assert pair.residual.item() == pytest.approx(residual, abs=1e-12)
    assert residual <= 1e-9 * eigenvalues.abs().max()


def test_a_stack_of_very_different_spectra():
    """Easy problems wait for the hard ones, through many products, and must keep what they have found."""
    eigenvalues = [values.double() for values in spectra().values()]
    matrices = [symmetric(values, seed)[0] for seed, values in enumerate(eigenvalues)]
    together = top_eigenpair(Counted(*matrices), normal(2, len(matrices), 40), TIGHT, 40)
    assert together.value.tolist() == pytest.approx([values.max().item() for values in eigenvalues], rel=1e-9)
    assert (together.residual <= 1e-9 * torch.stack(eigenvalues).abs().amax(1)).all()


@pytest.mark.parametrize("factor", [-1.0, 0.0, 1.0, 3.0])
def test_a_start_vector_that_is_an_eigenvector_ends_the_search(factor):
    """The Krylov space has one dimension; a mate with a full one goes on, and nothing is disturbed."""
    hard, basis = symmetric(torch.linspace(0.1, 1, 30), seed=1)
    easy = factor * torch.outer(basis[:, 3], basis[:, 3])
    alone = top_eigenpair(Counted(easy), basis[None, :, 3], TIGHT, 30)
    assert alone.products == 2
    both = top_eigenpair(Counted(easy, hard), torch.stack([basis[:, 3], normal(2, 30)]), TIGHT, 30)
    assert both.products > 10
    assert both.value.tolist() == pytest.approx([factor, 1.0], abs=1e-9)
    assert alone.value.item() == pytest.approx(factor, abs=1e-12)
    assert (both.residual < 1e-9).all()


def test_exact_breakdown_leaves_no_nan():
    """Coordinates are exact eigenvectors of a diagonal matrix: the remainder is zero, not merely small."""
    hard, _ = symmetric(torch.linspace(0.1, 1, 30), seed=1)
    start = torch.stack([torch.eye(30, dtype=DTYPE)[4], normal(2, 30)])
    pair = top_eigenpair(Counted(-torch.diag(torch.arange(1.0, 31.0, dtype=DTYPE)), hard), start, TIGHT, 30)
    assert pair.value.tolist() == pytest.approx([-5.0, 1.0], abs=1e-12)
    assert pair.residual[0] == 0


def test_a_single_dimension():
    pair = top_eigenpair(Counted(torch.tensor([[4.0]], dtype=DTYPE)), torch.tensor([[0.3]], dtype=DTYPE), TIGHT, 100)
    assert (pair.value.item(), pair.residual.item(), pair.products) == (4.0, 0.0, 2)


def test_a_nearly_degenerate_top_pair_stops_on_its_residual():
    """The vectors of 1 and 1 - 1e-9 cannot be told apart, but the value is certain."""
    matrix, basis = symmetric([*torch.linspace(0, 0.5, 58), 1 - 1e-9, 1.0], seed=1)
    pair = top_eigenpair(Counted(matrix), normal(2, 1, 60), 1e-6, 60)
    assert pair.products < 30
    assert pair.residual.item() <= 1e-6
    assert pair.value.item() == pytest.approx(1, abs=2e-9)
    assert (basis[:, -2:].T @ pair.vector[0]).norm().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("tolerance", [0.3, 1e-2, 1e-4])
@pytest.mark.parametrize("seed", range(4))
def test_the_residual_bounds_the_error(tolerance, seed):
    """Some eigenvalue lies within the residual of the value, and the value is never above the top one."""
    eigenvalues = torch.linspace(-3, 1, 80, dtype=DTYPE) ** 3
    matrix, _ = symmetric(eigenvalues, seed)
    pair = top_eigenpair(Counted(matrix), normal(seed + 50, 1, 80), tolerance, 80)
    distance = (eigenvalues - pair.value).abs().min()
    assert distance <= pair.residual.item() + 1e-12
    assert pair.value.item() <= 1 + 1e-12
    assert pair.residual.item() <= tolerance * eigenvalues.abs().max() * (1 + 1e-9)


@pytest.mark.parametrize("most", [1, 5, 17])
def test_products_are_not_exceeded(most):
    matrix, _ = symmetric(torch.linspace(0.1, 1, 60), seed=1)
    product = Counted(matrix)
    pair = top_eigenpair(product, normal(2, 1, 60), 1e-14, most)
    assert product.count == pair.products == most + 1
    vector = pair.vector[0]
    assert pair.value.item() == pytest.approx((vector @ matrix @ vector).item(), rel=1e-12)


def test_the_certificate_uses_the_precise_operator():
    """Iterations in float32, value and residual in float64."""
    matrix, _ = symmetric(torch.linspace(0.1, 1, 50) ** 4, seed=1)
    precise = Counted(matrix)
    coarse = Counted(matrix.float())
    pair = top_eigenpair(lambda v: coarse(v.float()).double(), normal(2, 1, 50), 1e-5, 50, certify=precise)
    assert precise.count == 1
    vector = pair.vector[0]
    assert pair.value.item() == pytest.approx((vector @ matrix @ vector).item(), rel=1e-14)
    assert pair.residual.item() == pytest.approx((matrix @ vector - pair.value * vector).norm().item(), rel=1e-9)
    assert abs(pair.value.item() - 1) <= pair.residual.item() <= 1e-4


def test_the_length_of_the_start_vector_does_not_matter():
    matrix, _ = symmetric(torch.linspace(-1, 1, 30), seed=1)
    start = torch.randn(1, 30, generator=generator(0), dtype=DTYPE)
    pairs = [top_eigenpair(Counted(matrix), scale * start, 1e-3, 30) for scale in (1.0, 1e-8, 1e8)]
    assert [pair.value.item() for pair in pairs] == pytest.approx([pairs[0].value.item()] * 3, rel=1e-9)
