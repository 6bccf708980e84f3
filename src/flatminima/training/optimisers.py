"""SGD and Adam for stacked replicas, each at a learning rate of its own."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim import Adam


class PerReplicaOptimiser:
    """SGD or Adam with a learning rate for each stacked replica, where torch keeps one per tensor.

    Adam's updates are read off torch's optimiser: it moves displacements from zero, uphill and at rate one.
    """

    def __init__(self, name: str, parameters: Sequence[Tensor], step_sizes: Tensor) -> None:
        """Set up for parameters of shape (replicas, ...) and step sizes of shape (replicas,)."""
        self._parameters = parameters
        self._rates = [step_sizes.view(-1, *[1] * (p.dim() - 1)).to(p.dtype) for p in parameters]
        self._displacements = [torch.zeros_like(p) for p in parameters] if name == "adam" else []
        self._adam = Adam(self._displacements, lr=1.0, maximize=True, fused=True) if name == "adam" else None

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], pace: Tensor) -> None:
        """Move every parameter along its gradient, at a fraction `pace` of its learning rate, shape (replicas,)."""
        updates = gradients if self._adam is None else self._adam_updates(self._adam, gradients)
        for parameter, rate, update in zip(self._parameters, self._rates, updates, strict=True):
            parameter.addcmul_(rate * pace.view_as(rate).to(rate), update, value=-1)

    def select(self, parameters: Sequence[Tensor], index: Tensor) -> None:
        """Go on with some replicas, whose parameters are given."""
        self._parameters = parameters
        self._rates = [rate[index] for rate in self._rates]
        if self._adam is not None:
            state = self._adam.state_dict()
            for values in state["state"].values():
                values.update({name: value[index] for name, value in values.items() if value.dim() > 0})
            self._displacements = [torch.zeros_like(p) for p in parameters]
            self._adam = Adam(self._displacements, lr=1.0, maximize=True, fused=True)
            self._adam.load_state_dict(state)

    def _adam_updates(self, adam: Adam, gradients: Sequence[Tensor]) -> list[Tensor]:
        for displacement, gradient in zip(self._displacements, gradients, strict=True):
            displacement.zero_()
            displacement.grad = gradient.contiguous()  # fused steps take the memory of both in its own order
        adam.step()
        return self._displacements
