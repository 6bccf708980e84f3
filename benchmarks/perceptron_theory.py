"""Replica theory of the binary perceptron, against damped iteration of the same equations on plain grids."""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr

from benchmarks.timing import Row, Section, interleave
from flatminima.perceptron.franz_parisi import local_entropy
from flatminima.perceptron.gaussian import Array
from flatminima.perceptron.replica import maximal_margin, saddle_point
from flatminima.perceptron.thresholds import connected_margins, isolation_distance, monotone_margins

REPETITIONS = 3
ALPHA, MARGIN = 0.5, 0.3
NEAR, FAR = np.geomspace(1e-4, 0.5, 60), np.geomspace(0.05, 0.45, 8)
LOADS, MARGINS = np.linspace(0.05, 0.5, 12), np.linspace(-0.5, 0.4, 12)
TABLE = np.linspace(0.3, 0.72, 12)
SAME = 1e-6
DAMPING, CHANGE, LIMIT = 0.3, 1e-9, 5000
Candidates = dict[str, Callable[[], Array]]


def measure() -> Section:
    """Time curves, a grid of entropies, and the table of thresholds."""
    rows = [
        _compared(
            "local entropy, d from 0.05",
            {
                "damped": lambda: _damped_curve(ALPHA, FAR, MARGIN),
                "ours": lambda: local_entropy(ALPHA, FAR, MARGIN).entropy,
            },
        ),
        _compared(
            "entropies of typical solutions",
            {
                "damped": lambda: np.array([[_damped_saddle(a, k)[0] for k in MARGINS] for a in LOADS]),
                "ours": lambda: saddle_point(LOADS[:, None], MARGINS).entropy,
            },
        ),
    ]
    for margin in (MARGIN, float(maximal_margin(ALPHA))):
        rows.append(_alone(f"local entropy, d from 0.0001, margin {margin:.3f}", len(NEAR), partial(_curve, margin)))
    rows.append(_alone("thresholds d0, kappa_min and kappa_u", 3 * len(TABLE), _table))
    text = (
        "Local entropies around typical solutions and entropies of solutions, alpha at most "
        f"{TABLE[-1]}, on one thread. *Damped* iterates the saddle-point equations as they are written, damped by "
        f"{DAMPING}, on fixed grids, until nothing changes by more than {CHANGE}; such grids do not resolve distances "
        f"much below the {FAR[0]} of its rows. Seconds, median of {REPETITIONS} interleaved runs, one run where there "
        "is no peer. *Difference* is the largest of any entropy."
    )
    return Section("Replica theory of the perceptron", text, rows)


def _compared(task: str, candidates: Candidates) -> Row:
    seconds, values = interleave(candidates, REPETITIONS)
    difference = float(np.abs(values["ours"] - values["damped"]).max())
    if not difference <= SAME:
        raise RuntimeError(f"{task}: entropies differ by {difference:.1e}, more than {SAME}")
    row: Row = {"task": task, "values": values["ours"].size, "ours, s": seconds["ours"], "damped, s": seconds["damped"]}
    return row | {"ratio": seconds["damped"] / seconds["ours"], "difference": difference}


def _alone(task: str, values: int, run: Callable[[], object]) -> Row:
    start = time.perf_counter()
    run()
    seconds = time.perf_counter() - start
    return {"task": task, "values": values, "ours, s": seconds, "damped, s": "", "ratio": "", "difference": ""}


def _curve(margin: float) -> Array:
    return local_entropy(ALPHA, NEAR, margin).entropy


def _table() -> None:
    for alpha in TABLE:
        isolation_distance(float(alpha))
    connected_margins(TABLE.tolist())
    monotone_margins(TABLE.tolist())


def _grid(points: int) -> tuple[Array, Array]:
    z = np.linspace(-8.5, 8.5, points)
    weights = np.exp(-(z**2) / 2)
    return z, weights / weights.sum()


def _pull(x: Array) -> Array:
    result: Array = np.exp(-(x**2) / 2 - log_ndtr(-x)) / np.sqrt(2 * np.pi)
    return result


def _damped_saddle(alpha: float, margin: float) -> tuple[float, float, float]:
    """Entropy, q and qh of theory.md 3.2."""
    z, dz = _grid(201)
    q = 0.3
    for _ in range(LIMIT):
        argument = (margin - np.sqrt(q) * z) / np.sqrt(1 - q)
        qh = alpha / (1 - q) * float(_pull(argument) ** 2 @ dz)
        target = float(np.tanh(np.sqrt(qh) * z) ** 2 @ dz)
        if abs(target - q) < CHANGE:
            break
        q += DAMPING * (target - q)
    energy = float(log_ndtr(-(margin - np.sqrt(q) * z) / np.sqrt(1 - q)) @ dz)
    sites = float(np.logaddexp(np.sqrt(qh) * z, -np.sqrt(qh) * z) @ dz)
    return -qh * (1 - q) / 2 + sites + alpha * energy, q, qh


def _damped_curve(alpha: float, distances: Array, kt: float) -> Array:
    """phi_FP of theory.md 3.3 with kappa = 0, downwards from the largest distance."""
    _, qt, qht = _damped_saddle(alpha, kt)
    (x, dx), (y, dy) = _grid(81), _grid(161)
    f, e = np.sqrt(qht) * x, (kt - np.sqrt(qt) * x) / np.sqrt(1 - qt)
    turned, kept = dx * (1 + np.tanh(f)), dx / ndtr(-e)
    q1, t0, th, entropies = 0.5, qt / 2, 0.0, []
    for distance in distances[::-1]:
        t = 1 - 2 * distance
        for _ in range(LIMIT):
            c = (t - t0) / np.sqrt(1 - qt)
            g = np.sqrt(max(q1 - t0**2 / qt - c**2, 1e-4))
            a = np.hypot(c, g)
            weights = ndtr(-(a * e[:, None] - c * y) / g) * dy
            argument = -((t0 / np.sqrt(qt) * x)[:, None] + a * y) / np.sqrt(1 - q1)
            pull = _pull(argument)
            q1h = alpha / (1 - q1) * float(kept @ (weights * pull**2).sum(1))
            t0h = alpha * float((kept * _pull(e)) @ (weights * pull).sum(1)) / np.sqrt((1 - qt) * (1 - q1))
            field = (t0h / np.sqrt(qht) * x)[:, None] + np.sqrt(max(q1h - t0h**2 / qht, 0.0)) * y

            def mismatch(shift: float, field: Array = field, t: float = t) -> float:
                return float(turned @ np.tanh(field + shift) @ dy) - t

            shift = brentq(mismatch, -10, 20, xtol=1e-12)
            tanh = np.tanh(field + shift)
            new_q1, new_t0 = float(turned @ tanh**2 @ dy), float((turned * np.tanh(f)) @ tanh @ dy)
            th, change = shift + t0h, max(abs(new_q1 - q1), abs(new_t0 - t0))
            q1, t0 = q1 + DAMPING * (new_q1 - q1), t0 + DAMPING * (new_t0 - t0)
            if change < CHANGE:
                break
        sites = float(turned @ np.logaddexp(field + shift, -field - shift) @ dy)
        patterns = float(kept @ (weights * log_ndtr(-argument)).sum(1))
        entropies.append(-q1h * (1 - q1) / 2 - th * t + t0h * t0 + sites + alpha * patterns)
    return np.array(entropies[::-1])
