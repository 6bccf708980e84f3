"""A rescaling study made of numbers in closed form, with the statistics and curves of a real one."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pandas as pd

DEPTHS = (2, 3)
SEEDS = 3
"""Of which the last diverged in every orbit of fully connected networks."""
ALPHAS = (0.01, 0.1, 10.0, 100.0)
RADII = (0.01, 0.1, 1.0)
OFFSETS = (0.1, 1.0, 10.0)
RANGES = (2.0, 4.0, 16.0)
AREA = 0.1
TANH_AREA = 0.03
CONSTANT = 0.8
SPAN = 0.3
ORBIT_RATIO = {"layers": 1.5, "units": 2.0}
TRAINED_SPECTRUM = np.array([2.0, 1.0, 0.5, -0.1])
RESCALED_SPECTRUM = np.array([200.0, 20.0, 4.0, -0.2])
LEAST = (0.1, 0.2)
"""Where the landscape of depth 3 has its minimum, in decades."""
Shape = tuple[str, int, int]


def sharpness(depth: int, seed: int, family: str = "relu") -> float:
    """As trained: 8, 9, 10 at depth 2, 12, 13, 14 at depth 3, and 40 for the convolutional network."""
    return 40.0 if family == "convolutional" else 4.0 * depth + seed


def error(depth: int, seed: int, family: str = "relu") -> float:
    """Test error, which falls as sharpness grows."""
    return 1 / sharpness(depth, seed, family)


def synthetic_rescaling() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measures and curves."""
    measures = pd.DataFrame([*_fully_connected(), *_network(("convolutional", 3, 0), False), *_linear(), *_areas()])
    return measures, pd.concat([*_plane(), *_lines(), *_spectra(), _landscape()], ignore_index=True)


def _row(shape: Shape, experiment: str, values: dict[str, float], setting: float = np.nan) -> Iterator[dict]:
    family, depth, seed = shape
    for statistic, value in {"diverged": 0.0, **values}.items():
        yield {
            "study": "rescaling",
            "experiment": experiment,
            "seed": seed,
            "step": 0,
            "final": True,
            "family": family,
            "task": "labels",
            "initialisation": "pytorch",
            "optimiser": "sgd",
            "depth": depth,
            "step_size": 0.1,
            "step_fraction": setting,
            "layer": 0,
            "statistic": statistic,
            "value": value,
            "error_bound": np.nan,
        }


def _fully_connected() -> Iterator[dict]:
    for depth in DEPTHS:
        for seed in range(SEEDS - 1):
            yield from _network(("relu", depth, seed), seed == 0)
        for kind in ORBIT_RATIO:
            yield from _row(("relu", depth, SEEDS - 1), f"orbit_{kind}", {"diverged": 1.0})


def _network(shape: Shape, detailed: bool) -> Iterator[dict]:
    """All experiments on one network: at all settings in detail, at the first and last alone otherwise."""
    family, _, seed = shape
    suffix = "_convolutional" if family == "convolutional" else ""

    def ends(settings: tuple[float, ...]) -> tuple[float, ...]:
        return settings if detailed else (settings[0], settings[-1])

    for alpha in ends(ALPHAS):
        yield from _rescaled(shape, suffix, alpha)
    for radius in ends(RADII):
        rescaled = {"epsilon_sharpness": 2.0 + seed, "quadratic_sharpness": 1.0, "constant_sharpness": CONSTANT}
        trained = rescaled | {"epsilon_sharpness": radius**2 / 2, "quadratic_sharpness": radius**2 / 4}
        rescaled |= {"zeroed_sharpness": 1.1 * CONSTANT, "function_change": 1e-16}
        yield from _row(shape, f"balls{suffix}", rescaled, radius)
        yield from _row(shape, f"balls{suffix}-tanh", {"function_change": 0.5}, radius)
        yield from _row(shape, f"balls{suffix}-trained", trained, radius)
    for offset in ends(OFFSETS):
        for name in ("radial", "weight_normalised"):
            law = offset**-2
            found = {"curvature_growth": law, "curvature_error": 1e-15 * (1 + seed), "function_change": 2e-16}
            turned = {"curvature_growth": 1.0, "curvature_error": abs(1 / law - 1)}
            yield from _row(shape, f"{name}{suffix}", found, offset)
            yield from _row(shape, f"{name}{suffix}-rotated", turned, offset)
            yield from _row(shape, f"{name}{suffix}-multiplied", {"function_change": 3.0}, offset)
    for kind, ratio in ORBIT_RATIO.items():
        yield from _row(shape, f"random_{kind}{suffix}", {"function_change": 1e-16 * (1 + seed)})
        yield from _row(shape, f"random_{kind}{suffix}-tanh", {"function_change": 0.5 + 0.1 * seed})
        yield from _row(shape, f"orbit_{kind}{suffix}", _orbit(shape, ratio))
        unminimised = {"orbit_change": 10.0 + seed, "orbit_gap": ratio - 1}
        yield from _row(shape, f"orbit_{kind}{suffix}-unminimised", unminimised)
        if seed == 0:
            yield from _row(shape, f"orbit_{kind}{suffix}-split", {"orbit_change": 0.3, "function_change": 1e-16})
    boxes = {"meeting_boxes": 0.0, "image_loss_change": 1e-16, "log_volume_step": 5.0 + seed}
    yield from _row(shape, f"boxes{suffix}", boxes)
    yield from _row(shape, f"boxes{suffix}-tanh", {"image_loss_change": 0.2 + 0.1 * seed})
    yield from _row(shape, f"boxes{suffix}-touching", {"meeting_boxes": 1.0})
    yield from _row(shape, f"boxes{suffix}-reversed", {"log_volume_step": -5.0 - seed})
    if not suffix:
        counts = {"promised_eigenvalues": 2.0, "parameters": 4.0}
        found = counts | {"large_eigenvalues": 3.0, "spectrum_error": 1e-12, "function_change": 1e-16}
        yield from _row(shape, "many_directions", found)
        yield from _row(shape, "many_directions-other_layer", counts | {"large_eigenvalues": float(seed)})
        kept = {"spectrum_error": 2.0 + seed, "function_change": 0.5}
        yield from _row(shape, "many_directions-kept_biases", kept)


def _rescaled(shape: Shape, suffix: str, alpha: float) -> Iterator[dict]:
    """Sharpness grows by max(alpha, 1 / alpha)^2, the trace twice as much; for alpha > 1 tanh loses 0.4 of accuracy and
    does not grow."""
    growth, errors = max(alpha, 1 / alpha) ** 2, error(shape[1], shape[2], shape[0])
    values = {
        "test_error": errors,
        "test_error_change": 0.0,
        "gradient_error": 1e-15 * alpha,
        "hessian_error": 1e-15,
        "sharpness": growth * sharpness(shape[1], shape[2], shape[0]),
        "sharpness_growth": growth,
        "trace_growth": 2 * growth,
        "growth_exponent": 2.0,
    }
    lost = 0.4 * (alpha > 1)
    saturated = alpha**-2 if alpha < 1 else 1.5
    control = {"test_error": errors + lost, "test_error_change": lost, "gradient_error": 0.5, "hessian_error": 0.6}
    control |= {"sharpness_growth": saturated, "trace_growth": 2 * saturated, "growth_exponent": 2.0 * (alpha < 1)}
    for name in ("two_layers", "extreme_alpha") if alpha in (ALPHAS[0], ALPHAS[-1]) else ("two_layers",):
        yield from _row(shape, f"{name}{suffix}", values, alpha)
        yield from _row(shape, f"{name}{suffix}-tanh", control, alpha)


def _orbit(shape: Shape, ratio: float) -> dict[str, float]:
    family, depth, seed = shape
    trained = sharpness(depth, seed, family)
    return {
        "test_error": error(depth, seed, family),
        "sharpness": trained,
        "gauss_newton_sharpness": trained,
        "orbit_minimum": trained / ratio,
        "orbit_ratio": ratio,
        "least_trace": 3 * trained / ratio,
        "orbit_gap": 1e-8 * (1 + seed),
        "orbit_change": 1e-9 * (1 + seed),
        "products": 50.0 + 10 * seed,
    }


def _linear() -> Iterator[dict]:
    for depth in DEPTHS:
        for seed in range(2):
            shape = ("residual_linear", depth, seed)
            yield from _row(shape, "orbit_linear", {"orbit_ratio": 1 + 1e-6 * seed, "trace_error": 1e-10})
            rescaled = {"orbit_ratio": 10.0 ** (1 + seed), "trace_error": 9.0 + seed}
            yield from _row(shape, "orbit_linear-unminimised", rescaled)
            yield from _row(shape, "orbit_linear-mixed", {"orbit_ratio": 1.1 + 0.1 * seed})


def _areas() -> Iterator[dict]:
    for before, after in pairwise(RANGES):
        growth = np.log(after) / np.log(before)
        yield from _row(("relu", 2, 0), "area", {"area_error": 0.01, "area_growth": growth}, after)
        yield from _row(("relu", 2, 0), "area-tanh", {"area_error": 0.9, "area_growth": 1.0}, after)


def _curve(name: str, depth: int, x, value, y=0.0, bound=np.nan) -> pd.DataFrame:
    columns = {"study": "rescaling", "experiment": name, "depth": depth, "seed": 0, "error_bound": bound}
    return pd.DataFrame({"x": np.asarray(x, float), "y": y, "value": value}).assign(**columns)


def _plane() -> Iterator[pd.DataFrame]:
    law = AREA * np.log2(RANGES)
    yield _curve("area_law", 2, RANGES, law, bound=0.0)
    yield _curve("area", 2, RANGES, 1.01 * law, bound=0.01)
    yield _curve("area-tanh", 2, RANGES, TANH_AREA * np.ones(len(RANGES)), bound=0.001)


def _lines() -> Iterator[pd.DataFrame]:
    u = np.linspace(-SPAN, SPAN, 7)
    for depth in DEPTHS:
        yield _curve("trained_loss", depth, u, 0.1 + u**2)
        for offset in OFFSETS:
            yield _curve("radial_loss", depth, (u**2 + offset) * u, 0.1 + u**2, offset)


def _spectra() -> Iterator[pd.DataFrame]:
    for depth in DEPTHS:
        yield _curve("spectrum_trained", depth, np.arange(4), TRAINED_SPECTRUM)
        yield _curve("spectrum_rescaled", depth, np.arange(4), RESCALED_SPECTRUM)


def _landscape() -> pd.DataFrame:
    """Least at LEAST, where it is the orbit minimum of layers, and ten times larger a decade away along an axis."""
    x, y = (grid.ravel() for grid in np.meshgrid(*(np.linspace(c - 1.5, c + 1.5, 7) for c in LEAST)))
    distance = np.abs(x - LEAST[0]) + np.abs(y - LEAST[1])
    return _curve("landscape", 3, x, sharpness(3, 0) / ORBIT_RATIO["layers"] * 10**distance, y)
