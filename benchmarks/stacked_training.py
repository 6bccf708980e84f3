"""Stochastic gradient descent of all replicas of a shape in one stack, against a PyTorch loop over the replicas."""

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor
from torch.optim import SGD

from benchmarks.sweep import configuration, digits, largest_difference, sweep
from benchmarks.timing import Row, Section, interleave
from flatminima.data.moments import second_moments
from flatminima.generators import generators
from flatminima.networks.modules import as_module
from flatminima.networks.stack import Stack
from flatminima.settings.training import Experiment
from flatminima.training.batches import Batches, SampleProblem
from flatminima.training.stochastic import stochastic_descent

EXPERIMENT = "relu"
STEPS = 100
REPETITIONS = 7
REQUIRED = 5
CHECKED_STEPS = 10
SAME = 1e-9
Weights = tuple[Tensor, ...]


def measure() -> Section:
    """Time both, and the matrix products alone, at every depth of the sweep."""
    experiment = configuration().studies["digits"].experiments[EXPERIMENT]
    samples = digits(experiment.task)
    moments = second_moments(samples)
    clean = torch.from_numpy(samples.targets)
    problem = SampleProblem(clean, clean, moments.loss_scale, samples.noise)
    rows: list[Row] = []
    differences = []
    for depth in experiment.depths:
        stack, rates = sweep(EXPERIMENT, experiment, depth, moments)
        differences.append(_difference(experiment, stack, rates, problem))
        single = stack.with_parameters([parameter.float() for parameter in stack.parameters])
        for threads in (1, 2):
            torch.set_num_threads(threads)
            times = _compare(experiment, single, rates, problem)
            rows.append({"layers": depth, "replicas": stack.replicas, "threads": threads, **times})
    torch.set_num_threads(1)
    least = min(float(row["ratio"]) for row in rows if row["threads"] == 1)
    text = (
        f"The experiment `{EXPERIMENT}` of the study of digits as in config.yaml, all seeds x step sizes, but {STEPS} "
        f"steps: `stochastic_descent` trains all replicas in one stack; the loop trains a `torch.nn.Sequential` with "
        "`torch.optim.SGD` for each replica in turn. Both draw batches of "
        f"{_batch_size(experiment)} and fresh noise; the stack draws them once per seed. Milliseconds per step of all "
        f"replicas, median of {REPETITIONS} interleaved runs. *Products* are the stack's matrix products alone, which "
        f"no training loop can do without. In float64, weights of stack and loop after {CHECKED_STEPS} steps differ by "
        f"at most {max(differences):.0e} of the largest. Required: {REQUIRED} times faster on one thread; least ratio "
        f"measured: {least:.1f}."
    )
    return Section("Stacked training", text, rows)


def _compare(experiment: Experiment, stack: Stack, rates: Tensor, problem: SampleProblem) -> Row:
    settings = stack, problem, rates, experiment.seeds, _batch_size(experiment), STEPS
    candidates = {
        "loop": partial(_loop, *settings),
        "stack": partial(_stacked, *settings),
        "products": partial(_products, stack, _batch_size(experiment), STEPS),
    }
    seconds, _ = interleave(candidates, REPETITIONS)
    row: Row = {f"{name}, ms": 1e3 * time / STEPS for name, time in seconds.items()}
    return row | {"ratio": seconds["loop"] / seconds["stack"]}


def _difference(experiment: Experiment, stack: Stack, rates: Tensor, problem: SampleProblem) -> float:
    """In float64 and after few steps, since the largest step sizes amplify rounding errors."""
    double = replace(problem, inputs=problem.inputs.double(), targets=problem.targets.double())
    settings = stack.double(), double, rates, experiment.seeds, _batch_size(experiment), CHECKED_STEPS
    _, weights = interleave({"stack": partial(_stacked, *settings), "loop": partial(_loop, *settings)}, 1)
    return largest_difference(weights["stack"], weights["loop"], SAME)


def _stacked(stack: Stack, problem: SampleProblem, rates: Tensor, seeds: int, batch_size: int, steps: int) -> Weights:
    return stochastic_descent(
        stack,
        Batches(problem, batch_size, _streams(stack, seeds)),
        "sgd",
        rates,
        steps=steps,
        plateau=None,
        snapshots=0,
        job="benchmark",
    ).parameters


def _loop(stack: Stack, problem: SampleProblem, rates: Tensor, seeds: int, batch_size: int, steps: int) -> Weights:
    copies = stack.replicas // seeds
    trained = []
    for replica in range(stack.replicas):
        network = as_module(stack, replica)
        optimiser = SGD(network.parameters(), lr=float(rates[replica]))
        batches = Batches(problem, batch_size, [_streams(stack, seeds)[replica // copies]])
        for _ in range(steps):
            inputs, targets = (batch[0] for batch in batches.draw())
            optimiser.zero_grad()
            loss = problem.scale * (network(inputs) - targets).square().sum(1).mean()
            loss.backward()
            optimiser.step()
        trained.append([parameter.detach() for parameter in network.parameters()])
    return tuple(torch.stack(layer) for layer in zip(*trained, strict=True))


def _products(stack: Stack, batch_size: int, steps: int) -> Weights:
    """Forward, backward and weight-gradient products of each layer, but no backward product of the first."""
    batch = torch.ones(stack.replicas, batch_size, stack.weights[0].shape[2])
    for _ in range(steps):
        for k, weight in enumerate(stack.weights):
            torch.bmm(batch, weight.mT)
            torch.bmm(batch.mT, batch)
            if k > 0:
                torch.bmm(batch, weight)
    return stack.weights


def _streams(stack: Stack, seeds: int) -> list[torch.Generator]:
    return generators("benchmarks", EXPERIMENT, stack.depth, range(seeds), "batches")


def _batch_size(experiment: Experiment) -> int:
    assert experiment.batch_size is not None
    return experiment.batch_size
