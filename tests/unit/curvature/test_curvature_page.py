"""Every sentence of docs/curvature.md is a test: the example runs, and each statement names the tests that hold it."""

import ast
import re
from pathlib import Path

import torch
from modules import Dense, columns, data, dense_hessian, mlp
from references import DTYPE, normal
from torch.nn import CrossEntropyLoss
from torch.utils.data import DataLoader, TensorDataset

from flatminima.curvature.eigensolvers import eigenpairs
from flatminima.curvature.operators import Hessian
from flatminima.curvature.subspace import Goal, Subspace

PAGE = Path(__file__).parents[3] / "docs" / "curvature.md"
LOSS = CrossEntropyLoss()

HELD = {
    "`flatminima.curvature` computes eigenvalues": "test_the_example test_any_network_and_loss",
    "With a `model`, a `loss`": "test_the_example",
    "`rough` is optional": "test_a_rough_start_takes_a_third_of_the_products",
    "`eigenpairs(hessian, 10)` gives": "test_known_spectra test_negative_eigenvalues_of_larger_magnitude",
    '`eigenpairs(hessian, sought="values")` stops': "test_values_alone_take_fewer_products",
    "The bounds are in `errors`": "test_values_alone",
    "`GaussNewton` in place of `Hessian`": "test_gauss_newton_matrices_against_dense_jacobians",
    '`parameters=["head", "layer4.weight"]`': "test_a_restriction_to_parameters_or_layers_is_a_block "
    "test_frozen_parameters_never_count_by_whatever_name",
    "Inputs may be a tensor": "test_inputs_and_outputs_in_any_form",
    "Targets and outputs may be": "test_nested_targets test_inputs_and_outputs_in_any_form",
    "Samples lie along": "test_inputs_of_one_axis",
    "`Sum([first, second], [0.7, 0.3])`": "test_the_mean_of_the_chunks_means_would_be_wrong",
    "`hessian.matvec`, `.matmat` and": "test_scipy_solves_with_it test_hessians_against_dense_autograd",
    "`spectrum.spectral_density`, `.trace`": "test_a_density_and_its_band "
    "test_the_standard_error_of_a_trace_is_that_of_many_repetitions test_effective_ranks",
    "`jacobians.layer_maps(model, inputs": "test_maps_between_layers_of_modules test_gains_and_cosines_along_the_path",
    "Every value comes with": "test_what_is_certified",
    "**Certified**: some eigenvalue": "test_what_is_certified",
    "Both hold up to the rounding": "test_the_rounding_of_float32",
    "For more, pass": "test_known_spectra",
    "In bfloat16 the search ends": "test_low_precision_ends_at_its_rounding",
    "**Very likely only**": "test_a_double_start_vector_misses",
    "No method that sees": "test_a_double_start_vector_misses",
    "For a random start, `failure_probability": "test_misses_are_no_more_frequent_than_the_bound "
    "test_the_probability_of_a_miss",
    "A start from a tenth": "test_a_rough_operator_that_knows_nothing",
    "Leave out `rough` where": "test_a_rough_operator_that_knows_nothing",
    "`errors` are smaller bounds": "test_the_error_of_a_value_by_hand test_values_alone",
    "One more pair than you": "test_neighbours_that_may_be_nearer_give_no_smaller_bound",
    "These bounds hold if": "test_values_alone test_a_double_start_vector_misses",
    'With `sought="values"` the': "test_values_alone",
    "It has then taken fewer": "test_values_alone_take_fewer_products",
    "Where the two largest eigenvalues": "test_neighbours_that_may_be_nearer_give_no_smaller_bound",
    "By default the search stops when each": "test_nearly_degenerate_tops test_what_is_certified",
    "Two vectors are searched": "test_copies_of_a_double_top test_copies_among_many_that_share_one_start",
    "After `max_products` it returns": "test_after_the_last_product_the_residual_tells "
    "test_fewer_products_than_eigenvalues",
    "`memory` (MiB, 1024 by default)": "test_products_keep_to_their_budget test_the_vectors_of_the_search",
    "If the graph of all samples fits": "test_graphs_are_built_once_or_for_every_product",
    "An `nn.Sequential` of linear": "test_products_against_dense_matrices test_what_is_kept_of_a_sample",
    "Subclasses, hooks, shared": "test_other_networks_are_left_to_autograd "
    "test_a_subclass_of_sequential_is_left_to_autograd "
    "test_restricted_parameters_and_hooks_of_all_modules_are_left_to_autograd",
    "If not, the graphs": "test_graphs_are_built_once_or_for_every_product",
    "Attention by `scaled_dot": "test_what_is_planned_bounds_what_is_kept test_matrices_are_those_of_the_plain_form",
    "A loader that takes up to half": "test_loaders_give_the_hessian_of_all_their_samples",
    "A larger one is read again": "test_loaders_give_the_hessian_of_all_their_samples "
    "test_loaders_whose_samples_change",
    "A larger budget than": "test_graphs_are_built_once_or_for_every_product",
    "How much a sample takes": "test_products_keep_to_their_budget",
    "`flatminima.minima.tracking.SharpnessTracker`": "test_replicas_that_stop_have_no_value",
    "The layers' parts of a top": "test_products_of_low_rank_are_those_of_the_dense_hessian",
    "Both certify as above": "test_values_and_residuals_hold_at_every_step",
    "In the first tens": "test_the_largest_eigenvalue_is_followed",
    "With `every=3` every": "test_every_third_step",
    "The loss of all samples": "test_chunks_are_weighted_by_their_sizes",
    "Of `torch.nn.CrossEntropyLoss`": "test_weights_of_classes_in_data_sorted_by_class "
    "test_padded_sequences_are_a_mean_over_tokens test_batches_padded_to_their_own_lengths",
    "They are computed in float64": "test_networks_that_fit_their_labels",
    "Any other loss must be": "test_other_means_are_refused_wherever_they_show",
    "The first product looks": "test_other_means_are_refused_wherever_they_show",
    "A penalty on the parameters": "test_losses_that_read_parameters",
    "Let the model return it": "test_losses_that_read_parameters",
    "Each in one line": "test_mistakes_are_refused_in_a_line",
    "no parameter that requires": "test_what_has_no_curvature test_mistakes_are_refused_in_a_line",
    "batch normalisation and dropout": "test_batch_normalisation_and_dropout_in_training_mode "
    "test_randomness_and_batch_statistics_that_hide test_loaders_whose_samples_change "
    "test_tensors_that_are_changed_in_place",
    "derivatives that are not those": "test_wrong_second_derivatives test_parameters_that_act_outside_the_graph",
    "Known cases are weight": "test_wrong_second_derivatives",
    "operations of which torch": "test_operations_without_a_second_derivative_are_named",
    "Attention is computed": "test_attention",
    "Training mode itself": "test_a_model_in_training_mode_without_such_layers_is_as_good_as_any",
    "Inside `torch.no_grad()`": "test_calls_from_inside_other_modes",
    "All layers and losses": "test_sweep",
    "`make sweep` writes": "test_the_table_of_the_page_is_that_of_the_sweep",
    "How fast this is": "test_benchmarks",
}
"""The beginning of each sentence, and the tests that it would fail with."""


def sentences():
    """Sentences and items of the page, without headings, code and the generated table."""
    aside = r"```.*?```|<!-- sweep:begin -->.*?<!-- sweep:end -->|^#[^\n]*$"
    text = re.sub(aside, "", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
    for paragraph in re.split(r"\n\s*\n", text):
        for item in re.split(r"(?:^|\n)- ", paragraph.lstrip("\n")):
            yield from (part for part in re.split(r"(?<=\.)\s+(?=[A-Z`*])", " ".join(item.split())) if part)


def names_of_tests():
    """Names of all tests of the engine, and of its benchmarks."""
    files = [*Path(__file__).parent.glob("test_*.py"), Path(__file__).parents[1] / "test_benchmarks.py"]
    nodes = [node for file in files for node in ast.parse(file.read_text()).body]
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef)} | {file.stem for file in files}


def test_every_sentence_is_held_by_a_test():
    loose = [sentence for sentence in sentences() if not any(sentence.startswith(start) for start in HELD)]
    assert not loose
    said = list(sentences())
    assert not [start for start in HELD if not any(sentence.startswith(start) for sentence in said)]


def test_the_tests_exist():
    assert not {name for names in HELD.values() for name in names.split()} - names_of_tests()


def test_the_example(capsys):
    model = mlp()
    inputs, targets = data(model, samples=200)
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    loader = DataLoader(TensorDataset(inputs, targets), batch_size=32, shuffle=True)
    exec(example, {"model": model, "loss": LOSS, "loader": loader})
    printed = re.fullmatch(r"sharpness (\S+), within (\S+) of an eigenvalue\n", capsys.readouterr().out)
    exact = torch.linalg.eigvalsh(dense_hessian(model, LOSS, inputs, targets))[-1].item()
    assert abs(float(printed[1]) - exact) <= 2 * float(printed[2]) + 1e-5 * exact
    assert float(printed[2]) <= 1e-4 * exact
    assert len([line for line in example.splitlines() if line]) == 5


def test_a_rough_start_takes_a_third_of_the_products():
    """Between a quarter and a half of those of a random start."""
    model = mlp()
    hessian = Hessian(model, LOSS, data(model, samples=3000))
    plain, started = (eigenpairs(hessian, rough=rough).products for rough in (None, hessian.thinned()))
    assert 1 / 4 < started / plain < 1 / 2


def test_the_rounding_of_float32():
    """Products within 2e-6 of the largest eigenvalue of those in float64, and eigenvalues as well."""
    inputs, targets = data(mlp(), 500)
    single, exact = (Hessian(model, LOSS, (inputs, targets)) for model in (mlp().float(), mlp().float().double()))
    spectrum = torch.linalg.eigvalsh(columns(exact))
    assert (columns(single) - columns(exact)).norm(dim=0).max() < 2e-6 * spectrum[-1]
    top = eigenpairs(single, tolerance=1e-6)
    assert top.eigenvalues.item() < spectrum[-1] * (1 + 2e-6)


def test_a_double_start_vector_misses():
    """Products with vectors that lack the top eigenvector say nothing of it: here the start of one seed is made so."""
    size = 100
    start = torch.randn(2, size, generator=torch.Generator().manual_seed(0), dtype=DTYPE)
    hidden = torch.linalg.qr(torch.cat([start, normal(1, 1, size)]).mT).Q[:, 2]
    matrix = torch.eye(size, dtype=DTYPE) + 9 * torch.outer(hidden, hidden)
    assert eigenpairs(Dense(matrix), seed=0).eigenvalues.item() < 1.001
    assert eigenpairs(Dense(matrix), seed=1).eigenvalues.item() > 9.999


def test_the_vectors_of_the_search():
    """Their bytes for each parameter: a basis of 32 vectors and its images, in float64."""

    class Images:
        shape, dtype, device, rounding = (1, 1000), DTYPE, torch.device("cpu"), 1e-16

    space = Subspace(Images(), Goal(1, "top", 1e-4, 100), DTYPE, torch.Generator())
    assert (space._basis.nbytes + space._images.nbytes) / 1000 == 512


def test_graphs_are_built_once_or_for_every_product():
    """The model is called for every chunk once, if all graphs fit; and again for those that do not."""
    model = mlp()
    calls = []
    model.register_forward_hook(lambda *_: calls.append(1))

    def calls_of_a_product(memory):
        hessian = Hessian(model, LOSS, data(model, 3000), memory=memory)
        hessian.matvec(normal(1, hessian.shape[0]))
        calls.clear()
        hessian.matvec(normal(2, hessian.shape[0]))
        return len(calls)

    chunks = calls_of_a_product(0.05)
    assert chunks > 1
    assert calls_of_a_product(1024) == calls_of_a_product(4096) == 0
