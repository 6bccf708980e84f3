"""A small trained network and the settings of a rescaling study."""

from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from rescalable import squared
from torch import nn

from flatminima.rescaling.coordinates import volumes
from flatminima.rescaling.subjects import Subject
from flatminima.rescaling.trained_orbits import measure_linear_orbits, measure_orbits
from flatminima.settings.rescaling import Demonstrations, Orbits
from flatminima.stages.rescale import show_theorems

LABELS = {"family": "relu", "task": "labels", "initialisation": "pytorch", "optimiser": "sgd", "depth": 3}
LABELS |= {"step_size": 0.1, "seed": 0, "replica": 0}


def demonstrations(**changed):
    values = {"seeds": 1, "spread": 100.0, "alphas": [0.01, 0.3, 100.0], "boxes": 4, "box": 0.1, "ranges": [2.0, 8.0]}
    values |= {"shown": ["volume", "two_layers", "many_directions", "balls", "coordinates", "landscape"]}
    values |= {"draws": 20_000, "radii": [0.01, 0.1], "ascents": 20, "offsets": [0.01, 1.0], "exponent": 1.0}
    return Demonstrations.model_validate(values | changed)


def orbit_settings(**changed):
    values = {
        "kinds": ["layers", "units"],
        "tolerance": 1e-7,
        "products": 500,
        "spread": 10.0,
        "landscape": 5,
    } | changed
    return Orbits.model_validate(values)


def blobs(count, seed):
    """Three overlapping classes in four dimensions."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    centres = np.random.default_rng(0).standard_normal((3, 4))
    inputs = 1.5 * centres[labels] + 0.7 * rng.standard_normal((count, 4))
    return torch.from_numpy(inputs), torch.from_numpy(np.eye(3)[labels])


def trained(widths=(4, 6, 5, 3), activation=nn.ReLU, bias=True, seed=0, steps=400, **labels):
    """A network after full-batch Adam, on the way to a minimum."""
    data, test = blobs(60, 1), blobs(40, 2)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = [layer for shape in pairwise(widths) for layer in (nn.Linear(*shape, bias=bias), activation())]
        model = nn.Sequential(*layers[:-1]).double()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(steps):
        optimiser.zero_grad()
        squared(model(data[0]), data[1]).backward()
        optimiser.step()
    known = LABELS | {"depth": len(widths) - 1, "seed": seed, "replica": seed} | labels
    return Subject(model, data, test, True, known)


def convolution():
    """A convolutional network that nothing has trained, on images of 8 x 8 pixels."""
    inputs = torch.randn(30, 1, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        convolutions = nn.Conv2d(1, 3, 3, stride=2, padding=1), nn.ReLU()
        model = nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(48, 3)).double()
    targets = model(inputs).detach() + 0.01
    return Subject(model, (inputs, targets), (inputs, targets), False, LABELS | {"family": "convolutional", "depth": 2})


def small_rescaling():
    """Measures of all parts of a rescaling study of a few networks."""
    networks = [trained(), convolution()]
    linear = trained((4, 5, 3), nn.Identity, bias=False)
    tables = [show_theorems("test", [network], demonstrations(), orbit_settings())[0] for network in networks]
    tables += [measure_orbits("test", networks, orbit_settings()), volumes("test", demonstrations())[0]]
    tables.append(measure_linear_orbits("test", [linear], {2: 1.0}, orbit_settings()))
    return pd.concat(tables, ignore_index=True)
