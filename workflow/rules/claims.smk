rule claims:
    """The verdict of every claim in the ledger."""
    localrule: True
    input:
        ledger=shipped("workflow/claims.yaml"),
        measures="results/{study}/measures.parquet",
    output:
        "results/{study}/claims.json",
    params:
        code=code_digest("flatminima.stages.claims"),
    log:
        "logs/{study}/claims.log",
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    shell:
        r"""
        flatminima claims \
            --study {wildcards.study:q} \
            --ledger {input.ledger:q} \
            --measures {input.measures:q} \
            --output {output:q} 2>&1 | tee {log:q} >&2
        """
