"""Arguments of every public function of the engine: what is misspelt, mistyped or impossible gets one line."""

import inspect

import pytest
import torch
from modules import Dense, data, dense_hessian, mlp, with_spectrum
from references import DTYPE, normal
from torch import nn
from torch.utils.data import TensorDataset

from flatminima.curvature import diagonal, eigensolvers, jacobians, operators, spectrum
from flatminima.curvature.diagonal import gauss_newton_diagonal
from flatminima.curvature.eigensolvers import eigenpairs, failure_probability
from flatminima.curvature.jacobians import layer_maps, signal_path, top_singular_triplets
from flatminima.curvature.operators import GaussNewton, Hessian, Sum
from flatminima.curvature.spectrum import effective_rank, lanczos_quadrature, spectral_density, trace
from flatminima.errors import UserError

LOSS = nn.CrossEntropyLoss()
INPUTS, TARGETS = data(mlp())
SMALL = Dense(with_spectrum([1.0, 2.0, 3.0])[0])
LARGE = Dense(with_spectrum(torch.linspace(0, 1, 100))[0])


def hessian(*arguments, **named):
    return Hessian(mlp(), LOSS, (INPUTS, TARGETS), *arguments, **named)


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.unused = mlp(), nn.Linear(3, 3).double()

    def forward(self, inputs):
        return self.body(inputs)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(5, 5), nn.LSTM(5, 3, batch_first=True)

    def forward(self, inputs):
        return self.head(self.layer(self.layer(inputs)).unsqueeze(1))[0][:, 0]


class Frequencies(nn.Module):
    def __init__(self):
        super().__init__()
        self.modes = nn.Parameter(torch.ones(3, dtype=torch.cdouble))

    def forward(self, inputs):
        return torch.fft.irfft(torch.fft.rfft(inputs) * self.modes, n=3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: eigenpairs(SMALL, ends="LA"), "ends: is 'LA'; input should be 'top', 'bottom' or 'both'"),
        (lambda: eigenpairs(SMALL, ends=None), "ends: is None; input should be 'top', 'bottom' or 'both'"),
        (lambda: eigenpairs(SMALL, 0), "k: is 0; input should be greater than or equal to 1"),
        (lambda: eigenpairs(SMALL, 1.5), "k: is 1.5; input should be a valid integer, got a number with a frac"),
        (lambda: eigenpairs(SMALL, "all"), "k: is 'all'; input should be a valid integer"),
        (lambda: eigenpairs(SMALL, 4), "k: 4 eigenvalues of an operator of size 3; expected 1 to 3 in all"),
        (lambda: eigenpairs(SMALL, tolerance=0), "tolerance: is 0; input should be greater than 0"),
        (lambda: eigenpairs(SMALL, tolerance=float("nan")), "tolerance: is nan; input should be "),
        (lambda: eigenpairs(SMALL, max_products=0), "max_products: is 0; input should be greater than or equal to 1"),
        (lambda: eigenpairs(SMALL, seed=-1), "seed: is -1; input should be greater than or equal to 0"),
        (
            lambda: eigenpairs(SMALL, tol=1e-3),
            "eigenpairs: got an unexpected keyword argument 'tol'; expected operator, ",
        ),
        (lambda: eigenpairs(), "eigenpairs: missing a required argument: 'operator'; expected operator, k, ends, "),
        (lambda: eigenpairs(SMALL.matrix), "operator: is a Tensor; input should be an instance of Operator"),
        (
            lambda: eigenpairs(LARGE, rough=SMALL),
            r"rough: has shape \(3, 3\); expected that of the operator, \(100, 100\)",
        ),
        (lambda: eigenpairs(Dense(normal(1, 9, 9))), "operator: is not symmetric: u'Hv is"),
        (lambda: eigenpairs(Dense(normal(1, 99, 99))), "operator: is not symmetric: u'Hv is"),
        (lambda: hessian([]), "parameters: is a list; value should have at least 1 item"),
        (lambda: hessian("0"), "parameters: is '0'; 'str' instances are not allowed as a Sequence value"),
        (lambda: hessian(memory=0), "memory: is 0; input should be greater than 0"),
        (lambda: hessian(memory="1 GB"), "memory: is '1 GB'; input should be a valid number"),
        (
            lambda: hessian(batch_size=3),
            "__init__: got an unexpected keyword argument 'batch_size'; expected model, loss",
        ),
        (
            lambda: Hessian(mlp().forward, LOSS, (INPUTS, TARGETS)),
            "model: is a method; input should be an instance of Mod",
        ),
        (lambda: Hessian(mlp, LOSS, (INPUTS, TARGETS)), "model: is a function; input should be an instance of Module"),
        (
            lambda: Hessian(nn.Tanh, LOSS, (INPUTS, TARGETS)),
            "model: is the class Tanh; input should be an instance of Mod",
        ),
        (
            lambda: Hessian(mlp(), nn.CrossEntropyLoss, (INPUTS, TARGETS)),
            r"loss: is the class CrossEntropyLoss; expected a loss, CrossEntropyLoss\(\)",
        ),
        (lambda: Hessian(mlp(), "mse", (INPUTS, TARGETS)), "loss: is 'mse'; input should be callable"),
        (
            lambda: Hessian(mlp(), lambda *_: 1.0, (INPUTS, TARGETS)),
            "loss: gives a float; expected a tensor of one number",
        ),
        (
            lambda: Hessian(mlp(), LOSS, TensorDataset(INPUTS, TARGETS)),
            r"data: a TensorDataset gives single samples; pass DataLoader\(dataset, batch_size=100\)",
        ),
        (
            lambda: Hessian(mlp(), LOSS, INPUTS),
            r"data: is a Tensor; expected a pair \(inputs, targets\), or a list or l",
        ),
        (lambda: Hessian(mlp(), LOSS, None), r"data: is a NoneType; expected a pair \(inputs, targets\), or a list"),
        (lambda: Hessian(mlp(), LOSS, (INPUTS,)), r"data: a batch has 1 parts; expected a pair \(inputs, targets\)"),
        (
            lambda: Hessian(mlp(), LOSS, [{"x": INPUTS}]),
            r"data: a batch is a dict; expected a pair \(inputs, targets\)",
        ),
        (
            lambda: Hessian(mlp(), LOSS, (INPUTS.numpy(), TARGETS)),
            "data: a batch holds a ndarray; expected tensors, in t",
        ),
        (lambda: Hessian(mlp(), LOSS, [(INPUTS, ())]), "data: a batch holds no tensor; expected a pair"),
        (
            lambda: Hessian(mlp(), LOSS, [(INPUTS[0], TARGETS[0])]),
            "data: a batch holds a number; expected tensors whose f",
        ),
        (
            lambda: Hessian(mlp(), LOSS, (INPUTS[:, :4], TARGETS)),
            "model or loss: RuntimeError: .*shapes cannot be multi",
        ),
        (
            lambda: Hessian(mlp(), LOSS, ((INPUTS, INPUTS), TARGETS)),
            "model or loss: TypeError: .*takes 2 positional argum",
        ),
        (lambda: Hessian(mlp(), LOSS, (INPUTS, TARGETS + 9)), "model or loss: IndexError: Target"),
        (
            lambda: Hessian(nn.Sequential(nn.LazyLinear(3)), LOSS, (INPUTS, TARGETS)),
            "model: 0.weight is lazy and has no values; call the model once on a batch first",
        ),
        (
            lambda: Hessian(Frequencies(), LOSS, (INPUTS[:, :4], TARGETS)),
            r"model: modes is complex; make it real, such as torch.view_as_real\(modes\)",
        ),
        (
            lambda: Hessian(nn.Sequential(nn.Embedding(9, 3, sparse=True)), LOSS, (TARGETS, TARGETS)),
            "model: Embedding 0 has sparse gradients; make it with sparse=False",
        ),
        (
            lambda: Hessian(nn.Sequential(nn.Embedding(9, 3, max_norm=0.1)), LOSS, (TARGETS, TARGETS)),
            "model: changes its parameters when it is called, such as by an Embedding's max_norm; leave it out",
        ),
        (
            lambda: Hessian(Unused(), LOSS, (INPUTS, TARGETS), ["unused"]),
            "loss: autograd finds none of the parameters in",
        ),
        (
            lambda: Hessian(mlp().requires_grad_(False), LOSS, (INPUTS, TARGETS), ["0", "2"]),
            r"parameters: none of \['0', '2'\] requires gradients; call requires_grad_\(\) on those",
        ),
        (lambda: hessian().matvec(torch.ones(5)), r"block: has shape \(5, 1\); expected \(111, columns\)"),
        (lambda: hessian().matmat(torch.ones(111)), r"block: has shape \(111,\); expected \(111, columns\)"),
        (lambda: hessian().thinned(0), "stride: is 0; expected 1 or more"),
        (lambda: Sum([SMALL, LARGE], [0.5, 0.5]), r"operators: have shapes \(3, 3\), \(100, 100\); expected one shape"),
        (lambda: Sum([SMALL], [0.5, 0.5]), "weights: are 2 for 1 operators; expected as many"),
        (lambda: Sum([], []), "operators: is a list; value should have at least 1 item"),
        (lambda: failure_probability(0, 5, 0.1), "steps: is 0; input should be greater than or equal to 1"),
        (lambda: failure_probability(3, 5, 1.5), "error: is 1.5; input should be less than or equal to 1"),
        (lambda: spectral_density(SMALL, 0.0), "width: is 0.0; input should be greater than 0"),
        (lambda: spectral_density(SMALL, -1.0), "width: is -1.0; input should be greater than 0"),
        (lambda: spectral_density(SMALL, 0.1, steps=0), "steps: is 0; input should be greater than or equal to 1"),
        (lambda: spectral_density(SMALL, 0.1, probes=1), "probes: is 1; input should be greater than or equal to 2"),
        (lambda: trace(SMALL, products=5), "products: is 5; input should be greater than or equal to 6"),
        (
            lambda: trace(SMALL, probes=5),
            "trace: got an unexpected keyword argument 'probes'; expected operator, products",
        ),
        (
            lambda: effective_rank(Dense(torch.zeros(9, 9, dtype=DTYPE))),
            "operator: its largest eigenvalue is 0; expected a positive one, to divide the trace by",
        ),
        (
            lambda: lanczos_quadrature(SMALL, torch.zeros(3), 2),
            r"start: has shape \(3,\), norm 0; expected \(3,\), not 0",
        ),
        (
            lambda: lanczos_quadrature(SMALL, torch.ones(4), 2),
            r"start: has shape \(4,\), norm 2; expected \(3,\), not 0",
        ),
        (
            lambda: layer_maps(mlp(), INPUTS, "02"),
            "layers: is '02'; 'str' instances are not allowed as a Sequence value",
        ),
        (lambda: layer_maps(mlp(), TARGETS, ["0"]), "inputs: are torch.int64; expected real numbers"),
        (lambda: layer_maps(mlp(), INPUTS, ["2", "0"]), "layers: 2, 0 are called in another order; expected 0, 2"),
        (
            lambda: layer_maps(Unused(), INPUTS, ["unused"]),
            "layers: unused is never called by the model; expected layers",
        ),
        (
            lambda: layer_maps(Twice().double(), INPUTS, ["layer"]),
            "layers: layer is called twice; expected layers that ar",
        ),
        (
            lambda: layer_maps(Twice().double(), INPUTS, ["head"]),
            "layers: head puts out a tuple; expected one tensor with",
        ),
        (lambda: signal_path(INPUTS), "maps: is a Tensor; input should be .*LayerMaps"),
        (
            lambda: top_singular_triplets(INPUTS),
            "jacobians: is a Tensor; input should be an instance of SampleJacobians",
        ),
        (
            lambda: gauss_newton_diagonal(mlp(), LOSS, INPUTS),
            "gauss_newton_diagonal: missing a required argument: 'targets'",
        ),
    ],
)
def test_mistakes_are_refused_in_a_line(call, message):
    with pytest.raises(UserError, match=f"^{message}") as caught:
        call()
    assert "\n" not in str(caught.value)


def test_every_public_function_checks_its_arguments():
    """But the stacked solver, whose operators are any that have its products."""
    modules = diagonal, eigensolvers, jacobians, spectrum
    functions = {
        function
        for module in modules
        for name, function in vars(module).items()
        if inspect.isfunction(function) and function.__module__ == module.__name__ and not name.startswith("_")
    }
    unchecked = {function.__name__ for function in functions if not hasattr(function, "__wrapped__")}
    assert unchecked == {"stacked_eigenpairs"}
    assert all(hasattr(kind.__init__, "__wrapped__") for kind in (operators.Hessian, GaussNewton, Sum))


@pytest.mark.parametrize("wanted", [["0", "2"], ["0.weight", "2"]])
def test_frozen_parameters_never_count_by_whatever_name(wanted):
    model = mlp()
    model[0].weight.requires_grad_(False)
    names = ["2.weight", "2.bias"] if "0.weight" in wanted else ["0.bias", "2.weight", "2.bias"]
    found = Hessian(model, LOSS, (INPUTS, TARGETS), wanted)
    block = normal(1, found.shape[0], 3)
    reference = dense_hessian(model, LOSS, INPUTS, TARGETS, names)
    torch.testing.assert_close(found.matmat(block), reference @ block, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("k", "ends", "found"), [(10, "top", 5), (10, "both", 5), (1, "top", 1)])
def test_fewer_products_than_eigenvalues(k, ends, found):
    """It returns what it has, with residuals that hold."""
    matrix, _ = with_spectrum(torch.linspace(0, 1, 100, dtype=DTYPE))
    pairs = eigenpairs(Dense(matrix), k, ends, max_products=5)
    assert (len(pairs.eigenvalues), pairs.products) == (found, 5)
    exact = torch.linalg.eigvalsh(matrix)
    for value, residual in zip(pairs.eigenvalues, pairs.residuals, strict=True):
        assert (exact - value).abs().min() <= residual + 1e-12
