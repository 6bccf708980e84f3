"""The flattest network of a rescaling orbit (theory.md B1): a convex problem with a certified optimum.

Rescaling by log-multipliers E h turns a Gauss-Newton matrix G = C'C into D G D, D = exp(-diag(E h)). Its top eigenvalue
is that of C D^2 C' = sum_p exp(-2 (E h)_p) c_p c_p', with c_p the columns of C: the sum of `scaled_sums`, convex in h.
On the span of some vectors u = C w this sum is known from the products G w alone, and its least top eigenvalue there
is a lower bound of the whole; the span grows by the leading eigenvectors at the minimiser until value and bound meet
(subspace method: Kangal, Meerbergen, Mengi & Michiels 2018).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from flatminima.curvature.eigensolvers import eigenpairs
from flatminima.curvature.operators import Operator
from flatminima.errors import UserError
from flatminima.rescaling.flows import Array, Edges
from flatminima.rescaling.maps import Rescaling
from flatminima.rescaling.scaled_sums import LeastSum, ScaledSum, least_sum

KRYLOV = 4
"""Products at the start, before the first minimisation."""
ACTIVE = 0.02
"""Eigenvectors this near to the top one, relative to it, are refined too ..."""
BLOCK = 3
"""... but no more of them than this at a time."""
INNER = 0.1
"""Gap to which the problem on the span is solved, relative to that of the whole."""
WIDEST = 0.5
DEPENDENT = 1e-10
"""Squared length that is left of a vector of the span after orthogonalisation when it is dropped."""


@dataclass(frozen=True)
class OrbitMinimum:
    """The flattest network of an orbit, or the one of least trace.

    Attributes:
        scales: log-scales h that lead there, shape (n,).
        value: the least value.
        residual: of the eigenpair that `value` is computed from; 0 for a trace.
        lower_bound: no rescaling gives less.
        products: number of products with the curvature.
    """

    scales: Tensor
    value: float
    residual: float
    lower_bound: float
    products: int

    @property
    def gap(self) -> float:
        """Excess of the value over the lower bound, relative to the bound."""
        return self.value / self.lower_bound - 1


class Rescaled(Operator):
    """The curvature D A D of a rescaled network."""

    def __init__(self, operator: Operator, multipliers: Tensor) -> None:
        """Scale an operator by the diagonal D, shape (size,)."""
        self._operator, self._multipliers = operator, multipliers.to(operator.device).unsqueeze(1)
        self.shape, self.dtype, self.device = operator.shape, operator.dtype, operator.device

    def matmat(self, block: Tensor) -> Tensor:
        """Products with the columns of a matrix of shape (size, columns)."""
        scaled = self._operator.matmat(self._multipliers.to(block) * block)
        return self._multipliers.to(block) * scaled


def flattest(
    curvature: Operator,
    group: Rescaling,
    *,
    tolerance: float = 1e-6,
    start: Tensor | None = None,
    rough: Operator | None = None,
    max_products: int = 500,
    seed: int = 0,
) -> OrbitMinimum:
    """Minimise the top eigenvalue of a positive semi-definite curvature over rescalings.

    The value is certified from below by `lower_bound` for all rescalings, and from above by an eigenpair at the
    minimiser, found from a random start; see `eigenpairs` for what remains to chance.

    Args:
        curvature: positive semi-definite, such as `GaussNewton`, in the coordinates of the network as it is.
        group: its rescalings.
        tolerance: relative gap between value and lower bound.
        start: log-scales to start from, shape (n,); those of the network as it is where absent.
        rough: a cheap approximation of the curvature, on which the search for the eigenpair at the minimiser begins.
        max_products: number of products after which the search fails; those with a rough one are not counted.
        seed: of the random starts.

    Raises:
        UserError: if the gap is not reached, or the curvature is not positive semi-definite.
    """
    span = _Span(curvature, rough, group)
    scales = np.zeros(group.size) if start is None else start.double().numpy()
    span.explore(scales, seed)
    lower, gap = 0.0, WIDEST
    while span.products < max_products:
        least = span.least(max(INNER * gap, tolerance / 4), scales, gap)
        scales, lower = least.scales, max(lower, least.lower_bound)
        residual = span.refine(scales)
        gap = np.clip(np.log(span.value(scales) / lower), tolerance / 4, WIDEST)
        if gap > tolerance / 2 or residual > tolerance**0.5 * span.value(scales):
            continue
        value, residual = span.certify(scales, tolerance**0.5 / 10, max_products, seed)
        value = max(value, span.value(scales))
        if value <= lower * (1 + tolerance) and residual <= tolerance**0.5 * value:
            return OrbitMinimum(torch.from_numpy(scales), value, residual, lower, span.products)
        gap = WIDEST
    raise UserError(
        f"curvature: after {span.products} products its least top eigenvalue lies above {lower:.12g} and the best "
        f"rescaling has about {span.value(scales):.12g}; expected a relative gap of {tolerance:.1e}: raise "
        "max_products or tolerance; an operator with negative eigenvalues has no such gap"
    )


def least_trace(diagonal: Tensor, group: Rescaling, *, tolerance: float = 1e-9) -> OrbitMinimum:
    """Minimise the trace of a curvature over rescalings: sum_p exp(-2 (E h)_p) H_pp.

    Args:
        diagonal: of the curvature, none negative, shape (P,).
        group: the rescalings.
        tolerance: relative gap between value and lower bound.

    Raises:
        UserError: if an entry is negative, or the gap is not reached.
    """
    if diagonal.min() < 0:
        raise UserError(f"diagonal: smallest entry {float(diagonal.min()):g}; expected none below 0")
    problem = ScaledSum(diagonal.double().sqrt().unsqueeze(0).numpy(), _edges(group)).compressed()
    least = least_sum(problem, tolerance, np.zeros(group.size))
    return OrbitMinimum(torch.from_numpy(least.scales), least.value, 0.0, least.lower_bound, 0)


def minimum_sharpness(diagonal: Tensor, group: Rescaling) -> float:
    """The least trace over rescalings of layers without biases: K (tr_1 ... tr_K)^(1/K) for K layers of traces tr_k.

    The traces are multiplied by a_k^-2 with factors of product one, so that their sum is least where they are equal
    (Ibayashi, Hamaguchi & Imaizumi 2021, who call it minimum sharpness). `least_trace` finds it for biases too.

    Args:
        diagonal: of the curvature, shape (P,).
        group: its rescalings by layers.

    Raises:
        UserError: if a layer has biases.
    """
    if any(layer.biases.stop > layer.biases.start for layer in group.layers):
        raise UserError("minimum sharpness: the network has biases; use least_trace, which takes them into account")
    traces = torch.stack([diagonal[layer.weights].sum() for layer in group.layers])
    return float(len(traces) * traces.log().mean().exp())


def _edges(group: Rescaling) -> Edges:
    source, target = (index.numpy() for index in group.incidence)
    return Edges(source, target, group.size)


class _Span:
    """The span of vectors u = C w, which are orthonormal, with the images C'u = G w.

    Attributes:
        products: with G.
    """

    def __init__(self, curvature: Operator, rough: Operator | None, group: Rescaling) -> None:
        self._curvature, self._rough, self._group, self._edges = curvature, rough, group, _edges(group)
        self._vectors = np.empty((0, curvature.shape[0]))
        self._images = np.empty((0, curvature.shape[0]))
        self.products = 0

    def explore(self, scales: Array, seed: int) -> None:
        """Begin with a Krylov space of the rescaled curvature from a random start."""
        generator = torch.Generator().manual_seed(seed)
        vector = torch.randn(self._curvature.shape[0], generator=generator, dtype=torch.float64).numpy()
        multipliers = self._multipliers(scales)
        for _ in range(KRYLOV):
            image = self._add(multipliers * vector / np.linalg.norm(vector))
            vector = multipliers * image

    def least(self, tolerance: float, start: Array, gap: float) -> LeastSum:
        """The least top eigenvalue on the span."""
        return least_sum(self._problem().compressed(), tolerance, start, gap)

    def value(self, scales: Array) -> float:
        """The top eigenvalue on the span."""
        return float(np.linalg.eigvalsh(self._problem().at(scales))[-1])

    def refine(self, scales: Array) -> float:
        """Add the leading eigenvectors' images; returns the largest residual among them."""
        multipliers = self._multipliers(scales)
        values, coordinates = np.linalg.eigh(self._problem().at(scales))
        active = np.flatnonzero(values > (1 - ACTIVE) * values[-1])[-BLOCK:]
        vectors = (coordinates[:, active].T @ self._images) * multipliers
        residuals = []
        for value, vector in zip(values[active], vectors, strict=True):
            unit = vector / np.linalg.norm(vector)
            image = multipliers * self._add(multipliers * unit)
            residuals.append(float(np.linalg.norm(image - value * unit)))
        return max(residuals)

    def certify(self, scales: Array, tolerance: float, max_products: int, seed: int) -> tuple[float, float]:
        """The top eigenvalue of the rescaled curvature from a random start, and its residual; its vector is added.

        Where no more products are left, both are what they are by then.
        """
        multipliers = self._multipliers(scales)
        rescaled = Rescaled(self._curvature, torch.from_numpy(multipliers))
        rough = None if self._rough is None else Rescaled(self._rough, torch.from_numpy(multipliers))
        left = max_products - self.products
        top = eigenpairs(rescaled, tolerance=tolerance, max_products=left, rough=rough, seed=seed)
        self.products += top.products
        self._add(multipliers * top.eigenvectors[0].cpu().numpy())
        return float(top.eigenvalues[0]), float(top.residuals[0])

    def _multipliers(self, scales: Array) -> Array:
        multipliers: Array = torch.exp(-self._group.exponents(torch.from_numpy(scales))).numpy()
        return multipliers

    def _problem(self) -> ScaledSum:
        return ScaledSum(self._images, self._edges)

    def _add(self, vector: Array) -> Array:
        """Add C w to the span; returns G w."""
        image: Array = self._curvature.matvec(torch.from_numpy(vector)).cpu().numpy()
        self.products += 1
        energy = vector @ image
        if not energy > 0:
            raise UserError(
                f"curvature: v' G v = {energy:g} for some v; expected a positive semi-definite operator other than "
                "zero, such as the Gauss-Newton matrix"
            )
        new, its_image = vector, image
        for _ in range(2):
            overlaps = self._images @ new
            new, its_image = new - overlaps @ self._vectors, its_image - overlaps @ self._images
        length = new @ its_image
        if length > DEPENDENT * energy:
            self._vectors = np.vstack([self._vectors, new / length**0.5])
            self._images = np.vstack([self._images, its_image / length**0.5])
        return image
