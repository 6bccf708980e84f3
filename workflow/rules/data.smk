rule data:
    """Samples and second moments of one task."""
    localrule: True
    output:
        samples="results/{study}/data/{task}.safetensors",
        moments="results/{study}/data/{task}-moments.safetensors",
        checksums="results/{study}/data/{task}.sha256",
    params:
        settings=lambda w: settings(
            {
                "dataset": study(w).dataset.model_dump(),
                "task": study(w).tasks[w.task].model_dump(),
            }
        ),
        data_root=CONFIG.data_root,
        images=lambda w: images_digest(study(w).dataset.path, CONFIG.data_root),
        code=code_digest("flatminima.stages.data"),
    log:
        "logs/{study}/data/{task}.log",
    wildcard_constraints:
        task="[a-z0-9_]+",
    priority: 100
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    shell:
        r"""
        flatminima data \
            --study {wildcards.study:q} \
            --settings {params.settings:q} \
            --samples {output.samples:q} \
            --moments {output.moments:q} \
            --checksums {output.checksums:q} \
            {wildcards.task:q} {params.data_root:q} 2>&1 | tee {log:q} >&2
        """


rule bound:
    """Certified minimal sharpness of linear networks on one task, for every depth."""
    input:
        moments="results/{study}/data/{task}-moments.safetensors",
    output:
        "results/{study}/bounds/{task}.json",
    params:
        settings=lambda w: json.dumps(experiments.depths(study(w), w.task)),
        code=code_digest("flatminima.stages.bound"),
    log:
        "logs/{study}/bounds/{task}.log",
    priority: 100
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    shell:
        r"""
        flatminima bound \
            --moments {input.moments:q} \
            --settings {params.settings:q} \
            --output {output:q} 2>&1 | tee {log:q} >&2
        """
