"""Supervised problems made from images: denoising and classification (theory.md 1.1 and 1.4)."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import NDArray

from flatminima.data.sources import Images
from flatminima.data.whitening import inverse_power, mean_product, transform
from flatminima.errors import UserError
from flatminima.seeding import sequence
from flatminima.settings.tasks import Task

NoiseDraw = Literal["fixed", "fresh", "none"]
Loss = Literal["sum", "mean"]


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs and targets of one task, one flattened sample per row, float32.

    Attributes:
        inputs: shape (n, d_x). With fresh noise, one draw for evaluation: training draws its own at every step.
        targets: shape (n, d_y).
        test_inputs: shape (n_test, d_x).
        test_targets: shape (n_test, d_y).
        noise: standard deviation of the noise in scaled pixels; 0 where there is none.
        noise_draw: fixed (the inputs are the noisy images), fresh (inputs = targets + new noise) or none.
        loss: sum of squared errors over outputs, or their mean: the sum divided by d_y.
    """

    inputs: NDArray[np.float32]
    targets: NDArray[np.float32]
    test_inputs: NDArray[np.float32]
    test_targets: NDArray[np.float32]
    noise: float
    noise_draw: NoiseDraw
    loss: Loss


def build(images: Images, task: Task, study: str, name: str) -> Samples:
    """Make the samples of a task.

    denoise: the target is the clean image y, the input y + noise * N(0, 1).
    classify: the input is the image, the target the one-hot vector of its label.
    Centring subtracts the mean training image: from inputs and targets of denoise, from inputs of classify.
    Components replace each image by its coordinates along the leading eigenvectors of the training images' second
    moment; the noise is added to these.
    Whitening then replaces each input x by Sx^{-1/2} x with Sx = E[x x'] of the training inputs (the second moment,
    not the covariance), so that Sx becomes the identity; where Sx has null directions (see
    `whitening.inverse_power`), the projection off them.

    Args:
        images: from `sources.load_images`.
        task: the task's section of the configuration.
        study: name of the study; with `name`, it fixes the noise.
        name: name of the task.

    Raises:
        UserError: if a task classifies images that have no labels, or asks for more components than there are pixels.
    """
    train, test = _scaled(images, task)
    if task.components is not None:
        train, test = _projected(train, test, task.components, name)
    if task.noise is not None and task.noise_draw is not None:
        sigma = task.noise
        samples = Samples(
            inputs=_noisy(train, sigma, sequence(study, name, "noise", "train")),
            targets=train,
            test_inputs=_noisy(test, sigma, sequence(study, name, "noise", "test")),
            test_targets=test,
            noise=sigma,
            noise_draw=task.noise_draw,
            loss=task.loss,
        )
    else:
        samples = Samples(
            inputs=train,
            targets=_one_hot(images.train_labels, images.classes, name),
            test_inputs=test,
            test_targets=_one_hot(images.test_labels, images.classes, name),
            noise=0.0,
            noise_draw="none",
            loss=task.loss,
        )
    return _whitened(samples) if task.whiten else samples


def _scaled(images: Images, task: Task) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Training and test images as float32 rows, divided by the largest pixel value and centred where asked."""
    train, test = (
        pixels.reshape(len(pixels), -1).astype(np.float32) for pixels in (images.train_images, images.test_images)
    )
    if task.pixels == "unit":
        train /= np.float32(images.largest_pixel)
        test /= np.float32(images.largest_pixel)
    if task.centre:
        mean = train.mean(axis=0, dtype=np.float64).astype(np.float32)
        train -= mean
        test -= mean
    return train, test


def _projected(
    train: NDArray[np.float32], test: NDArray[np.float32], components: int, name: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    pixels = train.shape[1]
    if components > pixels:
        raise UserError(f"tasks.{name}.components is {components}: expected at most {pixels}, the number of pixels")
    _, directions = np.linalg.eigh(mean_product(train, train))
    leading = directions[:, : -components - 1 : -1].T
    return transform(train, leading), transform(test, leading)


def _noisy(clean: NDArray[np.float32], sigma: float, seed: SeedSequence) -> NDArray[np.float32]:
    noisy = np.random.default_rng(seed).standard_normal(clean.shape, dtype=np.float32)
    noisy *= np.float32(sigma)
    noisy += clean
    return noisy


def _one_hot(labels: NDArray[np.int64] | None, classes: int, name: str) -> NDArray[np.float32]:
    if labels is None:
        raise UserError(
            f"tasks.{name}.kind is 'classify', but the images have no labels: "
            "use kind: denoise, another data set than patches, or `classes` of the data set npz"
        )
    return np.eye(classes, dtype=np.float32)[labels]


def _whitened(samples: Samples) -> Samples:
    whitener = inverse_power(mean_product(samples.inputs, samples.inputs), 0.5)
    return replace(
        samples,
        inputs=transform(samples.inputs, whitener),
        test_inputs=transform(samples.test_inputs, whitener),
    )
