"""Every theorem of Dinh et al. 2017 on a small trained network, against dense matrices; its control must fail."""

import math
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
import torch
from curvature.modules import dense_gauss_newton, dense_hessian
from rescalable import squared
from rescaling_study import convolution, demonstrations, orbit_settings, trained
from torch import nn

from flatminima.minima.bound import minimal_sharpness
from flatminima.rescaling.coordinates import loss_lines, reparametrised, volumes
from flatminima.rescaling.directions import many_directions
from flatminima.rescaling.homogeneity import balls, infinite_volume, two_layers, unchanged
from flatminima.rescaling.maps import Rescaling, layer_scales, two_layer
from flatminima.rescaling.objective import Objective
from flatminima.rescaling.orbit import least_trace
from flatminima.rescaling.rows import curves, rows
from flatminima.rescaling.trained_orbits import landscape, linear_orbits, measure_orbits, orbits, split_orbits
from flatminima.stages.rescale import show_theorems

SETTINGS = demonstrations()
ORBITS = orbit_settings()
ROUNDING = 1e-12


@pytest.fixture(scope="module")
def subject():
    return trained()


@pytest.fixture(scope="module")
def networks(subject):
    return [subject, convolution()]


def table_of(subject, measured):
    """Rows of what was measured on a network."""
    return rows("test", subject.labels, measured)


def named(subject, case):
    """Name of a case of a network."""
    return f"{case}_convolutional" if subject.labels["family"] == "convolutional" else case


def values(table, case, statistic, control=""):
    """Values of a statistic, in the order of settings."""
    chosen = table[(table["case"] == case) & (table["control"] == control) & (table["statistic"] == statistic)]
    return chosen.sort_values("setting")["value"].tolist()


def hessian_after(subject, scales):
    """The dense Hessian of the network with its parameters multiplied by hand."""
    group = Rescaling(subject.model, "layers")
    return dense_hessian(group.apply(subject.model, scales), squared, *subject.data)


def top(matrix):
    return float(torch.linalg.eigvalsh(matrix)[-1])


def test_d1_the_function_stays(networks):
    for subject in networks:
        table = table_of(subject, unchanged("test", subject, SETTINGS))
        for kind in ("layers", "units"):
            name = named(subject, f"random_{kind}")
            for statistic in ("function_change", "loss_change", "test_error_change"):
                assert values(table, name, statistic)[0] <= ROUNDING
                assert values(table, name, statistic, "tanh")[0] >= 0.02
            assert values(table, name, "test_error") == pytest.approx([subject.test_error], rel=1e-12)


def test_d2_boxes():
    """Disjoint, none smaller than the one before, with the same losses; each control fails by what it changes."""
    for subject in (trained((4, 6, 4, 3), steps=100), convolution()):
        table, name = table_of(subject, infinite_volume("test", subject, SETTINGS)), named(subject, "boxes")
        assert values(table, name, "meeting_boxes") == [0]
        assert values(table, name, "meeting_boxes", "touching") == [1]
        assert values(table, name, "log_volume_step")[0] >= 0
        assert values(table, name, "log_volume_step", "reversed")[0] <= -1
        assert values(table, name, "image_loss_change")[0] <= ROUNDING
        assert values(table, name, "image_loss_change", "tanh")[0] >= 0.1


@pytest.mark.parametrize("widths", [(4, 6, 5, 3), (4, 6, 4, 3), (4, 5, 8, 3), (4, 2, 5, 3)])
def test_d2_volumes_do_not_shrink(widths):
    """Whichever of the two layers has more weights, biases of the first counted too."""
    subject = trained(widths, steps=100)
    assert values(table_of(subject, infinite_volume("test", subject, SETTINGS)), "boxes", "log_volume_step")[0] >= 0


def test_d3_and_d4(subject):
    """Sharpness and trace of dense Hessians; both grow as alpha^2 and alpha^-2."""
    alphas = SETTINGS.alphas
    table, group = table_of(subject, two_layers(subject, alphas)), Rescaling(subject.model, "layers")
    before = dense_hessian(subject.model, squared, *subject.data)
    matrices = [hessian_after(subject, two_layer(group, 1, 2, alpha)) for alpha in alphas]
    assert values(table, "two_layers", "sharpness") == pytest.approx([top(m) for m in matrices], rel=1e-8)
    growths = [top(m) / top(before) for m in matrices]
    assert values(table, "two_layers", "sharpness_growth") == pytest.approx(growths, rel=1e-8)
    traces = [float(m.trace() / before.trace()) for m in matrices]
    assert values(table, "two_layers", "trace_growth") == pytest.approx(traces, rel=0.05)
    exponents = values(table, "two_layers", "growth_exponent")
    assert (exponents[0], exponents[-1]) == pytest.approx((2, 2), abs=0.01)
    for statistic in ("gradient_error", "hessian_error"):
        assert max(values(table, "two_layers", statistic)) <= 1e-10
        assert min(values(table, "two_layers", statistic, "tanh")) >= 0.1
    assert max(values(table, "two_layers", "function_change")) <= ROUNDING


def test_d4_a_saturated_tanh_does_not_grow(subject):
    """At a large factor hidden units are signs: the dense Hessian stays, while the rectifier's grows as alpha^2."""
    table, group = table_of(subject, two_layers(subject, [1e4])), Rescaling(subject.model, "layers")
    tanh = subject.with_tanh()
    before, after, further = (
        dense_hessian(group.apply(tanh.model, two_layer(group, 1, 2, alpha)), squared, *subject.data)
        for alpha in (1.0, 1e4, 2e4)
    )
    lost, kept = (
        {statistic: values(table, "two_layers", statistic, control)[0] for statistic in set(table["statistic"])}
        for control in ("tanh", "")
    )
    assert lost["sharpness_growth"] == pytest.approx(top(after) / top(before), rel=1e-6)
    assert lost["growth_exponent"] == pytest.approx(math.log2(top(further) / top(after)), abs=1e-6)
    assert lost["sharpness_growth"] < 100 < kept["sharpness_growth"]
    assert lost["trace_growth"] < 100 < kept["trace_growth"]
    assert abs(lost["growth_exponent"]) < 0.5
    assert lost["test_error_change"] > 0


def test_d5_many_directions(subject):
    """As many large eigenvalues as promised, counted in the dense Hessian of the rescaled network itself."""
    measured, spectra = many_directions(subject)
    table, drawn = table_of(subject, measured), curves("test", subject.labels, spectra)
    group = Rescaling(subject.model, "layers")
    before = torch.linalg.eigvalsh(dense_hessian(subject.model, squared, *subject.data))
    beta = 1.001 * 100
    after = torch.linalg.eigvalsh(hessian_after(subject, layer_scales(group, [1 / beta, 1 / beta, beta**2])))
    found, promised = (values(table, "many_directions", s)[0] for s in ("large_eigenvalues", "promised_eigenvalues"))
    assert found == float((after > before[-1]).sum())
    assert promised == float((before > 1e-4 * before[-1]).sum()) - (5 * 3 + 3)
    assert found >= promised > 0
    for name, expected in (("spectrum_trained", before), ("spectrum_rescaled", after)):
        found = drawn[drawn["curve"] == name].sort_values("x")["value"].to_numpy()
        np.testing.assert_allclose(found, expected.flip(0), rtol=1e-6, atol=1e-9 * float(expected[-1]))


def test_d5_controls(subject):
    """The largest layer in place of the smallest, and biases that stay: both by dense Hessians of networks by hand."""
    table, group = table_of(subject, many_directions(subject)[0]), Rescaling(subject.model, "layers")
    before = dense_hessian(subject.model, squared, *subject.data)
    beta, level = 1.001 * 100, top(before)
    other = torch.linalg.eigvalsh(hessian_after(subject, layer_scales(group, [1 / beta, beta**2, 1 / beta])))
    assert values(table, "many_directions", "large_eigenvalues", "other_layer") == [float((other > level).sum())]
    assert values(table, "many_directions", "spectrum_error")[0] <= 1e-6
    assert values(table, "many_directions", "function_change")[0] <= 1e-10
    kept, factors = deepcopy(subject.model), (1 / beta, 1 / beta, beta**2)
    with torch.no_grad():
        for place, factor in zip((0, 2, 4), factors, strict=True):
            kept[place].weight.mul_(factor)
    found = torch.linalg.eigvalsh(dense_hessian(kept, squared, *subject.data))
    sizes = [[layer.weight.numel(), layer.bias.numel()] for layer in subject.model[::2]]
    columns = zip(factors, sizes, strict=True)
    multipliers = torch.cat([torch.cat([torch.full((w,), 1 / f), torch.ones(b)]).double() for f, (w, b) in columns])
    law = torch.linalg.eigvalsh(multipliers.unsqueeze(1) * before * multipliers)
    expected = float(((found - law).abs() / law.abs().clamp_min(level)).max())
    assert values(table, "many_directions", "spectrum_error", "kept_biases") == pytest.approx([expected], rel=1e-6)
    assert expected > 0.1
    change = float((kept(subject.test[0]) - subject.outputs).abs().max().detach() / subject.outputs.abs().max())
    assert values(table, "many_directions", "function_change", "kept_biases") == pytest.approx([change], rel=1e-9)


def test_d6_balls(networks):
    """The rescaled network is as sharp as the best constant function; the trained one, in a small ball, is not."""
    for subject in networks:
        table = table_of(subject, balls("test", subject, [0.01], SETTINGS))
        name = named(subject, "balls")
        constant = values(table, name, "constant_sharpness")[0]
        targets = subject.data[1]
        variance = float((targets - targets.mean(0)).square().sum(1).mean())
        assert constant == pytest.approx((variance - subject.loss) / (1 + subject.loss), rel=1e-12)
        assert values(table, name, "epsilon_sharpness")[0] >= constant
        assert values(table, name, "epsilon_sharpness", "trained")[0] < 0.1 * constant
        assert values(table, name, "function_change")[0] <= ROUNDING
        assert values(table, name, "function_change", "tanh")[0] >= 0.02
        assert values(table, name, "zeroed_sharpness") == pytest.approx([_zeroed(subject)], rel=1e-9)


def _zeroed(subject):
    """By hand: without its first layer the network computes a constant, which T_alpha does not change: the biases of
    all layers but the first stay what they are."""
    silent = deepcopy(subject.model)
    with torch.no_grad():
        silent[0].weight.zero_(), silent[0].bias.zero_()
        outputs = silent(subject.data[0])
    assert float((outputs - outputs[0]).abs().max()) == 0
    return (float(squared(outputs, subject.data[1])) - subject.loss) / (1 + subject.loss)


def test_d7_coordinates(networks):
    """Curvature b^{-2a} times the trained network's, with the same function; a rotation leaves it as it is."""
    for subject in networks:
        offsets = [0.01, 3.0]
        table = table_of(subject, reparametrised("test", subject, offsets, demonstrations(exponent=0.7)))
        for name in (named(subject, "radial"), named(subject, "weight_normalised")):
            assert values(table, name, "curvature_growth") == pytest.approx([b**-1.4 for b in offsets], rel=1e-6)
            assert max(values(table, name, "curvature_error")) <= 1e-6
            assert min(values(table, name, "curvature_error", "rotated")) >= 0.5
            assert 0 < max(values(table, name, "function_change")) <= ROUNDING
            assert min(values(table, name, "function_change", "multiplied")) >= 0.1


def test_lines_of_the_loss(subject):
    """The loss along the top eigenvector of the dense Hessian, drawn over (s^2 + b)^a s instead of s."""
    drawn = curves("test", subject.labels, loss_lines(subject, SETTINGS))
    line = drawn[drawn["curve"] == "trained_loss"]
    vector = torch.linalg.eigh(dense_hessian(subject.model, squared, *subject.data)).eigenvectors[:, -1]
    ends = [subject.parameters + sign * line["x"].iloc[0] * vector for sign in (1, -1)]
    expected = sorted(Objective(subject.model, squared, subject.data).value(end) for end in ends)
    assert sorted(line["value"].iloc[[0, -1]]) == pytest.approx(expected, rel=1e-6)
    assert line["x"].iloc[-1] == -line["x"].iloc[0] == 0.3
    for offset in SETTINGS.offsets:
        radial = drawn[(drawn["curve"] == "radial_loss") & (drawn["y"] == offset)]
        assert radial["value"].tolist() == line["value"].tolist()
        np.testing.assert_allclose(radial["x"], (line["x"] ** 2 + offset) * line["x"], rtol=1e-10, atol=1e-12)


def test_volumes_of_two_weights():
    """The area of low loss keeps growing with the range for the rectifier, and not for tanh."""
    table, drawn = volumes("test", demonstrations(ranges=[2.0, 8.0, 32.0, 128.0], draws=100_000))
    assert max(values(table, "area", "area_error")) <= 0.05
    assert min(values(table, "area", "area_growth")) >= 1.3
    assert values(table, "area", "area_growth", "tanh")[-1] <= 1.1
    law = drawn[drawn["curve"] == "area_law"].sort_values("x")["value"].to_numpy()
    np.testing.assert_allclose(np.diff(law / law[0]), law[1] / law[0] - 1, rtol=1e-6)


@pytest.mark.parametrize("kind", ["layers", "units"])
def test_orbits(subject, kind):
    """All numbers of one orbit from dense matrices; the control's sharpness changes."""
    table, name = table_of(subject, orbits("test", subject, ORBITS)), f"orbit_{kind}"
    gauss_newton = dense_gauss_newton(subject.model, squared, *subject.data)
    found = {s: values(table, name, s)[0] for s in table["statistic"].unique() if s != "gain"}
    assert found["gauss_newton_sharpness"] == pytest.approx(top(gauss_newton), rel=1e-8)
    assert found["trace"] == pytest.approx(float(gauss_newton.trace()), rel=1e-10)
    assert found["orbit_ratio"] == pytest.approx(top(gauss_newton) / found["orbit_minimum"], rel=1e-8)
    assert found["orbit_minimum"] < top(gauss_newton)
    assert found["least_trace"] < found["trace"]
    assert found["orbit_gap"] <= 1e-7
    assert found["orbit_change"] <= 1e-6
    assert values(table, name, "orbit_change", "unminimised")[0] > 0.1
    trained_gap = top(gauss_newton) / (found["orbit_minimum"] / (1 + found["orbit_gap"])) - 1
    assert values(table, name, "orbit_gap", "unminimised") == pytest.approx([trained_gap], rel=1e-6)
    assert trained_gap > 1e-3
    if kind == "layers":
        gains = values(table, name, "gain")
        scales = layer_scales(Rescaling(subject.model, "layers"), gains)
        assert math.prod(gains) == pytest.approx(1, rel=1e-12)
        assert found["sharpness_at_minimum"] == pytest.approx(top(hessian_after(subject, scales)), rel=1e-6)
        multipliers = torch.exp(-Rescaling(subject.model, "layers").exponents(scales))
        flattest = multipliers.unsqueeze(1) * gauss_newton * multipliers
        assert found["orbit_minimum"] == pytest.approx(top(flattest), rel=1e-7)


def test_split_orbits(networks):
    """The same function to rounding, and orbit minima that differ by far more than an attack changes them."""
    for subject in networks:
        table = table_of(subject, split_orbits(subject, ORBITS))
        for kind in ("layers", "units"):
            name = named(subject, f"orbit_{kind}")
            assert values(table, name, "function_change", "split")[0] <= ROUNDING
            assert values(table, name, "orbit_change", "split")[0] >= 1e-3


def test_a_landscape(subject):
    """The sharpness of dense matrices; the lowest point is the minimum in the middle."""
    table = curves("test", subject.labels, landscape(subject, ORBITS))
    gauss_newton = dense_gauss_newton(subject.model, squared, *subject.data)
    group = Rescaling(subject.model, "layers")
    for x, y, value in table[["x", "y", "value"]].to_numpy():
        scales = math.log(10) * torch.tensor([x, y])
        multipliers = torch.exp(-group.exponents(scales))
        assert value == pytest.approx(top(multipliers.unsqueeze(1) * gauss_newton * multipliers), rel=1e-3)
    assert table["value"].argmin() == len(table) // 2 == 12
    assert not landscape(trained((4, 5, 3), steps=50), ORBITS)


def test_linear_orbits():
    """A network at a minimum: its orbit never reaches less than the minimal sharpness, its rescaled self is sharper.

    Its least trace is 2 sqrt(tr_1 tr_2), by the dense Gauss-Newton matrix; another minimum of the loss, whose hidden
    layer is mixed, has another orbit minimum, which is no less than the minimal sharpness either.
    """
    subject = trained((4, 5, 3), nn.Identity, bias=False, steps=4000)
    subject = subject.with_model(nn.Sequential(subject.model[0], subject.model[2]))
    inputs, targets = (part.numpy() for part in subject.data)
    moment = inputs.T @ inputs / len(inputs)
    end_to_end = np.linalg.lstsq(inputs, targets)[0].T
    least = minimal_sharpness(end_to_end, 2, moment).value
    table = table_of(subject, linear_orbits("test", subject, least, ORBITS))
    ratio, mixed = (values(table, "orbit_linear", "orbit_ratio", control)[0] for control in ("", "mixed"))
    assert 1 - 1e-6 <= ratio < values(table, "orbit_linear", "orbit_ratio", "unminimised")[0]
    assert mixed >= 1 - 1e-6
    assert abs(mixed / ratio - 1) > 1e-3
    assert values(table, "orbit_linear", "function_change", "mixed")[0] <= ROUNDING
    assert values(table, "orbit_linear", "orbit_minimum")[0] == pytest.approx(ratio * least, rel=1e-12)
    diagonal = dense_gauss_newton(subject.model, squared, *subject.data).diagonal()
    closed = 2 * math.sqrt(float(diagonal[:20].sum() * diagonal[20:].sum()))
    assert least_trace(diagonal, Rescaling(subject.model, "layers")).value == pytest.approx(closed, rel=1e-9)
    assert values(table, "orbit_linear", "trace_error")[0] <= 1e-8
    assert values(table, "orbit_linear", "trace_error", "unminimised")[0] >= 0.01


def test_networks_that_did_not_learn_are_counted(subject):
    """The first that did learn at each step size has a unit split; the others have not."""
    lost, later = trained(steps=0, seed=1), trained(steps=100, seed=2)
    table = measure_orbits("test", [lost, subject, later], ORBITS)
    diverged = table[table["statistic"] == "diverged"].groupby("seed")["value"].agg(list)
    assert diverged.to_dict() == {0: [0] * 6, 1: [1, 1], 2: [0] * 4}
    assert set(table[table["seed"] == 1]["case"]) == {"orbit_layers", "orbit_units"}
    assert set(table[table["control"] == "split"]["seed"]) == {0}


def test_nothing_but_what_is_to_be_shown(subject):
    """D1 always is; with two layers rescaled, nothing of D2 and D5-D7, and no curve; orbits of the kinds named."""
    for shown in ([], ["two_layers"]):
        table, drawn = show_theorems("test", [subject], demonstrations(shown=shown), ORBITS)
        assert set(table["case"]) == {"random_layers", "random_units", *shown}
        assert drawn.empty
    layers = measure_orbits("test", [subject, trained(steps=0, seed=1)], orbit_settings(kinds=["layers"]))
    assert set(layers["case"]) == {"orbit_layers"}
    assert set(layers["control"]) == {"", "unminimised", "split"}


def test_all_theorems(networks):
    """The first network in all detail, others at the ends of each range; those that did not learn are counted."""
    subject, convolutional = networks
    few = demonstrations(alphas=[0.1, 1.0, 10.0], radii=[0.01, 0.1], seeds=3)
    lost, last = trained(steps=0, seed=1), trained(steps=100, seed=2)
    table, drawn = show_theorems("test", [subject, lost, last], few, ORBITS)
    assert not table.duplicated([c for c in table.columns if c not in ("value", "error_bound")]).any()
    counted = table[table["seed"] == 1]
    assert counted[["case", "statistic", "value"]].to_numpy().tolist() == [["random_layers", "diverged", 1]]
    assert len(values(table, "two_layers", "hessian_error")) == 3 + 2
    assert len(values(table, "many_directions", "promised_eigenvalues")) == 2
    names = {"trained_loss", "radial_loss", "landscape", "spectrum_trained", "spectrum_rescaled"}
    assert set(drawn["curve"]) == names
    assert set(drawn["seed"]) == {0}
    again, _ = show_theorems("test", [subject, lost, last], few, ORBITS)
    pd.testing.assert_frame_equal(again, table)
    none, empty = show_theorems("test", [convolutional], few, ORBITS)
    assert len(values(none, "two_layers_convolutional", "hessian_error")) == 2
    assert not values(none, "many_directions_convolutional", "promised_eigenvalues")
    assert empty.empty
    assert list(empty.columns) == list(drawn.columns)
    assert not none.empty
