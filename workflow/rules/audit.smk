rule manifest:
    """Every file of one study, and where it came from."""
    localrule: True
    input:
        lambda w: [file for name in kind(w).stages for file in stage(name, [w.study])],
    output:
        "results/{study}/manifest.json",
    params:
        settings=lambda w: labelled(study(w)),
        # Networks are found from what was made of them; there may be too many for one command.
        targets=lambda w: [file for name in kind(w).stages if name != "train" for file in stage(name, [w.study])],
        repository=placed(REPOSITORY),
        code=code_digest("flatminima.stages.manifest"),
    log:
        "logs/{study}/manifest.log",
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    shell:
        r"""
        flatminima manifest \
            --study {wildcards.study:q} \
            --settings {params.settings:q} \
            --repository {params.repository:q} \
            --output {output:q} \
            {params.targets:q} 2>&1 | tee {log:q} >&2
        """
