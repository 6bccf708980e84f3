"""Global minima constructed on random problems: flattest, balanced, random, and of prescribed sharpness."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from flatminima.generators import named_generator
from flatminima.minima.linear import LinearProblems
from flatminima.minima.statistics import tidy
from flatminima.progress import Progress
from flatminima.settings.theory import Condition, Minima
from flatminima.theory.problems import draw_problems
from flatminima.theory.sampling import Chart, balanced, flattest, of_ratio
from flatminima.theory.shared import at_minima, labels, stream


def construct(study: str, settings: Minima) -> pd.DataFrame:
    """Minima of random problems, with white and with other inputs.

    Args:
        study: the study's name, part of every seed.
        settings: what to construct.

    Returns:
        Rows of all statistics at minima. Cases are `flattest`, `balanced`, `random` and `prescribed`, each
        with `_white` or `_coloured` for the inputs; the setting of the last is the prescribed ratio.
    """
    condition, depths = settings.condition, settings.depths
    inputs = {"white": condition.model_copy(update={"ill": 1.0}), "coloured": condition}
    cases = [(name, kind, depth) for name, kind in inputs.items() for depth in depths]
    progress, tables = Progress(f"{study} minima", len(cases)), []
    for case, (name, kind, depth) in enumerate(cases):
        names = study, "minima", name, depth
        problems = draw_problems(kind, depth, settings.instances, stream(*names, "problems"))
        for construction, ratio, minima, index in _constructions(problems, kind, settings, names):
            seeds, full = np.arange(len(index)), f"{construction}_{name}"
            shared = labels(study, full, depth, seeds, start=construction, inputs=name, setting=ratio)
            tables.append(tidy(shared, at_minima(minima, problems.select(index))))
        progress.report(case + 1, f"{name} inputs, depth {depth}")
    progress.finish(len(cases), f"{sum(len(table) for table in tables)} values")
    return pd.concat(tables, ignore_index=True)


def _constructions(
    problems: LinearProblems, condition: Condition, settings: Minima, names: Sequence[str | int]
) -> Iterator[tuple[str, float | np.ndarray, list[Tensor], Tensor]]:
    """Name, prescribed ratio, minima, and which problem each belongs to."""
    every = torch.arange(len(problems.least))
    base = flattest(problems, condition.rank)
    yield "flattest", np.nan, base, every
    yield "balanced", np.nan, balanced(problems, condition.rank), every
    if problems.depth == 1:
        return
    chart = Chart.around(base, condition.hidden)
    index = every.repeat_interleave(settings.draws)
    several = chart.select(index)
    coordinates = several.draw(settings.scale, named_generator(*names, "random"))
    yield "random", np.nan, several.weights(coordinates), index
    ratios = torch.tensor(settings.ratios, dtype=torch.float64)
    index = every.repeat_interleave(len(ratios))
    several, wanted = chart.select(index), ratios.repeat(len(every))
    rays = several.draw(1.0, named_generator(*names, "rays"))
    yield "prescribed", wanted.numpy(), of_ratio(several, problems.select(index), rays, wanted), index
