"""Snakemake's own process: what `make` runs in place of the command `snakemake`."""

import subprocess
import sys
from pathlib import Path

import pytest

JOBS = 40
SNAKEFILE = f"""
import threading

onsuccess:
    print("threads at the end:", threading.active_count())

rule all:
    input: expand("made/{{number}}", number=range({JOBS}))

rule make:
    output: "made/{{number}}"
    shell: "echo {{wildcards.number}} > {{output}}"
"""
WORKFLOW = [sys.executable, "-m", "flatminima.workflow"]


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    arguments = [*command, "--cores", "2", "--scheduler", "greedy"]
    return subprocess.run(arguments, cwd=folder, capture_output=True, text=True, timeout=300)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    return tmp_path


def test_no_timer_is_left_for_any_job_where_the_command_snakemake_leaves_dozens(folder):
    done = run(folder, *WORKFLOW)
    assert done.returncode == 0, done.stderr
    assert len(list((folder / "made").iterdir())) == JOBS
    assert "threads at the end: 1\n" in done.stdout
    (folder / "Snakefile").write_text(SNAKEFILE.replace("made/", "again/"))
    usual = run(folder, "snakemake")
    assert int(usual.stdout.partition("threads at the end: ")[2].split()[0]) > 10


def test_a_failing_job_and_a_wrong_option_have_exit_codes_of_their_own(folder):
    (folder / "Snakefile").write_text('rule all:\n    output: "made"\n    shell: "exit 3"\n')
    assert run(folder, *WORKFLOW).returncode == 1
    wrong = run(folder, *WORKFLOW, "--no-such-option")
    assert wrong.returncode == 2
    assert "unrecognized arguments: --no-such-option" in wrong.stderr
