"""Stochastic gradient descent on the cross-entropy of binary weights, alone and in coupled replicas."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator
from scipy.special import expit

from flatminima.perceptron.instances import Signs
from flatminima.perceptron.iteration import Array, Solutions, State, iterate, signs
from flatminima.perceptron.message_passing import margin_field, variance

LEAST_VARIANCE = 1e-2


@dataclass(frozen=True)
class Descent:
    """Settings of gradient descent, chosen.

    Attributes:
        forward: what the loss sees of the continuous weights in [-1, 1]: `means`, the stabilities' mean over their
            standard deviation for independent binary weights of these means; or `signs`, with the gradient passed
            straight through.
        replicas: y, the number of coupled copies, odd.
        attraction: last share of the way to their mean that replicas move in a step; it grows linearly from 0.
        step_size: of the continuous weights.
        sharpness: first and last inverse width of the cross-entropy, per unit of stability; it grows linearly.
        batch_size: patterns in a step.
        epochs: most passes over the patterns.
    """

    forward: Literal["means", "signs"] = "means"
    replicas: int = 1
    attraction: float = 0.0
    step_size: float = 0.3
    sharpness: tuple[float, float] = (2.0, 4.0)
    batch_size: int = 100
    epochs: int = 1000


def descent(patterns: Signs, margin: float, generator: Generator, settings: Descent) -> Solutions:
    """Descend the cross-entropy log(1 + exp(-b (s - kappa))) of clipped continuous weights, and test their signs.

    Binary weights that are random around trained means: Baldassi et al. 2018. Replicas see the same batches and are
    drawn to their mean (replicated descent; Baldassi et al. 2016), and the signs of their summed signs are tested.
    """
    instances, count, size = patterns.shape
    kappa, batches = margin_field(size, margin), math.ceil(count / settings.batch_size)

    def step(patterns: Array, iteration: int, state: State) -> tuple[Array, State]:
        (weights,) = state
        progress = iteration / settings.epochs
        sharpness = np.interp(progress, [0, 1], settings.sharpness)
        for batch in generator.permutation(batches):
            ascent = _ascent(patterns[:, batch::batches], weights, kappa, sharpness, settings.forward)
            weights = weights + np.float32(settings.step_size) * ascent
            weights += settings.attraction * progress * (weights.mean(2, keepdims=True) - weights)
            np.clip(weights, -1, 1, out=weights)
        return signs(signs(weights).sum(2)), (weights,)

    weights = 0.1 * generator.uniform(-1, 1, (instances, size, settings.replicas))
    return iterate(patterns, margin, (weights.astype(np.float32),), step, settings.epochs)


def _ascent(patterns: Array, weights: Array, kappa: float, sharpness: float, forward: str) -> Array:
    """Minus the cross-entropy's gradient, shape (instances, N, replicas), over the sharpness.

    Stabilities are s = (sigma.w / sqrt(N) - kappa) / sqrt(V), with V = 1 - w.w / N for means, and V = 1 for signs.
    """
    size = weights.shape[1]
    seen = signs(weights) if forward == "signs" else weights
    spread = np.maximum(variance(seen), LEAST_VARIANCE) if forward == "means" else np.ones_like(seen[:, :1])
    excess = patterns @ seen / size**0.5 - kappa
    slopes = expit(-np.float32(sharpness) * excess / np.sqrt(spread))
    ascent: Array = patterns.transpose(0, 2, 1) @ slopes / size**0.5
    if forward == "means":
        ascent += np.sum(slopes * excess, 1, keepdims=True) / spread / size * seen
    return np.asarray(ascent / np.sqrt(spread))
