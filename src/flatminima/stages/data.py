"""Samples of a task, their second moments, and the checksums of both."""

from pathlib import Path

from flatminima.data.moments import second_moments
from flatminima.data.sources import load_images
from flatminima.data.storage import save_checksums, save_moments, save_samples
from flatminima.data.tasks import build
from flatminima.settings.training import DataSettings


def data(
    study: str, task: str, data_root: Path, settings: DataSettings, samples: Path, moments: Path, checksums: Path
) -> None:
    """Make the samples of a task, float32, and their second moments, float64.

    Args:
        study: the study's name, part of every seed.
        task: the task's name, part of every seed.
        data_root: folder of downloaded data sets.
        settings: the data set and the task.
        samples: file to write.
        moments: file to write.
        checksums: file to write, in the form of `sha256sum`.

    Raises:
        UserError: if the data set cannot be had, or does not fit the task.
    """
    made = build(load_images(settings.dataset, data_root), settings.task, study, task)
    save_samples(samples, made)
    save_moments(moments, second_moments(made))
    save_checksums(checksums, [samples, moments])
