"""Streams, labels and statistics that the parts of a theory study share, against dense references."""

import numpy as np
import pytest
import torch
from references import DTYPE, dense_hessian, layers, path_by_search, sample_loss, spectrum_at_minimum

from flatminima.minima.linear import LinearProblems
from flatminima.networks.initialisations import named_generator
from flatminima.theory.sampling import Chart, flattest
from flatminima.theory.shared import at_minima, labels, near_minima, stream, undiverged


def problems_of(depth, count=3):
    rng = np.random.default_rng(depth)
    roots = rng.standard_normal((count, 4, 4))
    return LinearProblems.of(rng.standard_normal((count, 3, 4)), roots @ roots.transpose(0, 2, 1), depth)


def test_streams_are_fixed_by_all_their_names():
    names = [("theory", "a", 2), ("theory", "a", 3), ("theory", "b", 2), ("other", "a", 2)]
    for draw in (lambda *n: stream(*n).normal(), lambda *n: torch.randn(1, generator=named_generator(*n)).item()):
        values = [draw(*name) for name in names]
        assert values == [draw(*name) for name in names]
        assert len(set(values)) == 4


def test_labels_of_networks():
    """One row for each seed; a label that was not given is empty, and a number missing."""
    frame = labels("theory", "random_white", 3, np.array([4, 5]), inputs="white", step=[7, 9])
    assert frame[["seed", "step"]].to_numpy().tolist() == [[4, 7], [5, 9]]
    assert frame[["study", "case", "depth", "inputs"]].drop_duplicates().to_numpy().tolist() == [
        ["theory", "random_white", 3, "white"]
    ]
    assert (frame[["control", "start", "map", "condition"]] == "").all(axis=None)
    assert frame[["setting", "step_size"]].isna().all(axis=None)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_statistics_at_minima(depth):
    """Sharpness by the definition of I1 over a search for the least; none has diverged."""
    problems = problems_of(depth)
    minima = flattest(problems, 3)
    if depth > 1:
        chart = Chart.around(minima, 4)
        minima = chart.weights(chart.draw(0.3, named_generator("test")))
    statistics = at_minima(minima, problems)
    assert statistics["diverged"].value.tolist() == [0, 0, 0]
    assert ("singular_overlap" in statistics) == (depth > 1)
    for k in range(3):
        single = [weight[k].numpy() for weight in minima]
        top = spectrum_at_minimum(single, problems.input_moment[k].numpy())[-1]
        least, _ = path_by_search(problems.end_to_end[k].numpy(), depth, problems.input_moment[k].numpy())
        assert statistics["sharpness"].value[k].item() == pytest.approx(top, rel=1e-10)
        assert statistics["minimal_sharpness"].value[k].item() == pytest.approx(least, rel=1e-9)
        assert statistics["sharpness_ratio"].value[k].item() == pytest.approx(top / least, rel=1e-9)
    assert (statistics["minimal_sharpness"].error_bound <= 1e-9 * problems.least).all()


def test_statistics_anywhere():
    """Sharpness of networks that are no minima, on samples with the same moments; its error bound is kept."""
    problems, (weights, _) = problems_of(3), layers(2, 3, [4, 5, 4, 3])
    statistics = near_minima(weights, problems)
    assert "diverged" not in statistics
    for k in range(3):
        inputs = torch.linalg.cholesky(problems.input_moment[k]).mT * 2
        loss, flat = sample_loss([weight[k] for weight in weights], [], inputs, inputs @ problems.end_to_end[k].mT)
        top = torch.linalg.eigvalsh(dense_hessian(loss, flat))[-1].item()
        value, bound = (getattr(statistics["sharpness"], name)[k].item() for name in ("value", "error_bound"))
        assert value == pytest.approx(top, rel=1e-9)
        assert bound <= 1e-8 * top
        ratio = statistics["sharpness_ratio"]
        assert ratio.value[k].item() == pytest.approx(value / problems.least[k].item(), rel=1e-12)
        assert ratio.error_bound[k].item() == pytest.approx(bound / problems.least[k].item(), rel=1e-12)
        left = np.linalg.svd(weights[1][k].numpy())[0]
        right = np.linalg.svd(weights[2][k].numpy(), full_matrices=False)[2]
        assert statistics["singular_overlap"].value[k, 1].item() == pytest.approx(
            np.abs(left.T @ right.T).max(), rel=1e-9
        )


def test_networks_that_cannot_diverge():
    assert undiverged(3)["diverged"].value.equal(torch.zeros(3, dtype=DTYPE))
