SOLVERS = {solver for values in studies("perceptron").values() for solver, _ in values.searched()}


rule replica:
    """One part of the replica theory of the binary perceptron."""
    output:
        measures="results/{study}/measures/{part}.parquet",
        curves="results/{study}/curves/{part}.parquet",
    params:
        settings=lambda w: settings(study(w).theory),
        code=lambda w: code_digest(f"flatminima.stages.{w.part}"),
    log:
        "logs/{study}/measure/{part}.log",
    wildcard_constraints:
        study=named(studies("perceptron")),
        part="typical|surroundings|transitions",
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    shell:
        r"""
        flatminima replica \
            --study {wildcards.study:q} \
            --settings {params.settings:q} \
            --measures {output.measures:q} \
            --curves {output.curves:q} \
            {wildcards.part:q} 2>&1 | tee {log:q} >&2
        """


rule enumerate:
    """All solutions of small perceptrons."""
    output:
        measures="results/{study}/measures/enumeration.parquet",
        curves="results/{study}/curves/enumeration.parquet",
    params:
        settings=lambda w: settings(study(w).enumeration),
        code=code_digest("flatminima.stages.enumerate"),
    log:
        "logs/{study}/measure/enumeration.log",
    wildcard_constraints:
        study=named(studies("perceptron")),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    shell:
        r"""
        flatminima enumerate \
            --study {wildcards.study:q} \
            --settings {params.settings:q} \
            --measures {output.measures:q} \
            --curves {output.curves:q} 2>&1 | tee {log:q} >&2
        """


rule solve:
    """One solver on random perceptrons of one size."""
    output:
        "results/{study}/solutions/{solver}-{size}.safetensors",
    params:
        settings=lambda w: settings(study(w).attempts(w.solver, int(w.size))),
        code=code_digest("flatminima.stages.solve"),
    log:
        "logs/{study}/measure/search-{solver}-{size}.log",
    wildcard_constraints:
        study=named(studies("perceptron")),
        solver=named(SOLVERS),
        size=r"\d+",
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
    shell:
        r"""
        flatminima solve \
            --study {wildcards.study:q} \
            --settings {params.settings:q} \
            --output {output:q} \
            {wildcards.solver:q} {wildcards.size} 2>&1 | tee {log:q} >&2
        """


rule survey:
    """What surrounds the solutions that one solver found."""
    input:
        "results/{study}/solutions/{solver}-{size}.safetensors",
    output:
        measures="results/{study}/measures/solver-{solver}-{size}.parquet",
        curves="results/{study}/curves/solver-{solver}-{size}.parquet",
    params:
        settings=lambda w: settings(study(w).survey),
        code=code_digest("flatminima.stages.survey"),
    log:
        "logs/{study}/measure/solver-{solver}-{size}.log",
    wildcard_constraints:
        study=named(studies("perceptron")),
        solver=named(SOLVERS),
        size=r"\d+",
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    shell:
        r"""
        flatminima survey \
            --study {wildcards.study:q} \
            --settings {params.settings:q} \
            --solutions {input:q} \
            --measures {output.measures:q} \
            --curves {output.curves:q} \
            {wildcards.solver:q} {wildcards.size} 2>&1 | tee {log:q} >&2
        """


rule plant:
    """What surrounds planted solutions, which no solver found."""
    output:
        "results/{study}/measures/planted-{size}.parquet",
    params:
        settings=lambda w: settings(study(w).planted(int(w.size))),
        code=code_digest("flatminima.stages.plant"),
    log:
        "logs/{study}/measure/planted-{size}.log",
    wildcard_constraints:
        study=named(studies("perceptron")),
        size=r"\d+",
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    shell:
        r"""
        flatminima plant \
            --study {wildcards.study:q} \
            --settings {params.settings:q} \
            --output {output:q} \
            {wildcards.size} 2>&1 | tee {log:q} >&2
        """
