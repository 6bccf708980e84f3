"""Runs that are interrupted or killed: nothing half-made counts, and the next run ends with the same bytes."""

import json
import os
import signal
import sys

import pytest
import yaml
from processes import PATIENCE, running, wait_for
from project import TINY, Project, different, temporaries


def count(project: Project, pattern: str) -> int:
    return len(list(project.folder.glob(pattern)))


@pytest.fixture
def killed(project):
    """A project whose run was killed, its jobs too, when some networks were trained and others were in training."""
    with running(project, "digits") as process:
        wait_for(lambda: count(project, "results/digits/networks/*.safetensors") >= 3, process)
        os.killpg(process.pid, signal.SIGKILL)
    return project


def whole(project: Project) -> dict[str, bytes]:
    """Results, without what a killed process was just writing."""
    files = project.files("results/digits")
    return {name: content for name, content in files.items() if name not in temporaries(files)}


def test_a_killed_run_leaves_no_half_file_says_how_to_go_on_and_ends_the_same(killed, finished):
    reference = finished.files("results/digits")
    left = whole(killed)
    assert 3 <= sum("/networks/" in name for name in left) < sum("/networks/" in name for name in reference)
    assert [name for name, content in left.items() if content != reference[name]] == []

    refused = killed.make("reproduce", "CORES=2")
    assert refused.returncode != 0
    assert "Traceback" not in refused.stdout
    cure = "If no other run is at work in this folder, the last one was killed: make unlock, then this again"
    assert cure in refused.stdout.splitlines()

    unlocked = killed.make("unlock")
    assert unlocked.returncode == 0, unlocked.stdout
    before = killed.times()
    resumed = killed.snakemake("digits")
    assert resumed.returncode == 0, resumed.stdout
    assert different(whole(killed), reference) == []
    after = killed.times()
    kept = [name for name in left if after[name] == before[name]]
    assert any("/networks/" in name for name in kept), "finished networks were trained again"
    assert killed.planned("digits") == set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["interrupted", "terminated"])
def test_a_stopped_run_cleans_up_and_can_be_resumed(project, finished, number):
    target = "results/patches/networks/start_identity-depth2.safetensors"
    with running(project, target) as process:
        wait_for(lambda: count(project, "logs/patches/train/*.log") == 1, process)
        os.killpg(process.pid, number)
        assert process.wait(PATIENCE) != 0
    assert temporaries(project.files()) == []
    assert not list((project.folder / ".snakemake" / "locks").glob("*"))
    assert [name for name, content in project.files().items() if content != finished.files()[name]] == []
    resumed = project.snakemake(target)
    assert resumed.returncode == 0, resumed.stdout
    assert project.files()[target] == finished.files()[target]


STOPPED_WHILE_WRITING = """
import os
from flatminima import cli
from flatminima.data import storage

def half(arrays, path, metadata):
    path.write_bytes(b"half")
    os.kill(os.getpid(), {number})

storage.save_file = half
cli.main()
"""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)], ids=["terminated", "killed"]
)
def test_a_command_stopped_while_it_writes_leaves_no_output(project, finished, number, code):
    """A process that is killed cannot clean up: what it leaves is hidden, and no later run takes it for anything."""
    digits = yaml.safe_load(TINY.read_text())["studies"]["digits"]
    settings = json.dumps({"dataset": digits["dataset"], "task": digits["tasks"]["noisy"]})
    folder = "results/digits/data"
    files = ["--samples", f"{folder}/noisy.safetensors", "--moments", f"{folder}/noisy-moments.safetensors"]
    files += ["--checksums", f"{folder}/noisy.sha256"]
    arguments = ["data", "--study", "digits", "--settings", settings, *files, "noisy", "data"]

    stopped = project.run(sys.executable, "-c", STOPPED_WHILE_WRITING.format(number=int(number)), *arguments)
    assert stopped.returncode == code, stopped.stdout
    left = sorted(project.files())
    assert left == temporaries(left)
    assert len(left) == (number == signal.SIGKILL)

    assert project.run("flatminima", *arguments).returncode == 0
    reference = {name: content for name, content in finished.files().items() if name.startswith(f"{folder}/noisy")}
    made = {name: content for name, content in project.files().items() if name not in left}
    assert different(made, reference) == []
