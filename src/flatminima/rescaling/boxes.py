"""Flatness as volume: disjoint boxes of equal losses around rescaled networks (Dinh et al. 2017, theory.md D2)."""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from flatminima.curvature.mean import MeanLoss
from flatminima.curvature.samples import Batch
from flatminima.errors import UserError
from flatminima.rescaling.maps import Rescaling, two_layer
from flatminima.rescaling.objective import Objective

APART = 2.0
"""Dinh et al.'s factor, over the one at which a box and its image begin to part."""


@dataclass(frozen=True)
class Boxes:
    """Images of a box around a network's parameters under T_alpha, T_alpha^2, ...

    Attributes:
        alpha: what layer k is multiplied by, and layer l divided.
        lower: smallest coordinates of the box and its images, shape (copies + 1, P).
        upper: their largest ones.
        multiplied: number of parameters that T_alpha multiplies.
        divided: number of parameters that it divides.
        excess: the largest loss that was found in the box, less the loss at its centre.
        loss_error: the largest relative difference in loss between points of the box and their images.
    """

    alpha: float
    lower: Tensor
    upper: Tensor
    multiplied: int
    divided: int
    excess: float
    loss_error: float

    @property
    def disjoint(self) -> bool:
        """Whether no two of them meet: any two are apart along some coordinate."""
        apart = (self.lower.unsqueeze(1) > self.upper).any(-1)
        return bool((apart | apart.mT).fill_diagonal_(True).all())

    @property
    def log_volume_step(self) -> float:
        """The least change of the logarithm of the volume from a box to the next."""
        return float((self.upper - self.lower).log().sum(1).diff().min())


def parting(size: float, radius: float) -> float:
    """The factor above which a box and its image are apart along a coordinate of a given size.

    Args:
        size: of the coordinate at the centre of the box.
        radius: r, half the side of the box.

    Raises:
        UserError: if the box reaches zero, where no factor takes it apart from its image.
    """
    if not 0 < radius < size:
        raise UserError(f"radius: is {radius}; expected between 0 and the size of the largest parameter, {size:g}")
    return (size + radius) / (size - radius)


def boxes(
    model: nn.Module,
    loss: MeanLoss,
    data: Batch,
    layers: tuple[int, int],
    radius: float,
    alpha: float,
    copies: int,
    points: int,
    generator: Generator,
) -> Boxes:
    """Boxes of a loss as low as around the network, of which there are infinitely many, shown on the first of them.

    They are disjoint for alpha = 2 (||theta_k||_inf + r) / (||theta_k||_inf - r). Biases between the two layers are
    multiplied with the first. Volumes do not shrink if T_alpha multiplies no fewer parameters than it divides.

    Args:
        model: a network that `Rescaling` takes.
        loss: maps (outputs, targets) to a number.
        data: all inputs and targets.
        layers: k and l, the layers that are multiplied and divided, counted from 1.
        radius: r, half the side of the box.
        alpha: above 1.
        copies: images of the box.
        points: uniform in the box, at which losses are compared.
        generator: of the points.

    Raises:
        UserError: if the network cannot be rescaled.
    """
    group, objective = Rescaling(model, "layers"), Objective(model, loss, data)
    exponents = group.exponents(two_layer(group, *layers, alpha))
    multipliers = torch.exp(torch.arange(copies + 1).double().unsqueeze(1) * exponents)
    centre = objective.point
    uniform = torch.rand(points, len(centre), generator=generator, dtype=torch.float64)
    boxed = centre + radius * (2 * uniform - 1)
    found = [[objective.value(multiplier * point) for point in boxed] for multiplier in multipliers]
    losses = torch.tensor(found, dtype=torch.float64)
    return Boxes(
        alpha=alpha,
        lower=multipliers * (centre - radius),
        upper=multipliers * (centre + radius),
        multiplied=int((exponents > math.log(alpha) / 2).sum()),
        divided=int((exponents < -math.log(alpha) / 2).sum()),
        excess=float(losses[0].max()) - objective.value(centre),
        loss_error=float(((losses - losses[0]).abs() / losses[0]).max()),
    )
