"""Normalised activations, and weights that are functions of other parameters."""

from torch import Tensor, nn
from torch.nn import Module
from torch.nn.utils import parametrizations, parametrize, prune

from benchmarks.layers.cases import Case, between, quietly

NORMALISATION: list[Case] = [
    between(nn.BatchNorm1d(4), 4),
    between(nn.BatchNorm2d(2), 2, 2, 3),
    between(nn.BatchNorm3d(2), 2, 1, 2, 2),
    between(nn.CrossMapLRN2d(3), 4, 2, 2),
    between(nn.GroupNorm(2, 4), 4, 2),
    between(nn.InstanceNorm1d(2), 2, 4),
    between(nn.InstanceNorm2d(2, affine=True), 2, 2, 3),
    between(nn.InstanceNorm3d(1, affine=True, track_running_stats=True), 1, 2, 2, 2),
    between(nn.LayerNorm(5), 5),
    between(nn.LocalResponseNorm(2, alpha=1), 4, 3),
    between(nn.RMSNorm(5), 5),
    between(nn.SyncBatchNorm(2), 2, 2, 3),
]


class Symmetric(Module):
    """A matrix of which only the upper triangle counts."""

    def forward(self, matrix: Tensor) -> Tensor:
        """The symmetric matrix."""
        return matrix.triu() + matrix.triu(1).mT


def _linear() -> nn.Linear:
    return nn.Linear(4, 4)


def _symmetric() -> Module:
    layer = _linear()
    parametrize.register_parametrization(layer, "weight", Symmetric())
    return layer


def _orthogonal(kind: str) -> Case:
    layer = parametrizations.orthogonal(_linear(), orthogonal_map=kind)
    return between(layer, 4, name=f"parametrizations.orthogonal ({kind})")


PARAMETRISATIONS: list[Case] = [
    between(parametrizations.weight_norm(_linear()), 4, name="parametrizations.weight_norm"),
    between(parametrizations.weight_norm(_linear(), dim=None), 4, name="parametrizations.weight_norm (whole)"),
    between(parametrizations.weight_norm(nn.Conv1d(2, 2, 2)), 2, 3, name="parametrizations.weight_norm (Conv1d)"),
    between(quietly(nn.utils.weight_norm, _linear()), 4, name="utils.weight_norm"),
    between(parametrizations.spectral_norm(_linear()), 4, name="parametrizations.spectral_norm"),
    between(nn.utils.spectral_norm(_linear()), 4, name="utils.spectral_norm"),
    *(_orthogonal(kind) for kind in ("matrix_exp", "cayley", "householder")),
    between(_symmetric(), 4, name="parametrize.register_parametrization"),
    between(prune.l1_unstructured(_linear(), "weight", 5), 4, name="prune.l1_unstructured"),
]
