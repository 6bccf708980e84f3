rule train:
    """Replicas (seed x step size) of one experiment at one depth, all or those of some seeds, in one stack."""
    input:
        samples=task_file(".safetensors"),
        moments=task_file("-moments.safetensors"),
        bounds=lambda w: f"results/{w.study}/bounds/{experiment(w).task}.json",
    output:
        networks="results/{study}/networks/{experiment}-depth{depth}{part}.safetensors",
        history="results/{study}/histories/{experiment}-depth{depth}{part}.parquet",
    params:
        settings=lambda w: settings(experiment(w).model_dump(exclude={"baseline"})),
        part=lambda w: w.part.replace("-part", "--part="),
        code=code_digest("flatminima.stages.train"),
    log:
        "logs/{study}/train/{experiment}-depth{depth}{part}.log",
    priority: lambda w: 2 * int(w.depth) + 1  # the longest jobs begin first
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
        device=CONFIG.device,  # no parameter: what is computed does not depend on where
    shell:
        r"""
        flatminima train \
            --study {wildcards.study:q} \
            --settings {params.settings:q} {params.part} \
            --samples {input.samples:q} \
            --moments {input.moments:q} \
            --bounds {input.bounds:q} \
            --networks {output.networks:q} \
            --history {output.history:q} \
            --device {resources.device:q} \
            {wildcards.experiment:q} {wildcards.depth} 2>&1 | tee {log:q} >&2
        """
