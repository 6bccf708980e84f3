"""A tiny problem, networks on it, and every statistic of measure() by dense computations, one network at a time."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from references import (
    DTYPE,
    dense_gradient,
    dense_hessian,
    forward,
    layers,
    moments_of,
    normal,
    path_by_search,
    replica,
    sample_loss,
)

from flatminima.data.moments import second_moments
from flatminima.data.tasks import Samples
from flatminima.minima.measure import measure
from flatminima.networks.stack import Stack
from flatminima.networks.storage import Networks
from flatminima.settings.training import Measure

INPUTS, OUTPUTS, SAMPLES, JACOBIANS = 4, 3, 30, 11
QUANTILES = {"": 0.5, "_q05": 0.05, "_q25": 0.25, "_q75": 0.75, "_q95": 0.95}
SETTINGS = Measure.model_validate(
    {
        "tolerance": {"value": 1e-6, "source": "chosen"},
        "products": {"value": 300, "source": "chosen"},
        "jacobian_samples": {"value": JACOBIANS, "source": "chosen"},
    }
)


def samples_of(loss="sum"):
    """Correlated inputs, and targets that depend on them with noise: T and Sx do not commute."""
    inputs = normal(1, SAMPLES + 9, INPUTS) @ (torch.eye(INPUTS) + 0.7 * normal(2, INPUTS, INPUTS))
    targets = inputs @ normal(3, INPUTS, OUTPUTS) + 0.2 * normal(4, SAMPLES + 9, OUTPUTS) + 1
    x, y = (array.numpy().astype(np.float32) for array in (inputs, targets))
    return Samples(x[:SAMPLES], y[:SAMPLES], x[SAMPLES:], y[SAMPLES:], 0.0, "none", loss)


def networks_of(stack, **columns):
    count = stack.replicas
    replicas = pd.DataFrame(
        {
            "seed": np.arange(count),
            "step_size": np.linspace(0.01, 0.05, count),
            "setting": np.linspace(0.1, 0.5, count),
            "step": np.arange(100, 100 + count),
            "final": True,
            "diverged": False,
            "gradient_scale": np.linspace(1, 3, count),
        }
    ).assign(**columns)
    labels = {
        "study": "tiny",
        "case": "run",
        "control": "",
        "family": "relu" if stack.rectified else "linear",
        "task": "noisy",
    }
    labels |= {"initialisation": "pytorch", "optimiser": "sgd", "depth": stack.depth}
    return Networks(stack, replicas, labels)


def fitted(samples, widths, replicas=3, bias=False, rectified=False):
    """Networks whose last layer fits the targets to the others, a little off: all explain much of the targets."""
    weights, biases = layers(5, replicas, widths, bias)
    inputs, targets = tensors(samples)
    for index in range(replicas):
        hidden = forward(replica(weights, index)[:-1], replica(biases, index)[:-1], inputs, rectified)
        hidden = torch.relu(hidden) if rectified and len(weights) > 1 else hidden
        rest = targets - biases[-1][index] if bias else targets
        weights[-1][index] = (torch.linalg.pinv(hidden) @ rest).T
    return Stack((*weights[:-1], weights[-1] + 0.03 * normal(9, *weights[-1].shape)), biases, rectified)


def tensors(samples, test=False):
    pair = (samples.test_inputs, samples.test_targets) if test else (samples.inputs, samples.targets)
    return [torch.from_numpy(array).to(DTYPE) for array in pair]


def scale_of(samples):
    return 1.0 if samples.loss == "sum" else 1 / OUTPUTS


def whole_network(samples, networks, index):
    """Statistics of layer 0 that need the loss, its gradient and its dense Hessian."""
    stack, scale, row = networks.stack, scale_of(samples), networks.replicas.iloc[index]
    weights, biases = replica(stack.weights, index), replica(stack.biases, index)
    loss, flat = sample_loss(weights, biases, *tensors(samples), scale, stack.rectified)
    test_loss, _ = sample_loss(weights, biases, *tensors(samples, test=True), scale, stack.rectified)
    x, y = tensors(samples)
    residual = y - x @ torch.linalg.lstsq(x, y).solution
    least, zero = (scale * errors.square().sum(1).mean().item() for errors in (residual, y))
    moment, cross, _ = moments_of(x, y)
    end_to_end = (cross @ torch.linalg.inv(moment)).numpy()
    minimum, _ = path_by_search(end_to_end, stack.depth, scale * moment.numpy())
    top = torch.linalg.eigvalsh(dense_hessian(loss, flat))[-1].item()
    return {
        "diverged": 0.0,
        "loss": loss(flat).item(),
        "test_loss": test_loss(flat).item(),
        "excess_loss": np.nan if stack.rectified else (loss(flat).item() - least) / (zero - least),
        "gradient_norm": dense_gradient(loss, flat).norm().item() / row["gradient_scale"],
        "expected_gradient_norm": dense_gradient(loss, flat).norm().item() / row["gradient_scale"],
        "stability_limit": 2 / row["step_size"],
        "sharpness": top,
        "minimal_sharpness": minimum,
        "sharpness_ratio": top / minimum,
    }


def along(matrices, direction, image, gain, root, amplitude):
    """Statistics of one path through matrices, by layer."""
    depth, unit = len(matrices), lambda vector: vector / np.linalg.norm(vector)
    forwards, backwards = [direction], [image]
    for matrix in matrices:
        forwards.append(matrix @ forwards[-1])
    for matrix in reversed(matrices):
        backwards.insert(0, matrix.T @ backwards[0])
    result, layer_gain, partial = {}, gain ** (1 / depth), root
    for k in range(1, depth + 1):
        result["path_gain", k] = np.linalg.norm(forwards[k]) / gain ** (k / depth)
        if k > 1:
            difference = matrices[k - 1].T @ unit(forwards[k]) - layer_gain * unit(forwards[k - 1])
            result["path_residual", k] = np.linalg.norm(difference) / layer_gain
        if k < depth:
            partial = matrices[k - 1] @ partial
            result["path_cosine", k] = unit(forwards[k]) @ unit(backwards[k])
            result["product_norm", k] = np.linalg.norm(partial, 2) / (amplitude * gain ** (k / depth))
    return result


def own(path, depth):
    """Of the statistics along a path, those that any network has along its own, by interface."""
    pairs = {"own_cosine": "path_cosine", "own_gain": "path_gain"}
    return {(name, k): path[source, k] for name, source in pairs.items() for k in range(1, depth)}


def singular_overlaps(stack, index):
    """|left vectors of W_k' . right vectors of W_{k+1}| of each interface."""
    result = []
    for before, after in zip(stack.weights[:-1], stack.weights[1:], strict=True):
        left = np.linalg.svd(before[index].numpy(), full_matrices=False)[0]
        right = np.linalg.svd(after[index].numpy(), full_matrices=False)[2]
        result.append(np.abs(left.T @ right.T))
    return result


def shared_components(samples, networks, index):
    """Squared components of theory's signal along the left vectors of W_k and the right ones of W_{k+1}."""
    moment, cross, _ = (array.numpy() for array in moments_of(*tensors(samples)))
    end_to_end = cross @ np.linalg.inv(moment)
    _, image = path_by_search(end_to_end, networks.stack.depth, scale_of(samples) * moment)
    signal, matrices, result = image, [w.numpy() for w in replica(networks.stack.weights, index)], []
    for before, after in pairwise(matrices):
        signal = before @ signal / np.linalg.norm(before @ signal)
        left, right = np.linalg.svd(before, full_matrices=False)[0], np.linalg.svd(after, full_matrices=False)[2]
        result.append(((left.T @ signal) ** 2, (right @ signal) ** 2))
    return result


def linear_expectation(samples, networks, index):
    stack = networks.stack
    whole = whole_network(samples, networks, index)
    moment, cross, _ = (array.numpy() for array in moments_of(*tensors(samples)))
    moment, cross = scale_of(samples) * moment, scale_of(samples) * cross
    end_to_end = cross @ np.linalg.inv(moment)
    _, image = path_by_search(end_to_end, stack.depth, moment)
    amplitude = np.linalg.norm(image)
    direction = image / amplitude
    gain = np.linalg.norm(end_to_end @ direction)
    root = np.linalg.cholesky(moment)
    matrices = [weight.numpy() for weight in replica(stack.weights, index)]
    expected = {(name, 0): value for name, value in whole.items()}
    expected["end_to_end_gain", 0] = gain
    expected["path_gain_fraction", 0] = gain / np.linalg.norm(end_to_end, 2)
    expected |= along(matrices, direction, end_to_end @ direction / gain, gain, root, amplitude)
    left, values, right = np.linalg.svd(np.linalg.multi_dot(matrices[::-1]) if len(matrices) > 1 else matrices[0])
    expected |= own(along(matrices, right[0], left[:, 0], values[0], root, amplitude), stack.depth)
    upper = np.sqrt(stack.depth - np.linalg.eigvalsh(moment)[0] / amplitude**2)
    for k, overlap in enumerate(singular_overlaps(stack, index), 1):
        expected["band_upper", k] = upper
        expected["singular_overlap", k] = overlap.max()
        before, after = matrices[k - 1], matrices[k]
        expected["balance_defect", k] = np.linalg.norm(after.T @ after - before @ before.T)
        direction = before @ direction / np.linalg.norm(before @ direction)
        for side, square in (("left", before @ before.T), ("right", after.T @ after)):
            share = gain ** (2 / stack.depth)
            expected[f"{side}_residual", k] = np.linalg.norm(square @ direction / share - direction)
    return expected


def layer_jacobians(stack, index, inputs):
    """Jacobians of each layer with its activation, at the representations of one input."""
    matrices, hidden = [], inputs
    for k in range(stack.depth):
        weight = stack.weights[k][index]
        bias = stack.biases[k][index] if stack.biases else None

        def layer(h, weight=weight, bias=bias, last=k == stack.depth - 1):
            output = forward([weight], [] if bias is None else [bias], h)
            return output if last else torch.relu(output)

        matrices.append(torch.func.jacrev(layer)(hidden).numpy())
        hidden = layer(hidden)
    return matrices


def relu_expectation(samples, networks, index):
    stack, per_sample = networks.stack, []
    for inputs in tensors(samples)[0][:JACOBIANS]:
        matrices = layer_jacobians(stack, index, inputs)
        parameters = replica(stack.weights, index), replica(stack.biases, index)
        jacobian = torch.func.jacrev(lambda x, p=parameters: forward(*p, x, rectified=True))(inputs).numpy()
        left, values, right = np.linalg.svd(jacobian)
        if values[0] > 0:
            one = along(matrices, right[0], left[:, 0], values[0], np.eye(INPUTS), 1.0)
            per_sample.append(one | {("end_to_end_gain", 0): values[0]})
    expected = {(name, 0): value for name, value in whole_network(samples, networks, index).items()}
    expected["path_gain_fraction", 0] = 1.0
    for name, layer in per_sample[0]:
        for suffix, quantile in QUANTILES.items():
            values = [sample[name, layer] for sample in per_sample]
            expected[name + suffix, layer] = np.quantile(values, quantile)
    expected |= own(expected, stack.depth)
    for k, overlap in enumerate(singular_overlaps(stack, index), 1):
        expected["band_upper", k] = np.sqrt(stack.depth - 1)
        expected["singular_overlap", k] = overlap.max()
    return expected


def run(networks, samples, settings=SETTINGS):
    return measure(networks, samples, second_moments(samples), settings)


def of_replica(rows, seed):
    """{(statistic, layer): value} of one replica."""
    chosen = rows[rows["seed"] == seed]
    assert not chosen.duplicated(["statistic", "layer"]).any()
    return chosen.set_index(["statistic", "layer"])["value"].to_dict()


def assert_close(measured, expected, rel=1e-6):
    assert set(measured) == set(expected)
    for key, value in expected.items():
        assert measured[key] == pytest.approx(value, rel=rel, abs=1e-6, nan_ok=True), key
