"""Second moments of a task: all that the squared loss of a linear network knows of the data (theory.md 1.1, I1)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatminima.data.tasks import Loss, Samples
from flatminima.data.whitening import inverse_power, mean_product


@dataclass(frozen=True, eq=False)
class Moments:
    """Second moments of the training samples, float64, never scaled by the loss normalisation.

    The summed loss of a linear map W is E||W x - y||^2 = tr(W Sx W') - 2 tr(W Syx') + E||y||^2; the task's own
    loss is `loss_scale` times that, and so are its gradients and Hessians.

    Attributes:
        input_moment: Sx = E[x x'], shape (d_x, d_x).
        cross_moment: Syx = E[y x'], shape (d_y, d_x).
        target_energy: E||y||^2.
        loss: sum of squared errors over outputs, or their mean.
        samples: number of training samples behind the expectations.
    """

    input_moment: NDArray[np.float64]
    cross_moment: NDArray[np.float64]
    target_energy: float
    loss: Loss
    samples: int

    @property
    def loss_scale(self) -> float:
        """Factor of the summed loss: 1 for sum, 1 / d_y for mean."""
        return 1.0 if self.loss == "sum" else 1.0 / len(self.cross_moment)

    def end_to_end_map(self) -> NDArray[np.float64]:
        """T = Syx Sx^+, the linear map of least loss and, among those, of least norm; shape (d_y, d_x).

        Sx^+ is the pseudo-inverse of `whitening.inverse_power`, which states its relative cutoff.
        """
        return self.cross_moment @ inverse_power(self.input_moment, 1.0)

    def minimal_loss(self) -> float:
        """L* = E||y||^2 - tr(T Syx'), the summed loss of T; rounding can take an exact fit just below zero."""
        return self.target_energy - float(np.sum(self.end_to_end_map() * self.cross_moment))


def second_moments(samples: Samples) -> Moments:
    """Second moments of the training samples, accumulated in float64 in blocks of bounded memory.

    Fresh noise of standard deviation sigma is averaged exactly: Sx = Sy + sigma^2 I and Syx = Sy, with
    Sy = E[y y'] of the clean targets. Otherwise the moments are those of the stored inputs.
    """
    if samples.noise_draw == "fresh":
        clean = mean_product(samples.targets, samples.targets)
        input_moment, cross_moment = clean + samples.noise**2 * np.eye(len(clean)), clean
    else:
        input_moment = mean_product(samples.inputs, samples.inputs)
        cross_moment = mean_product(samples.targets, samples.inputs)
    energies = np.einsum("ij,ij->i", samples.targets, samples.targets, dtype=np.float64)
    return Moments(input_moment, cross_moment, float(energies.mean()), samples.loss, len(samples.targets))


def equivalent_samples(moments: Moments) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Samples whose second moments are Sx and Syx, as many as inputs: (d_x, d_x) inputs and (d_x, d_y) targets.

    Gradients and Hessians of linear networks are the same on them as on the data.
    """
    whitening, scale = inverse_power(moments.input_moment, 0.5), np.sqrt(len(moments.input_moment))
    return scale * moments.input_moment @ whitening, scale * whitening @ moments.cross_moment.T
