"""A theory study as small as it can be, computed for real."""

import pandas as pd

from flatminima.settings.theory import Attack, Convergence, Minima, Price, ScaledResidual
from flatminima.theory.construction import construct
from flatminima.theory.convergence import converge
from flatminima.theory.falsification import STATEMENTS, attack
from flatminima.theory.price import prices
from flatminima.theory.scaled_residual import sweep

STARTS = ["residual", "flow", "default", "catapult"]


def small_theory(depths):
    """The tidy table of all parts, with the keys of config.yaml's section `theory`."""
    condition = {"inputs": 2, "outputs": 2, "hidden": 2, "rank": 2, "spread": 3.0, "ill": 3.0}
    conditions = {"square": condition}
    attacks = Attack(conditions=conditions, depths=depths, attempts=4, steps=10, controls=2)
    minima = Minima(condition=condition, depths=depths, instances=2, draws=2, scale=0.3, ratios=[1.0001, 2.0])
    training = {"size": 2, "spread": 2.0, "ill": 2.0, "depths": depths, "instances": 2, "step_sizes": [0.5, 0.9]}
    training |= {"steps": 400, "flow_time": 60, "tolerance": 1e-6, "start_ratio": 4.0, "kick": 0.01}
    convergence = Convergence(**training, growing_steps=[0.2, 0.5])
    tables = [attack("theory", name, attacks) for name in STATEMENTS]
    tables.append(construct("theory", minima))
    tables += [converge("theory", start, convergence) for start in STARTS]
    price = {"ill": [10.0, 100.0], "depths": depths, "searched": [2], "restarts": 1, "evaluations": 40}
    tables.append(prices("theory", Price(**price, drawn=2, spread=3.0, instances=2)))
    residual = {"samples": 12, "inputs": 2, "noise": 1.0, "depth": 3, "scales": 2, "largest_scale": 1.0}
    residual |= {"step_sizes": [0.02, 5.0], "steps": 1000, "repeats": 2, "tolerance": 1e-9}
    tables.append(sweep("theory", ScaledResidual(**residual)))
    return pd.concat(tables, ignore_index=True)
