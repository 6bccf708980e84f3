"""The example of docs/curvature.md runs as it stands, and tells the truth."""

import re
from pathlib import Path

import torch
from modules import data, dense_hessian, mlp
from torch.nn import CrossEntropyLoss
from torch.utils.data import DataLoader, TensorDataset

PAGE = Path(__file__).parents[3] / "docs" / "curvature.md"


def test_the_example(capsys):
    model = mlp()
    inputs, targets = data(model, samples=200)
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    loader = DataLoader(TensorDataset(inputs, targets), batch_size=32, shuffle=True)
    exec(example, {"model": model, "loss": CrossEntropyLoss(), "loader": loader})
    printed = re.fullmatch(r"sharpness (\S+), within (\S+) of an eigenvalue\n", capsys.readouterr().out)
    exact = torch.linalg.eigvalsh(dense_hessian(model, CrossEntropyLoss(), inputs, targets))[-1].item()
    assert abs(float(printed[1]) - exact) <= 2 * float(printed[2]) + 1e-5 * exact
    assert float(printed[2]) <= 1e-4 * exact
    assert len([line for line in example.splitlines() if line]) == 5
