"""Minibatch training of stacked replicas against torch.optim on one network at a time."""

import pytest
import torch
from references import DTYPE, forward, generator, layers, normal, replica

from flatminima.networks.stack import Stack
from flatminima.training.batches import Batches, SampleProblem
from flatminima.training.optimisers import PerReplicaOptimiser
from flatminima.training.plateau import Plateau
from flatminima.training.run import CHECK_EVERY, Stages, snapshot_steps
from flatminima.training.stochastic import stochastic_descent

WIDTHS = [4, 6, 3]
SAMPLES, BATCH = 24, 8
INPUTS, TARGETS = normal(1, SAMPLES, 4), normal(2, SAMPLES, 3)
PROBLEM = SampleProblem(INPUTS, TARGETS, scale=0.5)
OPTIMISERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
RATES = {"sgd": [0.01, 0.03, 0.1], "adam": [0.001, 0.003, 0.01]}


def numbered(count, batch, seeds=2, noise=None):
    """Batches of samples that carry their own number, so that one can see which were drawn."""
    inputs = torch.arange(count, dtype=DTYPE).unsqueeze(1)
    return Batches(SampleProblem(inputs, 10 * inputs, 1.0, noise), batch, [generator(s) for s in range(seeds)])


def train(stack, optimiser, rates, seeds, steps=50, **settings):
    rates, streams = torch.tensor(rates, dtype=DTYPE), [generator(s) for s in seeds]
    problem = settings.pop("problem", PROBLEM)
    batches = Batches(problem, settings.pop("batch_size", BATCH), streams)
    settings = {"steps": steps, "plateau": None, "snapshots": 0} | settings
    return stochastic_descent(stack, batches, optimiser, rates, **settings, job="test")


def stack_of(replicas, bias=True, rectified=True):
    return Stack(*layers(3, replicas, WIDTHS, bias), rectified)


def reference(stack, index, optimiser, rate, seed, steps, pace=lambda step: 1.0):
    """One network in a plain torch loop, on batches drawn from shuffles of its own, at a pace that torch schedules."""
    parameters = [p[index].clone().requires_grad_() for p in stack.parameters]
    descent = OPTIMISERS[optimiser](parameters, lr=rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(descent, pace)
    stream, order = generator(seed), []
    for _ in range(steps):
        order = order or list(torch.randperm(SAMPLES, generator=stream).split(BATCH))
        rows = order.pop(0)
        outputs = forward(parameters[: stack.depth], parameters[stack.depth :], INPUTS[rows], stack.rectified)
        descent.zero_grad()
        (0.5 * (outputs - TARGETS[rows]).square().sum(1).mean()).backward()
        descent.step()
        schedule.step()
    return [p.detach() for p in parameters]


def assert_same(one, other, rtol=1e-9):
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=rtol, atol=rtol)


def test_every_epoch_visits_all_samples_once():
    batches = numbered(12, 4, seeds=3)
    orders = []
    for _ in range(5):
        epoch = torch.cat([batches.draw()[0] for _ in range(3)], 1).squeeze(2)
        assert torch.equal(epoch.sort(dim=1).values, torch.arange(12, dtype=DTYPE).expand(3, 12))
        orders += [tuple(order.tolist()) for order in epoch]
    assert len(set(orders)) == 15


def test_a_rest_that_fills_no_batch_waits_for_the_next_shuffle():
    batches = numbered(11, 4)
    for _ in range(5):
        epoch = torch.cat([batches.draw()[0] for _ in range(2)], 1)
        assert all(len(set(order.flatten().tolist())) == 8 for order in epoch)
    assert numbered(3, 8).draw()[0].shape == (2, 3, 1)


def test_targets_belong_to_their_inputs():
    inputs, targets = numbered(12, 5).draw()
    assert torch.equal(targets, 10 * inputs)


def test_fresh_noise_is_drawn_for_every_batch_and_seed():
    batches = numbered(1000, 1000, noise=0.3)
    draws, by_sample = [], []
    for _ in range(2):
        inputs, targets = batches.draw()
        noise = (inputs - targets / 10).squeeze(2)
        assert noise.std().item() == pytest.approx(0.3, rel=0.05)
        assert noise.mean().abs() < 0.02
        draws += list(noise)
        by_sample += list(noise.gather(1, targets.squeeze(2).argsort(dim=1)))
    for series in (draws, by_sample):
        assert (torch.corrcoef(torch.stack(series)) - torch.eye(4)).abs().max() < 0.15


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_each_replica_has_its_own_learning_rate(name):
    shapes, rates = [(3, 4, 5), (3, 4)], torch.tensor([1.0, 1e-3, 0.02], dtype=DTYPE)
    start = [normal(seed, *shape) for seed, shape in enumerate(shapes)]
    stacked = [p.clone() for p in start]
    ours = PerReplicaOptimiser(name, stacked, rates)
    single = [[p[index].clone().requires_grad_() for p in start] for index in range(3)]
    theirs = [OPTIMISERS[name](parameters, lr=rate.item()) for parameters, rate in zip(single, rates, strict=True)]
    for step in range(25):
        gradients = [normal(10 * step + k, *shape) * 10.0 ** (step % 3) for k, shape in enumerate(shapes)]
        ours.step(gradients, torch.ones(3))
        for index, optimiser in enumerate(theirs):
            for parameter, gradient in zip(single[index], gradients, strict=True):
                parameter.grad = gradient[index].clone()
            optimiser.step()
    for index in range(3):
        assert_same(replica(stacked, index), [p.detach() for p in single[index]], rtol=1e-13)


@pytest.mark.parametrize("name", ["sgd", "adam"])
@pytest.mark.parametrize("poison", [torch.inf, torch.nan, 1e300])
def test_replicas_that_are_left_out_leave_the_others_as_they_were(name, poison):
    stacked = [normal(1, 3, 4)]
    healthy = [stacked[0].clone()]
    optimiser = PerReplicaOptimiser(name, stacked, torch.full((3,), 0.1, dtype=DTYPE))
    undisturbed = PerReplicaOptimiser(name, healthy, torch.full((3,), 0.1, dtype=DTYPE))
    kept = torch.tensor([True, False, True])
    for step in range(6):
        gradient = normal(step, 3, 4)
        undisturbed.step([gradient], torch.ones(3))
        if step == 2:
            gradient[1] = poison
        optimiser.step([gradient if step <= 2 else gradient[kept]], torch.ones(3 if step <= 2 else 2))
        if step == 2:
            stacked = [stacked[0][kept]]
            optimiser.select(stacked, kept)
    assert torch.equal(stacked[0], healthy[0][kept])


def test_a_plateau_is_seen_on_the_scale_of_the_time_so_far():
    """Power laws t^-a lose 1 - (4^(1-a) - 3^(1-a)) / (3^(1-a) - 2^(1-a)) from one quarter to the next, at any time."""
    powers = torch.tensor([0.0, 0.05, 0.5], dtype=DTYPE)
    lost = 1 - (4 ** (1 - powers) - 3 ** (1 - powers)) / (3 ** (1 - powers) - 2 ** (1 - powers))
    steps = torch.arange(4000, dtype=DTYPE).unsqueeze(1) + 0.5
    sums = torch.cat([torch.zeros(1, 3, dtype=DTYPE), (steps**-powers).cumsum(0)])
    for fraction, expected in ((0.001, 1), (lost[1].item() * 1.1, 2), (lost[2].item() * 1.1, 3)):
        plateau = Plateau(fraction, ceiling=2.0, earliest=400)
        assert not plateau.reached(sums[:400]).any()
        for end in (401, 1000, 4001):
            assert plateau.reached(sums[:end]).sum() == expected


def test_a_plateau_above_the_ceiling_is_a_saddle():
    sums = torch.arange(100).unsqueeze(1) * torch.tensor([0.9, 1.1])
    assert Plateau(0.01, ceiling=1.0, earliest=10).reached(sums).tolist() == [True, False]


def test_replicas_on_a_plateau_stop_with_the_network_of_a_shorter_run():
    stack, rates = stack_of(3), [1e-9, 0.03, 1e6]
    trained = train(stack, "sgd", rates, seeds=[7], steps=400, plateau=Plateau(1e-3, ceiling=1e3, earliest=3))
    assert trained.diverged.tolist() == [False, False, True]
    stopped = trained.steps.tolist()
    assert stopped[0] < 100
    assert stopped[1] > stopped[0]
    for index in (0, 1):
        steps = min(stopped[index] + 1, 400)
        alone = train(stack.select(torch.tensor([index])), "sgd", rates[index : index + 1], seeds=[7], steps=steps)
        assert_same(replica(trained.parameters, index), replica(alone.parameters, 0), rtol=1e-12)


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rectified", [False, True])
def test_training_is_torchs_own_loop(optimiser, bias, rectified):
    """Two seeds with three step sizes each; the batches come from shuffles made here."""
    stack = stack_of(6, bias, rectified)
    rates = RATES[optimiser]
    trained = train(stack, optimiser, rates * 2, seeds=[7, 8], steps=50)
    for index in range(6):
        expected = reference(stack, index, optimiser, rates[index % 3], [7, 8][index // 3], 50)
        assert_same(replica(trained.parameters, index), expected)
    assert not trained.diverged.any()
    assert trained.steps.tolist() == [50] * 6


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize(("warmup", "finish"), [(10, 0), (0, 20), (10, 20)])
def test_the_step_size_rises_at_the_start_and_falls_to_zero_at_the_end(optimiser, warmup, finish):
    stack, rates = stack_of(3), RATES[optimiser]
    trained = train(stack, optimiser, rates, seeds=[7], steps=50, stages=Stages(warmup, finish))

    def pace(step):
        return min(1, (step + 1) / max(warmup, 1), (50 - step) / max(finish, 1))

    for index in range(3):
        assert_same(replica(trained.parameters, index), reference(stack, index, optimiser, rates[index], 7, 50, pace))
    assert trained.steps.tolist() == [50] * 3


def test_replicas_on_a_plateau_finish_before_they_stop():
    stack, rates = stack_of(3), [1e-9, 0.03, 0.05]
    plateau = Plateau(0.05, ceiling=1e3, earliest=3)
    at_once = train(stack, "sgd", rates, seeds=[7], steps=2000, plateau=plateau).steps.tolist()
    trained = train(stack, "sgd", rates, seeds=[7], steps=2000, plateau=plateau, stages=Stages(finish=40))
    assert len(set(at_once)) > 1
    assert max(at_once) + 40 < 2000
    assert trained.steps.tolist() == [step + 40 for step in at_once]
    for index, begin in enumerate(at_once):
        expected = reference(
            stack, index, "sgd", rates[index], 7, begin + 40, lambda step, end=begin + 40: min(1, (end - step) / 40)
        )
        assert_same(replica(trained.parameters, index), expected)


def test_finished_networks_have_smaller_gradients():
    """Noise of the batches keeps the others moving; the gradient is that of the whole loss."""
    stack, rates = stack_of(2), [0.1, 0.2]
    norms = []
    for stages in (Stages(), Stages(finish=200)):
        trained = train(stack, "sgd", rates, seeds=[7], steps=1000, stages=stages)
        for index in range(2):
            parameters = [p.requires_grad_() for p in replica(trained.parameters, index)]
            outputs = forward(parameters[: stack.depth], parameters[stack.depth :], INPUTS, stack.rectified)
            (0.5 * (outputs - TARGETS).square().sum(1).mean()).backward()
            norms.append(torch.cat([p.grad.flatten() for p in parameters]).norm().item())
    assert norms[2] < 0.3 * norms[0]
    assert norms[3] < 0.3 * norms[1]


def test_start_is_left_alone_and_its_gradient_norm_recorded():
    stack = stack_of(2)
    copies = [p.clone() for p in stack.parameters]
    trained = train(stack, "sgd", [0.01, 0.02], seeds=[7], steps=5)
    assert_same(stack.parameters, copies, rtol=0)
    for index in range(2):
        step = [a - b for a, b in zip(reference(stack, index, "sgd", 1.0, 7, 1), replica(copies, index), strict=True)]
        norm = torch.cat([s.flatten() for s in step]).norm()
        assert trained.gradient_scale[index].item() == pytest.approx(norm.item(), rel=1e-10)


@pytest.mark.parametrize(("optimiser", "wild"), [("sgd", 1e6), ("adam", 1e3)])
def test_a_diverged_replica_is_flagged_and_disturbs_nobody(optimiser, wild):
    stack = stack_of(3)
    rates = [RATES[optimiser][0], wild, RATES[optimiser][2]]
    together = train(stack, optimiser, rates, seeds=[7], steps=90)
    assert together.diverged.tolist() == [False, True, False]
    assert together.steps[1] == CHECK_EVERY
    for step, losses in together.history:
        assert losses.isnan().tolist() == [False, step > 0, False]
    for index in (0, 2):
        alone = train(stack.select(torch.tensor([index])), optimiser, rates[index : index + 1], seeds=[7], steps=90)
        assert_same(replica(together.parameters, index), replica(alone.parameters, 0), rtol=1e-12)


def test_a_loss_that_overflows_disturbs_nobody():
    """In float32, a replica that reaches infinity before the next check."""
    double = stack_of(2)
    stack = double.with_parameters([p.float() for p in double.parameters])
    problem = SampleProblem(INPUTS.float(), TARGETS.float(), scale=0.5)
    together = train(stack, "sgd", [0.01, 1e12], seeds=[7], problem=problem)
    alone = train(stack.select(torch.tensor([0])), "sgd", [0.01], seeds=[7], problem=problem)
    assert together.diverged.tolist() == [False, True]
    assert_same(replica(together.parameters, 0), replica(alone.parameters, 0), rtol=1e-5)


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_a_snapshot_is_the_network_of_a_shorter_run(optimiser):
    stack, rates = stack_of(2), RATES[optimiser][:2]
    trained = train(stack, optimiser, rates, seeds=[7], steps=45, snapshots=5)
    assert [shot.step for shot in trained.snapshots] == snapshot_steps(5, 45)
    assert_same(trained.snapshots[0].parameters, stack.parameters, rtol=0)
    assert_same(trained.snapshots[-1].parameters, trained.parameters, rtol=0)
    for shot in trained.snapshots[1:]:
        assert_same(shot.parameters, train(stack, optimiser, rates, seeds=[7], steps=shot.step).parameters, rtol=1e-12)


def test_training_twice_gives_the_same_bits():
    problem = SampleProblem(INPUTS, TARGETS, scale=0.5, fresh_noise=0.4)
    first, second = (train(stack_of(4), "adam", [1e-3, 1e-2] * 2, seeds=[7, 8], problem=problem) for _ in range(2))
    assert_same(first.parameters, second.parameters, rtol=0)
    other = train(stack_of(4), "adam", [1e-3, 1e-2] * 2, seeds=[7, 9], problem=problem)
    assert torch.equal(first.parameters[0][:2], other.parameters[0][:2])
    assert not torch.isclose(first.parameters[0][2:], other.parameters[0][2:]).all()
