"""The networks that are timed: the replicas of an experiment of config.yaml, stacked and one by one."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from flatminima.config import Config, load
from flatminima.data.moments import Moments
from flatminima.data.sources import load_images
from flatminima.data.tasks import Samples, build
from flatminima.generators import generators
from flatminima.minima.bound import minimal_sharpness
from flatminima.networks.initialisations import initialise
from flatminima.networks.stack import Stack
from flatminima.settings.training import Experiment


def configuration() -> Config:
    """config.yaml."""
    return load(Path("config.yaml"))


def digits(task: str) -> Samples:
    """The samples of a task of the study of digits."""
    study = configuration().studies["digits"]
    return build(load_images(study.dataset, Path()), study.tasks[task], "digits", task)


def sweep(name: str, experiment: Experiment, depth: int, moments: Moments) -> tuple[Stack, Tensor]:
    """Initial networks and step sizes, all seeds x step sizes, of an experiment whose steps are in critical units."""
    assert experiment.step_sizes is not None
    outputs, inputs = moments.cross_moment.shape
    hidden = experiment.width or inputs
    seeds, fractions = experiment.seeds, np.array(experiment.step_sizes)
    stack = initialise(
        experiment.initialisation,
        [inputs, *[hidden] * (depth - 1), outputs],
        generators("benchmarks", name, depth, range(seeds), "weights"),
        rectified=experiment.family == "relu",
    )
    least = minimal_sharpness(moments.end_to_end_map(), depth, moments.loss_scale * moments.input_moment).value
    rates = np.tile(fractions * 2 / least, seeds)
    return stack.select(torch.arange(seeds).repeat_interleave(len(fractions))), torch.from_numpy(rates)


def largest_difference(stacked: Sequence[Tensor], separate: Sequence[Tensor], limit: float) -> float:
    """Largest difference between two sets of weights, relative to the largest weight of its layer.

    Raises:
        RuntimeError: if it is not below `limit`: then the two did not do the same work.
    """
    pairs = zip(stacked, separate, strict=True)
    largest = float(torch.stack([(a - b).abs().max() / b.abs().max() for a, b in pairs]).max())
    if not largest < limit:
        raise RuntimeError(f"the weights differ by {largest:.1e} of the largest, expected less than {limit:.0e}")
    return largest
