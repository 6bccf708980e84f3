"""A Slurm cluster made of one machine: a controller, and nodes that can lose their power one by one."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

NODES = ["node1", "node2"]
MEMORY = 8000
"""MB that a node says it has: enough for any two jobs of the workflow, whatever the machine has."""
SILENCE = 15
"""Seconds after which a node that does not answer is given up."""
WORKING = 5
"""Seconds that a job has run when it is killed, or when its node is lost."""
SETTINGS = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
SlurmdTimeout={silence}
PartitionName=all Nodes=ALL Default=YES State=UP
"""


def say(text: str) -> None:
    print(f"slurm-test: {text}", flush=True)


def fail(text: str) -> None:
    sys.exit(f"slurm-test: FAILED: {text}")


def quiet(*command: str) -> str:
    """Output of a command that must succeed."""
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        fail(f"{' '.join(command)}: {(run.stderr or run.stdout).strip()[-500:]}")
    return run.stdout


def namespace() -> list[str]:
    """Prefix of a command whose descendants all end with it, and whose mounts nobody else sees."""
    return ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]


def wait_for(what: str, condition: Callable[[], object], seconds: float) -> None:
    """Wait until a condition holds.

    Raises:
        SystemExit: if it takes longer.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            fail(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.5)


class Cluster:
    """A controller and its nodes, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        """Write the settings, and choose ports that are free."""
        folder.mkdir()
        self.folder, self.daemons = folder, dict[str, subprocess.Popen[bytes]]()
        port, *ports = free_ports(1 + len(NODES))
        host, processors = socket.gethostname(), max(1, len(os.sched_getaffinity(0)) // len(NODES))
        node = f"NodeName={{}} NodeHostname={host} NodeAddr=127.0.0.1 Port={{}} CPUs={processors} RealMemory={MEMORY}\n"
        nodes = "".join(node.format(*pair) for pair in zip(NODES, ports, strict=True))
        (folder / "slurm.conf").write_text(
            nodes + SETTINGS.format(host=host, port=port, folder=folder, silence=SILENCE)
        )
        quiet("mount", "--bind", str(folder), "/etc/slurm")
        say(f"{len(NODES)} nodes with {processors} processors each, settings in {folder}/slurm.conf")

    def start(self) -> None:
        """Start all daemons, and wait until the nodes are ready."""
        key = self.folder / "key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(1024))
        files = [f"--{name}-file={self.folder}/munge.{name}" for name in ("pid", "log", "seed")]
        self._spawn(
            "munged", ["munged", "--foreground", f"--key-file={key}", *files, f"--socket={self.folder}/munge.socket"]
        )
        self._wait("munge.socket", (self.folder / "munge.socket").exists)
        (self.folder / "state").mkdir()
        self._spawn("slurmctld", ["slurmctld", "-D"])
        for name in NODES:
            (self.folder / f"spool-{name}").mkdir()
            self._spawn(name, [*namespace(), "slurmd", "-D", "-N", name])
        self._wait("nodes", lambda: self.states() == dict.fromkeys(NODES, "idle"))
        say(f"the cluster is up: {', '.join(NODES)} idle")

    def _wait(self, what: str, condition: Callable[[], object]) -> None:
        """Wait while all daemons live; show what one said if it ended."""

        def dead() -> list[str]:
            return [name for name, daemon in self.daemons.items() if daemon.poll() is not None]

        wait_for(what, lambda: dead() or condition(), 60)
        for name in dead():
            fail(f"{name} ended: {(self.folder / f'{name}.out').read_text().strip()[-500:]}")

    def _spawn(self, name: str, command: list[str]) -> None:
        with (self.folder / f"{name}.out").open("wb") as output:
            self.daemons[name] = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)

    def stop(self) -> None:
        """Stop all daemons, and with the nodes all that runs on them."""
        for daemon in reversed(self.daemons.values()):
            daemon.kill()
            daemon.wait()

    def pull_the_plug(self, node: str) -> None:
        """End all processes of a node at once."""
        self.daemons[node].kill()
        self.daemons[node].wait()

    @staticmethod
    def states() -> dict[str, str]:
        run = subprocess.run(["sinfo", "--noheader", "--Node", "--format=%N %T"], capture_output=True, text=True)
        return dict(line.split() for line in run.stdout.splitlines())

    @staticmethod
    def working(node: str | None = None) -> Iterator[tuple[str, str]]:
        """Number and description of jobs that train or measure for a while, on one node or any."""
        for line in quiet(
            "squeue", "--noheader", "--states=RUNNING", "--Format=JobID:|,NodeList:|,TimeUsed:|,Comment:200"
        ).splitlines():
            job, where, used, what = (part.strip() for part in line.split("|"))
            seconds = sum(int(part) * 60**k for k, part in enumerate(reversed(used.split("-")[-1].split(":"))))
            if seconds >= WORKING and (node or where) == where:
                yield job, what.removeprefix("rule_").replace("_wildcards_", " ")


def free_ports(count: int) -> list[int]:
    """Ports on which nobody listens."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
