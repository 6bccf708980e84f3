"""Belief propagation on the binary perceptron, and the solvers that polarise it.

Messages are Gaussian, as the central limit theorem makes them at large N, and are closed on the magnetisations m of
the weights with Onsager's corrections (approximate message passing; Mezard 1989, Kabashima 2003).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.special import erfcx

from flatminima.perceptron.instances import Signs, threshold
from flatminima.perceptron.iteration import Array, Solutions, State, combine, iterate_in_groups, project, signs

LEAST_VARIANCE = 1e-4
INITIAL_FIELD = 0.01


@dataclass(frozen=True)
class Reinforced:
    """Settings of reinforced belief propagation, chosen.

    Attributes:
        steps: most steps; the reinforcement grows from 0 to 1 in them.
    """

    steps: int = 1000


@dataclass(frozen=True)
class Focusing:
    """Settings of focusing belief propagation, chosen.

    Attributes:
        replicas: y, the number of copies that attract each other.
        attraction: gamma at the last step; it grows from 0.
        steps: most steps.
    """

    replicas: int = 5
    attraction: float = 3.0
    steps: int = 2500


def margin_field(size: int, margin: float) -> float:
    """The margin as Gaussian stabilities see it: halfway between the last odd integer that fails and the next."""
    return (threshold(size, margin) - 1) / math.sqrt(size)


def cavity_fields(patterns: Array, means: Array, correction: Array, kappa: float) -> tuple[Array, Array]:
    """One step of belief propagation.

    With sqrt(V) and x of `standardise` and G = Gaussian density / H, the reactions are g = G(x) / sqrt(V), and the
    fields h = sigma' g / sqrt(N) + m sum G(x) (G(x) - x) / (N V).

    Args:
        patterns: sigma, shape (instances, P, N), in the precision to compute in.
        means: magnetisations m, shape (instances, N).
        correction: Onsager's, shape (instances, P): the mean response of m to the fields of a step before times the
            reactions of that step, summed over steps.
        kappa: least stability.

    Returns:
        Fields on the weights, shape (instances, N), and reactions, shape (instances, P).
    """
    deviation, x = standardise(patterns, means, correction, kappa)
    hazard = math.sqrt(2 / math.pi) / erfcx(x / math.sqrt(2))
    reactions = hazard / deviation
    slope = np.sum(hazard * (hazard - x), 1, keepdims=True) / deviation**2
    return (combine(patterns, reactions) * means.shape[1] ** 0.5 + slope * means) / means.shape[1], reactions


def standardise(patterns: Array, means: Array, correction: Array, kappa: float) -> tuple[Array, Array]:
    """Standardise the stabilities of patterns, Gaussian with variance V = 1 - m.m / N.

    Returns:
        sqrt(V), shape (instances, 1), and x = (kappa - sigma.m / sqrt(N) + correction) / sqrt(V), shape (instances, P).
    """
    deviation = np.sqrt(np.maximum(variance(means), LEAST_VARIANCE))
    return deviation, (kappa - project(patterns, means) / means.shape[1] ** 0.5 + correction) / deviation


def variance(means: Array) -> Array:
    """1 - m.m / N, shape (instances, 1)."""
    result: Array = 1 - np.mean(means**2, 1, keepdims=True)
    return result


def reinforced(patterns: Signs, margin: float, generator: Generator, settings: Reinforced) -> Solutions:
    """Reinforced belief propagation (Braunstein & Zecchina 2006).

    To each field is added gamma times itself of the step before; gamma grows from 0 to 1.
    """
    kappa = margin_field(patterns.shape[2], margin)

    def step(patterns: Array, iteration: int, state: State) -> tuple[Array, State]:
        fields, correction = state
        cavity, reactions = cavity_fields(patterns, np.tanh(fields), correction, kappa)
        fields = cavity + iteration / settings.steps * fields
        return signs(fields), (fields, variance(np.tanh(fields)) * reactions)

    return iterate_in_groups(patterns, margin, _start(patterns, generator), step, settings.steps)


def focusing(patterns: Signs, margin: float, generator: Generator, settings: Focusing) -> Solutions:
    """Focusing belief propagation (Baldassi et al. 2016): y equal replicas, attracted to a centre ever more strongly.

    A replica's weight with field h of its patterns feels, through the centre, what the other replicas tell:
    atanh(t tanh((y - 1) atanh(t tanh h))) with t = tanh(gamma). Its total field moves towards the new one by a share
    1 / (1 + (y - 1) t^2), the inverse of the slope at h = 0 of h plus what it feels. All weights are updated in
    parallel, and only with this inertia, and its effect on Onsager's correction, does that not oscillate.
    """
    kappa, others = margin_field(patterns.shape[2], margin), settings.replicas - 1

    def step(patterns: Array, iteration: int, state: State) -> tuple[Array, State]:
        fields, correction = state
        cavity, reactions = cavity_fields(patterns, np.tanh(fields), correction, kappa)
        t = math.tanh(settings.attraction * iteration / settings.steps)
        told, told_slope = _through(t, cavity)
        felt, felt_slope = _through(t, others * told)
        share = 1 / (1 + others * t**2)
        fields = (1 - share) * fields + share * (cavity + felt)
        gain = share * (1 + felt_slope * others * told_slope)
        response = np.mean((1 - np.tanh(fields) ** 2) * gain, 1, keepdims=True)
        return signs(fields), (fields, response * reactions)

    return iterate_in_groups(patterns, margin, _start(patterns, generator), step, settings.steps)


def _through(t: float, fields: Array) -> tuple[Array, Array]:
    """atanh(t tanh h), the field that a coupling of strength atanh(t) passes on, and its slope."""
    means = np.tanh(fields)
    passed: Array = np.arctanh(t * means)
    return passed, t * (1 - means**2) / (1 - (t * means) ** 2)


def _start(patterns: Signs, generator: Generator) -> State:
    """Weak random fields, and no correction yet."""
    instances, count, size = patterns.shape
    fields = INITIAL_FIELD * generator.standard_normal((instances, size), dtype=np.float32)
    return fields, np.zeros((instances, count), np.float32)
