"""Names of files, and the narrow settings and code digests that decide what runs again."""

import json
import sys
from pathlib import Path

from flatminima import config as schema
from flatminima.errors import UserError
from flatminima.provenance.digest import images_digest
from flatminima.provenance.parts import numbered
from flatminima.provenance.records import code_stamp as code_digest
from flatminima.settings.base import unlabelled

EVIDENCE_FIGURES = ["dose-response", "coupling-excess", "start-scale"]
TRAINING_FIGURES = ["overview", "training", "path-cosine"]
THEORY_FIGURES = [
    "theory-overview",
    "least-sharpness",
    "random-minima",
    "any-inputs",
    "first-interface",
    "attacks",
    "witnesses",
    "step-size",
    "arrival",
    "predicted-price",
    "balance-price",
    "catapult",
    "scaled-residual",
]
RESCALING_FIGURES = {
    "alpha": "two_layers",
    "volume": "volume",
    "spectrum": "many_directions",
    "balls": "balls",
    "coordinates": "coordinates",
    "landscape": "landscape",
}
PERCEPTRON_FIGURES = [
    "perceptron-overview",
    "capacity",
    "local-entropy",
    "transitions",
    "typical-distance",
    "neighbours",
    "solvers",
    "flips",
    "enumeration",
]
FIGURES = [
    "sharpness",
    *EVIDENCE_FIGURES,
    *TRAINING_FIGURES,
    *THEORY_FIGURES,
    "rescaling-overview",
    *RESCALING_FIGURES,
    "orbits",
    *PERCEPTRON_FIGURES,
]
TABLES = {
    "training": ["summary", "sharpness", "balance", "coupling", "crosscheck"],
    "theory": ["falsification", "constructed", "convergence"],
    "rescaling": ["orbits", "theorems"],
    "perceptron": ["thresholds", "success", "solvers", "agreement"],
}
STAGES = {
    "training": ["data", "train", "measure", "figures", "tables", "claims", "report"],
    "theory": ["measure", "figures", "tables", "claims", "report"],
    "rescaling": ["train", "measure", "figures", "tables", "claims", "report"],
    "perceptron": ["measure", "figures", "tables", "claims", "report"],
}
DETAILS = {"training": ["shared"], "theory": [], "rescaling": ["curves"], "perceptron": ["curves"]}

try:
    CONFIG = schema.parse(schema.Config, config, "config.yaml")
except UserError as error:
    sys.exit(str(error))

for _study in CONFIG.studies:
    check_writable(Path("results", _study))
    check_writable(Path("logs", _study))


def studies(kind):
    """The studies of a kind."""
    return {name: values for name, values in CONFIG.studies.items() if values.kind == kind}


SOLVERS = {solver for values in studies("perceptron").values() for solver, _ in values.searched()}


def named(names):
    """A pattern that matches these names alone."""
    return "|".join(sorted(names)) or "(?!)"


wildcard_constraints:
    study=named(CONFIG.studies),
    experiment=named({run for values in studies("training").values() for run in values.experiments}),
    depth=r"\d+",
    part=r"(-part\d+)?",


def settings(model):
    """A section of the configuration as JSON in ASCII, the form in which rules pass it on under any locale."""
    return json.dumps(unlabelled(model.model_dump(mode="json") if hasattr(model, "model_dump") else model))


def labelled(model):
    """A section with where each value comes from, which reports show and no number depends on."""
    return json.dumps(model.model_dump(mode="json"))


def study(wildcards):
    return CONFIG.studies[wildcards.study]


def experiment(wildcards):
    return study(wildcards).experiments[wildcards.experiment]


def task_file(kind):
    """Input function: a file of the task that an experiment is trained on."""
    return lambda wildcards: f"results/{wildcards.study}/data/{experiment(wildcards).task}{kind}"


def files_of(names):
    """Input function: files by their names, those of numbered parts one by one."""
    return lambda wildcards: [file for name in names(wildcards) for file in numbered(name)]


def shape(name, run, depth):
    """Name of what an experiment makes at one depth; of all parts, where its seeds are divided."""
    values = CONFIG.studies[name].experiments[run]
    return f"{run}-depth{depth}" + (f"-part{{0..{len(values.parts()) - 1}}}" if values.seeds_per_job else "")


def shapes(name):
    """The same for all experiments and depths of a study."""
    runs = CONFIG.studies[name].experiments.items()
    return [shape(name, run, depth) for run, values in runs for depth in values.depths]


def checked(name, task):
    """Experiments on a task whose sharpness other libraries find as well: for convolutions they take too long."""
    runs = {run: values for run, values in main_experiments(name).items() if values.task == task}
    return [run for run, values in runs.items() if values.family != "convolutional"]


def main_experiments(name):
    """The experiments of a study but variations, and those that set the scale of their start."""
    values = CONFIG.studies[name]
    aside = [*(variation.experiment for variation in values.variations()), *values.scaled()]
    return {run: experiment for run, experiment in values.experiments.items() if run not in aside}


def depths(name, task):
    """All depths of the networks trained on a task."""
    runs = CONFIG.studies[name].experiments.values()
    return sorted({depth for run in runs if run.task == task for depth in run.depths})


def figures(name):
    """All figures of a study; in one of kind training those that its experiments can fill."""
    values = CONFIG.studies[name]
    if values.kind == "rescaling":
        return rescaling_figures(values)
    if values.kind != "training":
        return {"theory": THEORY_FIGURES, "perceptron": PERCEPTRON_FIGURES}[values.kind]
    shown = main_experiments(name).values()
    tasks, families = {run.task for run in shown}, {run.family for run in shown}
    filled = {
        "training": any(run.snapshots for run in shown),
        "dose-response": "linear" in families,
        "coupling-excess": families != {"residual_linear"},
        "start-scale": bool(values.scaled()),
    }
    every = [f"sharpness-{task}" for task in values.tasks if task in tasks] + EVIDENCE_FIGURES + TRAINING_FIGURES
    return [figure for figure in every if filled.get(figure, True)]


def rescaling_figures(values):
    """The figures of what a rescaling study shows; the overview needs linear networks too."""
    overview = ["rescaling-overview"] if values.source.linear and values.demonstrations.show("two_layers") else []
    shown = [figure for figure, name in RESCALING_FIGURES.items() if values.demonstrations.show(name)]
    return [*overview, *shown, "orbits"]


def left_out(wildcards):
    """The experiments that a figure does not show."""
    values = study(wildcards)
    return values.left_out(wildcards.name) if values.kind == "training" else []


def tables(name):
    """All tables of a study; that of sensitivity needs variations."""
    return TABLES[CONFIG.studies[name].kind] + (["sensitivity"] if variations(name) else [])


def variations(name):
    """The experiments of a study that change one choice of another."""
    values = CONFIG.studies[name]
    return values.variations() if values.kind == "training" else []


def parts(name, table):
    """The parts of a table of a study, which are measured apart."""
    values = CONFIG.studies[name]
    if values.kind == "theory":
        return [*values.statements, "minima", *values.starts, "price", "scaled_residual"]
    if values.kind == "perceptron":
        sizes = sorted({size for _, size in values.searched()})
        planted = [f"planted-{size}" for size in sizes] if table == "measures" else []
        searched = [f"solver-{solver}-{size}" for solver, size in values.searched()]
        return ["typical", "surroundings", "transitions", "enumeration", *searched, *planted]
    if values.kind == "rescaling":
        every = [f"theorems-{shape}" for shape in rescaled_shapes(name)]
        every += ["volume"] * values.demonstrations.show("volume")
        orbits = [f"orbit-{shape}" for shape in [*rescaled_shapes(name), *(["linear"] if values.source.linear else [])]]
        return every + orbits if table == "measures" else every
    used = [task for task in sorted(values.tasks) if checked(name, task)]
    checks = [f"crosscheck-{task}" for task in used] if table == "measures" else []
    return [*shapes(name), *checks]


def table_parts(wildcards):
    """The files of all parts of a table."""
    names = parts(wildcards.study, wildcards.table)
    return [f"results/{wildcards.study}/{wildcards.table}/{name}.parquet" for name in names]


def checked_networks(wildcards):
    """A network file of each of these experiments: of the least depth, and of the first seeds."""
    runs = {run: experiment.depths for run, experiment in study(wildcards).experiments.items()}
    least = [shape(wildcards.study, run, min(runs[run])) for run in checked(wildcards.study, wildcards.task)]
    return [f"results/{wildcards.study}/networks/{numbered(name)[0]}.safetensors" for name in least]


def rescaled_shapes(name):
    """The shapes of the networks that a study rescales."""
    values = CONFIG.studies[name]
    depths = CONFIG.studies[values.source.study].experiments[values.source.rectified].depths
    return [*(f"depth{depth}" for depth in depths), *(["convolutional"] if values.convolutional else [])]


def networks(name):
    """All network files that a study trains."""
    values = CONFIG.studies[name]
    if values.kind == "rescaling":
        return ["networks/convolutional.safetensors"] if values.convolutional else []
    return [f"networks/{file}.safetensors" for shape in shapes(name) for file in numbered(shape)]


def source(wildcards, file):
    """A file of the study whose networks are rescaled."""
    return f"results/{study(wildcards).source.study}/{file}"


def rectified(wildcards):
    """The experiment whose networks are rescaled."""
    values = study(wildcards).source
    return CONFIG.studies[values.study].experiments[values.rectified]


def linear(wildcards):
    """The experiment whose orbits theory knows."""
    values = study(wildcards).source
    return CONFIG.studies[values.study].experiments[values.linear]


def subjects(wildcards):
    """The networks of a shape: the convolutional ones, or those of one depth."""
    if wildcards.shape == "convolutional":
        return [f"results/{wildcards.study}/networks/convolutional.safetensors"]
    return [source_networks(wildcards, "rectified", wildcards.shape.removeprefix("depth"))]


def linear_subjects(wildcards):
    """The networks whose orbits theory knows, of all depths."""
    return [source_networks(wildcards, "linear", depth) for depth in linear(wildcards).depths]


def source_networks(wildcards, role, depth):
    """The networks of one depth of an experiment of the study whose networks are rescaled."""
    values = study(wildcards).source
    return source(wildcards, f"networks/{shape(values.study, getattr(values, role), depth)}.safetensors")


def source_samples(wildcards):
    """The samples that the networks were trained on."""
    return source(wildcards, f"data/{rectified(wildcards).task}.safetensors")


def figure_module(wildcards):
    """The module that draws a figure, `<figure>` or `<figure>-<task>`."""
    figure = max((figure for figure in FIGURES if f"{wildcards.name}-".startswith(f"{figure}-")), key=len)
    return f"flatminima.figures.{study(wildcards).kind}.{figure.replace('-', '_')}"


def stage(kind, names):
    """The files that a stage makes for some studies."""
    files = {
        "data": lambda name: [f"data/{task}.sha256" for task in CONFIG.studies[name].tasks],
        "train": networks,
        "measure": lambda name: [f"{table}.parquet" for table in ["measures", *DETAILS[CONFIG.studies[name].kind]]],
        "figures": lambda name: [f"figures/{figure}.svg" for figure in figures(name)],
        "tables": lambda name: [f"tables/{table}.html" for table in tables(name)],
        "claims": lambda name: ["claims.json"],
        "report": lambda name: ["report/index.html"],
        "manifest": lambda name: ["manifest.json"],
    }
    return [f"results/{name}/{file}" for name in names for file in files[kind](name)]
