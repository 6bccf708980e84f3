"""Training of small convolutional networks by plain PyTorch."""

import torch
from torch import nn
from torch.optim import SGD
from torch.utils.data import DataLoader, TensorDataset

from flatminima.data.tasks import Samples
from flatminima.generators import named_generator
from flatminima.networks.convolutional import Shape, square
from flatminima.networks.losses import squared_error
from flatminima.progress import Progress, state
from flatminima.settings.rescaling import Convolutional


def train_convolutional(
    study: str, settings: Convolutional, samples: Samples
) -> tuple[list[nn.Sequential], Shape, dict[str, str | float]]:
    """Train one network per seed by SGD on the squared error.

    Args:
        study: the study's name, part of every seed.
        settings: shape and training.
        samples: of the task.

    Returns:
        The networks, their shape, and their labels in the tidy table.

    Raises:
        UserError: if the images are not square or do not fit the layers.
    """
    channels = tuple(settings.channels)
    side = square(samples.inputs.shape[1], len(channels), "convolutional.channels")
    shape = Shape(side, channels, samples.targets.shape[1])
    data = TensorDataset(shape.images(torch.from_numpy(samples.inputs)), torch.from_numpy(samples.targets))
    networks = [_train(study, seed, shape, settings, data) for seed in range(settings.seeds)]
    labels: dict[str, str | float] = {"family": "convolutional", "initialisation": "pytorch", "optimiser": "sgd"}
    return networks, shape, labels | {"task": "labels", "step_size": settings.step_size}


def _train(study: str, seed: int, shape: Shape, settings: Convolutional, data: TensorDataset) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(named_generator(study, "convolutional", seed, "weights").initial_seed())
        network = shape.network()
    batches = DataLoader(
        data,
        settings.batch_size,
        shuffle=True,
        drop_last=True,
        generator=named_generator(study, "convolutional", seed, "batches"),
    )
    optimiser = SGD(network.parameters(), settings.step_size)
    epochs = settings.epochs
    progress, loss = Progress(f"{study} convolutional seed {seed}", epochs), torch.tensor(0.0)
    for epoch in range(epochs):
        for inputs, targets in batches:
            optimiser.zero_grad()
            loss = squared_error(network(inputs), targets)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        progress.report(epoch, state(float(loss.detach()), 0))
    progress.finish(epochs, state(float(loss.detach()), 0))
    return network
