"""Ways in which eigenvalue computations go wrong unnoticed: each shown on a naive method, and absent here."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from modules import Dense, columns, convolutional, data, dense_hessian, mlp, with_spectrum
from references import DTYPE, normal
from torch import nn
from torch.nn import functional

from flatminima.curvature.eigensolvers import eigenpairs
from flatminima.curvature.operators import Hessian
from flatminima.errors import UserError


def power_iteration(matrix, tolerance, seed):
    """The largest eigenvalue in magnitude, until the Rayleigh quotient changes little."""
    vector = normal(seed, len(matrix))
    value = torch.inf
    for _ in range(1000):
        vector = vector / vector.norm()
        image = matrix @ vector
        last, value = value, (vector @ image).item()
        if abs(value - last) < tolerance * abs(value):
            break
        vector = image
    return value


def naive_lanczos(matrix, start, steps):
    """Ritz values of every step, by the three-term recurrence alone."""
    vector, previous, side = start / start.norm(), torch.zeros_like(start), 0.0
    diagonal, off_diagonal, ritz = [], [], []
    for _ in range(steps):
        image = matrix @ vector - side * previous
        diagonal.append((image @ vector).item())
        image = image - diagonal[-1] * vector
        tridiagonal = np.diag(diagonal) + np.diag(off_diagonal, 1) + np.diag(off_diagonal, -1)
        ritz.append(np.linalg.eigvalsh(tridiagonal)[::-1])
        previous, side = vector, image.norm().item()
        off_diagonal.append(side)
        vector = image / side
    return ritz


def settled(ritz, tolerance):
    """The top Ritz value when it first changes little."""
    tops = [values[0] for values in ritz]
    return next(now for last, now in pairwise(tops) if abs(now - last) < tolerance * abs(now))


def test_power_iteration_stops_before_it_has_converged():
    matrix, _ = with_spectrum(torch.linspace(0, 1, 200, dtype=DTYPE), seed=1)
    assert power_iteration(matrix, 1e-3, seed=2) < 0.98
    assert eigenpairs(Dense(matrix)).eigenvalues.item() == pytest.approx(1, abs=1e-6)


def test_two_lanczos_steps_are_not_enough():
    matrix, _ = with_spectrum(torch.linspace(0, 1, 200, dtype=DTYPE) ** 3, seed=1)
    assert naive_lanczos(matrix, normal(2, 200), 2)[-1][0] < 0.75
    assert eigenpairs(Dense(matrix)).eigenvalues.item() == pytest.approx(1, abs=1e-6)


def test_negative_eigenvalues_of_larger_magnitude():
    matrix, _ = with_spectrum(torch.cat([torch.linspace(-5, 1, 99), torch.tensor([2.0])]), seed=1)
    assert power_iteration(matrix, 1e-6, seed=2) == pytest.approx(-5, rel=0.01)
    pairs = eigenpairs(Dense(matrix), 1, "both")
    assert pairs.eigenvalues.tolist() == pytest.approx([2, -5], abs=1e-6)


def test_ghost_copies_in_float32():
    """Without reorthogonalisation the top eigenvalue is found again and again, and takes the place of others."""
    eigenvalues = torch.cat([torch.linspace(0, 1, 290, dtype=DTYPE), 10 * 1.5 ** torch.arange(10, dtype=DTYPE)])
    matrix, _ = with_spectrum(eigenvalues, seed=1)
    expected = eigenvalues.sort(descending=True).values[:10].tolist()
    ghosts = naive_lanczos(matrix.float(), normal(2, 300).float(), 60)[-1][:10]
    assert max(abs(ghosts / expected - 1)) > 0.3
    pairs = eigenpairs(Dense(matrix.float()), 10)
    assert pairs.eigenvalues.tolist() == pytest.approx(expected, rel=1e-5)


def test_nearly_degenerate_tops():
    """Their two largest are 1.3 % apart, and a value that settles is often the second."""
    spectrum = torch.cat([torch.linspace(0, 0.3, 398), torch.tensor([1 - 0.013, 1.0])]).double()
    matrix, basis = with_spectrum(spectrum, seed=1)
    seeds = range(40)
    naive = [settled(naive_lanczos(matrix, normal(seed, 400), 60), 1e-4) for seed in seeds]
    assert sum(value < 0.99 for value in naive) >= 3
    found = [eigenpairs(Dense(matrix), seed=seed) for seed in seeds]
    assert [pairs.eigenvalues.item() for pairs in found] == pytest.approx([1.0] * len(found), abs=1e-6)
    assert min(abs(pairs.eigenvectors[0] @ basis[:, -1]).item() for pairs in found) > 0.9999
    values = [eigenpairs(Dense(matrix), seed=seed, sought="values") for seed in seeds]
    assert [pairs.eigenvalues.item() for pairs in values] == pytest.approx([1.0] * len(values), abs=1e-4)


def test_copies_of_a_double_top():
    """A single start vector sees one direction of an eigenspace; a block sees two."""
    matrix, _ = with_spectrum(torch.cat([torch.linspace(0, 1, 98), torch.tensor([2.0, 2.0])]), seed=1)
    assert naive_lanczos(matrix, normal(2, 100), 15)[-1][1] < 1.01
    assert eigenpairs(Dense(matrix), 3).eigenvalues.tolist() == pytest.approx([2, 2, 1], abs=1e-6)


def test_batch_normalisation_and_dropout_in_training_mode():
    model = convolutional().train()
    inputs, targets = data(model)
    with pytest.raises(UserError, match=r"^model: BatchNorm2d 1 is in training mode; call model.eval\(\) first$"):
        Hessian(model, nn.CrossEntropyLoss(), (inputs, targets))
    model[1].eval()
    with pytest.raises(UserError, match=r"^model: Dropout 4 is in training mode; call model.eval\(\) first$"):
        Hessian(model, nn.CrossEntropyLoss(), (inputs, targets))


def test_a_model_in_training_mode_without_such_layers_is_as_good_as_any():
    model = mlp().train()
    reference = dense_hessian(model, nn.CrossEntropyLoss(), *data(model))
    torch.testing.assert_close(columns(Hessian(model, nn.CrossEntropyLoss(), data(model))), reference)
    assert model.training


class Drops(nn.Module):
    """Dropout that no mode switches off."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, inputs):
        return self.layer(functional.dropout(inputs, 0.5, training=True))


class Normalises(Drops):
    """A batch norm that no mode switches off."""

    def forward(self, inputs):
        return self.layer((inputs - inputs.mean(0)) / inputs.std(0))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Drops(), r"expected no randomness: call model.eval\(\)"),
        (Normalises(), "samples that do not affect each other"),
    ],
)
def test_randomness_and_batch_statistics_that_hide(model, message):
    with pytest.raises(UserError, match=message):
        Hessian(model.double().eval(), nn.CrossEntropyLoss(), data(mlp()))
