rule attack:
    """Searches for global minima that break one statement of theory."""
    output:
        "results/{study}/measures/{statement}.parquet",
    params:
        settings=lambda w: settings(study(w).attack),
        code=code_digest("flatminima.stages.attack"),
    log:
        "logs/{study}/measure/{statement}.log",
    wildcard_constraints:
        study=named(studies("theory")),
        statement=r"attack_\w+",
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    shell:
        r"""
        flatminima attack \
            --study {wildcards.study:q} \
            --settings {params.settings:q} \
            --output {output:q} \
            {wildcards.statement:q} 2>&1 | tee {log:q} >&2
        """


rule construct:
    """Global minima of random linear problems, made to order and measured."""
    output:
        "results/{study}/measures/minima.parquet",
    params:
        settings=lambda w: settings(study(w).minima),
        code=code_digest("flatminima.stages.construct"),
    log:
        "logs/{study}/measure/minima.log",
    wildcard_constraints:
        study=named(studies("theory")),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    shell:
        r"""
        flatminima construct \
            --study {wildcards.study:q} \
            --settings {params.settings:q} \
            --output {output:q} 2>&1 | tee {log:q} >&2
        """


rule converge:
    """Training on random linear problems from one kind of start, and where it ends."""
    output:
        "results/{study}/measures/{start}.parquet",
    params:
        settings=lambda w: settings(study(w).convergence),
        code=code_digest("flatminima.stages.converge"),
    log:
        "logs/{study}/measure/{start}.log",
    wildcard_constraints:
        study=named(studies("theory")),
        start=named({start for values in studies("theory").values() for start in values.starts}),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    shell:
        r"""
        flatminima converge \
            --study {wildcards.study:q} \
            --settings {params.settings:q} \
            --output {output:q} \
            {wildcards.start:q} 2>&1 | tee {log:q} >&2
        """


rule price:
    """The price of balance: how much sharper than necessary balanced minima are."""
    output:
        "results/{study}/measures/price.parquet",
    params:
        settings=lambda w: settings(study(w).price),
        code=code_digest("flatminima.stages.price"),
    log:
        "logs/{study}/measure/price.log",
    wildcard_constraints:
        study=named(studies("theory")),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    shell:
        r"""
        flatminima price \
            --study {wildcards.study:q} \
            --settings {params.settings:q} \
            --output {output:q} 2>&1 | tee {log:q} >&2
        """


rule scaled_residual:
    """Linear residual networks with a fixed last projection, from starts of several scales."""
    output:
        "results/{study}/measures/scaled_residual.parquet",
    params:
        settings=lambda w: settings(study(w).scaled_residual),
        code=code_digest("flatminima.stages.scaled_residual"),
    log:
        "logs/{study}/measure/scaled_residual.log",
    wildcard_constraints:
        study=named(studies("theory")),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    shell:
        r"""
        flatminima scaled-residual \
            --study {wildcards.study:q} \
            --settings {params.settings:q} \
            --output {output:q} 2>&1 | tee {log:q} >&2
        """
