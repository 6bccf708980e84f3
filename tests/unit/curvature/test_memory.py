"""Products keep to their budget, as the operating system sees it."""

import subprocess
import sys

import pytest

PROGRAM = """
import torch
from torch import nn
from flatminima.curvature.operators import Hessian

torch.set_num_threads(1)

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 2**10

torch.manual_seed(0)
layers = nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.Flatten()
model = nn.Sequential(*layers, nn.Linear(16 * 32 * 32, 10))
data = torch.randn(1000, 3, 32, 32), torch.randint(10, (1000,))
few = Hessian(model, nn.CrossEntropyLoss(), (data[0][:10], data[1][:10]))
few.matvec(torch.ones(few.shape[0]))
for budget in BUDGETS:
    before = peak()
    hessian = Hessian(model, nn.CrossEntropyLoss(), data, memory=budget)
    for _ in range(2):
        hessian.matvec(torch.ones(hessian.shape[0]))
    print(peak() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_products_keep_to_their_budget():
    """The whole graph takes more than 200 MiB: a budget of 60 makes do without most of it."""
    program = PROGRAM.replace("BUDGETS", "(60, 2048)")
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    tight, ample = (float(line) for line in run.stdout.split())
    assert tight < 60 + 30
    assert ample > 200
