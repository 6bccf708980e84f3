"""Networks on disk: what comes back is what was saved, and a damaged file says so in one line."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from references import forward, layers, normal, replica
from safetensors.numpy import save_file

from flatminima.errors import UserError
from flatminima.networks.stack import Stack
from flatminima.networks.storage import Networks, load, save, unbalanced

LABELS = {
    "study": "digits",
    "case": "relu",
    "control": "",
    "family": "relu",
    "task": "noisy",
    "initialisation": "pytorch",
    "optimiser": "sgd",
    "depth": 2,
}


def example(bias=True, rectified=True, dtype=torch.float32):
    weights, biases = layers(1, 3, [4, 5, 4], bias)
    stack = Stack(tuple(w.to(dtype) for w in weights), tuple(b.to(dtype) for b in biases), rectified)
    replicas = pd.DataFrame(
        {
            "seed": [0, 1, 0],
            "step_size": [0.1, 0.2, np.nan],
            "setting": [0.5, 1.0, np.nan],
            "step": [10, 10, 0],
            "final": [True, True, False],
            "diverged": [False, True, False],
            "gradient_scale": [1.0, 2.0, 3.0],
        }
    )
    return Networks(stack, replicas, dict(LABELS))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_round_trip(tmp_path, bias, rectified, dtype):
    networks = example(bias, rectified, dtype)
    save(networks, tmp_path / "networks.safetensors")
    back = load(tmp_path / "networks.safetensors")
    assert back.stack.rectified == rectified
    assert len(back.stack.biases) == (2 if bias else 0)
    for before, after in zip(networks.stack.parameters, back.stack.parameters, strict=True):
        assert after.dtype == dtype
        assert torch.equal(before, after)
    columns = list(networks.replicas.columns)
    pd.testing.assert_frame_equal(back.replicas[columns], networks.replicas)
    assert set(back.replicas.columns) == set(columns)
    assert back.labels == LABELS


def test_same_networks_same_bytes(tmp_path):
    for name in ("a", "b"):
        save(example(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_order_of_labels_does_not_change_the_bytes(tmp_path):
    networks = example()
    save(networks, tmp_path / "a")
    save(replace(networks, labels=dict(reversed(LABELS.items()))), tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_missing_file_names_itself(tmp_path):
    with pytest.raises(UserError, match=r"gone\.safetensors: no such file"):
        load(tmp_path / "gone.safetensors")


def test_a_truncated_file_is_damaged(tmp_path):
    path = tmp_path / "networks.safetensors"
    save(example(), path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match=r"networks\.safetensors: damaged: .*; delete it and run again$"):
        load(path)


@pytest.mark.parametrize(
    ("arrays", "metadata"),
    [
        ({"inputs": np.zeros(3)}, {"noise": "1.0"}),
        ({"inputs": np.zeros(3)}, {"labels": "not json"}),
        ({"weight_1": np.zeros((1, 2, 2))}, {"labels": '{"depth": 2, "rectified": false}'}),
        ({"weight_1": np.zeros((1, 2, 2))}, {"labels": '{"depth": 1}'}),
    ],
)
def test_another_safetensors_file_holds_no_networks(tmp_path, arrays, metadata):
    path = tmp_path / "other.safetensors"
    save_file(arrays, path, metadata)
    with pytest.raises(UserError, match=r"other\.safetensors: holds no networks .*; delete it and run again$"):
        load(path)


def test_the_control_has_the_final_functions_and_other_layers():
    networks = example()
    control = unbalanced(networks, 1.0)
    assert control.labels == LABELS | {"control": "unbalanced"}
    pd.testing.assert_frame_equal(control.replicas, networks.replicas.iloc[:2])
    assert control.stack.weights[0].dtype == torch.float64
    inputs = normal(5, 30, 4)
    for index in range(2):
        before, after = (
            forward(replica(s.weights, index), replica(s.biases, index), inputs, rectified=True)
            for s in (networks.stack.double(), control.stack)
        )
        torch.testing.assert_close(after, before, rtol=1e-10, atol=1e-10)
        changed = (control.stack.weights[0][index] - networks.stack.weights[0][index]).norm()
        assert changed > 0.3 * networks.stack.weights[0][index].norm()
    assert networks.labels == LABELS


def test_the_control_is_the_same_each_time():
    first, second = (unbalanced(example(), 1.0).stack for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters, second.parameters, strict=True))
