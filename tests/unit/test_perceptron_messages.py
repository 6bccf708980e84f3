"""The closure on magnetisations against belief propagation with a message on every edge."""

import numpy as np
import pytest
from scipy.special import log_ndtr
from scipy.stats import norm

from flatminima.perceptron.instances import storage
from flatminima.perceptron.message_passing import cavity_fields, margin_field, standardise, variance


def edge_by_edge(patterns, kappa, steps=60):
    """Magnetisations from messages m_{i -> mu} and u_{mu -> i} of one instance, Gaussian for all but one weight."""
    forces = patterns / patterns.shape[1] ** 0.5
    messages = np.zeros(forces.shape)
    for _ in range(steps):
        mean = (forces * messages).sum(1, keepdims=True) - forces * messages
        spread = ((1 - messages**2) * forces**2).sum(1, keepdims=True) - (1 - messages**2) * forces**2
        up, down = (log_ndtr((mean + sign * forces - kappa) / np.sqrt(spread)) for sign in (1, -1))
        fields = (up - down) / 2
        previous, messages = messages, np.tanh(fields.sum(0) - fields)
    assert np.abs(messages - previous).max() < 1e-8
    return np.tanh(fields.sum(0))


def closed(patterns, kappa, steps=60):
    means, correction = np.zeros((1, patterns.shape[1])), np.zeros((1, len(patterns)))
    for _ in range(steps):
        fields, reactions = cavity_fields(patterns[None].astype(float), means, correction, kappa)
        previous, means = means, np.tanh(fields)
        correction = variance(means) * reactions
    assert np.abs(means - previous).max() < 1e-8
    return means[0]


@pytest.mark.parametrize("margin", [0.0, 0.3])
def test_magnetisations_of_messages_on_every_edge(margin):
    """They differ by terms of order N^(-1/2), which fall with N."""
    errors = []
    for size in (101, 1601):
        patterns = storage(1, size, 0.3, np.random.default_rng(0))[0]
        kappa = margin_field(size, margin)
        expected = edge_by_edge(patterns, kappa)
        errors.append((closed(patterns, kappa) - expected).std() / expected.std())
    assert errors[0] < 0.1
    assert errors[1] < 0.025


def test_reactions_are_derivatives_of_the_log_probability():
    """g = d ln H((kappa - omega) / sqrt(V)) / d omega, by finite differences; the Gaussian law is scipy's."""
    generator = np.random.default_rng(1)
    patterns = storage(1, 51, 0.4, generator).astype(float)
    means, correction = generator.uniform(-1, 1, (1, 51)), generator.normal(size=(1, 20))
    deviation, x = standardise(patterns, means, correction, 0.2)
    omega = (patterns[0] @ means[0]) / 51**0.5 - correction[0]
    spread = np.sqrt(1 - (means[0] ** 2).mean())
    assert deviation[0, 0] == pytest.approx(spread)
    np.testing.assert_allclose(x[0], (0.2 - omega) / spread)
    step = 1e-5
    up, down = (norm.logsf((0.2 - omega - s) / spread) for s in (step, -step))
    fields, reactions = cavity_fields(patterns, means, correction, 0.2)
    np.testing.assert_allclose(reactions[0], (up - down) / (2 * step), rtol=1e-6)
    curvature = -(up - 2 * norm.logsf((0.2 - omega) / spread) + down) / step**2
    expected = reactions[0] @ patterns[0] / 51**0.5 + means[0] * curvature.sum() / 51
    np.testing.assert_allclose(fields[0], expected, atol=1e-4)
