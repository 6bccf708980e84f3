"""A rescaling study made of numbers in closed form, with the statistics and curves of a real one."""

from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
import pandas as pd

from flatminima.rescaling.rows import Curve, Measured, curves, rows

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
    measures = [*_fully_connected(), _measures(("convolutional", 3, 0), _network(("convolutional", 3, 0), False))]
    measures += [*_linear(), _measures(("relu", 2, 0), _areas())]
    drawn = [curves("rescaling", _labels(("relu", depth, 0)), _curves(depth)) for depth in DEPTHS]
    return pd.concat(measures, ignore_index=True), pd.concat(drawn, ignore_index=True)


def _labels(shape: Shape) -> dict:
    family, depth, seed = shape
    known = {"family": family, "task": "labels", "initialisation": "pytorch", "optimiser": "sgd"}
    return known | {"depth": depth, "step_size": 0.1, "replica": seed}


def _measures(shape: Shape, measured: Iterable[Measured]) -> pd.DataFrame:
    return rows("rescaling", _labels(shape), measured)


def _fully_connected() -> Iterator[pd.DataFrame]:
    lost = [Measured(f"orbit_{kind}", {"diverged": 1.0}) for kind in ORBIT_RATIO]
    for depth in DEPTHS:
        for seed in range(SEEDS - 1):
            yield _measures(("relu", depth, seed), _network(("relu", depth, seed), seed == 0))
        yield _measures(("relu", depth, SEEDS - 1), lost)


def _network(shape: Shape, detailed: bool) -> Iterator[Measured]:
    """All cases of one network: at all settings in detail, at the first and last alone otherwise."""
    family, _, seed = shape

    def ends(settings: tuple[float, ...]) -> tuple[float, ...]:
        return settings if detailed else (settings[0], settings[-1])

    for alpha in ends(ALPHAS):
        yield from _rescaled(shape, alpha)
    for radius in ends(RADII):
        rescaled = {"epsilon_sharpness": 2.0 + seed, "quadratic_sharpness": 1.0, "constant_sharpness": CONSTANT}
        trained = rescaled | {"epsilon_sharpness": radius**2 / 2, "quadratic_sharpness": radius**2 / 4}
        rescaled |= {"zeroed_sharpness": 1.1 * CONSTANT, "function_change": 1e-16}
        yield Measured("balls", rescaled, "", ("radius", radius))
        yield Measured("balls", {"function_change": 0.5}, "tanh", ("radius", radius))
        yield Measured("balls", trained, "trained", ("radius", radius))
    for offset in ends(OFFSETS):
        for name in ("radial", "weight_normalised"):
            law = offset**-2
            found = {"curvature_growth": law, "curvature_error": 1e-15 * (1 + seed), "function_change": 2e-16}
            turned = {"curvature_growth": 1.0, "curvature_error": abs(1 / law - 1)}
            yield Measured(name, found, "", ("offset", offset))
            yield Measured(name, turned, "rotated", ("offset", offset))
            yield Measured(name, {"function_change": 3.0}, "multiplied", ("offset", offset))
    for kind, ratio in ORBIT_RATIO.items():
        yield Measured(f"random_{kind}", {"function_change": 1e-16 * (1 + seed)})
        yield Measured(f"random_{kind}", {"function_change": 0.5 + 0.1 * seed}, "tanh")
        yield Measured(f"orbit_{kind}", _orbit(shape, ratio))
        yield Measured(f"orbit_{kind}", {"orbit_change": 10.0 + seed, "orbit_gap": ratio - 1}, "unminimised")
        if seed == 0:
            yield Measured(f"orbit_{kind}", {"orbit_change": 0.3, "function_change": 1e-16}, "split")
    yield Measured("boxes", {"meeting_boxes": 0.0, "image_loss_change": 1e-16, "log_volume_step": 5.0 + seed})
    yield Measured("boxes", {"image_loss_change": 0.2 + 0.1 * seed}, "tanh")
    yield Measured("boxes", {"meeting_boxes": 1.0}, "touching")
    yield Measured("boxes", {"log_volume_step": -5.0 - seed}, "reversed")
    if family != "convolutional":
        counts = {"promised_eigenvalues": 2.0, "parameters": 4.0}
        found = counts | {"large_eigenvalues": 3.0, "spectrum_error": 1e-12, "function_change": 1e-16}
        yield Measured("many_directions", found)
        yield Measured("many_directions", counts | {"large_eigenvalues": float(seed)}, "other_layer")
        yield Measured("many_directions", {"spectrum_error": 2.0 + seed, "function_change": 0.5}, "kept_biases")


def _rescaled(shape: Shape, alpha: float) -> Iterator[Measured]:
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
    yield Measured("two_layers", values, "", ("alpha", alpha))
    yield Measured("two_layers", control, "tanh", ("alpha", alpha))


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


def _linear() -> Iterator[pd.DataFrame]:
    for depth in DEPTHS:
        for seed in range(2):
            rescaled = {"orbit_ratio": 10.0 ** (1 + seed), "trace_error": 9.0 + seed}
            measured = [
                Measured("orbit_linear", {"orbit_ratio": 1 + 1e-6 * seed, "trace_error": 1e-10}),
                Measured("orbit_linear", rescaled, "unminimised"),
                Measured("orbit_linear", {"orbit_ratio": 1.1 + 0.1 * seed}, "mixed"),
            ]
            yield _measures(("residual_linear", depth, seed), measured)


def _areas() -> Iterator[Measured]:
    for before, after in pairwise(RANGES):
        growth = np.log(after) / np.log(before)
        yield Measured("area", {"area_error": 0.01, "area_growth": growth}, "", ("range", after))
        yield Measured("area", {"area_error": 0.9, "area_growth": 1.0}, "tanh", ("range", after))


def _curves(depth: int) -> Iterator[Curve]:
    u = np.linspace(-SPAN, SPAN, 7)
    yield Curve("trained_loss", u, 0.1 + u**2)
    for offset in OFFSETS:
        yield Curve("radial_loss", (u**2 + offset) * u, 0.1 + u**2, offset)
    yield Curve("spectrum_trained", np.arange(4), TRAINED_SPECTRUM)
    yield Curve("spectrum_rescaled", np.arange(4), RESCALED_SPECTRUM)
    yield from _plane() if depth == 2 else [_landscape()]


def _plane() -> Iterator[Curve]:
    law = AREA * np.log2(RANGES)
    yield Curve("area_law", RANGES, law, error_bound=0.0)
    yield Curve("area", RANGES, 1.01 * law, error_bound=0.01)
    yield Curve("area", RANGES, TANH_AREA * np.ones(len(RANGES)), error_bound=0.001, control="tanh")


def _landscape() -> Curve:
    """Least at LEAST, where it is the orbit minimum of layers, and ten times larger a decade away along an axis."""
    x, y = (grid.ravel() for grid in np.meshgrid(*(np.linspace(c - 1.5, c + 1.5, 7) for c in LEAST)))
    distance = np.abs(x - LEAST[0]) + np.abs(y - LEAST[1])
    return Curve("landscape", x, sharpness(3, 0) / ORBIT_RATIO["layers"] * 10**distance, y)
