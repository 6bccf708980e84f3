"""Experiments that repeat another one with a single choice changed, and what that choice is."""

from collections.abc import Mapping
from typing import Any

from flatminima.settings.base import Name, Strict

GRID = ("depths", "step_sizes", "seeds", "seeds_per_job")
"""Settings of which a variation may take a part: how many networks are trained is no choice of protocol."""
REFERENCES = ("task", "baseline", "stated", "derived")
UNSET = {"width": "input size"}


class Variation(Strict):
    """An experiment that differs from its baseline in one setting."""

    experiment: Name
    baseline: Name
    choice: Name
    before: str
    after: str


class Variations(Strict):
    """The variations of a study, as a stage receives them."""

    variations: list[Variation]


def vary(experiment: str, baseline: str, settings: Mapping[str, Mapping[str, Any]]) -> Variation:
    """The one choice in which an experiment differs from its baseline.

    Args:
        experiment: name of the variation.
        baseline: name of what it is compared with.
        settings: every setting of both, those of their tasks included; sources do not count.

    Raises:
        ValueError: if the two differ in nothing, in more than one setting, or if the variation trains networks at
            depths or step sizes that its baseline lacks, so that like could not be compared with like.
    """
    old, new = settings[baseline], settings[experiment]
    for part in ("depths", "step_sizes"):
        if extra := set(new[part] or ()) - set(old[part] or ()):
            raise ValueError(
                f"experiments.{experiment}.{part} has {_text(part, sorted(extra))}, which its baseline {baseline!r} "
                f"lacks; take some of {_text(part, old[part])}"
            )
    changed = [key for key in old if key not in (*GRID, *REFERENCES) and old[key] != new[key]]
    if len(changed) != 1:
        found = f"in {', '.join(changed)}" if changed else "in no setting"
        raise ValueError(
            f"experiments.{experiment} differs from its baseline {baseline!r} {found}: a variation changes one setting"
        )
    (choice,) = changed
    before, after = (_text(choice, values[choice]) for values in (old, new))
    return Variation(experiment=experiment, baseline=baseline, choice=choice, before=before, after=after)


def _text(key: str, value: Any) -> str:
    if value is None:
        return UNSET.get(key, "none")
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
