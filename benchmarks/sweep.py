"""The replicas of an experiment of config.yaml before training, as flatminima.training.job makes them."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from flatminima.config import Experiment, Study, load
from flatminima.data.moments import Moments
from flatminima.data.sources import load_images
from flatminima.data.tasks import Samples, build
from flatminima.minima.bound import minimal_sharpness
from flatminima.networks.initialisations import generators, initialise
from flatminima.networks.stack import Stack

STUDY = "digits"


def digits(name: str) -> tuple[Experiment, Samples]:
    """An experiment of the study of digits, and the samples of its task."""
    study: Study = load(Path("config.yaml")).studies[STUDY]
    experiment = study.experiments[name]
    images = load_images(study.dataset, Path())
    return experiment, build(images, study.tasks[experiment.task], STUDY, experiment.task)


def sweep(name: str, experiment: Experiment, depth: int, moments: Moments) -> tuple[Stack, Tensor]:
    """Initial networks and step sizes of all seeds x step sizes of an experiment with steps in critical units."""
    assert experiment.step_sizes is not None
    outputs, inputs = moments.cross_moment.shape
    hidden = experiment.width.value if experiment.width else inputs
    seeds, fractions = experiment.seeds.value, np.array(experiment.step_sizes.value)
    stack = initialise(
        experiment.initialisation.value,
        [inputs, *[hidden] * (depth - 1), outputs],
        generators(STUDY, name, depth, seeds, "weights"),
        rectified=experiment.family == "relu",
    )
    least = minimal_sharpness(moments.end_to_end_map(), depth, moments.loss_scale * moments.input_moment).value
    rates = np.tile(fractions * 2 / least, seeds)
    return stack.select(torch.arange(seeds).repeat_interleave(len(fractions))), torch.from_numpy(rates)


def largest_difference(stacked: tuple[Tensor, ...], looped: list[list[Tensor]], kept: Tensor) -> float:
    """Largest difference between two sets of weights, relative to the largest weight of each layer."""
    pairs = zip(stacked, (torch.stack(layer) for layer in zip(*looped, strict=True)), strict=True)
    return max(float((a[kept] - b[kept]).abs().max() / b[kept].abs().max()) for a, b in pairs)
