"""All cases, by family; and the layers and losses of torch.nn that have none."""

import inspect

from torch import nn
from torch.nn import Module
from torch.nn.utils import parametrizations

from benchmarks.layers import elementwise, functions, losses, nests, normalisation, sequences, spatial
from benchmarks.layers.cases import Case

FAMILIES: dict[str, list[Case]] = {
    "Activations": elementwise.ACTIVATIONS,
    "Dropout": elementwise.DROPOUTS,
    "Linear, convolution": spatial.CONVOLUTIONS,
    "Pooling": spatial.POOLING,
    "Padding": spatial.PADDING,
    "Shapes, distances": spatial.SHAPES,
    "Normalisation": normalisation.NORMALISATION,
    "Parametrisations (`torch.nn.utils`)": normalisation.PARAMETRISATIONS,
    "Embeddings": sequences.EMBEDDINGS,
    "Recurrent": sequences.RECURRENT,
    "Attention": sequences.ATTENTION,
    "Losses of regression": losses.REGRESSION,
    "Losses of classes": losses.CLASSIFICATION,
    "Losses of several outputs": losses.SEVERAL_OUTPUTS,
    "Losses of sequences, losses with parameters": losses.OWN_PARAMETERS,
    "Inputs, outputs, targets": nests.NESTS,
    "Functions of `torch`": functions.FUNCTIONS,
    "Derivatives of your own": functions.OWN_DERIVATIVES,
}

CONTAINERS = "Container", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"
ABSTRACT = "Module", "RNNBase", "RNNCellBase"
WITHOUT: dict[str, str] = {
    **dict.fromkeys(CONTAINERS, "holds other modules"),
    **dict.fromkeys(ABSTRACT, "cannot be called"),
    "DataParallel": "runs a module on several GPUs",
}
"""Modules of torch.nn without a case, and why. A lazy one, such as LazyLinear, becomes the other at its first call."""


def public() -> set[str]:
    """Names of all modules of torch.nn, and of the parametrisations that come with it."""
    modules = {name for name, kind in vars(nn).items() if inspect.isclass(kind) and issubclass(kind, Module)}
    return modules | {f"parametrizations.{name}" for name in parametrizations.__all__}


def missing() -> set[str]:
    """Layers and losses of torch.nn that have neither a case nor a reason for none."""
    covered = {case.name.split(" ")[0] for family in FAMILIES.values() for case in family}
    return {name for name in public() - covered - set(WITHOUT) if not name.startswith("Lazy")}
