"""A run that is killed again and again, and two runs at once: nothing is corrupted."""

import os
import signal
import time

import numpy as np
from processes import PATIENCE, running, wait_for
from project import different, temporaries

from flatminima.audit.integrity import check_integrity
from flatminima.provenance.manifest import read_manifest

KILLS = 10
TARGETS = ["patches", "theory"]


def test_ten_kills_at_random_points_then_a_resume_end_with_the_same_bytes(project, finished):
    """SIGKILL to Snakemake and all its jobs; afterwards only hidden files that were being written are left over."""
    random = np.random.default_rng(20)
    for _ in range(KILLS):
        with running(project, *TARGETS) as process:
            end = time.monotonic() + random.uniform(2.0, 8.0)
            while time.monotonic() < end and process.poll() is None:
                time.sleep(0.01)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        assert project.snakemake("--unlock").returncode == 0
    resumed = project.snakemake(*TARGETS)
    assert resumed.returncode == 0, resumed.stdout
    for study in TARGETS:
        folder = project.folder / "results" / study
        for name in temporaries(project.files(f"results/{study}")):
            (project.folder / name).unlink()
        assert different(project.files(f"results/{study}"), finished.files(f"results/{study}")) == []
        assert check_integrity(folder, read_manifest(folder), project.folder).findings == ()


def test_a_second_run_at_the_same_time_is_refused_and_the_first_one_ends_well(project, finished):
    with running(project, "theory") as first:
        wait_for(lambda: any((project.folder / ".snakemake/locks").glob("*")), first)
        wait_for(lambda: any((project.folder / "logs/theory").rglob("*.log")), first)
        second = project.snakemake("theory")
        assert first.poll() is None, "the first run ended before the second began"
        assert second.returncode != 0
        assert "locked" in second.stdout.lower()
        assert first.wait(PATIENCE) == 0
    assert different(project.files("results/theory"), finished.files("results/theory")) == []
