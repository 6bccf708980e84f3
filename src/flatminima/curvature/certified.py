"""Top eigenpair of an operator, or an error where it is not found to the accuracy asked for."""

from torch import Tensor

from flatminima.curvature.eigensolvers import eigenpairs
from flatminima.curvature.operators import Operator
from flatminima.errors import UserError

TOLERANCE = 1e-6
"""Largest residual of an eigenvalue, relative to it."""


def top_eigenpair(operator: Operator, *, rough: Operator | None = None) -> tuple[float, float, Tensor]:
    """Largest eigenvalue, its residual and its unit vector of shape (size,).

    Args:
        operator: any symmetric operator.
        rough: a cheap approximation of the operator, as for `eigenpairs`.

    Raises:
        UserError: if the residual is larger than TOLERANCE times the eigenvalue.
    """
    pairs = eigenpairs(operator, tolerance=TOLERANCE, rough=rough)
    value, residual = float(pairs.eigenvalues[0]), float(pairs.residuals[0])
    if residual > TOLERANCE * abs(value):
        raise UserError(f"curvature: eigenvalue {value:g} has residual {residual:g}; expected {TOLERANCE:g} of it")
    return value, residual, pairs.eigenvectors[0]
