rule convolve:
    """Convolutional networks for the task of the networks that are rescaled."""
    input:
        samples=source_samples,
    output:
        "results/{study}/networks/convolutional.safetensors",
    params:
        settings=lambda w: settings(study(w).convolutional),
        code=code_digest("flatminima.stages.convolve"),
    log:
        "logs/{study}/train/convolutional.log",
    wildcard_constraints:
        study=named(studies("rescaling")),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    shell:
        r"""
        flatminima convolve \
            --study {wildcards.study:q} \
            --settings {params.settings:q} \
            --samples {input.samples:q} \
            --networks {output:q} 2>&1 | tee {log:q} >&2
        """


rule orbit:
    """The flattest network in the rescaling orbit of every network of one shape."""
    input:
        samples=source_samples,
        networks=files_of(subjects),
    output:
        "results/{study}/measures/orbit-{shape}.parquet",
    params:
        settings=lambda w: settings(study(w).orbits),
        code=code_digest("flatminima.stages.orbit"),
    log:
        "logs/{study}/measure/orbit-{shape}.log",
    wildcard_constraints:
        study=named(studies("rescaling")),
        shape=r"depth\d+|convolutional",
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    shell:
        r"""
        flatminima orbit \
            --study {wildcards.study:q} \
            --settings {params.settings:q} \
            --samples {input.samples:q} \
            --output {output:q} \
            {input.networks:q} 2>&1 | tee {log:q} >&2
        """


rule linear_orbit:
    """The flattest network in the orbits of linear networks, against theory's minimum."""
    input:
        moments=lambda w: source(w, f"data/{linear(w).task}-moments.safetensors"),
        bounds=lambda w: source(w, f"bounds/{linear(w).task}.json"),
        networks=files_of(linear_subjects),
    output:
        "results/{study}/measures/orbit-linear.parquet",
    params:
        settings=lambda w: settings(study(w).orbits),
        code=code_digest("flatminima.stages.linear_orbit"),
    log:
        "logs/{study}/measure/orbit-linear.log",
    wildcard_constraints:
        study=named(studies("rescaling")),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    shell:
        r"""
        flatminima linear-orbit \
            --study {wildcards.study:q} \
            --settings {params.settings:q} \
            --moments {input.moments:q} \
            --bounds {input.bounds:q} \
            --output {output:q} \
            {input.networks:q} 2>&1 | tee {log:q} >&2
        """


rule rescale:
    """The theorems of Dinh et al. 2017 on networks of one shape."""
    input:
        samples=source_samples,
        networks=files_of(subjects),
    output:
        measures="results/{study}/measures/theorems-{shape}.parquet",
        curves="results/{study}/curves/theorems-{shape}.parquet",
    params:
        demonstrations=lambda w: settings(study(w).demonstrations),
        orbits=lambda w: settings(study(w).orbits),
        code=code_digest("flatminima.stages.rescale"),
    log:
        "logs/{study}/measure/theorems-{shape}.log",
    wildcard_constraints:
        study=named(studies("rescaling")),
        shape=r"depth\d+|convolutional",
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    shell:
        r"""
        flatminima rescale \
            --study {wildcards.study:q} \
            --demonstrations {params.demonstrations:q} \
            --orbits {params.orbits:q} \
            --samples {input.samples:q} \
            --measures {output.measures:q} \
            --curves {output.curves:q} \
            {input.networks:q} 2>&1 | tee {log:q} >&2
        """


rule volume:
    """The volume of a minimum of two weights, sampled in a growing range."""
    localrule: True
    output:
        measures="results/{study}/measures/volume.parquet",
        curves="results/{study}/curves/volume.parquet",
    params:
        settings=lambda w: settings(study(w).demonstrations),
        code=code_digest("flatminima.stages.volume"),
    log:
        "logs/{study}/measure/volume.log",
    wildcard_constraints:
        study=named(studies("rescaling")),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    shell:
        r"""
        flatminima volume \
            --study {wildcards.study:q} \
            --settings {params.settings:q} \
            --measures {output.measures:q} \
            --curves {output.curves:q} 2>&1 | tee {log:q} >&2
        """
