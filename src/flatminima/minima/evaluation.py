"""Problem that networks of one depth are measured on: samples, and the linear problem of their moments."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from flatminima.curvature.losses import losses, moment_loss, sample_losses
from flatminima.curvature.sample_hessian import SampleHessian
from flatminima.curvature.stacked import StackedHessian
from flatminima.data.moments import Moments
from flatminima.data.tasks import Samples
from flatminima.generators import named_generator
from flatminima.minima.hessian import MomentHessian
from flatminima.minima.linear import LinearProblems
from flatminima.networks.fully_convolutional import FullyConvolutionalStack
from flatminima.networks.stack import Stack
from flatminima.settings.training import Measure

GRAPH = 2**28
"""Bytes that the graph of a chunk of samples may take, where there is one."""

StackHessian = SampleHessian | StackedHessian | MomentHessian


@dataclass(frozen=True)
class Problem:
    """Problem that networks of one depth are measured on, on one device."""

    samples: Samples
    moments: Moments
    depth: int
    device: torch.device

    @property
    def linear(self) -> LinearProblems:
        """The linear problem of this depth, and its flattest minimum."""
        return _linear_problem(self.moments, self.depth).to(self.device)

    @property
    def scale(self) -> float:
        """Factor of the loss: 1 for the sum over outputs, 1/d_y for the mean."""
        return self.moments.loss_scale

    @property
    def scaled_moments(self) -> tuple[Tensor, Tensor]:
        """Sx and Syx times the factor of the loss."""
        moments = self.moments.input_moment, self.moments.cross_moment
        first, second = (torch.from_numpy(self.scale * moment).to(self.device) for moment in moments)
        return first, second

    def jacobian_inputs(self, settings: Measure) -> Tensor:
        """Inputs whose Jacobians are taken, shape (samples, d_x)."""
        return torch.from_numpy(self.samples.inputs[: settings.jacobian_samples]).to(self.device)

    def hessian(self, stack: Stack, every: int = 1, memory: int = 0) -> StackHessian:
        """Hessian from second moments for linear networks, else from every `every`-th sample."""
        if not on_samples(stack):
            return MomentHessian(stack.weights, *self.scaled_moments)
        arrays = self.samples.inputs[::every], self.samples.targets[::every]
        x, y = (torch.from_numpy(array).to(self.device) for array in arrays)
        if isinstance(stack, FullyConvolutionalStack):
            return StackedHessian(sample_losses(stack, x, y, self.scale, GRAPH), stack.parameters)
        return SampleHessian(stack, x, y, self.scale, memory)

    def redrawn(self, *names: str) -> "Problem":
        """Copy of the problem with another draw of fresh noise, fixed by names."""
        clean = torch.from_numpy(self.samples.targets)
        noise = torch.randn(clean.shape, generator=named_generator(*names, "noise"), dtype=clean.dtype)
        return replace(self, samples=replace(self.samples, inputs=(clean + self.samples.noise * noise).numpy()))

    def training_loss(self, stack: Stack, hessian: StackHessian) -> Tensor:
        """Losses over what the Hessian is taken over, shape (replicas,)."""
        if not isinstance(hessian, MomentHessian):
            return hessian.loss()
        energy = torch.tensor(self.scale * self.moments.target_energy, dtype=torch.float64).to(self.device)
        return losses([moment_loss(stack, *self.scaled_moments, energy)], stack)

    def zero_loss(self, stack: Stack) -> float:
        """Loss of predicting zero on these samples."""
        if not on_samples(stack):
            return self.scale * self.moments.target_energy
        targets = self.samples.targets
        return self.scale * float(np.einsum("ij,ij->i", targets, targets, dtype=np.float64).mean())

    def test_loss(self, stack: Stack) -> Tensor:
        """Losses over the test samples, shape (replicas,)."""
        x, y = (torch.from_numpy(array) for array in (self.samples.test_inputs, self.samples.test_targets))
        return losses(sample_losses(stack, x, y, self.scale, GRAPH), stack)


@lru_cache(maxsize=1)
def _linear_problem(moments: Moments, depth: int) -> LinearProblems:
    """Linear problem of the moments; cached, because networks and their control share it and it can take minutes."""
    moment = moments.loss_scale * moments.input_moment
    return LinearProblems.of(moments.end_to_end_map()[None], moment[None], depth)


def on_samples(stack: Stack) -> bool:
    """Whether the loss needs samples: second moments are enough for linear networks without biases."""
    return stack.rectified or bool(stack.biases)
