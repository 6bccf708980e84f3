"""One training job: replicas, labels, step sizes and seeds, against plain gradient descent."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from references import DTYPE, forward, normal, replica

from flatminima.data.moments import second_moments
from flatminima.data.tasks import Samples
from flatminima.errors import UserError
from flatminima.networks.initialisations import generators, initialise
from flatminima.settings.training import Experiment
from flatminima.training.experiments import train

FRACTIONS = [0.1, 0.5]
CRITICAL = 0.2


def sourced(**values):
    return {name: {"value": value, "source": "chosen"} for name, value in values.items()}


def experiment(**changes):
    """Gradient descent on a linear network; sections set to None are left out."""
    settings = sourced(
        depths=[3],
        bias=False,
        initialisation="pytorch",
        optimiser="gradient_descent",
        step_unit="critical",
        step_sizes=FRACTIONS,
        seeds=3,
        steps=40,
        tolerance=0.0,
        snapshots=0,
    )
    family = changes.pop("family", "linear")
    settings |= sourced(**{name: value for name, value in changes.items() if value is not None})
    kept = {name: value for name, value in settings.items() if name not in changes or changes[name] is not None}
    return Experiment.model_validate({"task": "noisy", "family": family, **kept})


def samples(noise_draw="fixed", loss="sum", outputs=4):
    inputs, targets = normal(1, 30, 4).numpy(), normal(2, 30, outputs).numpy()
    if noise_draw == "fresh":
        inputs = targets + 0.5 * normal(3, 30, outputs).numpy()
    inputs, targets = inputs.astype(np.float32), targets.astype(np.float32)
    return Samples(inputs, targets, inputs[:5], targets[:5], 0.5, noise_draw, loss)


def run(settings, data=None, depth=3):
    data = data or samples()
    return train("study", "run", settings, depth, data, second_moments(data), CRITICAL)


def descend(weights, data, rate, steps):
    """Full-batch gradient descent of one linear network by autograd; the loss is averaged over outputs if asked."""
    inputs, targets = (torch.from_numpy(a).to(DTYPE) for a in (data.inputs, data.targets))
    scale = 1 if data.loss == "sum" else 1 / targets.shape[1]
    parameters = [w.to(DTYPE).clone().requires_grad_() for w in weights]
    for _ in range(steps):
        loss = scale * (forward(parameters, [], inputs) - targets).square().sum(1).mean()
        gradients = torch.autograd.grad(loss, parameters)
        parameters = [(p - rate * g).detach().requires_grad_() for p, g in zip(parameters, gradients, strict=True)]
    return [p.detach() for p in parameters]


@pytest.mark.parametrize("loss", ["sum", "mean"])
@pytest.mark.parametrize(("unit", "rates"), [("critical", [0.02, 0.1]), ("absolute", FRACTIONS)])
def test_replicas_are_seeds_times_step_sizes(loss, unit, rates):
    data = samples(loss=loss, outputs=3)
    rates = [0.3 * rate for rate in rates] if unit == "absolute" else rates
    networks, _ = run(experiment(step_unit=unit, step_sizes=rates if unit == "absolute" else FRACTIONS, width=6), data)
    table = networks.replicas
    assert table["seed"].tolist() == [0, 0, 1, 1, 2, 2]
    assert table["step_size"].tolist() == pytest.approx(rates * 3)
    assert table["setting"].tolist() == pytest.approx((rates if unit == "absolute" else FRACTIONS) * 3)
    start = initialise("pytorch", [4, 6, 6, 3], generators("study", "run", 3, range(3), "weights"))
    for row, (seed, rate) in enumerate(zip(table["seed"], table["step_size"], strict=True)):
        expected = descend(replica(start.weights, seed), data, rate, 40)
        for weight, reference in zip(replica(networks.stack.weights, row), expected, strict=True):
            torch.testing.assert_close(weight, reference, rtol=1e-6, atol=1e-7)


def test_labels_and_history():
    networks, history = run(experiment())
    assert networks.labels == {
        "study": "study",
        "case": "run",
        "control": "",
        "family": "linear",
        "task": "noisy",
        "initialisation": "pytorch",
        "optimiser": "gradient_descent",
        "depth": 3,
    }
    assert networks.replicas["final"].all()
    assert networks.replicas["step"].tolist() == [40] * 6
    assert list(history.columns) == ["seed", "setting", "step", "loss"]
    assert sorted(history["step"].unique()) == [0, 20, 40]
    data = samples()
    last = history[history["step"] == 40].set_index(["seed", "setting"])["loss"]
    inputs, targets = (torch.from_numpy(a).to(DTYPE) for a in (data.inputs, data.targets))
    for row, (seed, fraction) in networks.replicas[["seed", "setting"]].iterrows():
        outputs = forward(replica(networks.stack.weights, row), [], inputs)
        assert last[seed, fraction] == pytest.approx((outputs - targets).square().sum(1).mean().item(), rel=1e-6)


def test_step_sizes_of_a_seed_share_their_start_and_seeds_do_not():
    networks, _ = run(experiment(snapshots=3))
    table = networks.replicas
    assert (~table["final"]).sum() == 18
    assert sorted(table.loc[~table["final"], "step"].unique()) == [0, 5, 40]
    start = np.flatnonzero(~table["final"] & (table["step"] == 0))
    first = networks.stack.weights[0][start]
    assert table["seed"].iloc[start].tolist() == [0, 0, 1, 1, 2, 2]
    assert torch.equal(first[0], first[1])
    assert not torch.allclose(first[0], first[2])
    last = np.flatnonzero(~table["final"] & (table["step"] == 40))
    for weight in networks.stack.weights:
        assert torch.equal(weight[last], weight[np.flatnonzero(table["final"])])


def test_flow_runs_for_its_steps_in_critical_steps():
    """One layer: W(t) - T decays as expm(-2 t Sx), t = steps * critical step."""
    data = samples()
    settings = experiment(optimiser="gradient_flow", step_unit=None, step_sizes=None, seeds=2, steps=4)
    networks, _ = run(settings, data, depth=1)
    moments = second_moments(data)
    values, vectors = np.linalg.eigh(moments.input_moment)
    decay = (vectors * np.exp(-2 * 4 * CRITICAL * values)) @ vectors.T
    limit = moments.end_to_end_map()
    start = initialise("pytorch", [4, 4], generators("study", "run", 1, range(2), "weights")).weights[0].numpy()
    np.testing.assert_allclose(networks.stack.weights[0], limit + (start - limit) @ decay, rtol=1e-6, atol=1e-7)
    assert networks.replicas[["step_size", "setting"]].isna().all(axis=None)


def test_sgd_on_fresh_noise_approaches_the_best_linear_map():
    """Its inputs are the targets plus new noise each time, so the best map is Sy (Sy + sigma^2 I)^-1."""
    data = samples("fresh")
    settings = experiment(
        optimiser="sgd", batch_size=30, steps=600, step_unit="absolute", step_sizes=[0.01], seeds=2, width=8
    )
    networks, _ = run(settings, data, depth=2)
    assert networks.stack.weights[0].dtype == torch.float32
    clean = data.targets.T.astype(float) @ data.targets / 30
    best = clean @ np.linalg.inv(clean + 0.25 * np.eye(4))
    for first, second in zip(*(weight.numpy() for weight in networks.stack.weights), strict=True):
        product = second @ first
        assert np.linalg.norm(product - best) < 0.1 * np.linalg.norm(best)


def test_sgd_draws_its_batches_from_a_stream_of_their_own():
    """Not from that of the weights: each seed shuffles by its stream named `batches`."""
    data = samples()
    settings = experiment(optimiser="sgd", batch_size=10, steps=6, step_unit="absolute", step_sizes=[0.03], seeds=2)
    networks, _ = run(settings, data, depth=2)
    start = initialise("pytorch", [4, 4, 4], generators("study", "run", 2, range(2), "weights"))
    for index, stream in enumerate(generators("study", "run", 2, range(2), "batches")):
        rows = torch.cat([torch.randperm(30, generator=stream) for _ in range(2)]).numpy().reshape(6, 10)
        weights = [weight.float() for weight in replica(start.weights, index)]
        for batch in rows:
            weights = descend(weights, replace(data, inputs=data.inputs[batch], targets=data.targets[batch]), 0.03, 1)
        for weight, expected in zip(replica(networks.stack.weights, index), weights, strict=True):
            torch.testing.assert_close(weight.double(), expected.double(), rtol=1e-4, atol=1e-5)


def test_relu_with_biases_trains_in_float32():
    settings = experiment(
        family="relu", bias=True, optimiser="adam", batch_size=10, step_unit="absolute", step_sizes=[0.003, 0.01]
    )
    networks, history = run(settings)
    assert networks.stack.rectified
    assert [b.shape for b in networks.stack.biases] == [(6, 4)] * 3
    assert all(p.dtype == torch.float32 for p in networks.stack.parameters)
    losses = history.groupby("step")["loss"].mean()
    assert losses.iloc[-1] < losses.iloc[0]


def test_residual_layers_start_at_the_identity():
    settings = experiment(family="residual_linear", initialisation="identity", seeds=1, snapshots=2)
    networks, _ = run(settings)
    start = np.flatnonzero(networks.replicas["step"] == 0)
    assert all(torch.equal(w[start], torch.eye(4, dtype=DTYPE).expand(2, 4, 4)) for w in networks.stack.weights)


def test_residual_layers_need_as_many_outputs_as_inputs():
    settings = experiment(family="residual_linear", initialisation="identity")
    with pytest.raises(UserError, match=r"experiments\.run\.family is residual_linear: .* 4 inputs and 3 outputs"):
        run(settings, samples(outputs=3))


def test_diverged_replicas_are_kept_and_marked():
    networks, _ = run(experiment(step_sizes=[0.1, 500.0]))
    assert networks.replicas["diverged"].tolist() == [False, True] * 3


def test_a_scaled_start_is_the_start_times_its_scale_and_is_recorded():
    (plain, _), (scaled, _) = (run(experiment(snapshots=2, start_scale=scale)) for scale in (None, 0.4))
    assert "start_scale" not in plain.replicas
    assert (scaled.replicas["start_scale"] == 0.4).all()
    first = np.flatnonzero(~plain.replicas["final"] & (plain.replicas["step"] == 0))
    for weight, smaller in zip(plain.stack.weights, scaled.stack.weights, strict=True):
        assert torch.equal(smaller[first], 0.4 * weight[first])


@pytest.mark.parametrize("optimiser", ["gradient_descent", "sgd"])
def test_stages_are_fractions_of_the_steps(optimiser):
    """On one sample, the number 1, a step multiplies the error by 1 - 2 c rate, c being the pace of its stage."""
    one = np.ones((1, 1), np.float32)
    data = Samples(one, 0 * one, one, 0 * one, 0.0, "none", "sum")
    settings = experiment(
        optimiser=optimiser,
        batch_size=1 if optimiser == "sgd" else None,
        steps=10,
        step_unit="absolute",
        step_sizes=[0.1],
        seeds=1,
        snapshots=2,
        warmup=0.2,
        finish=0.4,
    )
    networks, _ = run(settings, data, depth=1)
    last, first = (networks.stack.weights[0][index].item() for index in (0, 1))
    ending = [1, 0.75, 0.5, 0.25] if optimiser == "sgd" else [0.5] * 4
    paces = np.array([0.5, 1, 1, 1, 1, 1, *ending])
    assert last == pytest.approx(first * np.prod(1 - 2 * 0.1 * paces), rel=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"snapshots": 3},
        {"snapshots": 3, "warmup": 0.1, "finish": 0.3, "start_scale": 0.7},
        {"optimiser": "adam", "batch_size": 8, "family": "relu", "warmup": 0.1, "finish": 0.3},
        {"optimiser": "adam", "batch_size": 8, "family": "relu"},
        {"optimiser": "gradient_flow", "step_unit": None, "step_sizes": None},
    ],
)
def test_training_twice_gives_the_same_bits(changes):
    (first, losses), (second, others) = (run(experiment(**changes), samples("fresh")) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.stack.parameters, second.stack.parameters, strict=True))
    assert first.replicas.equals(second.replicas)
    assert losses.equals(others)
