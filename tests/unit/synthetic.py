"""A training study made of random numbers, with the statistics, families and orders of magnitude of a real one."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from flatminima.record import COLUMNS

FRACTIONS = (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95, 1.2)
SEEDS = 5
WIDTH = 12
MINIMUM = {"noisy": 15.0, "mild": 22.0}
SWEPT = {  # case: family, task, initialisation, optimiser, excess of the sharpness ratio at small steps
    "linear": ("linear", "noisy", "xavier_normal", "gradient_descent", 0.6),
    "linear_sgd": ("linear", "noisy", "xavier_normal", "sgd", 0.7),
    "residual": ("residual_linear", "noisy", "identity", "gradient_descent", 0.0),
    "relu": ("relu", "noisy", "pytorch", "sgd", 0.9),
    "relu_adam": ("relu", "noisy", "pytorch", "adam", 1.5),
    "linear_mild": ("linear", "mild", "xavier_normal", "gradient_descent", 0.5),
    "relu_mild": ("relu", "mild", "pytorch", "sgd", 0.6),
}
UNBALANCED = ("linear", "residual", "relu")
STARTS = ("identity", "xavier_normal", "pytorch", "unbalanced")


def synthetic_study(depths: tuple[int, ...] = (2, 3, 4, 5)) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measures and shared vectors with the columns, families and orders of magnitude of a real study."""
    rng = np.random.default_rng(0)
    rows = [row for depth in depths for network in _networks(depth, rng) for row in _rows(network, rng)]
    measures = pd.DataFrame(rows).assign(study="digits")
    measures = measures[[*COLUMNS, *measures.columns.difference(COLUMNS, sort=False)]]
    return measures, _shared(measures, rng)


def _networks(depth: int, rng: np.random.Generator) -> Iterator[dict]:
    for case, (family, task, initialisation, optimiser, excess) in SWEPT.items():
        minimum = MINIMUM[task] * depth / 2
        for fraction in FRACTIONS:
            for seed in range(SEEDS):
                ratio = 1 + excess * np.exp(-2 * fraction) * rng.lognormal(0, 0.2)
                absolute = fraction * 1e-2 if optimiser == "adam" else fraction * 2 / minimum
                network = {
                    "case": case,
                    "control": "",
                    "family": family,
                    "task": task,
                    "initialisation": initialisation,
                    "optimiser": optimiser,
                    "depth": depth,
                    "step_size": absolute,
                    "setting": fraction,
                    "seed": seed,
                    "step": 4000 + seed,
                    "final": True,
                }
                if family == "linear" and fraction > 1:
                    ratio = 0.8  # oscillates around a minimum
                often = 0.6 * (fraction > 1) + 0.3 * (fraction > 0.9)
                diverged = optimiser != "adam" and rng.random() < often
                yield network | {"minimum": minimum, "ratio": np.nan if diverged else ratio}
                if case in UNBALANCED:
                    control = {"control": "unbalanced", "ratio": ratio * rng.lognormal(2.5, 0.5)}
                    yield network | {"minimum": minimum} | (control | ({"ratio": np.nan} if diverged else {}))
    yield from _along_training(depth, rng)


def _along_training(depth: int, rng: np.random.Generator) -> Iterator[dict]:
    minimum = MINIMUM["noisy"] * depth / 2
    flow = {
        "case": "residual_flow",
        "control": "",
        "setting": np.nan,
        "optimiser": "gradient_flow",
        "step_size": np.nan,
    }
    residual = {"family": "residual_linear", "task": "noisy", "initialisation": "identity", "depth": depth}
    end = {"seed": 0, "step": 900, "final": True, "minimum": minimum, "ratio": 1.0}
    yield residual | flow | end
    for start, end_ratio in zip(STARTS, (1.0, 1.3, 1.7, 9.0), strict=True):
        for seed in range(SEEDS):
            last = 3000 + 100 * seed
            for step in [0, *np.unique(np.geomspace(1, 2000, 12).astype(int)), last]:
                begun = 0.05 if start != "unbalanced" else 4.0
                ratio = end_ratio + (begun - end_ratio) * np.exp(-step / 60)
                ratio *= rng.lognormal(0, 0.05)
                yield {
                    "case": f"start_{start}",
                    "control": "",
                    "family": "residual_linear" if start == "identity" else "linear",
                    "task": "noisy",
                    "initialisation": start,
                    "optimiser": "gradient_descent",
                    "depth": depth,
                    "step_size": 1 / minimum,
                    "setting": 0.5,
                    "seed": seed,
                    "step": step,
                    "final": step == last,
                    "minimum": minimum,
                    "ratio": ratio,
                }


def _rows(network: dict, rng: np.random.Generator) -> Iterator[dict]:
    minimum, ratio = network["minimum"], network["ratio"]
    identity = {key: value for key, value in network.items() if key not in ("minimum", "ratio")}

    def row(layer: int, statistic: str, value: float) -> dict:
        return identity | {"layer": layer, "statistic": statistic, "value": value, "error_bound": np.nan}

    depth, relu = network["depth"], network["family"] == "relu"
    diverged = np.isnan(ratio)
    yield row(0, "diverged", float(diverged))
    limit = np.nan if network["optimiser"] in ("adam", "gradient_flow") else 2 / network["step_size"]
    yield row(0, "stability_limit", np.nan if diverged else limit)
    yield row(0, "loss", ratio * 0 + rng.uniform(1, 2))
    above_minimum = 0.05 if ratio < 0.9 and network["final"] else 1e-8
    yield row(0, "excess_loss", np.nan if relu else ratio * 0 + above_minimum)
    yield row(0, "gradient_norm", ratio * 0 + 1e-3)
    yield row(0, "end_to_end_gain", ratio * 0 + 0.7)
    yield row(0, "sharpness", ratio * minimum)
    yield row(0, "minimal_sharpness", ratio * 0 + minimum)
    yield row(0, "sharpness_ratio", ratio)
    spread = np.sqrt(abs(ratio - 1)) / 3
    for layer in range(1, depth + 1):
        gain = 1.0 if layer == depth else np.exp(spread * rng.normal())
        yield row(layer, "path_gain", gain)
        residual = spread * rng.uniform(0.8, 1.2)
        if layer > 1:
            yield row(layer, "path_residual", residual)
        if relu:
            for quantile, z in (("q05", -1.6), ("q25", -0.7), ("q75", 0.7), ("q95", 1.6)):
                yield row(layer, f"path_gain_{quantile}", gain * np.exp(0.1 * z))
        if layer == depth:
            continue
        cosine = 1 / (1 + spread * rng.uniform(0.3, 0.6))
        yield row(layer, "product_norm", max(gain, 1.0) * 1.05)
        yield row(layer, "band_upper", np.sqrt(depth - 1))
        yield row(layer, "path_cosine", cosine)
        yield row(layer, "left_residual", spread * rng.uniform(0.8, 1.2))
        yield row(layer, "right_residual", spread * rng.uniform(0.8, 1.2))
        yield row(layer, "singular_overlap", ratio * 0 + rng.uniform(0.6, 0.95))
        if relu:
            for quantile, z in (("q05", -1.6), ("q25", -0.7), ("q75", 0.7), ("q95", 1.6)):
                yield row(layer, f"product_norm_{quantile}", max(gain, 1.0) * 1.05 * np.exp(0.05 * z))
                yield row(layer, f"path_cosine_{quantile}", cosine - 0.03 + 0.01 * z)


def _shared(measures: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    kept = measures[measures["final"] & (measures["statistic"] == "sharpness_ratio")].dropna(subset=["value"])
    kept = kept[kept["family"].isin(["linear", "residual_linear"]) & (kept["control"] == "")]
    tables = []
    for row in kept[["study", "case", "family", "setting", "depth", "seed"]].itertuples(index=False):
        for layer in range(1, row.depth):
            left, right = rng.dirichlet(np.ones(WIDTH), 2)
            table = pd.DataFrame({"layer": layer, "rank": np.arange(1, WIDTH + 1), "left": left, "right": right})
            tables.append(table.assign(**row._asdict()))
    return pd.concat(tables, ignore_index=True)
