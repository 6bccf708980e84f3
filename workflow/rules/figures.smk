rule figure:
    """One figure, and the data it shows."""
    localrule: True
    input:
        ledger=shipped("workflow/claims.yaml"),
        measures="results/{study}/measures.parquet",
        details=lambda w: stage("measure", [w.study])[1:],
    output:
        multiext("results/{study}/figures/{name}", ".pdf", ".png", ".csv"),
        svg=report(
            "results/{study}/figures/{name}.svg",
            caption="../report/figure.rst",
            category="{study}",
            subcategory="figures",
        ),
    params:
        details=lambda w, input: [f"--details={path}" for path in input.details],
        kind=lambda w: kind(w).name,
        without=lambda w: [f"--without={experiment}" for experiment in kind(w).left_out(study(w), w.name)],
        code=lambda w: code_digest(kind(w).figure_module(w.name), "flatminima.figures.figure_files"),
    log:
        "logs/{study}/figures/{name}.log",
    wildcard_constraints:
        name=named({name for captions in config["captions"].values() for name in captions["figures"]}),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    shell:
        r"""
        flatminima figure \
            --kind {params.kind:q} \
            --ledger {input.ledger:q} \
            --measures {input.measures:q} {params.details:q} {params.without:q} \
            --output {output.svg:q} \
            {wildcards.name:q} 2>&1 | tee {log:q} >&2
        """


rule table:
    """One table."""
    localrule: True
    input:
        measures="results/{study}/measures.parquet",
        details=lambda w: stage("measure", [w.study])[1:] if kind(w).tabulated else [],
    output:
        multiext("results/{study}/tables/{name}", ".csv", ".tex"),
        html=report(
            "results/{study}/tables/{name}.html",
            caption="../report/table.rst",
            category="{study}",
            subcategory="tables",
        ),
    params:
        details=lambda w, input: [f"--details={path}" for path in input.details],
        kind=lambda w: kind(w).name,
        code=lambda w: code_digest(kind(w).tables_module, "flatminima.figures.table_files"),
    log:
        "logs/{study}/tables/{name}.log",
    wildcard_constraints:
        name=named({name for kind in KINDS.values() for name, table in kind.tables.items() if not table.judged}),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    shell:
        r"""
        flatminima table \
            --kind {params.kind:q} \
            --measures {input.measures:q} {params.details:q} \
            --output {output.html:q} \
            {wildcards.name:q} 2>&1 | tee {log:q} >&2
        """


rule sensitivity:
    """The table of verdicts on experiments that change one choice of another."""
    localrule: True
    input:
        ledger=shipped("workflow/claims.yaml"),
        measures="results/{study}/measures.parquet",
    output:
        multiext("results/{study}/tables/{name}", ".csv", ".tex"),
        html=report(
            "results/{study}/tables/{name}.html",
            caption="../report/table.rst",
            category="{study}",
            subcategory="tables",
        ),
    params:
        settings=lambda w: json.dumps([variation.model_dump() for variation in kind(w).variations(study(w))]),
        code=code_digest("flatminima.stages.sensitivity"),
    log:
        "logs/{study}/tables/{name}.log",
    wildcard_constraints:
        name="sensitivity",
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    shell:
        r"""
        flatminima sensitivity \
            --settings {params.settings:q} \
            --ledger {input.ledger:q} \
            --measures {input.measures:q} \
            --output {output.html:q} 2>&1 | tee {log:q} >&2
        """
