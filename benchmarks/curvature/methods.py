"""One way each to the top eigenvalues, with the libraries' own defaults unless its name says otherwise."""

import copy
import warnings

import torch
from scipy.sparse.linalg import eigsh
from torch import Tensor

from benchmarks.curvature.problems import CLASSES, Problem
from flatminima.curvature.eigensolvers import eigenpairs, stacked_eigenpairs
from flatminima.curvature.operators import Hessian
from flatminima.minima.hessian import MomentHessian

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import curvlinops
    import pyhessian

BATCH = 2500
MEMORY = 2048
TOLERANCE = 1e-4
Values = list[float]


def reference(problem: Problem, k: int) -> Values:
    """Float64 products and scipy's eigsh to 1e-9."""
    model = copy.deepcopy(problem.model).double()
    operator = Hessian(model, problem.loss, (problem.inputs, problem.targets), memory=2 * MEMORY)
    return _descending(eigsh(operator.scipy(), k=k, which="LA", tol=1e-9, return_eigenvectors=False))


def flatminima(problem: Problem, k: int) -> Values:
    """From a tenth of the samples to all of them."""
    hessian = Hessian(problem.model, problem.loss, (problem.inputs, problem.targets), memory=MEMORY)
    values: Values = eigenpairs(hessian, k, tolerance=TOLERANCE, rough=hessian.thinned()).eigenvalues.tolist()
    return values


def flatminima_values(problem: Problem, k: int) -> Values:
    """From a tenth of the samples, until each value, not its residual, is known to the tolerance."""
    hessian = Hessian(problem.model, problem.loss, (problem.inputs, problem.targets), memory=MEMORY)
    found = eigenpairs(hessian, k, tolerance=TOLERANCE, sought="values", rough=hessian.thinned())
    values: Values = found.eigenvalues.tolist()
    return values


def flatminima_cold(problem: Problem, k: int) -> Values:
    """From a random start: for many eigenvalues, whose vectors share one Krylov space."""
    hessian = Hessian(problem.model, problem.loss, (problem.inputs, problem.targets), memory=MEMORY)
    values: Values = eigenpairs(hessian, k, tolerance=TOLERANCE).eigenvalues.tolist()
    return values


def second_moments(problem: Problem, k: int) -> Values:
    """Of a linear network, with the computation of the moments."""
    return from_moments(problem, *moments(problem), k)


def moments(problem: Problem) -> tuple[Tensor, Tensor]:
    """Sx and Syx on the scale of the mean over samples and outputs, float64; numpy computes one half of Sx only."""
    scale = 1 / (CLASSES * len(problem.inputs))
    inputs, targets = problem.inputs.numpy(), problem.targets.numpy()
    first, second = (scale * torch.from_numpy(left.T @ inputs).double() for left in (inputs, targets))
    return first, second


def from_moments(problem: Problem, input_moment: Tensor, cross_moment: Tensor, k: int) -> Values:
    """Of a linear network, from second moments that are known."""
    weights = [weight.detach().double().unsqueeze(0) for weight in problem.model.parameters()]
    hessian = MomentHessian(weights, input_moment, cross_moment)
    found = hessian.top_eigenpair(TOLERANCE) if k == 1 else stacked_eigenpairs(hessian, k, tolerance=TOLERANCE)
    values: Values = found.eigenvalues[0].tolist()
    return values


def curvlinops_eigsh(problem: Problem, k: int) -> Values:
    """Scipy's eigsh on curvlinops' operator, without its check of determinism."""
    operator = curvlinops_operator(problem).to_scipy()
    return _descending(eigsh(operator, k=k, which="LA", tol=TOLERANCE, return_eigenvectors=False))


def pyhessian_default(problem: Problem, k: int) -> Values:
    """PyHessian's power iteration to its tolerance of 1e-3, or 100 products."""
    return pyhessian_operator(problem).eigenvalues(top_n=k)[0]


def pyhessian_strict(problem: Problem, k: int) -> Values:
    """The same to 1e-5, or 1000 products."""
    return pyhessian_operator(problem).eigenvalues(maxIter=1000, tol=1e-5, top_n=k)[0]


def curvlinops_operator(problem: Problem) -> "curvlinops.HessianLinearOperator":
    """In batches that suit the processor's cache."""
    parameters, batches = list(problem.model.parameters()), problem.batches(BATCH)
    return curvlinops.HessianLinearOperator(problem.model, problem.loss, parameters, batches, check_deterministic=False)


def pyhessian_operator(problem: Problem) -> "pyhessian.hessian":
    """On one batch of all samples, whose graph it keeps."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pyhessian.hessian(problem.model, problem.loss, data=(problem.inputs, problem.targets), cuda=False)


def gradient(problem: Problem) -> Tensor:
    """Of the loss, by plain PyTorch in batches: the unit in which work is counted."""
    total = 0.0
    for inputs, targets in problem.batches(BATCH):
        value = problem.loss(problem.model(inputs), targets) * len(inputs) / len(problem.inputs)
        gradients = torch.autograd.grad(value, list(problem.model.parameters()))
        total = total + torch.cat([part.flatten() for part in gradients])
    return total


def _descending(values: Tensor) -> Values:
    return sorted((float(value) for value in values), reverse=True)
