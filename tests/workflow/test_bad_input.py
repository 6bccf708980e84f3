"""Bad input ends in one line that names the place and the cure, with nothing half-written left behind."""

import errno
import json
import os
import re
import socket
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from project import ROOT, TINY, different, temporaries
from torchvision.datasets import MNIST

LINEAR = ("studies", "digits", "experiments", "linear")

WRONG_SETTINGS = {
    "unknown key": (
        (*LINEAR, "sedes"),
        2,
        "studies.digits.experiments.linear.sedes: unknown key; did you mean 'seeds'?",
    ),
    "negative step size": (
        (*LINEAR, "step_sizes"),
        [-0.5],
        "studies.digits.experiments.linear.step_sizes.0 is -0.5: input should be greater than 0",
    ),
    "depth zero": (
        (*LINEAR, "depths"),
        [0],
        "studies.digits.experiments.linear.depths.0 is 0: input should be greater than or equal to 1",
    ),
    "wrong type": (
        (*LINEAR, "steps"),
        "many",
        "studies.digits.experiments.linear.steps is 'many': input should be a valid integer",
    ),
    "unknown data set": (
        ("studies", "digits", "dataset", "name"),
        "minst",
        "studies.digits.dataset.name is 'minst': did you mean 'mnist'? allowed: digits, patches, mnist",
    ),
    "unknown task": (
        (*LINEAR, "task"),
        "nosy",
        "studies.digits: experiments.linear.task is 'nosy': did you mean 'noisy'? allowed: noisy",
    ),
    "unknown study": (("embedded",), ["digitz"], "embedded names 'digitz': did you mean 'digits'? allowed: digits"),
    "value twice": (
        (*LINEAR, "depths"),
        [2, 2],
        "studies.digits.experiments.linear.depths: 2 is given twice; give each value once",
    ),
    "number as text": (
        (*LINEAR, "step_sizes"),
        ["1e-3"],
        "studies.digits.experiments.linear.step_sizes.0 is '1e-3': input should be a valid number; YAML reads it "
        "as text: write 1.0e-3",
    ),
    "unknown source": (
        (*LINEAR, "stated"),
        ["sedes"],
        "studies.digits.experiments.linear: `stated` names 'sedes': did you mean 'seeds'? allowed: depths, width",
    ),
}


@pytest.mark.parametrize(("keys", "value", "message"), WRONG_SETTINGS.values(), ids=WRONG_SETTINGS)
def test_a_wrong_setting_stops_the_workflow_before_it_starts(project, command, keys, value, message):
    project.configure(*keys, value=value)
    run = project.snakemake()
    assert run.returncode != 0
    *greeting, line = run.stdout.splitlines()
    assert line.startswith(f"config.yaml: {message}")
    assert len(greeting) == 1  # Snakemake names the profile
    assert not (project.folder / "results").exists()
    checked = command("validate", project.folder / "config.yaml")
    assert checked.code == 2
    assert checked.error == f"flatminima: {project.folder}/{line}\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"studies: [", "not valid YAML: line 1: "),
        (b"- digits\n", "holds a list; expected keys with values"),
        (b"", "is empty; expected keys with values"),
        (b"studies: {}\nstudies: {}\n", "line 2: the key 'studies' is given twice, first on line 1"),
        (b"# \xdcbungen\n", "line 1: byte 0xdc is not UTF-8; save it in UTF-8"),
    ],
    ids=["not YAML", "no mapping", "empty", "key twice", "Latin-1"],
)
def test_a_configuration_that_cannot_be_read_is_refused(project, command, content, message):
    path = project.folder / "config.yaml"
    path.write_bytes(content)
    run = project.snakemake("--dry-run")
    assert run.returncode != 0
    *greeting, line = run.stdout.splitlines()
    assert line.startswith(f"config.yaml: {message}")
    assert len(greeting) == 1  # Snakemake names the profile
    checked = command("validate", path)
    assert checked.code == 2
    assert checked.error == f"flatminima: {project.folder}/{line}\n"


def test_a_key_given_twice_in_another_configuration_is_refused(project):
    """Of the two, Snakemake would take the last, and lose the first without a word."""
    text = TINY.read_text().replace("      relu:", "      linear:", 1)
    (project.folder / "other.yaml").write_text(text)
    run = project.run("snakemake", "--dry-run", "--cores=1", "--configfile=other.yaml")
    assert run.returncode != 0
    assert re.search(
        r"^\S*/other\.yaml: line \d+: the key 'linear' is given twice, first on line \d+", run.stdout, re.M
    )


@pytest.mark.parametrize("name", ["data", "digits_train"])
def test_a_study_that_is_called_like_a_rule_is_refused(project, name):
    studies = yaml.safe_load(TINY.read_text())["studies"]
    project.configure("studies", value={"digits": studies["digits"], name: studies["patches"]})
    project.configure("embedded", value=["digits"])
    run = project.snakemake("--dry-run")
    assert run.returncode != 0
    assert run.stdout.splitlines()[-1] == f"config.yaml: studies.{name}: is the name of a rule; rename the study"


@pytest.mark.parametrize(
    "target",
    [
        "digitz",
        "digits_tables_and_chairs",
        "results/digitz/claims.json",
        "results/digits/figures/coupling-exces.svg",
        "results/digits/tables/sharpnes.html",
        "results/digits/networks/liner-depth2.safetensors",
    ],
)
def test_an_unknown_target_is_named_before_anything_runs(project, target):
    run = project.snakemake(target)
    assert run.returncode != 0
    assert f"No rule to produce {target}" in run.stdout
    assert "Traceback" not in run.stdout
    assert not (project.folder / "results").exists()


def failed(run: subprocess.CompletedProcess, message: str, log: Path) -> None:
    """A workflow that stopped in a job: the message on the terminal, last of all in the log, and no traceback."""
    assert run.returncode != 0
    assert message in run.stdout
    assert "Traceback" not in run.stdout
    assert "returned non-zero exit status 2" in run.stdout  # Snakemake saw the command fail, not a file missing
    assert log.read_text().count("\n") == 1
    assert message in log.read_text()


@pytest.mark.parametrize("folder", ["results", "logs"])
def test_a_file_in_the_place_of_a_folder_is_named(project, folder):
    (project.folder / folder).write_text("")
    run = project.snakemake()
    assert run.returncode != 0
    assert run.stdout.splitlines()[-1] == f"{folder}: not a folder that can be written; make it one, or move it away"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(project):
    (project.folder / "results").mkdir(mode=0o500)
    run = project.snakemake()
    assert run.returncode != 0
    assert run.stdout.splitlines()[-1].startswith("results: not a folder that can be written")


@pytest.fixture
def small_disk(project):
    """Results on a file system with room for a few small files."""
    folder = project.folder / "results"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("no right to mount a small file system here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_named_and_keeps_what_was_whole(project, small_disk):
    run = project.snakemake("digits_data")
    failed(
        run, "results/digits/data/noisy.safetensors: cannot be written", project.folder / "logs/digits/data/noisy.log"
    )
    assert "No space left on device" in run.stdout
    assert project.files() == {}


def data_arguments(folder: Path, dataset: dict | None = None) -> list[str]:
    """A command that makes the samples of the tiny study of digits, or of another data set."""
    digits = yaml.safe_load(TINY.read_text())["studies"]["digits"]
    settings = json.dumps({"dataset": dataset or digits["dataset"], "task": digits["tasks"]["noisy"]})
    files = [f"--samples={folder}/s.safetensors", f"--moments={folder}/m.safetensors", f"--checksums={folder}/c.sha256"]
    return ["data", "--study=digits", f"--settings={settings}", *files, "noisy", str(folder / "data")]


def test_a_disk_that_fills_up_under_a_command_is_named(command, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "mkstemp", full)
    ended = command(*data_arguments(tmp_path))
    assert ended.code == 2
    assert ended.error.startswith(f"flatminima: {tmp_path}/s.safetensors: no space left on the disk; free some and run")
    assert ended.error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def no_network(monkeypatch):
    """torchvision's addresses become a loopback port on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{listener.getsockname()[1]}/"])
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(variable, "127.0.0.1")


def test_missing_data_that_cannot_be_downloaded_names_both_cures(command, no_network, tmp_path):
    ended = command(*data_arguments(tmp_path, {"name": "mnist"}))
    assert ended.code == 2
    line = ended.error.splitlines()[-1]  # after torchvision's own
    assert line.startswith("flatminima: mnist: download failed (")
    assert "allow network access and run again, or put torchvision's files (MNIST/raw) or mnist.npz" in line
    assert f"in {tmp_path}/data" in line
    assert "Traceback" not in ended.error
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"x_train": (5, 28, 28), "y_train": (5,)}, "no array x_test, y_test"),
        (
            {"x_train": (5, 8, 8), "y_train": (5,), "x_test": (2, 28, 28), "y_test": (2,)},
            "x_train is uint8 of shape (5, 8, 8), expected uint8 of shape (n, 28, 28)",
        ),
        (
            {"x_train": (5, 28, 28), "y_train": (4,), "x_test": (2, 28, 28), "y_test": (2,)},
            "y_train is uint8 of shape (4,), expected integers of shape (5,)",
        ),
    ],
    ids=["missing", "images", "labels"],
)
def test_an_npz_file_that_does_not_fit_is_named(command, tmp_path, shapes, message):
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "mnist.npz"
    np.savez(path, **{name: np.zeros(shape, np.uint8) for name, shape in shapes.items()})
    ended = command(*data_arguments(tmp_path, {"name": "mnist"}))
    assert ended.code == 2
    assert ended.error.startswith(f"flatminima: {path}: {message}")
    assert "delete the file to download the data" in ended.error
    assert ended.error.count("\n") == 1
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == [path]


def cut(path: Path) -> None:
    """Lose the second half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def train_arguments(folder: Path) -> list[str]:
    relu = yaml.safe_load(TINY.read_text())["studies"]["patches"]["experiments"]["relu"]
    data = folder / "results/patches/data"
    return [
        *[
            "train",
            "--study=patches",
            f"--settings={json.dumps(relu)}",
            f"--bounds={folder}/results/patches/bounds/noisy.json",
        ],
        *[f"--samples={data}/noisy.safetensors", f"--moments={data}/noisy-moments.safetensors"],
        *[f"--networks={folder}/new/n.safetensors", f"--history={folder}/new/h.parquet", "relu", "2"],
    ]


def measure_arguments(folder: Path) -> list[str]:
    measure = yaml.safe_load(TINY.read_text())["studies"]["patches"]["measure"]
    data = folder / "results/patches/data"
    return [
        *["measure", f"--settings={json.dumps(measure)}"],
        *[f"--samples={data}/noisy.safetensors", f"--moments={data}/noisy-moments.safetensors"],
        *[f"--measures={folder}/new/m.parquet", f"--shared={folder}/new/s.parquet"],
        str(folder / "results/patches/networks/relu-depth2.safetensors"),
    ]


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (train_arguments, "data/noisy.safetensors"),
        (train_arguments, "data/noisy-moments.safetensors"),
        (train_arguments, "bounds/noisy.json"),
        (measure_arguments, "data/noisy.safetensors"),
        (measure_arguments, "data/noisy-moments.safetensors"),
        (measure_arguments, "networks/relu-depth2.safetensors"),
    ],
)
@pytest.mark.parametrize("damage", [cut, Path.unlink], ids=["cut", "missing"])
def test_a_damaged_file_is_named_with_the_cure(command, copied, arguments, file, damage):
    path = copied.folder / "results/patches" / file
    damage(path)
    ended = command(*arguments(copied.folder))
    assert ended.code == 2
    assert ended.error.startswith(f"flatminima: {path}: ")
    assert re.search("delete it and run again|run the step that makes it", ended.error)
    assert ended.error.count("\n") == 1
    assert copied.files("new") == {}


def claims_arguments(folder: Path, results: Path) -> list[str]:
    ledger = f"--ledger={folder}/workflow/claims.yaml"
    return [
        "claims",
        "--study=patches",
        ledger,
        f"--measures={results}/measures.parquet",
        f"--output={folder}/new/c.json",
    ]


def collect_arguments(folder: Path, results: Path) -> list[str]:
    return ["collect", f"--output={folder}/new/m.parquet", f"{results}/measures.parquet"]


def figure_arguments(folder: Path, results: Path) -> list[str]:
    tables = [f"--measures={results}/measures.parquet", f"--details={results}/shared.parquet"]
    ledger = f"--ledger={ROOT}/workflow/claims.yaml"
    return ["figure", "--kind=training", ledger, *tables, f"--output={folder}/new/overview", "overview"]


def table_arguments(folder: Path, results: Path) -> list[str]:
    return [
        "table",
        "--kind=training",
        f"--measures={results}/measures.parquet",
        f"--output={folder}/new/balance",
        "balance",
    ]


def report_arguments(folder: Path, results: Path) -> list[str]:
    settings = json.dumps(yaml.safe_load(TINY.read_text())["studies"]["patches"])
    shown = [f"--figure={results}/figures/coupling-excess.svg", f"--table={results}/tables/balance.html"]
    files = [f"--claims={results}/claims.json", f"--changes={ROOT}/workflow/predicates.yaml"]
    files += [f"--output={folder}/new/index.html"]
    return ["report", "--study=patches", f"--settings={settings}", *shown, *files]


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (claims_arguments, "measures.parquet"),
        (collect_arguments, "measures.parquet"),
        (figure_arguments, "measures.parquet"),
        (figure_arguments, "shared.parquet"),
        (table_arguments, "measures.parquet"),
        (report_arguments, "measures.parquet"),
        (report_arguments, "claims.json"),
    ],
)
@pytest.mark.parametrize("damage", [cut, Path.unlink], ids=["cut", "missing"])
def test_damaged_evidence_is_named_with_the_cure(command, copied, arguments, file, damage):
    results = copied.folder / "results/patches"
    damage(results / file)
    ended = command(*arguments(copied.folder, results))
    assert ended.code == 2
    assert ended.error.startswith(f"flatminima: {results / file}: ")
    assert "run `make reproduce`" in ended.error
    assert ended.error.count("\n") == 1
    assert copied.files("new") == {}


def test_a_damaged_file_stops_the_workflow_in_the_same_words(copied, finished):
    """And once it is deleted, as the message says, the run recovers to the same bytes."""
    path = copied.folder / "results/patches/data/noisy.safetensors"
    cut(path)
    networks = "results/patches/networks/start_identity-depth2.safetensors"
    run = copied.snakemake(networks)
    message = "flatminima: results/patches/data/noisy.safetensors: damaged: "
    failed(run, message, copied.folder / "logs/patches/train/start_identity-depth2.log")
    assert "delete it and run again" in run.stdout
    assert not (copied.folder / networks).exists()
    assert temporaries(copied.files()) == []
    path.unlink()
    recovered = copied.snakemake(networks)
    assert recovered.returncode == 0, recovered.stdout
    assert different(copied.files(), finished.files()) == []
