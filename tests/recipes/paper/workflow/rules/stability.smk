rule descend:
    """Gradient descent beside minima of random quadratic losses."""
    output:
        "results/{study}/measures/descent.parquet",
    params:
        settings=lambda w: settings(study(w).descent),
        code=code_digest("flatminima.stages.descend"),
    log:
        "logs/{study}/measure/descent.log",
    wildcard_constraints:
        study=named(studies("stability")),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    shell:
        r"""
        flatminima descend \
            --study {wildcards.study:q} \
            --settings {params.settings:q} \
            --output {output:q} 2>&1 | tee {log:q} >&2
        """
