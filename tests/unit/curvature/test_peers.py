"""Agreement with other libraries on the same networks; `pip install .[peers]` brings them."""

import warnings

import pytest
import torch
from modules import columns, convolutional, data, mlp
from references import DTYPE, normal
from scipy.sparse.linalg import eigsh
from torch import nn

from flatminima.curvature.eigensolvers import eigenpairs
from flatminima.curvature.operators import GaussNewton, Hessian
from flatminima.curvature.spectrum import trace

LOSS = nn.CrossEntropyLoss()
BUILDS = [mlp, convolutional]

warnings.filterwarnings("ignore", category=FutureWarning)


def batches(model):
    """The last one is smaller."""
    inputs, targets = data(model)
    return list(zip(inputs.split(9), targets.split(9), strict=True))


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize(("kind", "name"), [(Hessian, "HessianLinearOperator"), (GaussNewton, "GGNLinearOperator")])
def test_curvlinops_has_the_same_matrices(build, kind, name):
    curvlinops = pytest.importorskip("curvlinops")
    model = build()
    parameters = [p for p in model.parameters() if p.requires_grad]
    theirs = getattr(curvlinops, name)(model, LOSS, parameters, batches(model))
    ours = kind(model, LOSS, batches(model))
    expected = theirs @ torch.eye(ours.shape[0], dtype=DTYPE)
    torch.testing.assert_close(columns(ours), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("build", BUILDS)
def test_curvlinops_has_the_same_eigenvalues(build):
    curvlinops = pytest.importorskip("curvlinops")
    model = build()
    theirs = curvlinops.HessianLinearOperator(model, LOSS, list(model.parameters()), batches(model)).to_scipy()
    expected = sorted(eigsh(theirs, k=3, which="LA", tol=1e-10, return_eigenvectors=False), reverse=True)
    ours = eigenpairs(Hessian(model, LOSS, batches(model)), 3, tolerance=1e-8)
    assert ours.eigenvalues.tolist() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("build", BUILDS)
def test_pyhessian_has_the_same_eigenvalue_vector_and_trace(build):
    """Its power iteration, given time enough; it wants float32 vectors."""
    pyhessian = pytest.importorskip("pyhessian")
    model = build().float()
    inputs, targets = data(model)
    torch.manual_seed(0)
    peer = pyhessian.hessian(model, LOSS, data=(inputs.float(), targets), cuda=False)
    values, vectors = peer.eigenvalues(maxIter=3000, tol=1e-9)
    ours = eigenpairs(Hessian(model, LOSS, (inputs, targets)), tolerance=1e-5)
    assert values[0] == pytest.approx(ours.eigenvalues.item(), rel=1e-4)
    theirs = torch.cat([part.flatten() for part in vectors[0]]).double()
    assert abs(theirs @ ours.eigenvectors[0]).item() == pytest.approx(1, abs=1e-3)
    samples = torch.tensor(peer.trace(maxIter=400, tol=0))
    estimate = trace(Hessian(model, LOSS, (inputs, targets)))
    spread = (samples.std() / len(samples) ** 0.5).item()
    assert abs(samples.mean().item() - estimate.value) < 4 * (spread + estimate.standard_error)


def test_pyhessian_products_of_batches_of_different_sizes():
    pyhessian = pytest.importorskip("pyhessian")
    model = mlp().float()
    loader = [(x.float(), y) for x, y in batches(model)]
    peer = pyhessian.hessian(model, LOSS, dataloader=loader, cuda=False)
    vector = [normal(k, *p.shape).float() for k, p in enumerate(model.parameters())]
    value, _ = peer.dataloader_hv_product(vector)
    flat = torch.cat([part.flatten() for part in vector])
    assert value == pytest.approx((flat @ Hessian(model, LOSS, loader).matvec(flat)).item(), rel=1e-4)
