"""One product of the Hessian with a vector, in gradients."""

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from pyhessian.utils import hessian_vector_product
from torch import Tensor, nn

from benchmarks.curvature import methods
from benchmarks.curvature.problems import Problem, convolutional, linear, relu
from benchmarks.timing import Row, Section, interleave
from flatminima.curvature.chains import Chain
from flatminima.curvature.operators import Hessian

REPETITIONS = 7
TIGHT = 32


def measure() -> Section:
    """Time products whose graph is kept, and products whose graph is built anew."""
    rows = [row for problem in (linear(), relu(), convolutional(500)) for row in _compare(problem)]
    text = (
        "One product, by its time over that of one gradient by plain PyTorch in batches of "
        f"{methods.BATCH}; median of {REPETITIONS} interleaved runs on two threads. With {methods.MEMORY} MiB the "
        f"activations of all samples are kept between products, with {TIGHT} MiB nearly all are computed anew; "
        "PyHessian keeps a graph, curvlinops does not. *autograd* is the engine without the derivatives that it has of "
        "plain chains of layers, as it treats all other networks. *Multiplications* is the time over that of the "
        "product's matrix products and convolutions alone, 6 for a layer and 2 for the first, in chunks of the same "
        "size, convolutions with channels last. *Numbers* is how many more numbers a product multiplies than a "
        "gradient, which takes 3 for a layer and 2 for the first. *Difference* is that of the product from the one in "
        "float64, relative to its norm."
    )
    return Section("One product", text, rows)


def _compare(problem: Problem) -> list[Row]:
    data = problem.inputs, problem.targets
    kept = Hessian(problem.model, problem.loss, data, memory=methods.MEMORY)
    rebuilt = Hessian(problem.model, problem.loss, data, memory=TIGHT)
    with patch.object(Chain, "of", return_value=None):
        autograd = Hessian(problem.model, problem.loss, data, memory=methods.MEMORY)
    exact = Hessian(deepcopy(problem.model).double(), problem.loss, data, memory=2 * methods.MEMORY)
    peer, other = methods.pyhessian_operator(problem), methods.curvlinops_operator(problem)
    vector = torch.randn(kept.shape[0], generator=torch.Generator().manual_seed(0))
    parts = [
        part.reshape(p.shape)
        for part, p in zip(vector.split([p.numel() for p in peer.params]), peer.params, strict=True)
    ]
    candidates: dict[str, Callable[[], object]] = {
        "gradient": partial(methods.gradient, problem),
        "multiplications": _bare(problem, kept._chunk),
        f"flatminima, {methods.MEMORY} MiB": partial(kept.matvec, vector),
        f"flatminima, {TIGHT} MiB": partial(rebuilt.matvec, vector),
        f"flatminima, {methods.MEMORY} MiB, autograd": partial(autograd.matvec, vector),
        "PyHessian": partial(hessian_vector_product, peer.gradsH, peer.params, parts),
        "curvlinops": partial(other.__matmul__, vector),
    }
    seconds, products = interleave(candidates, REPETITIONS)
    gradient, bare = seconds.pop("gradient"), seconds.pop("multiplications")
    reference = exact.matvec(vector.double())
    return [
        {
            "network": problem.name,
            "samples": len(problem.inputs),
            "method": name,
            "ms": 1e3 * seconds[name],
            "gradients": seconds[name] / gradient,
            "multiplications": seconds[name] / bare,
            "numbers": _numbers(problem),
            "difference": _difference(products[name], reference),
        }
        for name in seconds
    ]


def _difference(product: Any, reference: Tensor) -> float:
    flat = product if isinstance(product, Tensor) else torch.cat([part.flatten() for part in product])
    return float((flat.detach() - reference).norm() / reference.norm())


def _layers(problem: Problem, samples: int) -> list[tuple[nn.Module, Tensor, Tensor]]:
    """Layers with weights, and their inputs and outputs on the first samples."""
    found: list[tuple[nn.Module, Tensor, Tensor]] = []

    def note(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        found.append((layer, inputs[0].detach(), output.detach()))

    layers = [layer for layer in problem.model if isinstance(layer, nn.Linear | nn.Conv2d)]
    handles = [layer.register_forward_hook(note) for layer in layers]
    problem.model(problem.inputs[:samples])
    for handle in handles:
        handle.remove()
    return found


def _numbers(problem: Problem) -> float:
    """Multiplications of a product over those of a gradient."""
    work = [layer.get_parameter("weight").numel() * y[0, 0].numel() for layer, _, y in _layers(problem, 1)]
    return (2 * work[0] + 6 * sum(work[1:])) / (2 * work[0] + 3 * sum(work[1:]))


def _bare(problem: Problem, chunk: int) -> Callable[[], None]:
    """The matrix products and convolutions of one product, and nothing else."""
    sizes = [len(part) for part in problem.inputs.split(chunk)]
    parts = [_layer_work(*layer, first=index == 0) for index, layer in enumerate(_layers(problem, max(sizes)))]

    @torch.no_grad()
    def run() -> None:
        for size in sizes:
            for part in parts:
                part(size)

    return run


def _layer_work(layer: nn.Module, x: Tensor, y: Tensor, *, first: bool) -> Callable[[int], None]:
    """Of a layer and some samples: twice the outputs, the gradients in the inputs and those in the weights."""
    weight = layer.get_parameter("weight").detach()
    if isinstance(layer, nn.Conv2d):
        x, y = (values.contiguous(memory_format=torch.channels_last) for values in (x, y))
        settings: dict[str, Any] = {"padding": layer.padding}

        def once(x: Tensor, y: Tensor, *, inwards: bool = True) -> None:
            nn.functional.conv2d(x, weight, **settings)
            if inwards:
                nn.grad.conv2d_input(x.shape, weight, y, **settings)
            nn.grad.conv2d_weight(x, weight.shape, y, **settings)
    else:

        def once(x: Tensor, y: Tensor, *, inwards: bool = True) -> None:
            x @ weight.mT, y.mT @ x
            if inwards:
                y @ weight

    def work(size: int) -> None:
        once(x[:size], y[:size], inwards=not first)
        if not first:
            once(x[:size], y[:size])

    return work
