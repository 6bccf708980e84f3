"""Whether the engine's matrices of a case are right, refused, or neither."""

import re
import warnings
from dataclasses import dataclass

import torch

from benchmarks.layers.cases import Case
from benchmarks.layers.reference import SMALL, Flat, difference, gauss_newton, gradient_error, hessian
from flatminima.curvature.eigensolvers import eigenpairs
from flatminima.curvature.operators import GaussNewton, Hessian
from flatminima.errors import UserError

KINDS = {"Hessian": (Hessian, hessian), "Gauss-Newton": (GaussNewton, gauss_newton)}
TOLERANCE = 1e-6
"""Of the largest difference between entries, relative to the largest entry."""
NUMBER = re.compile(r"-?\d+(\.\d+)?e[-+]\d+|-?\d+\.\d\d+|-?\d\d+\.\d")
"""What is measured, and may differ in its last digit on another machine."""


@dataclass(frozen=True)
class Outcome:
    """What the engine makes of one matrix.

    Attributes:
        verdict: "right", "refused", "wrong", or "unclear" for any error that is not a UserError; "idle" where the
            second derivatives do not depend on what the case is about.
        detail: the refusal or error, without its numbers; or how far a wrong matrix is off.
    """

    verdict: str
    detail: str = ""


def outcomes(case: Case) -> dict[str, Outcome]:
    """Outcome of each kind of matrix."""
    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        return {kind: _outcome(case, kind) for kind in KINDS}


def _outcome(case: Case, kind: str) -> Outcome:
    build, reference = KINDS[kind]
    try:
        operator = build(case.model, case.loss, [(case.inputs, case.targets)], case.parameters)
        matrix = operator.matmat(torch.eye(operator.shape[0], dtype=torch.float64))
        top = eigenpairs(operator, tolerance=TOLERANCE).eigenvalues
    except UserError as refusal:
        return Outcome("refused", NUMBER.sub("…", str(refusal)))
    except Exception as error:
        return Outcome("unclear", f"{type(error).__name__}: {error}".splitlines()[0])
    flat = Flat(case.truth or case.model, case.loss, case.inputs, case.targets, case.parameters, case.step)
    expected = reference(flat)
    errors = {
        "the matrix": difference(matrix, expected),
        "its top eigenvalue": difference(top, torch.linalg.eigvalsh(expected)[-1:]),
    }
    if kind == "Hessian":
        errors["the gradient"] = gradient_error(flat)
    wrong = [f"{name} by {error:.1e}" for name, error in errors.items() if not error <= TOLERANCE]
    if wrong:
        return Outcome("wrong", f"off: {', '.join(wrong)}")
    if kind == "Hessian" and float(expected[: flat.first].abs().max()) < SMALL:
        return Outcome("idle", "the first layer has no second derivatives")
    return Outcome("right")
