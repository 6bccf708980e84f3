"""A copy of the project in a folder of its own, with a configuration that trains in about a minute."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from planner import with_forks

ROOT = Path(__file__).resolve().parents[2]
TINY = Path(__file__).with_name("tiny.yaml")
COPIED = ["Makefile", "README.md", "Snakefile", "docs", "profiles", "pyproject.toml", "requirements.lock"]
COPIED += ["src", "workflow"]
TABLES_SHOWN = "<!-- digits/sensitivity:begin -->\n<!-- digits/sensitivity:end -->\n"
"""docs/results.md with a table of the tiny configuration; the shipped page shows studies that it has not."""
TIMEOUT = 1200.0
"""Seconds after which a command hangs; the longest takes about one minute on two idle cores."""
BINARIES = Path(sys.executable).parent
JOB = re.compile(r"^(?:local)?rule (\w+):\n((?:    .*\n)*)", re.MULTILINE)


@dataclass(frozen=True)
class Project:
    """A folder with its own code, configuration and results."""

    folder: Path

    @classmethod
    def create(cls, folder: Path) -> "Project":
        """Copy what the workflow reads, and take the tiny configuration."""
        folder.mkdir(parents=True)
        for name in COPIED:
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, folder / name)
        shutil.copy2(TINY, folder / "config.yaml")
        (folder / "docs" / "results.md").write_text(TABLES_SHOWN)
        return cls(folder)

    def copy(self, folder: Path) -> "Project":
        """The same, results and Snakemake's memory of them included."""
        return Project(shutil.copytree(self.folder, folder))

    def environment(self, **variables: str) -> dict[str, str]:
        """Environment in which commands run the code of this folder."""
        inherited = {name: text for name, text in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        path = f"{BINARIES}{os.pathsep}{inherited['PATH']}"
        own = {"PATH": path, "PYTHONPATH": str(self.folder / "src"), "OMP_NUM_THREADS": "1"}
        return inherited | own | variables

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command here; standard error goes to standard output, in the order in which a person sees them."""
        environment = self.environment(**variables)
        if command[0] == "snakemake":
            environment = with_forks(environment)
        return subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
        )

    def snakemake(self, *arguments: str, cores: int = 2) -> subprocess.CompletedProcess[str]:
        """Run the workflow as `make reproduce` does."""
        return self.run(*self.snakemake_command(*arguments, cores=cores))

    @staticmethod
    def snakemake_command(*arguments: str, cores: int = 2) -> list[str]:
        """Options come after the targets, since some take any number of values."""
        targets = [text for text in arguments if not text.startswith("-")]
        options = [text for text in arguments if text.startswith("-")]
        return ["snakemake", *targets, "--cores", str(cores), *options]

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run make, with the environment that runs the tests in place of its own."""
        return self.run("make", "--old-file=environment", *arguments)

    def planned(self, *arguments: str) -> set[tuple[str, str]]:
        """Rule and wildcards of every job that a run would start, targets apart; wildcards as `study=digits`."""
        run = self.snakemake("--dry-run", *arguments)
        assert run.returncode == 0, run.stdout
        return {job for job in jobs(run.stdout) if job[1]}

    def edit(self, name: str, old: str, new: str, count: int = 1) -> None:
        """Replace a text that occurs `count` times in a file."""
        path = self.folder / name
        text = path.read_text()
        assert text.count(old) == count, f"{name}: {text.count(old)} times {old!r}, expected {count}"
        path.write_text(text.replace(old, new))

    def configure(self, *keys: str, value: Any) -> None:
        """Set one value of config.yaml, given the keys that lead to it."""
        path = self.folder / "config.yaml"
        settings = json.loads(json.dumps(yaml.safe_load(path.read_text())))  # sections that aliases share become two
        section = settings
        for key in keys[:-1]:
            section = section[int(key) if isinstance(section, list) else key]
        section[keys[-1]] = value
        path.write_text(yaml.safe_dump(settings, sort_keys=False))

    def files(self, folder: str = "results") -> dict[str, bytes]:
        """Content of every file below a folder, hidden ones included."""
        paths = sorted(path for path in (self.folder / folder).rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in paths}

    def times(self, folder: str = "results") -> dict[str, int]:
        """When every file below a folder was last written, in nanoseconds."""
        return {name: (self.folder / name).stat().st_mtime_ns for name in self.files(folder)}


def jobs(output: str) -> list[tuple[str, str]]:
    """Rule and wildcards of every job that Snakemake announces."""
    found = []
    for rule, details in JOB.findall(output):
        wildcards = re.search(r"^    wildcards: (.*)$", details, re.MULTILINE)
        found.append((rule, wildcards[1] if wildcards else ""))
    return found


def different(left: dict[str, bytes], right: dict[str, bytes]) -> list[str]:
    """Names of files that only one side has, or whose content is not the same, the circumstances of runs apart."""
    return [name for name in sorted(left.keys() | right.keys()) if _lasting(name, left) != _lasting(name, right)]


def _lasting(name: str, files: dict[str, bytes]) -> bytes | None:
    """Content of a file; of a manifest, what does not change from run to run."""
    content = files.get(name)
    if content is None or not name.endswith("/manifest.json"):
        return content
    return json.dumps({**json.loads(content), "circumstances": None}).encode()


def temporaries(names: Iterable[str]) -> list[str]:
    """Names that a file has only while it is written."""
    return [name for name in names if Path(name).name.startswith(".") and Path(name).name != ".snakemake_timestamp"]
