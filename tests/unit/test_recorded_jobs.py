"""Jobs of a manifest are known by their commands, since a workflow that imports this one may rename its rules."""

import pytest
from audited import PREFIX, manifest

from flatminima.audit.jobs import is_evidence, recorded_jobs


@pytest.mark.parametrize("rule", ["{}", "fm_{}"], ids=["here", "imported"])
def test_jobs_are_known_by_their_commands(rule):
    data = {
        "path": f"{PREFIX}data/a.safetensors",
        "command": ["flatminima", "data", "a", "data"],
        "rule": rule.format("data"),
        "inputs": {},
    }
    checked = {
        "path": f"{PREFIX}measures/crosscheck-a.parquet",
        "command": ["flatminima", "crosscheck", "--output", f"{PREFIX}measures/crosscheck-a.parquet"],
        "rule": rule.format("crosscheck"),
        "inputs": {},
    }
    common = {"sha256": "0" * 64, "size": 1, "code": None}
    jobs = recorded_jobs(manifest(settings={"dataset": {"name": "mnist"}}, outputs=[data | common, checked | common]))
    assert [job.dataset for job in jobs] == ["mnist", None]
    assert [is_evidence(job, PREFIX) for job in jobs] == [False, False]
