rule report:
    """The page of one study: verdicts, evidence, protocol and environment."""
    localrule: True
    input:
        claims="results/{study}/claims.json",
        changes=shipped("workflow/predicates.yaml"),
        measures="results/{study}/measures.parquet",
        figures=lambda w: stage("figures", [w.study]),
        tables=lambda w: stage("tables", [w.study]),
    output:
        report(
            "results/{study}/report/index.html",
            caption="../report/report.rst",
            category="{study}",
            subcategory="report",
        ),
    params:
        settings=lambda w: labelled(study(w)),
        figures=lambda w, input: [f"--figure={figure}" for figure in input.figures],
        tables=lambda w, input: [f"--table={table}" for table in input.tables],
        code=lambda w: code_digest(
            "flatminima.report.page", f"flatminima.studies.{kind(w).name}", data=["report/templates/*"]
        ),
    log:
        "logs/{study}/report.log",
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    shell:
        r"""
        flatminima report \
            --study {wildcards.study:q} \
            --settings {params.settings:q} \
            --claims {input.claims:q} \
            --changes {input.changes:q} \
            {params.figures:q} {params.tables:q} \
            --output {output:q} 2>&1 | tee {log:q} >&2
        """
