"""The fork server of a workflow: a command runs as it would by itself, and ends when it or the workflow is stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from flatminima.forkclient import ADDRESS, THREADS

COMMAND = [sys.executable, "-c", "from flatminima.cli import main; main()"]
STARTER = f"""
import os
from flatminima import forkserver
forkserver.start()
print(os.environ["{ADDRESS}"], flush=True)
import sys; sys.stdin.read()
"""
PATIENCE = 60.0


def wait_for(condition):
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return found


@pytest.fixture(scope="module")
def starter():
    """A process that has started a server, and the path of the socket."""
    with subprocess.Popen([sys.executable, "-c", STARTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process, process.stdout.readline().decode().strip()
        process.stdin.close()


@pytest.fixture
def server(starter, monkeypatch):
    """The process of a server that commands of this test are handed to."""
    process, address = starter
    monkeypatch.setenv(ADDRESS, address)
    for name in THREADS:
        monkeypatch.setenv(name, "1")
    return psutil.Process(process.pid).children()[0]


def outcome(*arguments, **options):
    run = subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, **options)
    return run.returncode, run.stdout, run.stderr


def forks(server):
    return [child for child in server.children() if child.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def waiting(server, tmp_path):
    """A command that waits for a file to be written, and its fork."""
    os.mkfifo(tmp_path / "ledger")
    options = {"study": "toy", "ledger": tmp_path / "ledger", "measures": __file__, "output": tmp_path / "claims.json"}
    with subprocess.Popen([*COMMAND, "claims", *(f"--{name}={value}" for name, value in options.items())]) as command:
        (fork,) = wait_for(lambda: forks(server))
        yield command, fork
        command.kill()


def test_a_command_runs_as_it_would_by_itself(server, tmp_path, monkeypatch):
    """Output, errors and exit codes; in its own working folder."""
    (tmp_path / "results").mkdir()
    asked = [["--help"], ["schema"], ["verdicts", "results"], ["verdicts", "nowhere"], ["no-such-command"]]
    handed = [outcome(*arguments, cwd=tmp_path) for arguments in asked]
    assert [code for code, *_ in handed][-2:] == [2, 2]
    monkeypatch.delenv(ADDRESS)
    assert handed == [outcome(*arguments, cwd=tmp_path) for arguments in asked]


def test_a_command_has_its_own_environment_and_permissions(server, tmp_path):
    variables = os.environ | {"FLATMINIMA_TRACEBACK": "1"}
    code, _, error = outcome("verdicts", "nowhere", cwd=tmp_path, env=variables)
    assert code == 1
    assert "Traceback" in error
    figure = tmp_path / "schema.json"
    with figure.open("w") as file:
        subprocess.run([*COMMAND, "schema"], stdout=file, check=True)
    assert figure.read_text() == outcome("schema")[1]


def test_a_job_says_what_it_took(server):
    _, _, error = outcome("schema", env=os.environ | {"FLATMINIMA_JOB": "1"})
    assert error.startswith("cost: ")
    assert error.endswith(" MB, 1 thread\n")
    assert "cost" not in outcome("schema")[2]


def test_a_fork_ends_with_its_command(waiting):
    command, fork = waiting
    command.send_signal(signal.SIGKILL)
    fork.wait(PATIENCE)


def test_a_command_ends_with_its_fork(waiting):
    command, fork = waiting
    fork.kill()
    assert command.wait(PATIENCE) == 128 + signal.SIGKILL


def test_a_fork_that_ends_as_its_command_goes_leaves_the_server_at_work(waiting, server):
    command, fork = waiting
    server.suspend()
    fork.kill()
    command.kill()
    command.wait()
    server.resume()
    assert outcome("schema")[0] == 0
    assert server.is_running()


def test_commands_with_more_threads_run_by_themselves(waiting, server):
    """Libraries read the number when they are imported."""
    before = len(forks(server))
    two = os.environ | {THREADS[-1]: "2"}
    command = [*COMMAND[:2], "import sys; from flatminima.forkclient import forked; sys.exit(forked() is not None)"]
    assert subprocess.run(command, env=two, check=False).returncode == 0
    assert len(forks(server)) == before


def test_commands_of_a_server_that_has_ended_run_by_themselves(monkeypatch, tmp_path):
    monkeypatch.setenv(ADDRESS, str(tmp_path / "socket"))
    assert outcome("schema")[0] == 0


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL, None])
def test_a_server_and_its_forks_end_with_the_workflow(end, tmp_path, monkeypatch):
    """However that ends; nothing is left behind."""
    os.mkfifo(tmp_path / "ledger")
    with subprocess.Popen([sys.executable, "-c", STARTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as starter:
        address = Path(starter.stdout.readline().decode().strip())
        (server,) = psutil.Process(starter.pid).children()
        for name, value in {ADDRESS: str(address), **dict.fromkeys(THREADS, "1")}.items():
            monkeypatch.setenv(name, value)
        options = f"--study=toy --ledger={tmp_path}/ledger --measures={__file__} --output={tmp_path}/claims.json"
        with subprocess.Popen([*COMMAND, "claims", *options.split()]) as command:
            (fork,) = wait_for(lambda: forks(server))
            starter.stdin.close() if end is None else starter.send_signal(end)
            assert command.wait(PATIENCE) != 0
            fork.wait(PATIENCE)
            server.wait(PATIENCE)
    assert not address.parent.exists()
