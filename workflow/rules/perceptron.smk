rule replica:
    """One part of the replica theory of the binary perceptron."""
    output:
        measures="results/{study}/measures/{part}.parquet",
        curves="results/{study}/curves/{part}.parquet",
    params:
        settings=lambda w: settings(study(w).theory),
        code=lambda w: code_digest(f"flatminima.perceptron.{'transitions' if w.part == 'transitions' else 'typical'}"),
    log:
        "logs/{study}/measure/{part}.log",
    benchmark:
        "logs/{study}/measure/{part}.tsv"
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
        code=code_digest("flatminima.perceptron.enumerated"),
    log:
        "logs/{study}/measure/enumeration.log",
    benchmark:
        "logs/{study}/measure/enumeration.tsv"
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
    """One solver on random perceptrons, and what surrounds the solutions that it finds."""
    output:
        solutions="results/{study}/solutions/{solver}.safetensors",
        measures="results/{study}/measures/solver-{solver}.parquet",
        curves="results/{study}/curves/solver-{solver}.parquet",
    params:
        settings=lambda w: settings(study(w).runs),
        code=code_digest("flatminima.perceptron.searches", "flatminima.data.storage"),
    log:
        "logs/{study}/measure/solver-{solver}.log",
    benchmark:
        "logs/{study}/measure/solver-{solver}.tsv"
    wildcard_constraints:
        study=named(studies("perceptron")),
        solver=named({name for values in studies("perceptron").values() for name in values.solvers.value}),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    shell:
        r"""
        flatminima solve \
            --study {wildcards.study:q} \
            --settings {params.settings:q} \
            --solutions {output.solutions:q} \
            --measures {output.measures:q} \
            --curves {output.curves:q} \
            {wildcards.solver:q} 2>&1 | tee {log:q} >&2
        """
