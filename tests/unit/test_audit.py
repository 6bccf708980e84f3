"""The level of code, and what an audit prints, on manifests made by hand."""

import json
from pathlib import Path

import pytest
import yaml
from audited import PREFIX, manifest

from flatminima.audit.audit import Audit, for_machines, for_people, tally
from flatminima.audit.code import check_code
from flatminima.audit.machine import same_machine
from flatminima.audit.outcome import Level
from flatminima.config import Config
from flatminima.provenance.digest import code_digest
from flatminima.provenance.environment import environment, packages
from flatminima.settings.parsing import parse

ROOT = Path(__file__).resolve().parents[2]
CONFIG = parse(Config, yaml.safe_load((ROOT / "config.yaml").read_text()), "config.yaml")
SETTINGS = CONFIG.studies["theory"].model_dump(mode="json")
CODE = {"sha256": code_digest("flatminima.errors"), "modules": ["flatminima.errors"], "files": []}


def of_theory(code=CODE, settings=SETTINGS, **changes):
    """A manifest of one file of the study theory."""
    output = {"path": "results/theory/a.txt", "sha256": "0" * 64, "size": 1, "rule": "attack", "command": []}
    changes = {"packages": packages(), **changes}
    return manifest(study="theory", settings=settings, outputs=[output | {"code": code, "inputs": {}}], **changes)


def test_the_code_and_the_settings_of_this_checkout_pass():
    level = check_code(of_theory(), CONFIG, ROOT)
    assert (level.passed, level.checked, len(level.notes)) == (True, "1 digests", 2)


@pytest.mark.parametrize(
    ("code", "found"),
    [
        (CODE | {"sha256": "0" * 64}, "made by other code of flatminima.errors (rule attack)"),
        (CODE | {"modules": ["flatminima.gone"]}, "flatminima.gone: no such module in"),
        (CODE | {"files": ["report/templates/*"]}, "made by other code of flatminima.errors (rule attack)"),
        (None, "no record of the code that made it (rule attack)"),
    ],
)
def test_other_code_is_found(code, found):
    (finding,) = check_code(of_theory(code), CONFIG, ROOT).findings
    assert finding.startswith(f"results/theory/a.txt: {found}")


def test_other_settings_are_found():
    changed = {**SETTINGS, "title": "Other", "more": 1}
    assert check_code(of_theory(settings=changed), CONFIG, ROOT).findings == (
        "config.yaml: studies.theory: not the settings of the manifest: title, more; where the run was given "
        "--configfile or --config, give the audit the same settings with --configfile FILE",
    )


def test_a_study_that_is_not_configured_is_found():
    found = "config.yaml: has no study 'toy'; give the file that has it with --configfile FILE"
    assert found in check_code(manifest(), CONFIG, ROOT).findings


def test_other_versions_are_noted():
    older = {**packages(), "torch": "1.0"}
    notes = check_code(of_theory(packages=older), CONFIG, ROOT).notes
    assert f"torch: made with 1.0, here is {packages()['torch']}" in notes


def test_a_machine_is_the_same_when_software_and_hardware_are():
    assert same_machine(manifest(environment=environment()))
    assert not same_machine(manifest(environment=environment() | {"torch": "1.0"}))
    assert not same_machine(manifest(environment=environment() | {"Vector instructions": "sse2"}))


def test_a_machine_is_another_with_other_versions_of_what_draws_or_writes_files():
    """Pictures depend on matplotlib and pillow, tables on pyarrow; none of them is named in the environment."""
    assert {"matplotlib", "pillow", "pyarrow", "jinja2", "markupsafe"} <= packages().keys() - environment().keys()
    assert same_machine(manifest(environment=environment(), packages=packages()))
    for name in ("matplotlib", "pyarrow"):
        assert not same_machine(manifest(environment=environment(), packages=packages() | {name: "1.0"}))


def test_manifests_that_say_less_are_compared_by_what_they_say():
    said = {name: text for name, text in environment().items() if name != "Vector instructions"}
    assert same_machine(manifest(environment=said, packages={"numpy": packages()["numpy"]}))
    assert not same_machine(manifest(environment={**said, "Processor": "another"}))


@pytest.mark.parametrize(
    ("variable", "value"),
    [("ATEN_CPU_CAPABILITY", "default"), ("OPENBLAS_CORETYPE", "Haswell"), ("ONEDNN_MAX_CPU_ISA", "AVX2")],
)
def test_fewer_instructions_by_choice_are_another_machine(monkeypatch, variable, value):
    made = manifest(environment=environment())
    monkeypatch.setenv(variable, value)
    assert not same_machine(made)
    assert same_machine(manifest(environment=environment()))


@pytest.fixture
def outcome():
    findings = tuple(f"{PREFIX}{k}: missing" for k in range(12))
    levels = Level("integrity", "Whole?", "5 files", findings), Level("code", "Ours?", "1 digests", (), ("a note",))
    return Audit("results/toy", levels, (0.5, 1.25))


def test_people_read_a_line_for_each_level_and_the_first_findings(outcome):
    lines = for_people(outcome).splitlines()
    assert lines[0] == "results/toy"
    assert [line.split()[:2] for line in lines[1:3]] == [["integrity", "FAILED"], ["code", "PASSED"]]
    assert sum("FAILED: results/toy/" in line for line in lines) == 10
    assert "  integrity: 2 more findings; --json FILE has them all" in lines
    assert "  code: note: a note" in lines
    assert all(len(line) <= 120 for line in lines)


def test_a_level_that_could_not_run_is_not_called_passed(outcome):
    level = Level("recomputation", "Again?", "0 files", (), ("no data",), ran=False)
    alone = Audit("results/toy", (level,), (0.0,))
    assert for_people(alone).splitlines()[1].split()[:3] == ["recomputation", "NOT", "RUN"]
    (result,) = json.loads(for_machines([alone]))
    assert (result["levels"][0]["ran"], result["levels"][0]["outcome"]) == (False, "NOT RUN")


def test_what_is_older_is_printed_and_counted_apart_and_is_no_failure(outcome):
    older = Level("code", "Ours?", "1 digests", (), older=("made at commit a",))
    alone = Audit("results/toy", (older,), (0.0,))
    lines = for_people(alone).splitlines()
    assert lines[1].split()[:2] == ["code", "OLDER"]
    assert lines[2] == "  code: OLDER: made at commit a"
    (result,) = json.loads(for_machines([alone]))
    assert (result["passed"], result["levels"][0]["outcome"]) == (True, "OLDER")
    assert tally([outcome, alone, alone]) == "in all: 1 PASSED, 1 FAILED, 2 OLDER"
    both = Audit("results/toy", (Level("code", "Ours?", "1 digests", ("wrong",), older=("made at a",)),), (0.0,))
    assert tally([both]) == "in all: 1 FAILED"


def test_machines_read_all_findings(outcome):
    (result,) = json.loads(for_machines([outcome]))
    assert (result["folder"], result["passed"]) == ("results/toy", False)
    first, second = result["levels"]
    assert (first["passed"], len(first["findings"]), first["seconds"]) == (False, 12, 0.5)
    assert (second["passed"], second["notes"]) == (True, ["a note"])
