"""The settings of a perceptron study as small as can be, and its parts in one table."""

import pandas as pd

from flatminima.perceptron.attempts import attempt_instances
from flatminima.perceptron.enumeration import enumerate_perceptrons
from flatminima.perceptron.survey import planted_solutions, survey
from flatminima.perceptron.typical import surroundings, typical_solutions
from flatminima.settings.perceptron import Attempts, Enumeration, ReplicaTheory, Survey


def theory(**changed):
    values = {"loads": [0.5], "margins": [0.5, 1.0], "load": 0.5, "distances": [1e-3, 0.45], "points": 12}
    return ReplicaTheory.model_validate(values | changed)


def enumeration(**changed):
    values = {"sizes": [11, 13], "loads": [0.5], "instances": 40, "references": 20}
    return Enumeration.model_validate(values | changed)


SIZE = 201


def attempts(**changed):
    return Attempts.model_validate({"loads": [0.3, 0.9], "instances": 2} | changed)


def around(**changed):
    return Survey.model_validate({"distances": [0.02, 0.05], "surveyed": 1, "largest": SIZE} | changed)


def surveyed(solver):
    """Measures and curves of one solver's attempts, and what it found."""
    found = attempt_instances("test", solver, SIZE, attempts())
    return *survey("test", solver, SIZE, found, around()), found


def small_perceptron(solvers=("sgd",)):
    """Measures of all parts but the thresholds, which no claim judges."""
    parts = [typical_solutions("test", theory()), surroundings("test", theory())]
    parts.append(enumerate_perceptrons("test", enumeration()))
    parts += [surveyed(name)[:2] for name in solvers]
    planted = planted_solutions("test", SIZE, attempts())
    return pd.concat([*(measures for measures, _ in parts), planted], ignore_index=True)
