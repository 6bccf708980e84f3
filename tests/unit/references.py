"""Independent references in float64, written with torch and numpy alone: dense, and one network at a time."""

from itertools import pairwise

import numpy as np
import torch
from scipy.optimize import minimize
from torch.nn import functional

DTYPE = torch.float64
KINK = np.diag([0.5, 3, 0.1]), np.diag([4, 1, 0.1])
"""T and Sx whose maximiser mixes the eigenvectors of (c, t) = (4, 0.5) and (1, 3): neither form alone is largest."""

torch.set_num_threads(1)  # the tests' tensors are so small that more threads only wait for each other


def generator(seed):
    return torch.Generator().manual_seed(seed)


def normal(seed, *shape):
    return torch.randn(shape, generator=generator(seed), dtype=DTYPE)


def orthogonal(rng, size):
    """A random orthogonal matrix."""
    return np.linalg.qr(rng.standard_normal((size, size)))[0]


def covariance(rng, size, condition):
    """An Sx with random eigenvectors, its eigenvalues spread evenly in their logarithm from 1 down to 1 / condition."""
    basis = orthogonal(rng, size)
    return basis * np.geomspace(1, 1 / condition, size) @ basis.T


def layers(seed, replicas, widths, bias=False):
    """Random weights, shape (replicas, d_k, d_{k-1}), and biases (replicas, d_k) or nothing."""
    weights = [
        normal(100 * seed + k, replicas, rows, columns) / columns**0.5
        for k, (columns, rows) in enumerate(pairwise(widths))
    ]
    biases = [0.3 * normal(100 * seed + 50 + k, replicas, rows) for k, rows in enumerate(widths[1:])] if bias else []
    return tuple(weights), tuple(biases)


def forward(weights, biases, inputs, rectified=False):
    """One network: weights (d_k, d_{k-1}), biases (d_k,) or nothing, inputs (samples, d_0)."""
    hidden = inputs
    for k, weight in enumerate(weights):
        hidden = functional.linear(hidden, weight, biases[k] if len(biases) else None)
        if rectified and k < len(weights) - 1:
            hidden = functional.relu(hidden)
    return hidden


def replica(tensors, index):
    """The parameters of one network of a stack."""
    return [tensor[index] for tensor in tensors]


def split(flat, shapes):
    """A flat vector of parameters as tensors."""
    parts = torch.split(flat, [int(np.prod(shape)) for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def sample_loss(weights, biases, inputs, targets, scale=1.0, rectified=False):
    """The loss of one network as a function of its flat parameters, and these."""
    parameters = [*weights, *biases]
    shapes = [p.shape for p in parameters]

    def loss(flat):
        parts = split(flat, shapes)
        outputs = forward(parts[: len(weights)], parts[len(weights) :], inputs, rectified)
        return scale * ((outputs - targets) ** 2).sum(1).mean()

    return loss, torch.cat([p.flatten() for p in parameters])


def dense_hessian(loss, flat):
    return torch.autograd.functional.hessian(loss, flat)


def dense_gradient(loss, flat):
    return torch.autograd.functional.jacobian(loss, flat)


def second_differences(loss, flat, step=1e-3):
    """The Hessian of a function from its values alone, to order step^2."""
    moves = step * torch.eye(len(flat), dtype=DTYPE)

    def entry(one, other):
        same = loss(flat + one + other) + loss(flat - one - other)
        return (same - loss(flat + one - other) - loss(flat - one + other)) / (4 * step**2)

    return torch.stack([torch.stack([entry(one, other) for other in moves]) for one in moves])


def moments_of(inputs, targets):
    """Sx, Syx and E||y||^2 of samples."""
    count = len(inputs)
    return inputs.T @ inputs / count, targets.T @ inputs / count, targets.square().sum() / count


def square_root(moment):
    """The symmetric C with C C' = Sx."""
    values, vectors = np.linalg.eigh(moment)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


def partial_products(weights):
    """A_k = W_{k-1}...W_1 and B_k = W_m...W_{k+1} of one network of numpy arrays, k = 1..m."""
    before, after = [np.eye(weights[0].shape[1])], [np.eye(weights[-1].shape[0])]
    for weight in weights[:-1]:
        before.append(weight @ before[-1])
    for weight in weights[:0:-1]:
        after.insert(0, after[0] @ weight)
    return before, after


def spectrum_at_minimum(weights, moment):
    """theory.md I1 for one network of numpy arrays: eigenvalues of M -> 2 sum_k B_k B_k' M C' A_k' A_k C."""
    root = square_root(moment)
    pairs = zip(*partial_products(weights), strict=True)
    return np.linalg.eigvalsh(2 * sum(np.kron(b @ b.T, root.T @ a.T @ a @ root) for a, b in pairs))


def path_by_search(end_to_end, depth, moment, starts=20, seed=0):
    """theory.md I3 by many searches over the sphere: 2 m max_p (||Cp||^2 ||TCp||^{2(m-1)})^{1/m}, and C p."""
    root = square_root(moment)
    first, second = root @ root, root @ end_to_end.T @ end_to_end @ root
    powers = (1 / depth, 1 - 1 / depth)

    def objective(p):
        """Minus the logarithm, which does not depend on the length of p, and its gradient."""
        norm = p @ p
        forms = [p @ matrix @ p + 1e-300 for matrix in (first, second)]
        value = sum(power * np.log(form / norm) for power, form in zip(powers, forms, strict=True))
        slopes = [power * matrix @ p / form for power, matrix, form in zip(powers, (first, second), forms, strict=True)]
        return -value, -2 * (sum(slopes) - p / norm)

    rng = np.random.default_rng(seed)
    searches = [
        minimize(objective, rng.standard_normal(len(first)), jac=True, method="BFGS", options={"gtol": 1e-10})
        for _ in range(starts)
    ]
    best = min(searches, key=lambda search: search.fun)
    return 2 * depth * np.exp(-best.fun), root @ best.x / np.linalg.norm(best.x)


def sharpness_by_descent(end_to_end, depth, moment, seed=0):
    """The least top eigenvalue of theory.md I1 that a search over minima with square layers finds.

    W_m fits T to the others, which are free; descents on ever sharper power means of the eigenvalues.
    """
    size = len(moment)
    root, target = torch.from_numpy(square_root(moment)), torch.from_numpy(end_to_end)

    def spectrum(flat):
        before, after = [root], [target]
        for weight in flat.reshape(depth - 1, size, size):
            before.append(weight @ before[-1])
            after.append(torch.linalg.solve(weight, after[-1], left=False))
        after = [*after[1:], torch.eye(len(target), dtype=DTYPE)]
        return 2 * torch.linalg.eigvalsh(sum(torch.kron(b @ b.T, a.T @ a) for b, a in zip(after, before, strict=True)))

    def objective(flat, power):
        flat = torch.tensor(flat, requires_grad=True)
        eigenvalues = spectrum(flat).clamp_min(1e-300)
        top = eigenvalues[-1].detach()
        value = top.log() + (eigenvalues / top).pow(power).sum().log() / power
        value.backward()
        return value.item(), flat.grad.numpy()

    flat = np.tile(np.eye(size).ravel(), depth - 1)
    flat = flat + 0.1 * np.random.default_rng(seed).standard_normal(flat.shape)
    for power in (8, 32, 128, 512):
        flat = minimize(objective, flat, args=(power,), jac=True, method="BFGS", options={"maxiter": 300}).x
    return spectrum(torch.from_numpy(flat))[-1].item()
