"""The pages of benchmarks speak of the workflow as it is."""

import re
import shutil

from project import ROOT, Project

from flatminima.report.times import default_run


def test_the_benchmarked_run_has_the_jobs_of_today(tmp_path):
    project = Project.create(tmp_path / "project")
    shutil.copy2(ROOT / "config.yaml", project.folder / "config.yaml")
    shown = project.snakemake("--dry-run", "--quiet=rules")
    assert shown.returncode == 0, shown.stdout[-2000:]
    total = re.search(r"^total +(\d+)$", shown.stdout, re.MULTILINE)
    assert default_run(ROOT / "docs" / "benchmarks.md")["jobs"] == total[1]
