"""A perceptron study whose numbers are simple functions, so that figures and tables can be checked by hand."""

from fractions import Fraction
from itertools import product

import numpy as np
import pandas as pd

from flatminima.perceptron.rows import Profile, curve, rows

LOADS = (0.4, 0.5, 0.6)
LOAD = 0.5
ISOLATION = 0.0025
MARGINS = np.linspace(-0.5, 1.0, 31)
DISTANCES = np.geomspace(1e-4, 0.4, 25)
PLACES = (0.01, 0.02, 0.1)
INSTANCES = 6
SOLVED = {
    "reinforced-bp": {0.4: 6, 0.5: 6, 0.7: 6, 0.8: 0},
    "sgd": {0.4: 6, 0.5: 3, 0.7: 0, 0.8: 0},
    "annealing": {0.4: 0, 0.5: 0, 0.7: 0, 0.8: 0},
}
WEIGHTS = {"reinforced-bp": (101, 201, 401), "sgd": (201,), "annealing": (201,)}
"""Numbers of weights; every solver solves as many instances of each."""
NEIGHBOURS = {0.4: 100, 0.5: 10, 0.7: 0}
"""Solutions at one flip from those found, and twice and thrice as many at two and three; by the load."""
PLANTED = 0.5
RATIO = {"reinforced-bp": 0.25, "sgd": 0.5}
EXCESS = {"reinforced-bp": 0.05, "sgd": 0.03}
THRESHOLDS = {"monotone_load": 0.73, "connected_load": 0.75, "capacity": 0.83}
SIZES = {11: (Fraction(3, 11), Fraction(6, 11)), 13: (Fraction(4, 13), Fraction(7, 13))}
ERROR = 0.002
"""Standard error of everything that is enumerated; the second load is five of them off theory, the first is one."""


def top(load):
    """The maximal margin."""
    return 1 - load


def local(distance, margin):
    """Local entropy: negative up to ISOLATION at margin zero, and positive elsewhere."""
    return 0.2 * (np.sqrt(distance) - (np.sqrt(ISOLATION) if margin == 0 else 0)) + 0.1 * margin * np.sqrt(distance)


def typical():
    tables, curves = [], [curve("test", "capacity", MARGINS, 0.83 - 0.4 * MARGINS)]
    for load in LOADS:
        margins = top(load) * MARGINS
        curves.append(curve("test", "entropy", margins, 0.3 * (1 - MARGINS), load))
        curves.append(curve("test", "typical_distance", margins, 0.3 - 0.1 * MARGINS, load))
        tables.append(rows("test", "zero_margin", load, {"isolation": [ISOLATION]}))
    for margin in (0.0, 0.25, top(LOAD)):
        found = local(DISTANCES, margin)
        found[(margin == 0) & (DISTANCES < 1e-3)] = np.nan
        curves.append(curve("test", "local_entropy", DISTANCES, found, margin))
    lead = Profile("distance", [0.1], [[0.1], [0.2]])
    return [*tables, rows("test", "ordering", LOAD, {"lead": lead}, margin=[0.5, 1.0])], curves


def transitions():
    loads = np.array(LOADS)
    found = {"isolation_distance": 0.1 * loads, "connected_margin": 0.1 * loads, "monotone_margin": 0.2 * loads}
    curves = [curve("test", name, loads, values) for name, values in (found | {"maximal_margin": 1 - loads}).items()]
    curves += [curve("test", "connected_load", [0.75], [0.1]), curve("test", "monotone_load", [0.73], [0.15])]
    return [rows("test", "thresholds", 0.75, {name: [value] for name, value in THRESHOLDS.items()})], curves


def enumeration():
    tables, curves = [], []
    for place in range(2):
        for size, shares in SIZES.items():
            load, off = float(shares[place]), (1, 5)[place] * ERROR
            curves.append(curve("test", "exact_entropy", [1 / size], [0.5 - load + off], load, ERROR, size))
            curves.append(curve("test", "exact_entropy_theory", [1 / size], [0.5 - load], load, size=size))
            worst = {"local_error": [2 * off if size == min(SIZES) else off]}
            tables.append(rows("test", "enumerated", load, worst, size=size))
        places = np.array([0.1, 0.2, 0.3, 0.6])
        curves.append(curve("test", "exact_local", places, off - places, load, ERROR, size))
        curves.append(
            curve("test", "exact_local_theory", places, np.where(places < 0.5, -places, np.nan), load, size=size)
        )
    return tables, curves


def around(counts):
    """Statistics of neighbours: counts at one flip of each entry, and twice and thrice as many further out."""
    found = counts[:, None] * np.array([1, 2, 3])
    values = {
        "neighbours": found,
        "log_neighbours": np.log10(1 + found),
        "expected_neighbours": np.full(found.shape, 0.01),
    }
    return {name: Profile("flips", [1, 2, 3], value) for name, value in values.items()}


def attempts():
    tables, curves = [], []
    for name, counts in SOLVED.items():
        for size, (load, count) in product(WEIGHTS[name], counts.items()):
            solved = np.arange(INSTANCES) < count
            known = np.where(solved, 1.0, np.nan)
            shape = known[:, None] * np.ones(len(PLACES))
            values = {"solved": solved.astype(float)}
            values |= {"iterations": 10.0 * (1 + np.arange(INSTANCES)), "minimal_margin": 0.1 * known}
            values |= {"flip_error_ratio": Profile("distance", PLACES, RATIO.get(name, 0) * shape)}
            first = np.where(np.arange(INSTANCES) == 0, EXCESS.get(name, 0), np.nan)
            values |= {"local_entropy_excess": Profile("distance", PLACES, first[:, None] * shape)}
            values |= around(NEIGHBOURS.get(load, 0) * known)
            case = f"attempts_{name.replace('-', '_')}"
            tables.append(rows("test", case, load, values, size=size, solver=name))
            if count:
                curves.append(curve("test", f"bp_entropy_{name}", PLACES, [2 * EXCESS[name]] * 3, load, size=size))
    for size, load in product(WEIGHTS["reinforced-bp"], SOLVED["sgd"]):
        tables.append(rows("test", "planted", load, around(np.full(INSTANCES, PLANTED)), size=size))
    return tables, curves


def at_loads(measures, loads):
    """Measures with some loads replaced by others."""
    return measures.assign(**{name: measures[name].replace(loads) for name in ("alpha", "setting")})


def synthetic_perceptron():
    """Measures and curves."""
    parts = [typical(), transitions(), enumeration(), attempts()]
    measures, curves = (pd.concat([table for part in parts for table in part[kind]]) for kind in range(2))
    return measures.reset_index(drop=True), curves.reset_index(drop=True)
