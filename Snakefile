"""Flat minima: from config.yaml to networks, measures, figures, tables, verdicts and reports."""

from snakemake.utils import min_version

min_version("9.20")


include: "workflow/rules/places.smk"


configfile: CONFIG_FILE


# The base system for `--software-deployment-method apptainer`; requirements.lock must be installed in it first.
container: "docker://python:3.11-slim"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/measures.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/audit.smk"


# The rules of a kind of study are in the file of its name.
for _kind in KINDS:

    include: f"workflow/rules/{_kind}.smk"


report: "workflow/report/workflow.rst"


onstart:
    forkserver.start()


rule embedded:
    """The default: every study that needs no download, to its report and manifest."""
    input:
        stage("manifest", CONFIG.embedded),


rule paper:
    """The studies at the paper's scale, which download their data."""
    input:
        stage("manifest", CONFIG.paper),


for _study, _values in CONFIG.studies.items():
    if workflow.is_rule(_study):
        sys.exit(f"config.yaml: studies.{_study}: is the name of a rule; rename the study")

    for _stage in ["", *kind_of(_values).stages, "manifest"]:

        rule:
            name:
                f"{_study}_{_stage}" if _stage else _study
            input:
                stage(_stage or "manifest", [_study]),
