rule measure:
    """Sharpness, balance and coupling of every replica of one file and of its unbalanced control; coupling of nulls."""
    input:
        networks="results/{study}/networks/{experiment}-depth{depth}{part}.safetensors",
        samples=task_file(".safetensors"),
        moments=task_file("-moments.safetensors"),
    output:
        measures="results/{study}/measures/{experiment}-depth{depth}{part}.parquet",
        shared="results/{study}/shared/{experiment}-depth{depth}{part}.parquet",
    params:
        settings=lambda w: settings(study(w).measure),
        unbalance=lambda w: [f"--unbalance={scale}" for scale in [experiment(w).unbalance] if scale],
        code=code_digest("flatminima.stages.measure"),
    log:
        "logs/{study}/measure/{experiment}-depth{depth}{part}.log",
    wildcard_constraints:
        study=named(studies("training")),
    priority: lambda w: 2 * int(w.depth)
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
        device=CONFIG.device,  # no parameter: what is computed does not depend on where
    shell:
        r"""
        flatminima measure \
            --samples {input.samples:q} \
            --moments {input.moments:q} \
            --settings {params.settings:q} {params.unbalance} \
            --measures {output.measures:q} \
            --shared {output.shared:q} \
            --device {resources.device:q} \
            {input.networks:q} 2>&1 | tee {log:q} >&2
        """


rule crosscheck:
    """Sharpness of one network of every experiment on a task by other libraries, but variations and convolutions."""
    input:
        networks=checked_networks,
        samples="results/{study}/data/{task}.safetensors",
        moments="results/{study}/data/{task}-moments.safetensors",
    output:
        "results/{study}/measures/crosscheck-{task}.parquet",
    params:
        code=code_digest("flatminima.stages.crosscheck"),
    log:
        "logs/{study}/measure/crosscheck-{task}.log",
    wildcard_constraints:
        study=named(studies("training")),
        task="[a-z0-9_]+",
    threads: 1
    resources:
        mem_mb=1500,
        runtime=60,
    shell:
        r"""
        flatminima crosscheck \
            --samples {input.samples:q} \
            --moments {input.moments:q} \
            --output {output:q} \
            {input.networks:q} 2>&1 | tee {log:q} >&2
        """


rule collect:
    """One tidy table of all parts of a study."""
    localrule: True
    input:
        files_of(table_parts),
    output:
        "results/{study}/{table}.parquet",
    params:
        tables=table_parts,
        code=code_digest("flatminima.stages.collect"),
    log:
        "logs/{study}/collect/{table}.log",
    wildcard_constraints:
        table=named({table for kind in KINDS.values() for table in kind.record}),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    shell:
        r"""
        flatminima collect --output {output:q} {params.tables:q} 2>&1 | tee {log:q} >&2
        """
