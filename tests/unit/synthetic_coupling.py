"""Networks with nulls of coupling, whose deviations and sharpness are set by hand so that effects are known."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from flatminima.record import COLUMNS

SEEDS = range(5)
NULLS = {"spectra": 0.3, "permuted": 0.4, "untrained": 0.2}
LINEAR = {"family": "linear", "task": "noisy", "initialisation": "pytorch", "optimiser": "gradient_descent"}
RELU = LINEAR | {"family": "relu", "optimiser": "sgd"}
STEPS = (0.05, 0.2, 0.8, 3.2)
Network = dict[str, object]
Values = Mapping[tuple[int, str], float]


def table(networks: list[tuple[Network, Values]]) -> pd.DataFrame:
    """Long rows of final networks: statistics by (layer, name)."""
    rows = [
        network | {"layer": layer, "statistic": statistic, "value": value, "error_bound": np.nan}
        for network, values in networks
        for (layer, statistic), value in values.items()
    ]
    measures = pd.DataFrame(rows).assign(study="digits", step=1000)
    return measures[[*COLUMNS, *measures.columns.difference(COLUMNS, sort=False)]]


def network(
    case: str, depth: int, step: float, seed: int, labels: Mapping[str, str], final: bool = True, control: str = ""
) -> Network:
    """What tells a network apart."""
    return {
        "case": case, "control": control, "setting": step, "depth": depth, "seed": seed, "step_size": step / 10,
        "final": final, **labels,
    }  # fmt: skip


def whole(ratio: float, loss: float = 1.0, linear: bool = False) -> dict[tuple[int, str], float]:
    """Statistics of the whole network, at a minimum; NaN sharpness means that it diverged."""
    lost = np.isnan(ratio)
    values = {
        "diverged": float(lost),
        "loss": np.nan if lost else loss,
        "sharpness_ratio": ratio,
        "sharpness": 20 * ratio,
        "minimal_sharpness": np.nan if lost else 20.0,
        "excess_loss": 1e-4 * ratio if linear else np.nan,
        "gradient_norm": np.nan if lost else 1e-3,
    }
    return {(0, name): value for name, value in values.items()}


def own(depth: int, deviation: float) -> dict[tuple[int, str], float]:
    """Cosine and gain that deviate by as much at the first interface, and by half of it at the others."""
    values = {}
    for layer in range(1, depth):
        far = deviation if layer == 1 else deviation / 2
        values |= {(layer, "own_cosine"): 1 - far, (layer, "own_gain"): float(np.exp(-far))}
    return values


def with_nulls(
    case: str, labels: Mapping[str, str], depth: int, step: float, seed: int, values: Values, deviation: float
) -> list[tuple[Network, Values]]:
    """A trained network and its nulls, which deviate by NULLS, and by a tenth more where they are drawn again."""
    made = [(network(case, depth, step, seed, labels), dict(values) | own(depth, deviation))]
    diverged = {(0, "diverged"): values[0, "diverged"]}
    for null, far in NULLS.items():
        for again, factor in (("", 1.0), ("_again", 1.1)):
            far_off = far * factor if not diverged[0, "diverged"] else np.nan
            name = network(case, depth, step, seed, labels, control=f"{null}{again}")
            made.append((name, diverged | own(depth, far_off)))
    return made


def practice() -> pd.DataFrame:
    """ReLU networks of depths 2 and 3: own deviation .1 + .01 seed, least loss at step .8, two lost at 3.2.

    Their excess over the nearest null, before training, is .1 - .01 seed: .08 on the mean.
    """
    made = []
    for depth in (2, 3):
        for step in STEPS:
            for seed in SEEDS:
                lost = step == 3.2 and seed < 2
                values = whole(np.nan if lost else 1.5, loss=abs(np.log(step / 0.8)))
                made += with_nulls("relu", RELU, depth, step, seed, values, np.nan if lost else 0.1 + 0.01 * seed)
    return table(made)


def doses(deviation: Callable[[float, int], float], depths: tuple[int, ...] = (2, 3)) -> pd.DataFrame:
    """Linear networks with ratios 1.8, 1.4 and 1.05 at steps .05, .5 and .97, and one sharp away from a minimum."""
    made = []
    for depth in depths:
        for step, ratio in ((0.05, 1.8), (0.5, 1.4), (0.97, 1.05), (1.2, 3.0)):
            for seed in SEEDS:
                far = deviation(ratio, seed)
                values = whole(ratio, linear=True) | ({(0, "gradient_norm"): 0.3} if ratio == 3.0 else {})
                for layer in range(1, depth):
                    values |= {
                        (layer, "path_gain"): float(np.exp(-far)), (layer, "product_norm"): float(np.exp(far)),
                        (layer, "path_cosine"): 1 - far, (layer, "left_residual"): far,
                        (layer, "right_residual"): 2 * far,
                    }  # fmt: skip
                made += with_nulls("linear", LINEAR, depth, step, seed, values, far)
    return table(made)


def scales(slope: float = -0.03, of_scale: float = -0.1, curvature: float = 0.0) -> pd.DataFrame:
    """Networks of depth 3 whose excess is linear in log2 of sharpness, and in log2 of the start's scale and its square.

    Seeds differ in the slope on sharpness, by -.02 to .02, and in level.
    """
    made = []
    for name, scale in (("030", 0.5), ("060", 1.0), ("160", 2.0), ("245", 4.0)):
        for step in (0.1, 0.4, 1.2):
            for seed in SEEDS:
                ratio = scale**0.8 * step**-0.1
                log = np.log2(scale)
                varied = slope + 0.01 * (seed - 2)
                excess = 0.05 + 0.01 * seed + varied * np.log2(ratio) + of_scale * log + curvature * log**2
                values = whole(ratio) | {(0, "start_scale"): scale}
                made += with_nulls(f"scaled_{name}", RELU, 3, step, seed, values, NULLS["untrained"] - excess)
    return table(made)
