"""Commands print on any terminal, and stop without a word when nobody reads on."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flatminima.commands.terminal import plain, words

ROOT = Path(__file__).resolve().parents[2]
MAIN = [sys.executable, "-c", "from flatminima.cli import main; main()"]


@pytest.mark.parametrize(
    ("character", "likeness"),
    [("…", "..."), ("–", "-"), ("−", "-"), ("α", "alpha"), ("ü", "u"), ("²", "2"), ("≤", "?"), ("\udcfc", "?")],
)
def test_a_character_has_a_likeness_in_ascii(character, likeness):
    assert plain(character) == likeness


def run(*arguments, **environment):
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHONIO"))}
    return subprocess.run([*MAIN, *arguments], env=inherited | environment, cwd=ROOT, capture_output=True)


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=["latin-1", "ascii", "C"],
)
def test_verdicts_are_printed_where_the_terminal_lacks_their_characters(environment):
    full = run("verdicts", "results/reference", PYTHONIOENCODING="utf-8")
    assert full.returncode == 0, full.stderr
    assert "…" in full.stdout.decode()
    shown = run("verdicts", "results/reference", **environment)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.decode("ascii") == full.stdout.decode().replace("…", "...").replace("–", "-")


def test_an_error_names_a_file_that_the_terminal_cannot_show(tmp_path):
    ended = run("validate", f"{tmp_path}/größe.yaml", PYTHONIOENCODING="ascii")
    assert ended.returncode == 2
    assert ended.stderr.decode("ascii").startswith(f"flatminima: {tmp_path}/gro?e.yaml: no such file")


@pytest.mark.parametrize("arguments", ["schema", "verdicts results/reference", "validate", "--help"])
@pytest.mark.parametrize("reader", ["true", "head -1"])
def test_a_reader_that_stops_early_ends_a_command_without_a_traceback(arguments, reader):
    program = f"{sys.executable} -c 'from flatminima.cli import main; main()'"
    ended = subprocess.run(["bash", "-c", f"{program} {arguments} | {reader}"], cwd=ROOT, capture_output=True)
    assert ended.stderr == b""


def test_a_command_without_an_output_ends_well():
    program = f"{sys.executable} -c 'from flatminima.cli import main; main()'"
    ended = subprocess.run(["bash", "-c", f"{program} validate >&-"], cwd=ROOT, capture_output=True)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_the_home_folder_is_put_in_where_the_shell_leaves_it(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    given = ["~/data", "--output=~/a.svg", "~", "a~b", "--name=a/~", "~ada"]
    assert words(given) == ["/home/ada/data", "--output=/home/ada/a.svg", "/home/ada", "a~b", "--name=a/~", "~ada"]


TEXT = {"read_text": 0, "write_text": 1, "open": 0}
"""Methods that read or write text, and how many arguments they take before the encoding or the mode."""


def unencoded(source):
    """Lines of calls that leave the encoding of text to the locale."""
    for call in ast.walk(ast.parse(source)):
        name = getattr(getattr(call, "func", None), "attr", getattr(getattr(call, "func", None), "id", None))
        if isinstance(call, ast.Call) and name in TEXT:
            asked = call.args[TEXT[name] : TEXT[name] + 1] if name == "open" else []
            binary = any("b" in str(getattr(mode, "value", "")) for mode in asked)
            if not binary and not any(keyword.arg == "encoding" for keyword in call.keywords):
                yield call.lineno


def test_all_text_is_read_and_written_in_utf8():
    assert list(unencoded("path.read_text()\npath.open('rb')\npath.open(newline='')\nopen(encoding='utf-8')")) == [1, 3]
    sources = [path for folder in ("src", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    found = {path.name: list(unencoded(path.read_text(encoding="utf-8"))) for path in sources}
    assert {name: lines for name, lines in found.items() if lines} == {}
