"""The envelope of I4 off equality against closed forms, and against minima made here from random matrices."""

from functools import reduce

import numpy as np
import pytest
from scipy.optimize import minimize

from flatminima.figures.training.envelope import cosine_envelope, gain_envelope

EXCESS = np.geomspace(1e-8, 10, 40)


@pytest.mark.parametrize("depth", [2, 3, 4, 5, 6])
def test_second_order(depth):
    """Near equality a gain strays by exp sqrt(e k (m - k) / 2), a cosine by e m / 2."""
    small = np.array([1e-6, 1e-5])
    k = depth // 2
    np.testing.assert_allclose(gain_envelope(small, depth), np.sqrt(small * k * (depth - k) / 2), rtol=3e-3)
    np.testing.assert_allclose(cosine_envelope(small, depth), small * depth / 2, rtol=1e-4)


def test_two_layers_in_closed_form():
    """The mean of exp(2 L) and exp(-2 L) is cosh(2 L); at a ratio of 1.05 gains stay within a factor of 1.171."""
    np.testing.assert_allclose(gain_envelope(EXCESS, 2), np.arccosh(1 + EXCESS) / 2, rtol=1e-7)
    assert np.exp(gain_envelope(np.array([0.05]), 2))[0] == pytest.approx(1.1705, abs=1e-4)
    assert 1 - cosine_envelope(np.array([0.05]), 2)[0] == pytest.approx(0.95238, abs=1e-5)


@pytest.mark.parametrize("depth", [2, 3, 4, 5])
@pytest.mark.parametrize("excess", [0.01, 0.3, 2.0])
def test_gains_of_scalar_chains_reach_it(depth, excess):
    """Layers of one unit: the ratio is the mean of s^(2/m) / w_k^2; the best chain by search has that gain."""

    def gain(logs: np.ndarray, layer: int) -> float:
        return abs(logs[:layer].sum())

    def ratio(logs: np.ndarray) -> float:
        return float(np.mean(np.exp(-2 * np.append(logs, -logs.sum()))))

    found = []
    for layer in range(1, depth):
        for sign in (1, -1):
            start = np.full(depth - 1, sign * 0.01)
            bound = {"type": "ineq", "fun": lambda logs: 1 + excess - ratio(logs)}
            best = minimize(lambda logs, k=layer, s=sign: -s * logs[:k].sum(), start, constraints=bound, method="SLSQP")
            assert ratio(best.x) <= 1 + excess + 1e-6
            found.append(gain(best.x, layer))
    assert max(found) == pytest.approx(gain_envelope(np.array([excess]), depth)[0], rel=1e-4)


@pytest.mark.parametrize("depth", [2, 3, 4, 5])
def test_random_minima_lie_inside(depth):
    """White inputs; the sharpness is the largest eigenvalue of the dense Hessian, as a Gauss-Newton matrix."""
    rng = np.random.default_rng(depth)
    for spread in (0.02, 0.1, 0.4, 1.0):
        for _ in range(15):
            weights = [np.diag([1.0, 0.7, 0.4]) + spread * rng.normal(size=(3, 3)) for _ in range(depth)]
            ratio, gains, cosines = measured(weights)
            excess = np.array([ratio - 1])
            assert excess[0] > 0
            assert np.abs(np.log(gains)).max() <= gain_envelope(excess, depth)[0]
            assert (1 - cosines).max() <= cosine_envelope(excess, depth)[0]


def measured(weights: list[np.ndarray]) -> tuple[float, np.ndarray, np.ndarray]:
    """Sharpness relative to 2 m s^(2 - 2/m), gains relative to s^(k/m), and cosines, at layers 1 to m - 1."""
    depth = len(weights)
    before = [reduce(lambda p, w: w @ p, weights[:k], np.eye(3)) for k in range(depth + 1)]
    after = [reduce(lambda p, w: w @ p, weights[k:], np.eye(3)) for k in range(depth + 1)]
    jacobian = np.hstack([np.kron(before[k].T, after[k + 1]) for k in range(depth)])
    left, values, right = np.linalg.svd(before[-1])
    s, u, v = values[0], left[:, 0], right[0]
    forward = np.array([before[k] @ v for k in range(1, depth)])
    backward = np.array([after[k].T @ u for k in range(1, depth)])
    norms = np.linalg.norm(forward, axis=1)
    gains = norms / s ** (np.arange(1, depth) / depth)
    cosines = (forward * backward).sum(1) / norms / np.linalg.norm(backward, axis=1)
    sharpness = 2 * np.linalg.svd(jacobian, compute_uv=False)[0] ** 2
    return sharpness / (2 * depth * s ** (2 - 2 / depth)), gains, cosines
