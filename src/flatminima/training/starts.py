"""Initial networks of a training job, which fit its task."""

from flatminima.data.tasks import Samples
from flatminima.errors import UserError
from flatminima.networks.fully_convolutional import image_shape
from flatminima.networks.initialisations import initialise, initialise_filters
from flatminima.networks.stack import Stack
from flatminima.training.job import Job


def start(job: Job, samples: Samples) -> Stack:
    """Draw one network for each seed.

    Raises:
        UserError: if the task does not fit the network family.
    """
    experiment, streams = job.experiment, job.generators("weights")
    bias, scale = experiment.bias, experiment.start_scale or 1.0
    if experiment.family == "fully_convolutional" and experiment.width is not None:
        side, colours = _images(job, samples)
        channels = [colours, *[experiment.width] * (job.depth - 1), colours]
        return initialise_filters(channels, side, streams, bias=bias, scale=scale)
    widths, rectified = _widths(job, samples), experiment.family == "relu"
    return initialise(experiment.initialisation, widths, streams, rectified=rectified, bias=bias, scale=scale)


def _images(job: Job, samples: Samples) -> tuple[int, int]:
    """Side and channels of the task's images."""
    inputs, outputs = samples.inputs.shape[1], samples.targets.shape[1]
    family = f"experiments.{job.name}.family is fully_convolutional"
    if inputs != outputs:
        raise UserError(
            f"{family}: its outputs are images as its inputs are, but the task {job.experiment.task!r} has {inputs} "
            f"inputs and {outputs} outputs; choose a denoising task or the family relu"
        )
    return image_shape(inputs, family)


def _widths(job: Job, samples: Samples) -> list[int]:
    inputs, outputs = samples.inputs.shape[1], samples.targets.shape[1]
    if job.experiment.family == "residual_linear" and inputs != outputs:
        raise UserError(
            f"experiments.{job.name}.family is residual_linear: its layers are square, but the task "
            f"{job.experiment.task!r} has {inputs} inputs and {outputs} outputs; choose a denoising task or the family "
            "linear"
        )
    return [inputs, *[job.experiment.width or inputs] * (job.depth - 1), outputs]
