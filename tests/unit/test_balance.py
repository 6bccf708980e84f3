"""Norms of partial products, their band and balance defects against numpy by definition, and in closed form."""

import numpy as np
import pytest
import torch
from references import DTYPE, layers, normal

from flatminima.minima.balance import balance_defects, band_upper, product_norms, spectral_norm

WIDTHS = [4, 6, 5, 3]
AMPLITUDE, GAIN = torch.tensor([1.5, 0.4], dtype=DTYPE), torch.tensor([0.7, 2.0], dtype=DTYPE)


def diagonal(*values):
    return torch.diag(torch.tensor(values, dtype=DTYPE))


@pytest.mark.parametrize("stacked", [False, True])
def test_product_norms_against_numpy(stacked):
    """One root for all networks, or one for each."""
    matrices, _ = layers(1, 2, WIDTHS)
    roots = normal(4, 2, 4, 4)
    norms = product_norms(matrices, roots if stacked else roots[0], AMPLITUDE, GAIN)
    assert norms.shape == (2, 2)
    for k in range(2):
        root, (one, two, _) = roots[k if stacked else 0].numpy(), [matrix[k].numpy() for matrix in matrices]
        amplitude, gain = AMPLITUDE[k].item(), GAIN[k].item()
        first = np.linalg.norm(one @ root, 2) / (amplitude * gain ** (1 / 3))
        second = np.linalg.norm(two @ one @ root, 2) / (amplitude * gain ** (2 / 3))
        np.testing.assert_allclose(norms[k], [first, second], rtol=1e-12)


def test_product_norms_of_the_diagonal_example():
    """theory.md I4 and I5: T = diag(2, 1), m = 3, c off the path: max(1, c / 2^{1/3}) and max(1, c / 2^{2/3})."""
    layer, one = 2 ** (1 / 3), torch.ones(1, dtype=DTYPE)
    for c in (1.2, 1.4, 1.6):
        weights = [diagonal(layer, rest)[None] for rest in (c, 1.0, 1 / c)]
        norms = product_norms(weights, torch.eye(2, dtype=DTYPE), one, 2 * one)
        np.testing.assert_allclose(norms[0], [max(1, c / layer), max(1, c / layer**2)], rtol=1e-12)


def test_a_single_layer_has_no_inner_products():
    matrices, _ = layers(1, 2, [4, 3])
    assert product_norms(matrices, torch.eye(4, dtype=DTYPE), AMPLITUDE, GAIN).shape == (2, 0)
    assert balance_defects(matrices).shape == (2, 0)


def test_upper_end_of_the_band():
    """theory.md I5: sqrt(m - 1) for white inputs; sqrt(m) where some direction has no variance at all."""
    one = torch.ones(1, dtype=DTYPE)
    assert [band_upper(m, one, one).item() for m in (2, 3, 5)] == pytest.approx([1, 2**0.5, 2])
    variances, amplitudes = torch.tensor([0.0, 0.5], dtype=DTYPE), torch.tensor([3.0, 2.0], dtype=DTYPE)
    assert band_upper(4, variances, amplitudes).tolist() == pytest.approx([2, (4 - 0.125) ** 0.5])


def test_balance_defects_against_numpy():
    weights, _ = layers(6, 2, WIDTHS)
    defects = balance_defects(weights)
    assert defects.shape == (2, 2)
    for index in range(2):
        first, second, third = (weight[index].numpy() for weight in weights)
        for defect, before, after in zip(defects[index], (first, second), (second, third), strict=True):
            assert defect.item() == pytest.approx(np.linalg.norm(after.T @ after - before @ before.T), rel=1e-12)


def test_balance_defects_of_layers_of_known_scales():
    """Factors a and b of a rotation: |b^2 - a^2| sqrt(size), zero where a = b."""
    turn = torch.linalg.qr(normal(2, 3, 3)).Q
    weights = [torch.stack([a * turn, 2 * turn]) for a in (2.0, 1.0, 3.0)]
    expected = torch.tensor([[3.0, 8.0], [0.0, 0.0]], dtype=DTYPE) * 3**0.5
    torch.testing.assert_close(balance_defects(weights), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("shape", [(2, 5, 3), (2, 3, 5), (2, 4, 4), (1, 3)])
def test_spectral_norm_against_numpy(shape):
    matrices = normal(3, *shape)
    np.testing.assert_allclose(spectral_norm(matrices), np.linalg.norm(matrices.numpy(), 2, axis=(-2, -1)), rtol=1e-12)
    assert spectral_norm(torch.zeros(shape, dtype=DTYPE)).abs().max() == 0
