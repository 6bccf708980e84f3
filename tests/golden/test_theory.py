"""The identities and numbers of theory.md section 1.3, through the code that measures trained networks."""

import itertools

import pytest
import torch

from flatminima.curvature.eigensolvers import stacked_eigenpairs
from flatminima.curvature.losses import moment_loss
from flatminima.curvature.stacked import StackedHessian
from flatminima.minima.balance import band_upper, product_norms
from flatminima.minima.bound import minimal_sharpness
from flatminima.minima.coupling import follow, overlaps
from flatminima.networks.initialisations import initialise
from flatminima.networks.stack import Stack
from flatminima.training.descent import gradient_descent
from flatminima.training.flow import gradient_flow
from flatminima.training.moment_problem import MomentProblem, loss_and_gradient

DTYPE = torch.float64


def normal(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=DTYPE)


def rotation(seed, size):
    return torch.linalg.qr(normal(seed, size, size)).Q


def positive(seed, size, low=0.2, high=2.0):
    """A symmetric positive definite matrix with evenly spread eigenvalues in a random basis."""
    basis = rotation(seed, size)
    return basis * torch.linspace(low, high, size, dtype=DTYPE) @ basis.T


def problem_of(end_to_end, moment=None):
    """Noiseless targets y = T x: the loss of a global minimum is zero."""
    moment = torch.eye(end_to_end.shape[1], dtype=DTYPE) if moment is None else moment
    cross = end_to_end @ moment
    return MomentProblem(moment, cross, (cross * end_to_end).sum())


def stacked(*networks):
    """Several networks, each a list of matrices, as stacked layers."""
    return tuple(torch.stack(layer) for layer in zip(*networks, strict=True))


def hessian(weights, problem):
    moments = problem.input_moment, problem.cross_moment, problem.target_energy
    return StackedHessian([moment_loss(Stack(tuple(weights)), *moments)], weights)


def sharpness(weights, problem):
    """Top eigenvalues by Lanczos on Hessian-vector products, in the space of the parameters."""
    pair = stacked_eigenpairs(hessian(weights, problem), tolerance=1e-7)
    assert (pair.residuals <= 1e-6 * pair.eigenvalues).all()
    return pair.eigenvalues[:, 0]


def least(end_to_end, depth, moment=None):
    return minimal_sharpness(end_to_end.numpy(), depth, None if moment is None else moment.numpy())


def balanced(end_to_end, depth):
    """One exactly balanced factorisation of T, through random orthogonal bases."""
    left, values, right = torch.linalg.svd(end_to_end)
    bases = [right.T, *(rotation(70 + k, len(values)) for k in range(depth - 1)), left]
    return [bases[k + 1] * values ** (1 / depth) @ bases[k].T for k in range(depth)]


def one_sided(depth, c):
    """I4's diagonal example for any depth: T = diag(2, 1), with c and 1/c off the path in the outer layers."""
    rest = [c, *[1.0] * (depth - 2), 1 / c]
    return [torch.diag(torch.tensor([2 ** (1 / depth), value], dtype=DTYPE)) for value in rest]


@pytest.mark.parametrize("widths", [[3, 4, 2], [2, 4, 5, 3], [4, 5, 4, 6, 3]])
def test_i1_operator_has_the_top_eigenvalue_of_the_parameters_hessian(widths):
    """At random global minima with noisy targets, whose loss is not zero; inputs are not white."""
    inputs, targets = normal(1, 30, widths[0]) @ normal(2, widths[0], widths[0]), normal(3, 30, widths[-1])
    moment, cross = inputs.T @ inputs / 30, targets.T @ inputs / 30
    problem = MomentProblem(moment, cross, targets.square().sum() / 30)
    end_to_end, root = cross @ torch.linalg.inv(moment), torch.linalg.cholesky(moment)
    for seed in range(4):
        free = [normal(10 * seed + k, b, a) for k, (a, b) in enumerate(itertools.pairwise(widths[:-1]))]
        before = torch.eye(widths[0], dtype=DTYPE)
        for weight in free:
            before = weight @ before
        weights = [*free, end_to_end @ torch.linalg.pinv(before)]
        single = stacked(weights)
        assert loss_and_gradient(single, problem)[1][0].norm() < 1e-9
        operator = torch.zeros(widths[0] * widths[-1], widths[0] * widths[-1], dtype=DTYPE)
        for k in range(len(weights)):
            a, b = root, torch.eye(widths[-1], dtype=DTYPE)
            for weight in weights[:k]:
                a = weight @ a
            for weight in reversed(weights[k + 1 :]):
                b = b @ weight
            operator += torch.kron(b @ b.T, a.T @ a)
        expected = 2 * torch.linalg.eigvalsh(operator)[-1].item()
        assert sharpness(single, problem).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("c", "ratio"), [(1.2, 1.0), (1.4, 1.004), (1.6, 1.21)])
def test_i4_sharpness_of_a_lopsided_flat_minimum(c, ratio):
    """The flattest value survives c = 1.2 off the path, and not c = 1.6; s^{1/m} need not be the largest."""
    problem = problem_of(torch.diag(torch.tensor([2.0, 1.0], dtype=DTYPE)))
    weights = stacked(one_sided(3, c))
    found = sharpness(weights, problem).item() / least(problem.cross_moment, 3).value
    assert found == pytest.approx(ratio, abs=1e-9 if c == 1.2 else 5e-3)
    if c > 2 ** (1 / 3):
        assert torch.linalg.matrix_norm(weights[0], 2).item() == pytest.approx(c)


@pytest.mark.parametrize("commuting", [False, True])
@pytest.mark.parametrize("depth", [2, 3, 5])
def test_i4_path_statistics_of_a_flattest_minimum(depth, commuting):
    """Balanced minima: gains of one at every layer, cosines of one, residuals of zero, and the least sharpness."""
    end_to_end = positive(5, 4) if commuting else normal(5, 4, 4)
    moment = positive(5, 4, 0.5, 3.0) if commuting else None
    problem, weights = problem_of(end_to_end, moment), stacked(balanced(end_to_end, depth))
    bound = least(end_to_end, depth, moment)
    assert sharpness(weights, problem).item() == pytest.approx(bound.value, rel=1e-9)
    direction = torch.from_numpy(bound.direction)
    image = end_to_end @ direction / bound.gain
    path = follow(weights, direction[None], image[None], torch.tensor([bound.gain], dtype=DTYPE))
    torch.testing.assert_close(path.gain, torch.ones(1, depth, dtype=DTYPE), rtol=1e-7, atol=0)
    torch.testing.assert_close(path.cosine, torch.ones(1, depth - 1, dtype=DTYPE), rtol=1e-7, atol=0)
    assert path.residual.max() < 1e-6


@pytest.mark.parametrize("white", [True, False])
@pytest.mark.parametrize("depth", [2, 3, 5])
def test_i5_partial_products_of_flattest_minima_lie_in_the_band(depth, white):
    """Balanced minima, and others that are as flat: layers of any kind off the path, as long as they stay small."""
    end_to_end = positive(5, 3)
    moment = torch.eye(3, dtype=DTYPE) if white else positive(5, 3, 0.5, 3.0)
    problem, basis, identity = problem_of(end_to_end, moment), rotation(5, 3), torch.eye(3, dtype=DTYPE)
    powers = torch.linalg.eigvalsh(end_to_end) ** (1 / depth)
    networks = [balanced(end_to_end, depth)]
    for seed in range(60):
        factors = [identity]
        for k in range(depth - 1):
            off_path = torch.zeros(3, 3, dtype=DTYPE)
            off_path[:2, :2] = 0.02 * seed * normal(100 * seed + k, 2, 2)
            factors.append(torch.linalg.matrix_exp(off_path))
        steps = itertools.pairwise([*factors, identity])
        networks.append([basis @ (b * powers) @ torch.linalg.inv(a) @ basis.T for a, b in steps])
    weights = stacked(*networks)
    bound = least(end_to_end, depth, moment)
    assert (loss_and_gradient(weights, problem)[0].abs() < 1e-9).all()
    flat = sharpness(weights, problem) < bound.value * (1 + 1e-8)
    variances, vectors = torch.linalg.eigh(moment)
    root = vectors * variances.sqrt() @ vectors.T
    gain = torch.full((len(networks),), bound.gain, dtype=DTYPE)
    amplitude = torch.tensor(bound.amplitude, dtype=DTYPE)
    norms = product_norms(weights, root, amplitude, gain)
    upper = band_upper(depth, variances[0], amplitude)
    assert flat[0]
    assert flat.sum() >= 5
    assert (norms[flat] >= 1 - 1e-9).all()
    assert (norms[flat] <= upper + 1e-9).all()
    torch.testing.assert_close(norms[:1], torch.ones(1, depth - 1, dtype=DTYPE), rtol=1e-8, atol=0)
    assert norms[~flat].max() > upper
    assert depth == 2 or norms[flat].max() > 1.03


STEPS = torch.tensor([0.02, 0.3, 0.8, 0.95], dtype=DTYPE)


def residual_ratios(end_to_end, depth, fractions=STEPS):
    """Sharpness over its minimum where zero residual layers end; steps in units of the largest stable one."""
    problem, bound = problem_of(end_to_end), least(end_to_end, depth).value
    start = [torch.eye(5, dtype=DTYPE).expand(len(fractions), 5, 5)] * depth
    trained = gradient_descent(
        start, problem, fractions * 2 / bound, steps=8000, tolerance=1e-7, snapshots=0, job="residual"
    )
    assert not trained.diverged.any()
    assert (loss_and_gradient(trained.parameters, problem)[0] < 1e-8 * problem.target_energy).all()
    return sharpness(trained.parameters, problem) / bound


@pytest.mark.parametrize("depth", [2, 3, 5])
@pytest.mark.parametrize("seed", [1, 2])
def test_i6_symmetric_maps_are_reached_at_the_least_sharpness(depth, seed):
    ratios = residual_ratios(positive(seed, 5), depth)
    torch.testing.assert_close(ratios, torch.ones(4, dtype=DTYPE), rtol=0, atol=1e-5)


@pytest.mark.parametrize("depth", [2, 3, 5])
@pytest.mark.parametrize("seed", [1, 2])
def test_i6_other_maps_are_reached_a_little_above(depth, seed):
    """1.000 at 0.02 of the largest stable step, at most 1.002 at 0.3, 1.03 at 0.8, 1.05 at 0.95; never below one."""
    ratios = residual_ratios(torch.eye(5, dtype=DTYPE) + 0.3 * normal(seed, 5, 5), depth)
    assert (ratios > 1 - 1e-6).all()
    assert (ratios < torch.tensor([1.0005, 1.002, 1.03, 1.05])).all()
    assert ratios[2:].max() > 1.0005


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_i6_gradient_flow_ends_balanced_and_flattest(depth):
    end_to_end = torch.eye(5, dtype=DTYPE) + 0.3 * normal(1, 5, 5)
    problem = problem_of(end_to_end)
    start = [torch.eye(5, dtype=DTYPE).unsqueeze(0)] * depth
    trained = gradient_flow(start, problem, 200.0, steps=10, snapshots=0, job="flow")
    for before, after in itertools.pairwise(trained.parameters):
        torch.testing.assert_close(after.mT @ after, before @ before.mT, rtol=0, atol=1e-7)
    assert loss_and_gradient(trained.parameters, problem)[0].item() < 1e-9
    assert sharpness(trained.parameters, problem).item() == pytest.approx(least(end_to_end, depth).value, rel=1e-4)


@pytest.fixture(scope="module")
def swept():
    """40 networks of widths 5-8-8-5 at four stable and two unstable steps, as in I8."""
    end_to_end = normal(1, 5, 5)
    problem, bound = problem_of(end_to_end), least(end_to_end, 3)
    fractions = torch.tensor([0.05, 0.6, 0.9, 0.97, 1.05, 1.3], dtype=DTYPE)
    stack = initialise("xavier_normal", [5, 8, 8, 5], [torch.Generator().manual_seed(s) for s in range(40)])
    start = stack.select(torch.arange(40).repeat_interleave(6)).weights
    rates = fractions.repeat(40) * 2 / bound.value
    trained = gradient_descent(start, problem, rates, steps=4000, tolerance=1e-5, snapshots=0, job="sweep")
    loss = loss_and_gradient(trained.parameters, problem)[0]
    return problem, bound, trained, rates, (~trained.diverged & (loss < 1e-6)).view(40, 6)


def test_i7_gradient_descent_settles_only_where_it_is_stable(swept):
    """Every network that converged has lambda_max <= 2 / eta; beyond 2 / (least sharpness) none converges."""
    problem, bound, trained, rates, settled = swept
    assert settled[:, :4].all()
    assert not settled[:, 4:].any()
    chosen = settled.flatten()
    values = sharpness([w[chosen] for w in trained.parameters], problem)
    assert (values <= 2 / rates[chosen] * (1 + 1e-6)).all()
    assert (values >= bound.value * (1 - 1e-9)).all()


def test_i7_gradient_descent_leaves_a_minimum_that_is_too_sharp():
    """From next to a minimum 1.2 times as sharp as 2 / eta, and from next to one just below it."""
    problem = problem_of(torch.diag(torch.tensor([2.0, 1.0], dtype=DTYPE)))
    start = stacked(one_sided(3, 1.6), one_sided(3, 1.6))
    value = sharpness(start, problem)
    factors = torch.tensor([1.2, 0.98], dtype=DTYPE)
    nearby = [w + 0.02 * normal(k, 1, 2, 2) for k, w in enumerate(start)]
    trained = gradient_descent(
        nearby, problem, factors * 2 / value, steps=3000, tolerance=1e-9, snapshots=0, job="leave"
    )
    moved = torch.stack([(a - b).norm(dim=(1, 2)) for a, b in zip(trained.parameters, nearby, strict=True)]).norm(dim=0)
    after = sharpness(trained.parameters, problem)
    assert moved[0] > 5 * moved[1]
    assert after[0] <= value[0] / 1.2
    assert after[1].item() == pytest.approx(value[1].item(), rel=0.02)


def test_i8_path_cosines_see_what_raw_overlaps_do_not(swept):
    """Ratios about 1.08 and 1.03 at 0.90 and 0.97, path cosines about .96 and .98; raw overlaps barely move."""
    problem, bound, trained, _, _ = swept
    direction = torch.from_numpy(bound.direction).expand(240, -1)
    image = problem.cross_moment @ torch.from_numpy(bound.direction) / bound.gain
    gain = torch.full((240,), bound.gain, dtype=DTYPE)
    stable = torch.arange(240).view(40, 6)[:, :4]
    ratio = (sharpness([w[stable.flatten()] for w in trained.parameters], problem) / bound.value).view(40, 4)
    cosine = follow(trained.parameters, direction, image.expand(240, -1), gain).cosine.mean(1)[stable]
    overlap = overlaps([w[stable.flatten()] for w in trained.parameters]).amax((2, 3)).mean(1).view(40, 4)
    ratio, cosine, overlap = (values.median(0).values for values in (ratio, cosine, overlap))
    assert (ratio.diff() < 0).all()
    assert (cosine.diff() > 0).all()
    assert ratio[2:].tolist() == pytest.approx([1.084, 1.027], abs=0.01)
    assert cosine[2:].tolist() == pytest.approx([0.957, 0.984], abs=0.01)
    assert ratio[0] > 1.3
    assert cosine[0] < 0.92
    assert (1 - cosine[0]) / (1 - cosine[3]) > 4
    assert (1 - overlap[0]) / (1 - overlap[3]) < 2
