"""The sharpness of trained networks by other libraries: evidence that owes nothing to our own Hessians."""

import warnings
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor, nn

from flatminima.curvature.eigensolvers import stacked_eigenpairs
from flatminima.curvature.sample_hessian import SampleHessian
from flatminima.curvature.subspace import Eigenpairs
from flatminima.data.moments import Moments, equivalent_samples
from flatminima.data.tasks import Samples
from flatminima.errors import UserError
from flatminima.minima.hessian import MomentHessian
from flatminima.minima.measure import replica_labels
from flatminima.minima.statistics import Statistic, tidy
from flatminima.networks.fully_convolutional import FullyConvolutionalStack
from flatminima.networks.modules import as_module
from flatminima.networks.stack import Stack
from flatminima.networks.storage import Networks

BATCH = 2500
SAMPLES = 2000
"""Largest number of samples that other libraries, which are slow, are given: the first ones."""
TOLERANCE, PRODUCTS, MEMORY = 1e-6, 1000, 2**30
EIGSH_TOLERANCE = 1e-8
POWER_TOLERANCE, POWER_STEPS = 1e-7, 1000
Batch = tuple[Tensor, Tensor]


def crosscheck(networks: Networks, samples: Samples, moments: Moments) -> pd.DataFrame:
    """Sharpness of a file's first network that did not diverge, by curvlinops with scipy's eigsh, and by PyHessian.

    Args:
        networks: trained networks.
        samples: their task's samples.
        moments: their task's second moments.

    Returns:
        Tidy rows of the statistics sharpness_checked, which is ours on the same samples, sharpness_curvlinops, whose
        error bound is the residual that curvlinops' own product gives, and sharpness_pyhessian, whose power iteration
        gives none. No rows if all diverged.

    Raises:
        UserError: if the two libraries are not installed, or the networks are convolutional.
    """
    if isinstance(networks.stack, FullyConvolutionalStack):
        raise UserError("crosscheck: the networks are convolutional; expected fully connected ones: leave the file out")
    labels = replica_labels(networks)[networks.replicas["final"] & ~networks.replicas["diverged"]]
    if labels.empty:
        return tidy(labels, {"sharpness_checked": Statistic(torch.zeros(0, dtype=torch.float64))})
    replica = int(labels.index[0])
    model = as_module(networks.stack.double(), replica)
    data = _data(networks, samples, moments)
    scale = data[1].shape[1] * moments.loss_scale
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value, residual = _curvlinops(model, data)
        power = _pyhessian(model, data)
    ours = _ours(networks.stack.double().select(torch.tensor([replica])), data, moments)
    statistics = {
        "sharpness_checked": Statistic(ours.eigenvalues[:, 0], ours.residuals[:, 0]),
        "sharpness_curvlinops": Statistic(*scale * torch.tensor([[value], [residual]], dtype=torch.float64)),
        "sharpness_pyhessian": Statistic(scale * torch.tensor([power], dtype=torch.float64)),
    }
    return tidy(labels.loc[[replica]], statistics)


def _ours(stack: Stack, data: Batch, moments: Moments) -> Eigenpairs:
    if stack.rectified or stack.biases:
        hessian = SampleHessian(stack, *data, moments.loss_scale, MEMORY)
        return stacked_eigenpairs(hessian, tolerance=TOLERANCE, max_products=PRODUCTS)
    first, second = (torch.from_numpy(moments.loss_scale * m) for m in (moments.input_moment, moments.cross_moment))
    return MomentHessian(stack.weights, first, second).top_eigenpair(TOLERANCE, PRODUCTS)


def _data(networks: Networks, samples: Samples, moments: Moments) -> Batch:
    """The first samples; for linear networks without biases d_x samples with the exact second moments of all."""
    stack = networks.stack
    if stack.rectified or stack.biases:
        inputs, targets = samples.inputs[:SAMPLES], samples.targets[:SAMPLES]
        return torch.from_numpy(inputs).double(), torch.from_numpy(targets).double()
    equivalent = equivalent_samples(moments)
    return torch.from_numpy(equivalent[0]), torch.from_numpy(equivalent[1])


def _curvlinops(model: nn.Module, data: Batch) -> tuple[float, float]:
    """Largest eigenvalue for the squared error averaged over samples and outputs, and its residual."""
    curvlinops = _imported("curvlinops")
    parameters = list(model.parameters())
    batches = _batches(data)
    hessian = curvlinops.HessianLinearOperator(model, nn.MSELoss(), parameters, batches, check_deterministic=False)
    operator: LinearOperator = hessian.to_scipy()
    start = np.random.default_rng(0).standard_normal(operator.shape[0])
    values, vectors = eigsh(operator, k=1, which="LA", tol=EIGSH_TOLERANCE, v0=start)
    residual = operator @ vectors[:, 0] - values[0] * vectors[:, 0]
    return float(values[0]), float(np.linalg.norm(residual))


def _pyhessian(model: nn.Module, data: Batch) -> float:
    """Sharpness by PyHessian: power iteration in float32."""
    torch.manual_seed(0)
    batches = _batches((data[0].float(), data[1].float()))
    hessian = _imported("pyhessian").hessian(model.float(), nn.MSELoss(), dataloader=batches, cuda=False)
    values, _ = hessian.eigenvalues(maxIter=POWER_STEPS, tol=POWER_TOLERANCE)
    return float(values[0])


def _batches(data: Batch) -> list[Batch]:
    return list(zip(torch.split(data[0], BATCH), torch.split(data[1], BATCH), strict=True))


def _imported(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise UserError(f"{name}: not installed; `make environment`, or pip install '.[peers]'") from None
