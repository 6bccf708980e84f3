"""Whole spectra from random probes: density, trace and effective rank, each with its sampling error."""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from scipy.special import stdtrit
from torch import Tensor

from flatminima.curvature.arguments import Count, Positive, Seed, checked
from flatminima.curvature.eigensolvers import eigenpairs
from flatminima.curvature.operators import Operator
from flatminima.errors import UserError

LEVEL = 0.95
GRID = 400
EXHAUSTED = 1e-12
Products = Annotated[int, Field(ge=6)]
MARGIN = 4.0
"""Grid beyond the outermost nodes, in widths of the kernel."""


@dataclass(frozen=True)
class Estimate:
    """A number from random probes.

    Attributes:
        value: the estimate, without bias.
        standard_error: of the value, from the spread of the probes.
    """

    value: float
    standard_error: float


@dataclass(frozen=True)
class Density:
    """A spectral density, smoothed by a Gaussian kernel; its integral is one.

    Attributes:
        grid: eigenvalues, shape (points,).
        mean: density there.
        lower: the probes' confidence band at 95 %, pointwise.
        upper: see lower.
    """

    grid: Tensor
    mean: Tensor
    lower: Tensor
    upper: Tensor


@checked
def spectral_density(
    operator: Operator,
    width: Positive,
    *,
    probes: Annotated[int, Field(ge=2)] = 10,
    steps: Count = 60,
    seed: Seed = 0,
) -> Density:
    """Density of the eigenvalues by stochastic Lanczos quadrature (Ubaru, Chen & Saad 2017).

    The band covers the chance of the probes alone. Quadrature with m steps is exact for polynomials of degree 2m - 1,
    so a kernel much narrower than the spectrum's spread over m adds an error that the band does not show.

    Args:
        operator: any symmetric operator.
        width: standard deviation of the kernel, in the eigenvalues' unit.
        probes: random vectors, uniform on the sphere; at least two.
        steps: Lanczos steps for each; their vectors take steps x size x 8 bytes.
        seed: of the probes.

    Raises:
        UserError: if there are fewer than two probes, which have no spread; or an argument is not as expected.
    """
    generator = torch.Generator().manual_seed(seed)
    starts = [torch.randn(operator.shape[0], generator=generator, dtype=torch.float64) for _ in range(probes)]
    quadratures = [lanczos_quadrature(operator, start.to(operator.device), steps) for start in starts]
    nodes = torch.cat([values for values, _ in quadratures])
    grid = torch.linspace(float(nodes.min()) - MARGIN * width, float(nodes.max()) + MARGIN * width, GRID).to(nodes)
    densities = torch.stack([_kernel(grid, values, width) @ weights for values, weights in quadratures])
    half = float(stdtrit(probes - 1, (1 + LEVEL) / 2)) * densities.std(0) / probes**0.5
    mean = densities.mean(0)
    return Density(grid, mean, (mean - half).clamp_min(0), mean + half)


@checked
def trace(operator: Operator, *, products: Products = 90, seed: Seed = 0) -> Estimate:
    """Trace by Hutch++ (Meyer, Musco, Musco & Woodruff 2021): exact on a sketched range, by probes on the rest.

    Args:
        operator: any symmetric operator.
        products: a third of them for the sketch, a third for its exact part, a third for probes; at least 6.
        seed: of sketch and probes.

    Raises:
        UserError: if there are fewer than 6 products, or an argument is not as expected.
    """
    generator = torch.Generator().manual_seed(seed)
    shape = operator.shape[0], products // 3

    def signs() -> Tensor:
        return (2.0 * torch.randint(2, shape, generator=generator) - 1).double().to(operator.device)

    basis = torch.linalg.qr(operator.matmat(signs())).Q
    exact = (basis * operator.matmat(basis)).sum()
    probes = signs()
    probes = probes - basis @ (basis.mT @ probes)
    samples = (probes * operator.matmat(probes)).sum(0)
    return Estimate(float(exact + samples.mean()), float(samples.std() / len(samples) ** 0.5))


@checked
def effective_rank(operator: Operator, *, products: Products = 90, seed: Seed = 0) -> Estimate:
    """Trace over largest eigenvalue of a positive semi-definite operator (Bartlett et al. 2020; intrinsic dimension).

    Args:
        operator: such as a Gauss-Newton matrix.
        products: for the trace, see `trace`.
        seed: of all that is random.

    Raises:
        UserError: if the largest eigenvalue is not positive; and as `trace`.
    """
    total = trace(operator, products=products, seed=seed)
    top = float(eigenpairs(operator, seed=seed).eigenvalues[0])
    if not top > 0:
        raise UserError(f"operator: its largest eigenvalue is {top:g}; expected a positive one, to divide the trace by")
    return Estimate(total.value / top, total.standard_error / top)


@checked
def lanczos_quadrature(operator: Operator, start: Tensor, steps: Count) -> tuple[Tensor, Tensor]:
    """Nodes and weights of the Gauss quadrature of the spectrum as a start vector weighs it (Golub & Welsch 1969).

    Args:
        operator: any symmetric operator.
        start: shape (size,), float64.
        steps: most nodes; fewer if the Krylov space is smaller.

    Raises:
        UserError: if the start has no direction, or an argument is not as expected.
    """
    if start.shape != operator.shape[:1] or not 0 < float(start.norm()) < math.inf:
        raise UserError(
            f"start: has shape {tuple(start.shape)}, norm {start.norm():g}; expected ({operator.shape[0]},), not 0"
        )
    basis = start.new_empty(min(steps, len(start)), len(start))
    basis[0] = start / start.norm()
    diagonal: list[Tensor] = []
    off_diagonal: list[Tensor] = []
    for step in range(len(basis)):
        image = operator.matvec(basis[step])
        diagonal.append(image @ basis[step])
        known = basis[: step + 1]
        for _ in range(2):
            image = image - (known @ image) @ known
        length = image.norm()
        if step + 1 == len(basis) or length <= EXHAUSTED * torch.stack(diagonal).abs().max():
            break
        off_diagonal.append(length)
        basis[step + 1] = image / length
    matrix = torch.diag(torch.stack(diagonal))
    if off_diagonal:
        matrix = matrix + torch.diag(torch.stack(off_diagonal), 1) + torch.diag(torch.stack(off_diagonal), -1)
    nodes, vectors = torch.linalg.eigh(matrix)
    return nodes, vectors[0].square()


def _kernel(grid: Tensor, nodes: Tensor, width: float) -> Tensor:
    """Gaussian density of each node at each point of the grid."""
    distance = (grid.unsqueeze(1) - nodes) / width
    return torch.exp(-distance.square() / 2) / (width * math.sqrt(2 * math.pi))
