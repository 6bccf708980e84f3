"""Hand-made tables of networks, and claims of one or more criteria that are put to them."""

import json

import numpy as np
import pandas as pd

from flatminima.claims.ledger import Ledger
from flatminima.claims.verdicts import results_of

WORDS = {"id": "M1", "paper": "p", "title": "t", "statement": "s", "scope": "c", "figures": ["training"]}
SPREAD = np.array([-0.0126, -0.0053, 0.0, 0.0053, 0.0126])
"""Five seeds of a normal law: the middles of fifths, of standard deviation 0.01."""


def network(name, *, depth=2, seed=0, setting=0.5, final=True, diverged=False, **statistics):
    """Rows of one network of a case, or of its control (`linear-tanh`): lists stand for layers 1, 2, ..."""
    case, _, control = name.partition("-")
    base = {"study": "digits", "case": case, "control": control, "setting": setting, "depth": depth, "seed": seed}
    base |= {"family": "linear", "task": "noisy", "initialisation": "pytorch"}
    base |= {"step_size": 0.1, "step": 10, "final": final, "error_bound": np.nan}
    rows = [base | {"statistic": "diverged", "layer": 0, "value": float(diverged)}]
    for name, values in statistics.items():
        layers = enumerate(values, 1) if isinstance(values, list) else [(0, values)]
        rows += [base | {"statistic": name, "layer": k, "value": np.nan if diverged else v} for k, v in layers]
    return rows


def networks(name, statistic, values, **others):
    """One network per value of a statistic, told apart by their seeds."""
    return [row for seed, v in enumerate(values) for row in network(name, seed=seed, **{statistic: v}, **others)]


def seeds(name, ratio, **others):
    """Five networks whose sharpness ratios spread around one."""
    return networks(name, "sharpness_ratio", ratio + SPREAD, **others)


def table(*rows):
    return pd.DataFrame([row for group in rows for row in group])


def criterion(**changes):
    control = {"description": "the same functions with layers rescaled", "controls": ["unbalanced"]}
    flat = {"cases": ["linear"], "statistic": "sharpness_ratio", "at_most": 1.1, "smallest": 0.05}
    return {"name": "is flat", "control": control} | flat | changes


def claim(*criteria, **changes):
    return WORDS | {"class": "measured", "criteria": list(criteria) or [criterion()]} | changes


def judged_by(measures, *claims):
    """The judgements of claims, as JSON would hold them."""
    found = results_of("digits", Ledger.model_validate({"claims": list(claims)}), measures)
    return json.loads(found.to_json())["claims"]


def verdict_on(measures, *criteria, **changes):
    """The judgement of one claim; None where it is silent."""
    return next(iter(judged_by(measures, claim(*criteria, **changes))), None)
