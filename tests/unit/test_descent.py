"""Gradient descent and flow on moments against autograd, torch.optim and closed forms."""

import numpy as np
import pytest
import torch
from references import DTYPE, dense_gradient, forward, layers, moments_of, normal, replica, sample_loss
from scipy.linalg import expm
from scipy.optimize import OptimizeResult

from flatminima.training.descent import gradient_descent
from flatminima.training.flow import gradient_flow
from flatminima.training.moment_problem import MomentProblem, loss_and_gradient
from flatminima.training.run import CHECK_EVERY, Stages, has_diverged, snapshot_steps

WIDTHS = [4, 6, 5, 3]
INPUTS, TARGETS = normal(11, 40, 4), normal(12, 40, 3)
PROBLEM = MomentProblem(*moments_of(INPUTS, TARGETS))


def descend(weights, rates, steps=60, tolerance=0.0, snapshots=0, stages=Stages(), problem=PROBLEM):  # noqa: B008
    settings = {"steps": steps, "tolerance": tolerance, "snapshots": snapshots, "stages": stages}
    return gradient_descent(weights, problem, torch.tensor(rates, dtype=DTYPE), **settings, job="test")


def flow(weights, problem, duration, steps=10, snapshots=0):
    return gradient_flow(weights, problem, duration, steps=steps, snapshots=snapshots, job="test")


def assert_same(one, other, rtol=1e-12):
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("widths", [[4, 3], [4, 6, 3], WIDTHS, [4, 2, 5, 2, 3]])
def test_loss_and_gradient_against_autograd_on_samples(widths):
    weights, _ = layers(1, 3, widths)
    losses, gradients = loss_and_gradient(weights, PROBLEM)
    for index in range(3):
        loss, flat = sample_loss(replica(weights, index), [], INPUTS, TARGETS)
        assert losses[index].item() == pytest.approx(loss(flat).item(), rel=1e-12)
        gradient = torch.cat([g.flatten() for g in replica(gradients, index)])
        torch.testing.assert_close(gradient, dense_gradient(loss, flat), rtol=1e-11, atol=1e-12)


def test_descent_is_full_batch_sgd_of_torch():
    weights, _ = layers(1, 3, WIDTHS)
    rates = [0.01, 0.03, 0.05]
    trained = descend(weights, rates, steps=70)
    for index, rate in enumerate(rates):
        parameters = [w.clone().requires_grad_() for w in replica(weights, index)]
        optimiser = torch.optim.SGD(parameters, lr=rate)
        for _ in range(70):
            optimiser.zero_grad()
            (forward(parameters, [], INPUTS) - TARGETS).square().sum(1).mean().backward()
            optimiser.step()
        assert_same(replica(trained.parameters, index), [p.detach() for p in parameters], rtol=1e-11)
    assert trained.steps.tolist() == [70, 70, 70]
    assert not trained.diverged.any()


def test_the_first_gradient_norm_and_the_losses_are_recorded():
    weights, _ = layers(1, 2, WIDTHS)
    trained = descend(weights, [0.02, 0.02], steps=50)
    for index in range(2):
        first, flat = sample_loss(replica(weights, index), [], INPUTS, TARGETS)
        assert trained.gradient_scale[index].item() == pytest.approx(dense_gradient(first, flat).norm().item())
        last, flat = sample_loss(replica(trained.parameters, index), [], INPUTS, TARGETS)
        assert trained.history[-1][1][index].item() == pytest.approx(last(flat).item())
        assert trained.history[0][1][index].item() == pytest.approx(
            first(torch.cat([w[index].flatten() for w in weights]))
        )
    assert [step for step, _ in trained.history] == [0, 20, 40, 50]


def test_a_replica_does_not_depend_on_its_stack_mates():
    """Mates that diverge and mates that stop early leave the stack; the others must not notice."""
    weights, _ = layers(1, 4, WIDTHS)
    rates = [0.02, 50.0, 0.05, 0.01]
    together = descend(weights, rates, steps=300, tolerance=1e-2, snapshots=5)
    assert together.diverged.tolist() == [False, True, False, False]
    assert len(set(together.steps.tolist())) >= 3
    for index in (0, 2, 3):
        alone = descend([w[index : index + 1] for w in weights], rates[index : index + 1], 300, 1e-2, snapshots=5)
        assert_same(replica(together.parameters, index), replica(alone.parameters, 0))
        assert together.steps[index] == alone.steps[0]
        taken = len(alone.snapshots)
        assert taken >= 3
        for one, other in zip(together.snapshots[:taken], alone.snapshots, strict=True):
            assert one.step == other.step
            assert_same(replica(one.parameters, index), replica(other.parameters, 0))


def test_a_diverged_replica_is_recorded_and_stops():
    weights, _ = layers(1, 2, WIDTHS)
    trained = descend(weights, [50.0, 0.02], steps=100)
    assert trained.diverged.tolist() == [True, False]
    assert trained.steps.tolist() == [CHECK_EVERY, 100]
    for step, losses in trained.history:
        assert losses.isnan().tolist() == [step > 0, False]


def test_each_replica_diverges_by_its_own_first_loss():
    """One that starts badly and improves slowly, above a thousand times the first loss of a mate that has left."""
    weights, _ = layers(1, 2, WIDTHS)
    for weight in weights:
        weight[1] *= 8
    trained = descend(weights, [0.05, 1e-13], steps=300, tolerance=0.1)
    first, last = trained.history[0][1], trained.history[-1][1]
    assert trained.steps[0] < 300 == trained.steps[1]
    assert last[1] > 1e4 * first[0]
    assert not trained.diverged.any()


def test_a_replica_stops_where_its_gradient_is_small_enough():
    weights, _ = layers(1, 3, WIDTHS)
    rates = [0.02, 0.05, 0.08]
    trained = descend(weights, rates, steps=4000, tolerance=1e-3)
    assert (trained.steps < 4000).all()
    assert (trained.steps % CHECK_EVERY == 0).all()
    norms = (
        torch.stack([g.square().sum((1, 2)) for g in loss_and_gradient(trained.parameters, PROBLEM)[1]]).sum(0).sqrt()
    )
    assert (norms <= 1e-3 * trained.gradient_scale).all()
    for index, steps in enumerate(trained.steps.tolist()):
        one = [w[index : index + 1] for w in weights]
        assert_same(
            replica(trained.parameters, index), replica(descend(one, rates[index : index + 1], steps).parameters, 0)
        )
        earlier = descend(one, rates[index : index + 1], steps - CHECK_EVERY).parameters
        gradient = torch.cat([g.flatten() for g in loss_and_gradient(earlier, PROBLEM)[1]])
        assert gradient.norm() > 1e-3 * trained.gradient_scale[index]


def test_a_snapshot_is_the_network_of_a_shorter_run():
    weights, _ = layers(1, 2, WIDTHS)
    trained = descend(weights, [0.02, 0.05], steps=100, snapshots=6)
    assert [shot.step for shot in trained.snapshots] == snapshot_steps(6, 100)
    assert_same(trained.snapshots[0].parameters, weights, rtol=0)
    for shot in trained.snapshots[1:]:
        assert_same(shot.parameters, descend(weights, [0.02, 0.05], steps=shot.step).parameters)


@pytest.mark.parametrize("stages", [Stages(), Stages(warmup=8), Stages(finish=12), Stages(warmup=8, finish=12)])
def test_stages_of_one_layer_have_a_closed_form(stages):
    """W - T shrinks by 1 - 2 eta c_t lambda in every step: c_t = (t + 1) / 8 in warm-up, 1, then 1/2 at the end."""
    weights, _ = layers(1, 2, [4, 3])
    moment, cross = PROBLEM.input_moment.numpy(), PROBLEM.cross_moment.numpy()
    limit = np.linalg.solve(moment, cross.T).T
    values, vectors = np.linalg.eigh(moment)
    rates = [0.05, 0.3 / values[-1]]
    trained = descend(weights, rates, steps=30, stages=stages)
    paces = np.ones(30)
    if stages.warmup:
        paces[:8] = np.arange(1, 9) / 8
    if stages.finish:
        paces[-12:] = 0.5
    for index, rate in enumerate(rates):
        shrunk = np.prod(1 - 2 * rate * paces[:, None] * values, axis=0)
        expected = limit + (weights[0][index].numpy() - limit) @ (vectors * shrunk @ vectors.T)
        np.testing.assert_allclose(trained.parameters[0][index], expected, rtol=1e-10, atol=1e-11)


def test_what_oscillates_at_the_edge_of_stability_comes_to_rest():
    """w^2 - 2 w with a step of 1: w - 1 changes its sign for ever, and vanishes at half the step."""
    problem = MomentProblem(*(torch.tensor(v, dtype=DTYPE) for v in ([[1.0]], [[1.0]], 1.0)))
    start = [torch.full((1, 1, 1), 1.7, dtype=DTYPE)]
    restless, rested = (
        descend(start, [1.0], steps=40, problem=problem, stages=stages) for stages in (Stages(), Stages(finish=1))
    )
    assert restless.parameters[0].item() == pytest.approx(1.7)
    assert rested.parameters[0].item() == pytest.approx(1.0)


def test_nothing_rests_before_its_step_size_has_shown_whether_it_is_stable():
    weights, _ = layers(1, 1, WIDTHS)
    plain = descend(weights, [0.05], 4000, tolerance=0.1)
    warmed = descend(weights, [0.05], 4000, tolerance=0.1, stages=Stages(warmup=1000))
    assert plain.steps < 2000 == warmed.steps


def test_warmth_rises_to_one():
    assert [Stages(warmup=4).warmth(step) for step in (0, 1, 3, 4, 99)] == [0.25, 0.5, 1, 1, 1]
    assert Stages().warmth(0) == 1


def test_a_replica_at_its_tolerance_does_not_finish():
    weights, _ = layers(1, 2, WIDTHS)
    plain, finished = (
        descend(weights, [0.05, 0.08], 4000, tolerance=1e-3, stages=stages) for stages in (Stages(), Stages(finish=100))
    )
    assert (plain.steps < 3900).all()
    assert_same(plain.parameters, finished.parameters, rtol=0)


def test_training_twice_gives_the_same_bits():
    weights, _ = layers(1, 3, WIDTHS)
    first, second = (descend(weights, [0.01, 0.03, 0.05], snapshots=4) for _ in range(2))
    assert_same(first.parameters, second.parameters, rtol=0)
    assert all(torch.equal(a[1], b[1]) for a, b in zip(first.history, second.history, strict=True))


def test_snapshots_are_evenly_spaced_in_the_logarithm_of_time():
    assert snapshot_steps(0, 100) == []
    assert snapshot_steps(4, 999) == [0, 9, 99, 999]
    assert snapshot_steps(16, 3) == [0, 1, 2, 3]
    steps = snapshot_steps(16, 1500)
    assert steps == sorted(set(steps))
    assert (steps[0], steps[-1]) == (0, 1500)


def test_divergence_is_a_loss_that_is_not_finite_or_a_thousandfold():
    first = torch.ones(5)
    loss = torch.tensor([999.0, 1001.0, torch.inf, torch.nan, 0.0])
    assert has_diverged(loss, first).tolist() == [False, True, True, True, False]


def test_flow_of_one_layer_is_a_matrix_exponential():
    """dW/dt = -2 (W Sx - Syx), hence W(t) = T + (W(0) - T) expm(-2 t Sx)."""
    weights, _ = layers(1, 2, [4, 3])
    moment, cross = PROBLEM.input_moment.numpy(), PROBLEM.cross_moment.numpy()
    limit = np.linalg.solve(moment, cross.T).T
    trained = flow(weights, PROBLEM, duration=0.8, steps=100, snapshots=4)
    assert [shot.step for shot in trained.snapshots] == snapshot_steps(4, 100)
    for shot in trained.snapshots:
        decay = expm(-2 * 0.8 * shot.step / 100 * moment)
        np.testing.assert_allclose(
            shot.parameters[0], limit + (weights[0].numpy() - limit) @ decay, rtol=1e-7, atol=1e-8
        )
    assert_same(trained.parameters, trained.snapshots[-1].parameters, rtol=0)


def test_flow_of_a_balanced_scalar_network_is_logistic():
    """With w_1 = w_2 the product p obeys dp/dt = -4 p (p - T)."""
    start, target = 0.1, 2.0
    problem = MomentProblem(*(torch.tensor(v, dtype=DTYPE) for v in ([[1.0]], [[target]], target**2)))
    weights = [torch.full((1, 1, 1), start**0.5, dtype=DTYPE)] * 2
    trained = flow(weights, problem, duration=0.5)
    product = (trained.parameters[1] @ trained.parameters[0]).item()
    assert product == pytest.approx(target / (1 + (target / start - 1) * np.exp(-4 * target * 0.5)), rel=1e-7)


def test_flow_conserves_the_imbalance_of_neighbouring_layers():
    weights, _ = layers(4, 2, WIDTHS)
    trained = flow(weights, PROBLEM, duration=3.0)
    losses = [loss_and_gradient(w, PROBLEM)[0] for w in (weights, trained.parameters)]
    assert (losses[1] < 0.8 * losses[0]).all()
    for k in range(2):
        before, after = (w[k + 1].mT @ w[k + 1] - w[k] @ w[k].mT for w in (weights, trained.parameters))
        torch.testing.assert_close(after, before, rtol=1e-7, atol=1e-7)
    assert trained.snapshots == []
    assert not trained.diverged.any()
    assert trained.steps.tolist() == [10, 10]


def test_flow_reports_an_integrator_that_fails(monkeypatch):
    failed = OptimizeResult(success=False, message="step size too small")
    monkeypatch.setattr("scipy.integrate.solve_ivp", lambda *_, **__: failed)
    with pytest.raises(RuntimeError, match="test: the gradient flow could not be integrated: step size too small"):
        flow(layers(1, 1, [4, 3])[0], PROBLEM, duration=1.0)
