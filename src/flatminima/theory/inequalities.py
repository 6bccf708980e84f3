"""Inequalities that hold for all global minima of deep linear networks, and false ones near them."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from flatminima.minima.balance import product_norms
from flatminima.minima.coupling import follow
from flatminima.minima.linear import LinearProblems

Inequality = Callable[[Sequence[Tensor], LinearProblems, Tensor], Tensor]
"""Function of weights, problems and sharpness / minimal sharpness: left / right side, stated to be 1 or more."""


def white_inequality(_: Sequence[Tensor], problems: LinearProblems, ratio: Tensor) -> Tensor:
    """theory.md I2: sharpness >= 2 m s^{2-2/m} with s the largest singular value of T. True for white inputs alone."""
    return ratio * problems.least / _white(problems.largest_gain, problems.depth)


def frobenius_inequality(_: Sequence[Tensor], problems: LinearProblems, ratio: Tensor) -> Tensor:
    """False for ranks above one: I2 with the Frobenius norm of T instead of its largest singular value."""
    return ratio * problems.least / _white(torch.linalg.matrix_norm(problems.end_to_end), problems.depth)


def bound_inequality(_: Sequence[Tensor], __: LinearProblems, ratio: Tensor) -> Tensor:
    """theory.md I3: sharpness >= 2 m max_p (||C p||^2 ||T C p||^{2(m-1)})^{1/m}."""
    return ratio


def separate_inequality(_: Sequence[Tensor], problems: LinearProblems, ratio: Tensor) -> Tensor:
    """False unless one p is best in both roles: I3 with each role at its best, 2 m (||C||^2 ||T C||^{2(m-1)})^{1/m}."""
    roles = (torch.linalg.matrix_norm(matrix, 2) for matrix in (problems.root, problems.end_to_end @ problems.root))
    inputs, outputs = (norm ** (2 / problems.depth) for norm in roles)
    bound: Tensor = 2 * problems.depth * inputs * outputs ** (problems.depth - 1)
    return ratio * problems.least / bound


def path_inequality(weights: Sequence[Tensor], problems: LinearProblems, ratio: Tensor) -> Tensor:
    """theory.md I4 off equality: sharpness ratio >= mean over k of (g_{k-1} / (g_k gamma_k))^2, g_0 = gamma_m = 1.

    Here g_k are the path gains and gamma_k the path cosines: a minimum can be flat only if all of them are near one.
    """
    return ratio / _path_terms(weights, problems).mean(1)


def largest_term_inequality(weights: Sequence[Tensor], problems: LinearProblems, ratio: Tensor) -> Tensor:
    """False: I4 off equality with the largest of its terms instead of their mean."""
    return ratio / _path_terms(weights, problems).amax(1)


def band_inequality(weights: Sequence[Tensor], problems: LinearProblems, ratio: Tensor) -> Tensor:
    """theory.md I5 off equality: the norm of a partial product is at most what sharpness and the path allow.

    ||W_k...W_1 C|| / (||Cp|| rho^{k/m}) <= g_{k+1} gamma_{k+1} sqrt(m ratio - lambda_min(Sx) / (||Cp|| g_1 gamma_1)^2).
    """
    return _band(weights, problems, ratio, problems.smallest_variance / problems.amplitude**2)


def white_band_inequality(weights: Sequence[Tensor], problems: LinearProblems, ratio: Tensor) -> Tensor:
    """False unless inputs are white: I5 with the constant of white inputs, sqrt(m - 1), on any."""
    return _band(weights, problems, ratio, torch.ones_like(ratio))


def _white(norm: Tensor, depth: int) -> Tensor:
    bound: Tensor = 2 * depth * norm ** (2 - 2 / depth)
    return bound


def _path_terms(weights: Sequence[Tensor], problems: LinearProblems) -> Tensor:
    """(g_{k-1} / (g_k gamma_k))^2 for k = 1..m, shape (problems, m)."""
    gains, cosines = _gains_and_cosines(weights, problems)
    before = torch.cat([torch.ones_like(gains[:, :1]), gains[:, :-1]], 1)
    return (before / (gains * cosines)).square()


def _band(weights: Sequence[Tensor], problems: LinearProblems, ratio: Tensor, variance: Tensor) -> Tensor:
    """Allowed / present norm where it is least; `variance` is the smallest one of the inputs over ||Cp||^2."""
    gains, cosines = _gains_and_cosines(weights, problems)
    factors = gains * cosines
    norms = product_norms(weights, problems.root, problems.amplitude, problems.gain)
    left = problems.depth * ratio - variance / factors[:, 0] ** 2
    allowed = factors[:, 1:] * left.clamp_min(0).sqrt().unsqueeze(1)
    return (allowed / norms).amin(1)


def _gains_and_cosines(weights: Sequence[Tensor], problems: LinearProblems) -> tuple[Tensor, Tensor]:
    """g_1..g_m and gamma_1..gamma_m; the last of each is one, because the product of the layers is T."""
    path = follow(weights, problems.direction, problems.image, problems.gain)
    ones = torch.ones_like(problems.gain).unsqueeze(1)
    return torch.cat([path.gain[:, :-1], ones], 1), torch.cat([path.cosine, ones], 1)


STATEMENTS: dict[str, Inequality] = {
    "attack_white": white_inequality,
    "attack_coloured": white_inequality,
    "attack_bound": bound_inequality,
    "attack_path": path_inequality,
    "attack_band": band_inequality,
}
"""Statements that are attacked. `attack_white` takes white inputs; `attack_coloured` takes others, and must succeed."""
FALSE: dict[str, Inequality] = {
    "attack_white": frobenius_inequality,
    "attack_coloured": frobenius_inequality,
    "attack_bound": separate_inequality,
    "attack_path": largest_term_inequality,
    "attack_band": white_band_inequality,
}
"""A false statement near each of them, which its search must break."""
