"""The settings of a perceptron study as small as can be, and its parts in one table."""

import pandas as pd

from flatminima.perceptron.enumerated import enumerate_perceptrons
from flatminima.perceptron.searches import run_solver
from flatminima.perceptron.typical import surroundings, typical_solutions
from flatminima.settings.perceptron import Enumeration, ReplicaTheory, SolverRuns


def sourced(values):
    return {name: {"value": value, "source": "chosen"} for name, value in values.items()}


def theory(**changed):
    values = {"loads": [0.5], "margins": [0.5, 1.0], "load": 0.5, "distances": [1e-3, 0.45], "points": 12}
    return ReplicaTheory.model_validate(sourced(values | {"near": 0.25, "far": 0.35} | changed))


def enumeration(**changed):
    values = {"sizes": [11, 13], "loads": [0.5], "instances": 40, "references": 20}
    return Enumeration.model_validate(sourced(values | changed))


def runs(**changed):
    values = {"size": 201, "loads": [0.3, 0.9], "instances": 2, "distances": [0.02, 0.05], "surveyed": 1}
    return SolverRuns.model_validate(sourced(values | changed))


def small_perceptron(solvers=("sgd",)):
    """Measures of all parts but the thresholds, which no claim judges."""
    parts = [typical_solutions("test", theory()), surroundings("test", theory())]
    parts.append(enumerate_perceptrons("test", enumeration()))
    parts += [run_solver("test", name, runs())[:2] for name in solvers]
    return pd.concat([measures for measures, _ in parts], ignore_index=True)
