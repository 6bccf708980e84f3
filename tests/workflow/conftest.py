"""Projects to run the workflow in: fresh ones, and copies of one that has run."""

import fcntl
import json
import signal
import sys
from collections.abc import Iterator

import pytest
from project import Project

from flatminima import cli


@pytest.fixture
def project(tmp_path):
    """A project without results."""
    return Project.create(tmp_path / "project")


@pytest.fixture(scope="session")
def first_run(tmp_path_factory):
    """A project that ran once, from nothing, and what it printed; shared by all workers, so it must not be changed."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if own.name.startswith("popen-") else own
    record = shared / "first-run.json"
    with (shared / "first-run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not record.exists():
            run = Project.create(shared / "first-run").snakemake()
            record.write_text(json.dumps({"code": run.returncode, "output": run.stdout}))
    return Project(shared / "first-run"), json.loads(record.read_text())


@pytest.fixture(scope="session")
def finished(first_run):
    """The project that ran once, to compare with; it must not be changed."""
    project, run = first_run
    assert run["code"] == 0, run["output"]
    return project


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the project that ran once, to change at will."""
    return finished.copy(tmp_path / "copied")


class Outcome:
    """Exit code and output of a command that ran in this process."""

    def __init__(self, code: int, output: str, error: str) -> None:
        self.code, self.output, self.error = code, output, error


@pytest.fixture
def command(monkeypatch, capfd) -> Iterator:
    """Run `flatminima` in this process: quicker than a new one by the import of torch, and open to monkeypatching."""
    before = signal.getsignal(signal.SIGTERM)

    def run(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["flatminima", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        return Outcome(end.value.code or 0, *capfd.readouterr())

    yield run
    signal.signal(signal.SIGTERM, before)
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)
