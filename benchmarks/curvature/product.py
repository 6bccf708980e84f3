"""One product of the Hessian with a vector, in gradients."""

from collections.abc import Callable
from functools import partial

import torch
from pyhessian.utils import hessian_vector_product
from torch import Tensor, nn

from benchmarks.curvature import methods
from benchmarks.curvature.problems import Problem, convolutional, linear, relu
from benchmarks.timing import Row, Section, interleave
from flatminima.curvature.operators import Hessian

REPETITIONS = 7
TIGHT = 32


def measure() -> Section:
    """Time products whose graph is kept, and products whose graph is built anew."""
    rows = [row for problem in (linear(), relu(), convolutional(500)) for row in _compare(problem)]
    text = (
        "One product, by its time over that of one gradient by plain PyTorch in batches of "
        f"{methods.BATCH}; median of {REPETITIONS} interleaved runs on two threads. With {methods.MEMORY} MiB the "
        f"graph of all samples is kept between products, with {TIGHT} MiB nearly all of it is built anew; PyHessian "
        "keeps it, curvlinops does not. *Multiplications* is the ratio of their numbers with a graph that is kept: "
        "a layer takes 3 times its size for a gradient and 6 for a product, the first layer 2 and 2. This is what "
        "limits dense networks; gradients of small convolutions spend their time on other things."
    )
    return Section("One product", text, rows)


def _compare(problem: Problem) -> list[Row]:
    data = problem.inputs, problem.targets
    kept = Hessian(problem.model, problem.loss, data, memory=methods.MEMORY)
    rebuilt = Hessian(problem.model, problem.loss, data, memory=TIGHT)
    peer, other = methods.pyhessian_operator(problem), methods.curvlinops_operator(problem)
    vector = torch.randn(kept.shape[0], generator=torch.Generator().manual_seed(0))
    parts = [
        part.reshape(p.shape)
        for part, p in zip(vector.split([p.numel() for p in peer.params]), peer.params, strict=True)
    ]
    candidates: dict[str, Callable[[], object]] = {
        "gradient": partial(methods.gradient, problem),
        f"flatminima, {methods.MEMORY} MiB": partial(kept.matvec, vector),
        f"flatminima, {TIGHT} MiB": partial(rebuilt.matvec, vector),
        "PyHessian": partial(hessian_vector_product, peer.gradsH, peer.params, parts),
        "curvlinops": partial(other.__matmul__, vector),
    }
    seconds, _ = interleave(candidates, REPETITIONS)
    gradient = seconds.pop("gradient")
    return [
        {
            "network": problem.name,
            "samples": len(problem.inputs),
            "method": name,
            "ms": 1e3 * seconds[name],
            "gradients": seconds[name] / gradient,
            "multiplications": _multiplications(problem),
        }
        for name in seconds
    ]


def _multiplications(problem: Problem) -> float:
    """Multiplications of a product over those of a gradient."""
    work: list[int] = []

    def count(layer: nn.Module, _: object, output: Tensor) -> None:
        work.append(layer.get_parameter("weight").numel() * output[0, 0].numel())

    layers = [layer for layer in problem.model if isinstance(layer, nn.Linear | nn.Conv2d)]
    handles = [layer.register_forward_hook(count) for layer in layers]
    problem.model(problem.inputs[:1])
    for handle in handles:
        handle.remove()
    return (2 * work[0] + 6 * sum(work[1:])) / (2 * work[0] + 3 * sum(work[1:]))
