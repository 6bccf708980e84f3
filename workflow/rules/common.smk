"""Names of files, and the narrow settings and code digests that decide what runs again."""

import json
import sys
from pathlib import Path

from flatminima import config as schema
from flatminima.errors import UserError
from flatminima.files import numbered
from flatminima.provenance.digest import images_digest
from flatminima.provenance.job_records import code_stamp as code_digest
from flatminima.settings.base import unlabelled
from flatminima.studies import experiments, rescaling
from flatminima.studies.registry import KINDS, kind_of

try:
    CONFIG = schema.parse(schema.Config, config, "config.yaml")
except UserError as error:
    sys.exit(str(error))

for _folder in (Path(top, name) for name in CONFIG.studies for top in ("results", "logs")):
    check_writable(_folder)

# What workflow/report/*.rst shows below figures and tables in `snakemake --report`.
config["captions"] = {name: kind_of(values).captions(values) for name, values in CONFIG.studies.items()}


def studies(kind):
    """The studies of a kind."""
    return {name: values for name, values in CONFIG.studies.items() if kind_of(values) is KINDS[kind]}


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


def kind(wildcards):
    return kind_of(study(wildcards))


def experiment(wildcards):
    return study(wildcards).experiments[wildcards.experiment]


def task_file(end):
    """Input function: a file of the task that an experiment is trained on."""
    return lambda wildcards: f"results/{wildcards.study}/data/{experiment(wildcards).task}{end}"


def files_of(names):
    """Input function: files by their names, those of numbered parts one by one."""
    return lambda wildcards: [file for name in names(wildcards) for file in numbered(name)]


def table_parts(wildcards):
    """The files of all parts of a table of record."""
    names = kind(wildcards).parts(CONFIG, study(wildcards), wildcards.table)
    return [f"results/{wildcards.study}/{wildcards.table}/{name}.parquet" for name in names]


def checked_networks(wildcards):
    """A network file of each experiment on a task that other libraries check."""
    files = experiments.checked_networks(study(wildcards), wildcards.task)
    return [f"results/{wildcards.study}/{file}" for file in files]


def source(wildcards, file):
    """A file of the study whose networks are rescaled."""
    return f"results/{study(wildcards).source.study}/{file}"


def linear(wildcards):
    """The experiment whose orbits theory knows."""
    return rescaling.experiment(CONFIG, study(wildcards), "linear")


def subjects(wildcards):
    """The networks of a shape: the convolutional ones, or those of one depth."""
    if wildcards.shape == "convolutional":
        return [f"results/{wildcards.study}/networks/convolutional.safetensors"]
    return [source(wildcards, rescaling.rectified_networks(CONFIG, study(wildcards), wildcards.shape))]


def linear_subjects(wildcards):
    """The networks whose orbits theory knows, of all depths."""
    return [source(wildcards, name) for name in rescaling.linear_networks(CONFIG, study(wildcards))]


def source_samples(wildcards):
    """The samples that the networks were trained on."""
    return source(wildcards, f"data/{rescaling.experiment(CONFIG, study(wildcards), 'rectified').task}.safetensors")


def stage(name, studies):
    """The files that a stage makes for some studies."""
    made = {study: kind_of(CONFIG.studies[study]).targets(CONFIG.studies[study], name) for study in studies}
    return [f"results/{study}/{file}" for study, files in made.items() for file in files]
