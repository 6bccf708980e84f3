"""Jacobians of the maps between layers, one for each sample, known by their products."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import Module

from flatminima.curvature.arguments import Count, Positive, Seed, checked
from flatminima.curvature.differentiation import gradients
from flatminima.curvature.eigensolvers import stacked_eigenpairs
from flatminima.curvature.network import places, refuse_training
from flatminima.errors import UserError


class SampleJacobians:
    """Jacobians of outputs in inputs that were computed sample by sample, as a stack of rectangular operators.

    Attributes:
        shape: (samples, d_out, d_in).
        device: of inputs and outputs.
    """

    def __init__(self, inputs: Tensor, outputs: Tensor, batch: int = 1) -> None:
        """Prepare products in both directions through the graph from inputs to outputs.

        Args:
            inputs: in the graph of the outputs; its first `batch` dimensions count samples.
            outputs: their images, with the same first dimensions.
            batch: number of dimensions that count samples.
        """
        samples = inputs.shape[:batch].numel()
        self.shape = samples, outputs.numel() // samples, inputs.numel() // samples
        self.device = inputs.device
        self._inputs, self._outputs = inputs, outputs
        self._cotangent = torch.zeros_like(outputs, requires_grad=True)
        self._pullback = self._pull(self._cotangent, create_graph=True)

    def matvec(self, vector: Tensor) -> Tensor:
        """Products J v, shapes (samples, d_in) to (samples, d_out)."""
        slope = (self._pullback * vector.to(self._inputs).reshape(self._inputs.shape)).sum()
        (image,) = torch.autograd.grad(slope, self._cotangent, retain_graph=True, materialize_grads=True)
        return image.reshape(self.shape[:2]).to(vector)

    def rmatvec(self, vector: Tensor) -> Tensor:
        """Products J' u, shapes (samples, d_out) to (samples, d_in)."""
        image = self._pull(vector.to(self._outputs).reshape(self._outputs.shape))
        return image.reshape(self.shape[0], -1).to(vector)

    def _pull(self, cotangent: Tensor, *, create_graph: bool = False) -> Tensor:
        slope = (self._outputs * cotangent).sum()
        (image,) = torch.autograd.grad(
            slope, self._inputs, retain_graph=True, create_graph=create_graph, materialize_grads=True
        )
        return image


@dataclass(frozen=True)
class SingularTriplets:
    """Largest singular values with their vectors, one for each sample.

    Attributes:
        singular_values: shape (samples,).
        left: unit vectors u, shape (samples, d_out); zero where the Jacobian is.
        right: unit vectors v, shape (samples, d_in); zero where the Jacobian is.
        residuals: max(||J v - value u||, ||J' u - value v||), shape (samples,): some singular value lies within this
            distance of the value.
    """

    singular_values: Tensor
    left: Tensor
    right: Tensor
    residuals: Tensor


@checked
def top_singular_triplets(
    jacobians: SampleJacobians, *, tolerance: Positive = 1e-6, max_products: Count = 1000, seed: Seed = 0
) -> SingularTriplets:
    """Largest singular triplet of every sample's Jacobian, all at once, from the smaller of J'J and J J'.

    Args:
        jacobians: the stack.
        tolerance: residual to reach, relative to each value.
        max_products: with J'J or J J'.
        seed: of the random start.
    """
    gram = _Gram(jacobians)
    pairs = stacked_eigenpairs(gram, tolerance=tolerance, max_products=max_products, seed=seed)
    one = pairs.eigenvectors[:, 0]
    image = gram.there(one)
    values = image.norm(dim=1)
    other = image / values.clamp_min(torch.finfo(values.dtype).tiny).unsqueeze(1)
    residuals = (gram.back(other) - values.unsqueeze(1) * one).norm(dim=1)
    one = one * (values > 0).unsqueeze(1)
    left, right = (one, other) if gram.wide else (other, one)
    return SingularTriplets(values, left, right, residuals)


@dataclass(frozen=True)
class LayerMaps:
    """A batch's way through a module: the input, the outputs of some layers, and the output, all in one graph.

    Attributes:
        hidden: the input, then the layers' outputs, then the module's, each of shape (samples, ...).
    """

    hidden: tuple[Tensor, ...]

    def between(self, first: int, last: int) -> SampleJacobians:
        """Jacobians of hidden[last] in hidden[first]; a path that goes round the latter does not count."""
        return SampleJacobians(self.hidden[first], self.hidden[last])


@checked
def layer_maps(model: Module, inputs: Tensor, layers: Sequence[str]) -> LayerMaps:
    """Send a batch through a module and note what some layers put out.

    Args:
        model: any network that treats samples one by one, in evaluation mode.
        inputs: shape (samples, ...), real numbers.
        layers: names of modules inside it, in the order in which they are called.

    Raises:
        UserError: if inputs are not real numbers; if a layer is unknown, is never called, twice, or in another order,
            or puts out other things than a tensor; or if one behaves at random or by batch in training mode.
    """
    refuse_training(model)
    if not inputs.is_floating_point():
        raise UserError(
            f"inputs: are {inputs.dtype}; expected real numbers: pass what an embedding gives, and the rest"
        )
    modules = dict(model.named_modules())
    for name in layers:
        if name not in modules:
            raise UserError(f"layers: no layer {name!r}; expected some of {', '.join(filter(None, modules))}")
    noted: dict[str, Tensor] = {}

    def note(name: str, output: Tensor) -> Tensor:
        if not isinstance(output, Tensor) or len(output) != len(inputs):
            raise UserError(
                f"layers: {name} puts out a {type(output).__name__}; expected one tensor with all samples first"
            )
        if name in noted:
            raise UserError(f"layers: {name} is called twice; expected layers that are called once")
        noted[name] = output
        return output.clone()  # a next layer that works in place would change what was noted

    handles = [
        modules[name].register_forward_hook(lambda _, __, output, name=name: note(name, output)) for name in layers
    ]
    try:
        with gradients():
            leaf = inputs.detach().clone().requires_grad_()
            parameters = dict(model.named_parameters()) | dict(model.named_buffers())
            fixed = {place: parameters[name].detach() for place, name in places(model).items()}
            output: Tensor = functional_call(model, fixed, (leaf,), tie_weights=False)
    finally:
        for handle in handles:
            handle.remove()
    if missing := [name for name in layers if name not in noted]:
        raise UserError(f"layers: {missing[0]} is never called by the model; expected layers that are")
    if list(noted) != list(layers):
        raise UserError(f"layers: {', '.join(layers)} are called in another order; expected {', '.join(noted)}")
    return LayerMaps((leaf, *(noted[name] for name in layers), output))


@dataclass(frozen=True)
class Path:
    """Gains and cosines along the direction of the largest end-to-end gain, for each sample.

    All are NaN for a sample whose Jacobian is zero: it has no path.

    Attributes:
        gain: ||J_k v|| / s^{k/m}, shape (samples, m), with J_k the map from the input to the k-th of m maps' ends, and
            (s, u, v) the top singular triplet of all of them; the last is 1.
        cosine: cos(J_k v, B_k' u), shape (samples, m - 1), with B_k the map from there to the output.
    """

    gain: Tensor
    cosine: Tensor


@checked
def signal_path(maps: LayerMaps, *, tolerance: Positive = 1e-6, seed: Seed = 0) -> Path:
    """Gains and path cosines of a batch (Mulayoff & Michaeli 2020; theory.md I4, I8).

    Args:
        maps: of the batch.
        tolerance: of the end-to-end triplets.
        seed: of their random start.
    """
    depth = len(maps.hidden) - 1
    top = top_singular_triplets(maps.between(0, depth), tolerance=tolerance, seed=seed)
    forward = [maps.between(0, k).matvec(top.right) for k in range(1, depth + 1)]
    backward = [maps.between(k, depth).rmatvec(top.left) for k in range(1, depth)]
    gains = torch.stack([image.norm(dim=1) for image in forward], 1)
    layer_gain = top.singular_values.unsqueeze(1) ** (torch.arange(1, depth + 1).to(gains) / depth)
    cosines = [(p * g).sum(1) / (p.norm(dim=1) * g.norm(dim=1)) for p, g in zip(forward, backward, strict=False)]
    return Path(gains / layer_gain, torch.stack(cosines, 1) if cosines else gains[:, :0])


class _Gram:
    """The smaller of J'J and J J' of each sample."""

    def __init__(self, jacobians: SampleJacobians) -> None:
        samples, rows, columns = jacobians.shape
        self.wide = rows < columns
        self.shape, self.device = (samples, min(rows, columns)), jacobians.device
        self.there, self.back = jacobians.matvec, jacobians.rmatvec
        if self.wide:
            self.there, self.back = self.back, self.there

    def matvec(self, vector: Tensor) -> Tensor:
        """Products, shape (samples, size)."""
        return self.back(self.there(vector))
