"""Experiments of a study of training: those that stand for it, and how the files of their networks are named."""

from collections.abc import Mapping

from flatminima.files import numbered
from flatminima.settings.training import Experiment, TrainingStudy


def main_experiments(study: TrainingStudy) -> Mapping[str, Experiment]:
    """The experiments but variations, and those that set the scale of their start."""
    aside = [*(variation.experiment for variation in study.variations), *study.scaled()]
    return {name: run for name, run in study.experiments.items() if name not in aside}


def main_tasks(study: TrainingStudy) -> list[str]:
    """Tasks of the main experiments."""
    used = {run.task for run in main_experiments(study).values()}
    return [task for task in study.tasks if task in used]


def depths(study: TrainingStudy, task: str) -> list[int]:
    """Depths of all networks trained on a task, ascending."""
    return sorted({depth for run in study.experiments.values() if run.task == task for depth in run.depths})


def file_name(name: str, experiment: Experiment, depth: int) -> str:
    """File stem of one experiment and depth; `{0..n}` covers its parts, where its seeds are divided among jobs."""
    return f"{name}-depth{depth}" + (f"-part{{0..{len(experiment.parts()) - 1}}}" if experiment.seeds_per_job else "")


def file_names(study: TrainingStudy) -> list[str]:
    """File stems of all experiments of a study, at all their depths."""
    runs = study.experiments.items()
    return [file_name(name, run, depth) for name, run in runs for depth in run.depths]


def networks(study: TrainingStudy) -> list[str]:
    """Names of the files of all trained networks, those of parts one by one."""
    return [file for name in file_names(study) for file in numbered(name)]


def checked_networks(study: TrainingStudy, task: str) -> list[str]:
    """Files that other libraries check: of each experiment on a task, that of its least depth and first seeds.

    These are the main experiments but convolutional ones, which take other libraries too long; files are relative to
    the study's folder of results.
    """
    runs = {name: run for name, run in main_experiments(study).items() if run.task == task}
    checked = {name: run for name, run in runs.items() if run.family != "fully_convolutional"}
    names = [numbered(file_name(name, run, min(run.depths)))[0] for name, run in checked.items()]
    return [f"networks/{name}.safetensors" for name in names]
