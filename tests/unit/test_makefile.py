"""`make` brings .venv in line with the lock once, and never takes half an installation for a whole one."""

import os
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]

# A Python that answers the Makefile's question with the real one, and notes what else it is asked to do.
STAND_IN = f"""\
    #!{sys.executable}
    import os, shutil, sys
    from pathlib import Path
    if "-c" in sys.argv:
        sys.executable = __file__
        exec(sys.argv[-1])
    else:
        with open("asked.txt", "a") as notes:
            print(*sys.argv[2:], file=notes)
        if Path("stuck").exists():
            sys.exit(1)
        if "venv" in sys.argv:
            shutil.rmtree(".venv", ignore_errors=True)
            Path(".venv/bin").mkdir(parents=True)
            shutil.copy(__file__, ".venv/bin/python")
        sys.exit(Path("broken").exists() and "check" in sys.argv)
    """


@pytest.fixture
def project(tmp_path):
    """A project with the real Makefile, a small lock, and a stand-in for Python."""
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    (tmp_path / "requirements.lock").write_text("numpy==2.4.6\n")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "toy"\ndependencies = ["numpy"]\n[tool.ruff]\n')
    python = tmp_path / "python"
    python.write_text(textwrap.dedent(STAND_IN))
    python.chmod(0o755)
    return tmp_path


def make(project: Path, *arguments: str, python: str = "./python") -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", f"PYTHON={python}", *arguments]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)


def installations(project: Path) -> int:
    notes = project / "asked.txt"
    return notes.read_text().count("install --no-deps --requirement requirements.lock") if notes.exists() else 0


def stamps(project: Path) -> list[Path]:
    return list((project / ".venv").glob(".lock-*"))


def test_the_environment_is_made_once(project):
    assert make(project, "environment").returncode == 0
    assert (project / "asked.txt").read_text().splitlines() == [
        "venv --clear .venv",
        "pip install --no-deps --requirement requirements.lock",
        "pip install --no-deps --no-build-isolation --editable .",
        "pip check",
    ]
    assert len(stamps(project)) == 1
    second = make(project, "environment")
    assert (second.returncode, second.stdout, installations(project)) == (0, "", 1)


@pytest.mark.parametrize(
    ("file", "old", "new", "again"),
    [
        ("requirements.lock", "2.4.6", "2.4.7", True),
        ("pyproject.toml", '["numpy"]', '["numpy", "scipy"]', True),
        ("pyproject.toml", "[tool.ruff]", "[tool.mypy]", False),
    ],
)
def test_the_environment_follows_the_lock_and_the_project_table(project, file, old, new, again):
    make(project, "environment")
    (project / file).write_text((project / file).read_text().replace(old, new))
    make(project, "environment")
    assert installations(project) == 1 + again
    assert len(stamps(project)) == 1


def test_a_failed_installation_is_repeated(project):
    (project / "broken").touch()
    assert make(project, "environment").returncode != 0
    assert stamps(project) == []
    (project / "broken").unlink()
    assert make(project, "environment").returncode == 0
    assert installations(project) == 2


def test_an_update_that_stops_before_it_began_is_repeated_even_for_the_old_lock(project):
    lock = project / "requirements.lock"
    make(project, "environment")
    old = lock.read_text()
    lock.write_text("numpy==2.4.7\n")
    (project / "stuck").touch()
    assert make(project, "environment").returncode != 0
    (project / "stuck").unlink()
    lock.write_text(old)
    make(project, "environment")
    assert installations(project) == 2


def test_a_moved_project_is_installed_again(project):
    make(project, "environment")
    moved = project.rename(project.with_name("elsewhere"))
    make(moved, "environment")
    assert installations(moved) == 2


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import sys; sys.version_info = (3, 10, 13)", "flatminima needs Python 3.11 or newer, ./python is 3.10; pass"),
        (
            "import importlib.util; importlib.util.find_spec = lambda name: None",
            "./python cannot make virtual environments; install its venv package (Debian: apt install python3-venv)",
        ),
    ],
    ids=["old", "without ensurepip"],
)
def test_an_unfit_python_is_explained_in_one_line(project, program, message):
    (project / "python").write_text(f"#!{sys.executable}\n{program}\nimport sys\nexec(sys.argv[-1])\n")
    run = make(project, "environment")
    assert run.returncode != 0
    assert run.stderr.splitlines()[0].startswith(message)
    assert "Traceback" not in run.stderr


def test_a_missing_python_is_explained_in_one_line(project):
    run = make(project, "environment", python="python9")
    assert run.returncode != 0
    assert run.stderr.startswith("python9: no such command; install Python 3.11 or newer")


def test_clean_keeps_the_evidence_the_data_and_the_environment(project):
    kept = ["results/reference/digits/claims.json", "data/mnist.gz", ".venv/pyvenv.cfg"]
    gone = ["results/digits/claims.json", "results/.hidden", "logs/run.log", ".snakemake/log"]
    for name in kept + gone:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).touch()
    assert make(project, "clean").returncode == 0
    assert [(project / name).exists() for name in kept + gone] == [True] * 3 + [False] * 4
    assert make(project, "clean").returncode == 0


def test_help_is_the_default_and_lists_every_public_target(project):
    listed = {line.split()[1] for line in make(project).stdout.splitlines()}
    declared = next(line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".PHONY:"))
    assert listed == set(declared.split()[1:]) - {"environment"}


def test_the_lock_pins_every_requirement_and_names_no_place():
    pins = [
        Requirement(line)
        for line in (ROOT / "requirements.lock").read_text().splitlines()
        if not line.startswith("#")  # a path, an option or a URL is no requirement: it fails to parse or has no pin
    ]
    assert [pin.name for pin in pins] == sorted(pin.name for pin in pins)
    assert all([specifier.operator for specifier in pin.specifier] == ["=="] and not pin.url for pin in pins)
    versions = {canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in pins}
    described = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project, build = described["project"], described["build-system"]
    for text in project["dependencies"] + project["optional-dependencies"]["dev"] + build["requires"]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), text
