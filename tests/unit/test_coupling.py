"""Statistics along the signal's path against numpy, and at minima that are flattest by construction."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from references import DTYPE, layers, normal

from flatminima.minima.coupling import follow, overlaps, shared_vector

WIDTHS = [4, 6, 5, 3]


def unit(vector):
    return vector / np.linalg.norm(vector)


def numpy_path(matrices, direction, image, gain):
    """Gains, cosines and residuals of one network, straight from their definitions."""
    depth = len(matrices)
    products = [np.eye(len(direction))]
    for matrix in matrices:
        products.append(matrix @ products[-1])
    tails = [np.linalg.multi_dot([*reversed(matrices[k:]), np.eye(len(matrices[k].T))]) for k in range(depth)]
    gains = [np.linalg.norm(products[k] @ direction) / gain ** (k / depth) for k in range(1, depth + 1)]
    cosines = [unit(products[k] @ direction) @ unit(tails[k].T @ image) for k in range(1, depth)]
    root = gain ** (1 / depth)
    residuals = [
        np.linalg.norm(matrices[k].T @ unit(products[k + 1] @ direction) - root * unit(products[k] @ direction)) / root
        for k in range(depth)
    ]
    return gains, cosines, residuals


@pytest.mark.parametrize("widths", [[4, 3], [4, 6, 3], WIDTHS])
def test_path_statistics_against_their_definitions(widths):
    matrices, _ = layers(1, 2, widths)
    direction, image = (t / t.norm(dim=1, keepdim=True) for t in (normal(2, 2, 4), normal(3, 2, 3)))
    gain = torch.tensor([0.7, 2.0], dtype=DTYPE)
    path = follow(matrices, direction, image, gain)
    depth = len(matrices)
    assert (path.gain.shape, path.cosine.shape, path.residual.shape) == ((2, depth), (2, depth - 1), (2, depth))
    for k in range(2):
        one = numpy_path([m[k].numpy() for m in matrices], direction[k].numpy(), image[k].numpy(), gain[k].item())
        for ours, theirs in zip((path.gain, path.cosine, path.residual), one, strict=True):
            np.testing.assert_allclose(ours[k], theirs, rtol=1e-12, atol=1e-13)


def test_a_path_through_layers_built_on_it():
    """theory.md I4: W_k = s^{1/m} p_k p_{k-1}' + what is orthogonal to both, whatever that is."""
    gain, depth = 3.0, 4
    units = [torch.linalg.qr(normal(k, d, d)).Q for k, d in enumerate([5, 7, 6, 8, 4])]
    matrices = []
    for k in range(depth):
        before, after = units[k], units[k + 1]
        rest = after[:, 1:] @ (3 * normal(20 + k, after.shape[0] - 1, before.shape[0] - 1)) @ before[:, 1:].T
        matrices.append((gain ** (1 / depth) * torch.outer(after[:, 0], before[:, 0]) + rest).unsqueeze(0))
    start, end = units[0][None, :, 0], units[-1][None, :, 0]
    path = follow(matrices, start, end, torch.tensor([gain], dtype=DTYPE))
    torch.testing.assert_close(path.gain, torch.ones(1, depth, dtype=DTYPE), rtol=1e-12, atol=0)
    torch.testing.assert_close(path.cosine, torch.ones(1, depth - 1, dtype=DTYPE), rtol=1e-12, atol=0)
    assert path.residual.max() < 1e-12


@pytest.mark.parametrize("widths", [[4, 4, 4, 4], WIDTHS, [3, 8, 2]])
def test_overlaps_against_numpy(widths):
    weights = [weight.numpy() for weight in layers(6, 2, widths)[0]]
    result = overlaps([torch.from_numpy(weight) for weight in weights]).numpy()
    vectors = max(min(shape) for shape in pairwise(widths))
    assert result.shape == (2, len(weights) - 1, vectors, vectors)
    for replica in range(2):
        for k in range(len(weights) - 1):
            left, _, _ = np.linalg.svd(weights[k][replica], full_matrices=False)
            _, _, right = np.linalg.svd(weights[k + 1][replica], full_matrices=False)
            expected = np.zeros((vectors, vectors))
            expected[: left.shape[1], : len(right)] = np.abs((right @ left).T)
            np.testing.assert_allclose(result[replica, k], expected, atol=1e-10)


def test_overlaps_of_coupled_layers():
    """W_2's right vectors are W_1's left vectors in reverse order: ones on the other diagonal."""
    left, middle, right = (torch.linalg.qr(normal(s, 4, 4)).Q for s in range(3))
    values = torch.tensor([4.0, 3.0, 2.0, 1.0], dtype=DTYPE)
    first, second = middle * values @ left.T, right * values @ middle.flip(1).T
    expected = torch.eye(4, dtype=DTYPE).flip(0)
    torch.testing.assert_close(overlaps([first[None], second[None]])[0, 0], expected, rtol=0, atol=1e-12)


def test_overlaps_of_a_single_layer_are_empty():
    assert overlaps(layers(1, 2, [4, 3])[0]).shape == (2, 0, 3, 3)


@pytest.mark.parametrize("widths", [[4, 4, 4], WIDTHS, [3, 8, 2]])
def test_the_shared_vector_against_numpy(widths):
    weights, direction = layers(6, 2, widths)[0], torch.nn.functional.normalize(normal(7, 2, widths[0]))
    result = shared_vector(weights, direction).numpy()
    assert result.shape == (2, len(weights) - 1, max(min(shape) for shape in pairwise(widths)), 2)
    for replica in range(2):
        signal = direction[replica].numpy()
        for k in range(len(weights) - 1):
            before, after = weights[k][replica].numpy(), weights[k + 1][replica].numpy()
            signal = before @ signal / np.linalg.norm(before @ signal)
            left, _, _ = np.linalg.svd(before, full_matrices=False)
            _, _, right = np.linalg.svd(after, full_matrices=False)
            for side, found in enumerate(((left.T @ signal) ** 2, (right @ signal) ** 2)):
                np.testing.assert_allclose(result[replica, k, : len(found), side], found, atol=1e-12)
                assert np.isnan(result[replica, k, len(found) :, side]).all()


def test_the_vector_of_coupled_layers_is_one_of_each():
    """The signal is W_1's third left vector and W_2's second right one; W_1's other vectors have none of it."""
    left, middle, right = (torch.linalg.qr(normal(s, 4, 4)).Q for s in range(3))
    values = torch.tensor([4.0, 3.0, 2.0, 1.0], dtype=DTYPE)
    first, second = middle * values @ left.T, right * values @ middle.flip(1).T
    components = shared_vector([first[None], second[None]], left[None, :, 2])[0, 0]
    expected = torch.zeros(4, 2, dtype=DTYPE)
    expected[2, 0] = expected[1, 1] = 1
    torch.testing.assert_close(components, expected, rtol=0, atol=1e-12)
