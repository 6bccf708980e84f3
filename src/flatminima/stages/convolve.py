"""Convolutional classifiers, for the task of the networks that are rescaled."""

from pathlib import Path

from flatminima.data.storage import load_samples
from flatminima.networks.convolutional import save
from flatminima.networks.device import flush_denormals
from flatminima.settings.rescaling import Convolutional
from flatminima.training.convolutional import train_convolutional


def convolve(study: str, settings: Convolutional, samples: Path, networks: Path) -> None:
    """Train one convolutional network for each seed.

    Args:
        study: the study's name, part of every seed.
        settings: shape and training.
        samples: of the task.
        networks: file to write.

    Raises:
        UserError: if the samples cannot be read, or are no images that fit the layers.
    """
    flush_denormals()
    trained, shape, labels = train_convolutional(study, settings, load_samples(samples))
    save(trained, shape, labels, networks)
