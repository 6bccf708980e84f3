rule figure:
    """One figure, and the data it shows."""
    localrule: True
    input:
        ledger=shipped("workflow/claims.yaml"),
        measures="results/{study}/measures.parquet",
        details=lambda w: [f"results/{w.study}/{table}.parquet" for table in DETAILS[study(w).kind]],
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
        without=lambda w: [f"--without={experiment}" for experiment in left_out(w)],
        code=lambda w: code_digest(figure_module(w), "flatminima.figures.figure_files"),
    log:
        "logs/{study}/figures/{name}.log",
    benchmark:
        "logs/{study}/figures/{name}.tsv"
    wildcard_constraints:
        name=rf"({'|'.join(FIGURES)})(-[a-z0-9_]+)?",
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    shell:
        r"""
        flatminima figure \
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
        details=lambda w: ["results/{study}/curves.parquet"] if study(w).kind == "perceptron" else [],
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
        code=lambda w: code_digest(f"flatminima.figures.{study(w).kind}.tables", "flatminima.figures.table_files"),
    log:
        "logs/{study}/tables/{name}.log",
    benchmark:
        "logs/{study}/tables/{name}.tsv"
    wildcard_constraints:
        name=named({name for names in TABLES.values() for name in names}),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    shell:
        r"""
        flatminima table \
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
        settings=lambda w: json.dumps([variation.model_dump() for variation in variations(w.study)]),
        code=code_digest("flatminima.figures.training.sensitivity"),
    log:
        "logs/{study}/tables/{name}.log",
    benchmark:
        "logs/{study}/tables/{name}.tsv"
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
