"""Hessians from moments alone against dense float64 Hessians of the samples' loss, and against closed forms."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from references import (
    DTYPE,
    dense_gradient,
    dense_hessian,
    layers,
    moments_of,
    normal,
    replica,
    sample_loss,
    second_differences,
    square_root,
)

from flatminima.curvature.eigensolvers import stacked_eigenpairs
from flatminima.minima.factors import Factors
from flatminima.minima.hessian import MinimumHessian, MomentHessian
from flatminima.minima.range_hessian import RangeHessian

WIDTHS = [[3, 2], [3, 4, 2], [2, 3, 4, 3], [3, 2, 2, 3, 2]]
SMALL = [2, 2, 3, 2]


def diagonal(*values):
    return torch.diag(torch.tensor(values, dtype=DTYPE))[None]


def samples(widths):
    """Inputs that are not white, and targets with noise that no network removes."""
    inputs = normal(1, 15, widths[0]) @ normal(2, widths[0], widths[0])
    return inputs, inputs @ normal(3, widths[0], widths[-1]) + normal(4, 15, widths[-1])


def global_minimum(seed, widths, inputs, targets):
    """Random layers but for the last, which makes their product T = Syx Sx^{-1}."""
    moment, cross, _ = moments_of(inputs, targets)
    free = [normal(10 * seed + k, rows, columns) for k, (columns, rows) in enumerate(pairwise(widths[:-1]))]
    product = torch.eye(widths[0], dtype=DTYPE)
    for weight in free:
        product = weight @ product
    return [*free, cross @ torch.linalg.inv(moment) @ torch.linalg.pinv(product)]


def columns_of(operator):
    """All columns of a stacked operator, shape (replicas, size, size)."""
    replicas, size = operator.shape
    unit = torch.eye(size, dtype=DTYPE)
    return torch.stack([operator.matvec(column.expand(replicas, size)) for column in unit], 2)


def assert_same_spectrum(ours, theirs, rel=1e-9):
    """Equal but for zeros, of which the longer has more."""
    ours, theirs = np.sort(ours)[::-1], np.sort(theirs)[::-1]
    length = max(len(ours), len(theirs))
    ours, theirs = (np.pad(values, (0, length - len(values))) for values in (ours, theirs))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=rel * theirs[0])


@pytest.mark.parametrize("widths", [[3, 2], [3, 4, 2], [2, 3, 4, 3], [3, 3, 3, 3], [2, 2, 3, 4, 2]])
@pytest.mark.parametrize("factor", ["symmetric", "triangular"])
def test_i1_spectrum_of_the_whole_hessian_at_minima_with_noisy_labels(widths, factor):
    """theory.md I1, for any C with C C' = Sx: a large loss remains, and all eigenvalues agree."""
    inputs, targets = samples(widths)
    moment = moments_of(inputs, targets)[0]
    root = torch.linalg.cholesky(moment) if factor == "triangular" else torch.from_numpy(square_root(moment.numpy()))
    networks = [global_minimum(seed, widths, inputs, targets) for seed in range(3)]
    hessian = MinimumHessian.at([torch.stack(layer) for layer in zip(*networks, strict=True)], root)
    assert hessian.shape == (3, widths[0] * widths[-1])
    spectra, top = hessian.spectrum(), stacked_eigenpairs(hessian, tolerance=1e-10)
    torch.testing.assert_close(columns_of(hessian), hessian.dense(), rtol=1e-12, atol=1e-12)
    for index, network in enumerate(networks):
        loss, flat = sample_loss(network, [], inputs, targets)
        assert loss(flat) > 0.1
        assert dense_gradient(loss, flat).norm() < 1e-8 * flat.norm()
        expected = torch.linalg.eigvalsh(dense_hessian(loss, flat))
        assert_same_spectrum(spectra[index].numpy(), expected.numpy())
        assert top.eigenvalues[index].item() == pytest.approx(expected[-1].item(), rel=1e-9)
        assert top.residuals[index] <= 1e-8 * expected[-1]


def test_i1_spectrum_against_differences_of_the_loss():
    """No derivative of ours or of autograd."""
    inputs, targets = samples(SMALL)
    network = global_minimum(1, SMALL, inputs, targets)
    root = torch.linalg.cholesky(moments_of(inputs, targets)[0])
    loss, flat = sample_loss(network, [], inputs, targets)
    expected = torch.linalg.eigvalsh(second_differences(loss, flat)).numpy()
    ours = MinimumHessian.at([weight[None] for weight in network], root).spectrum()[0].numpy()
    assert_same_spectrum(ours, expected, rel=1e-5)


def test_a_root_for_each_network():
    networks, _ = layers(1, 2, [3, 4, 2])
    roots = normal(5, 2, 3, 3)
    together = MinimumHessian.at(networks, roots).spectrum()
    for k in range(2):
        alone = MinimumHessian.at([w[k : k + 1] for w in networks], roots[k]).spectrum()
        torch.testing.assert_close(together[k], alone[0], rtol=1e-12, atol=1e-12)


def test_scalar_networks():
    """W_k = a_k, Sx = v: one eigenvalue, 2 v sum_k prod_{j != k} a_j^2."""
    factors = [2.0, -0.5, 3.0]
    hessian = MinimumHessian.at([diagonal(a) for a in factors], torch.tensor([[0.7]], dtype=DTYPE))
    expected = 2 * 0.49 * ((0.5 * 3) ** 2 + (2 * 3) ** 2 + (2 * 0.5) ** 2)
    assert hessian.spectrum().item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("c", "ratio"), [(1.2, 1.0), (1.4, 1.004), (1.6, 1.21)])
def test_i4_spectrum_of_a_lopsided_minimum(c, ratio):
    """theory.md I4: T = diag(2, 1), m = 3. For diagonal layers 2 sum_k (B_k)_ii^2 (A_k)_jj^2, i, j = 1, 2."""
    g = 2 ** (1 / 3)
    spectrum = MinimumHessian.at([diagonal(g, c), diagonal(g, 1), diagonal(g, 1 / c)], torch.eye(2, dtype=DTYPE))
    expected = [
        2 * (g**4 + g**4 + g**4),
        2 * (g**4 + g**2 * c**2 + c**2),
        2 * (1 / c**2 + g**2 / c**2 + g**4),
        2 * (1 / c**2 + 1 + c**2),
    ]
    values = spectrum.spectrum()[0].numpy()
    np.testing.assert_allclose(values, np.sort(expected), rtol=1e-12)
    assert values[-1] / (2 * 3 * 2 ** (4 / 3)) == pytest.approx(ratio, abs=1e-12 if c == 1.2 else 4e-3)


@pytest.mark.parametrize("depth", range(1, 7))
def test_i2_spectrum_of_a_balanced_minimum(depth):
    """W_k = diag(t_i^{1/m}) and white inputs: 2 sum_k t_i^{2(m-k)/m} t_j^{2(k-1)/m}, whose top is 2 m s^{2-2/m}."""
    gains = np.array([3.0, 1.5, 0.5])
    layer = diagonal(*gains ** (1 / depth))
    values = MinimumHessian.at([layer] * depth, torch.eye(3, dtype=DTYPE)).spectrum()[0].numpy()
    powers = [(2 * (depth - k) / depth, 2 * (k - 1) / depth) for k in range(1, depth + 1)]
    expected = 2 * sum(np.outer(gains**one, gains**other) for one, other in powers)
    np.testing.assert_allclose(values, np.sort(expected.ravel()), rtol=1e-12)
    assert values[-1] == pytest.approx(2 * depth * 3 ** (2 - 2 / depth), rel=1e-12)


def test_widths_below_the_rank_leave_a_residual_term():
    """T = diag(2, 1) through one hidden unit: the best such network has the Hessian's spectrum 8, 6, 2, 0.

    The loss at P = diag(2, 0) is 1, and its residual diag(0, 1) couples the second input to the second output. The
    operator of I1 knows nothing of it and has 8, 4, 4, 0.
    """
    inputs = 2**0.5 * torch.eye(2, dtype=DTYPE)
    targets = inputs * torch.tensor([2.0, 1.0], dtype=DTYPE)
    network = [torch.tensor([[2**0.5, 0]], dtype=DTYPE), torch.tensor([[2**0.5], [0]], dtype=DTYPE)]
    loss, flat = sample_loss(network, [], inputs, targets)
    assert loss(flat).item() == pytest.approx(1)
    assert dense_gradient(loss, flat).norm() < 1e-12
    whole = torch.linalg.eigvalsh(dense_hessian(loss, flat))
    ours = MinimumHessian.at([weight[None] for weight in network], torch.eye(2, dtype=DTYPE)).spectrum()[0]
    assert whole.tolist() == pytest.approx([0, 2, 6, 8], abs=1e-12)
    assert ours.tolist() == pytest.approx([0, 4, 4, 8], abs=1e-12)
    stacked = [weight[None] for weight in network]
    anywhere = columns_of(MomentHessian(stacked, *moments_of(inputs, targets)[:2]))[0]
    assert torch.linalg.eigvalsh(anywhere).tolist() == pytest.approx([0, 2, 6, 8], abs=1e-12)


@pytest.mark.parametrize("widths", WIDTHS)
def test_gradient_and_products_anywhere(widths):
    """Random points, far from any minimum, where the Hessian is indefinite; depth 1 included."""
    inputs, targets = samples(widths)
    weights, _ = layers(7, 3, widths)
    hessian = MomentHessian(weights, *moments_of(inputs, targets)[:2])
    gradient, matrix = hessian.gradient(), columns_of(hessian)
    assert hessian.shape == (3, sum(weight[0].numel() for weight in weights))
    for index in range(3):
        loss, flat = sample_loss(replica(weights, index), [], inputs, targets)
        expected = dense_hessian(loss, flat)
        torch.testing.assert_close(gradient[index], dense_gradient(loss, flat), rtol=1e-11, atol=1e-11)
        torch.testing.assert_close(matrix[index], expected, rtol=1e-11, atol=1e-11)
        assert len(widths) == 2 or torch.linalg.eigvalsh(expected)[0] < -0.1


def test_products_anywhere_against_differences_of_the_loss():
    inputs, targets = samples(SMALL)
    weights, _ = layers(8, 1, SMALL)
    loss, flat = sample_loss(replica(weights, 0), [], inputs, targets)
    hessian = MomentHessian(weights, *moments_of(inputs, targets)[:2])
    differences = second_differences(loss, flat)
    torch.testing.assert_close(columns_of(hessian)[0], differences, rtol=0, atol=1e-5 * differences.abs().max().item())
    moves = 1e-5 * torch.eye(len(flat), dtype=DTYPE)
    slope = torch.stack([(loss(flat + move) - loss(flat - move)) / 2e-5 for move in moves])
    torch.testing.assert_close(hessian.gradient()[0], slope, rtol=0, atol=1e-7 * slope.abs().max().item())


def test_moments_of_each_network():
    """Replicas of different problems do not mix."""
    weights, _ = layers(9, 2, [3, 4, 2])
    data = [(normal(20 + k, 9, 3), normal(30 + k, 9, 2)) for k in range(2)]
    moments = [torch.stack(pair) for pair in zip(*(moments_of(*pair)[:2] for pair in data), strict=True)]
    hessian = MomentHessian(weights, *moments)
    gradient, matrix = hessian.gradient(), columns_of(hessian)
    for index, pair in enumerate(data):
        loss, flat = sample_loss(replica(weights, index), [], *pair)
        torch.testing.assert_close(gradient[index], dense_gradient(loss, flat), rtol=1e-11, atol=1e-11)
        torch.testing.assert_close(matrix[index], dense_hessian(loss, flat), rtol=1e-11, atol=1e-11)


NARROW = [6, 9, 8, 7, 2]


@pytest.mark.parametrize("widths", [NARROW, [5, 6, 1], [4, 2, 5, 3]])
def test_spectrum_on_the_range(widths):
    """Few outputs, and a hidden layer narrower than them: all eigenvalues of the dense Hessian, but for zeros."""
    inputs, targets = samples(widths)
    weights, _ = layers(12, 2, widths)
    hessian = RangeHessian(Factors.at(weights, *moments_of(inputs, targets)[:2]))
    own = torch.linalg.eigvalsh(columns_of(hessian))
    for index in range(2):
        loss, flat = sample_loss(replica(weights, index), [], inputs, targets)
        expected = torch.linalg.eigvalsh(dense_hessian(loss, flat))
        shared = max(hessian.shape[1], len(flat))
        ours, theirs = (torch.cat([v, v.new_zeros(shared - len(v))]).sort().values for v in (own[index], expected))
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("widths", [NARROW, [5, 6, 6, 5]])
def test_sharpness_of_more_replicas_than_a_group(widths, tolerance):
    """In float32 and in float64, on the range and on the whole space, against dense Hessians in float64."""
    inputs, targets = samples(widths)
    weights, _ = layers(13, 6, widths)
    found = MomentHessian(weights, *moments_of(inputs, targets)[:2]).top_eigenpair(tolerance)
    assert found.eigenvectors.shape == (6, 1, sum(weight[0].numel() for weight in weights))
    for index in range(6):
        loss, flat = sample_loss(replica(weights, index), [], inputs, targets)
        matrix = dense_hessian(loss, flat)
        value, vector = found.eigenvalues[index, 0], found.eigenvectors[index, 0]
        residual = (matrix @ vector - value * vector).norm()
        assert vector.norm().item() == pytest.approx(1, abs=1e-12)
        assert found.residuals[index, 0].item() == pytest.approx(residual.item(), rel=1e-6, abs=1e-11)
        assert residual <= tolerance * value
        assert abs(value - torch.linalg.eigvalsh(matrix)[-1]) <= residual + 1e-11


def noiseless_moment(seed, size):
    inputs = normal(seed, 3 * size, size)
    return inputs.T @ inputs / (3 * size)


def multiplied(weights):
    """W_m ... W_1."""
    product = weights[0]
    for weight in weights[1:]:
        product = weight @ product
    return product


@pytest.mark.parametrize("widths", [[4, 6, 5, 3], [3, 4, 4, 5], [4, 3]])
def test_leading_direction_is_the_top_of_the_gauss_newton_part(widths):
    """At noiseless minima that is the whole Hessian; wide and narrow outputs."""
    weights, _ = layers(8, 2, widths)
    moment = noiseless_moment(9, widths[0])
    cross = multiplied(weights) @ moment
    hessian = MomentHessian(weights, moment, cross)
    direction = hessian.leading_direction()
    direction = direction / direction.norm(dim=1, keepdim=True)
    for k in range(2):
        inputs = torch.linalg.cholesky(moment).T * widths[0] ** 0.5
        loss, flat = sample_loss(replica(weights, k), [], inputs, inputs @ multiplied(replica(weights, k)).T)
        values = torch.linalg.eigvalsh(dense_hessian(loss, flat))
        quotient = direction[k] @ dense_hessian(loss, flat) @ direction[k]
        assert quotient <= values[-1] * (1 + 1e-12)
        assert quotient > 0.99 * values[-1]


def test_a_start_saves_products_and_hides_nothing():
    """The same eigenvalue from a vector that is far off, and fewer products from one that is near."""
    weights, _ = layers(10, 3, [6, 8, 8, 5])
    moment = noiseless_moment(11, 6)
    hessian = MomentHessian(weights, moment, 0.9 * multiplied(weights) @ moment)
    expected = torch.linalg.eigvalsh(columns_of(hessian))
    bottom = torch.linalg.eigh(columns_of(hessian)).eigenvectors[:, :, 0].unsqueeze(1)
    cold = stacked_eigenpairs(hessian, tolerance=1e-8)
    warm = stacked_eigenpairs(hessian, tolerance=1e-8, near=hessian.leading_direction().unsqueeze(1))
    misled = stacked_eigenpairs(hessian, tolerance=1e-8, near=bottom)
    for found in (cold, warm, misled):
        torch.testing.assert_close(found.eigenvalues[:, 0], expected[:, -1], rtol=1e-9, atol=0)
    assert warm.products < cold.products
