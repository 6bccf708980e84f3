"""YAML files: read in UTF-8 whatever the locale, and what YAML would take for something else is refused in one line."""

import os
import subprocess
import sys

import pytest

from flatminima.errors import UserError
from flatminima.settings.yaml_files import parse_yaml, read_mapping


def refused(tmp_path, content):
    path = tmp_path / "config.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as error:
        read_mapping(path)
    text = str(error.value)
    assert "\n" not in text
    assert text.startswith(f"{path}: ")
    return text.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: the key 'a' is given twice, first on line 1: rename or delete one of them"),
        ("runs:\n  linear: {}\n  'linear': {}\n", "line 3: the key 'linear' is given twice, first on line 2"),
        ("run: {value: 1, source: x, value: 2}\n", "line 1: the key 'value' is given twice, first on line 1"),
        ("[{a: 1, a: 2}]\n", "line 1: the key 'a' is given twice"),
        ("a: &a {x: 1}\nb: {<<: *a, <<: *a}\n", "line 2: the key '<<' is given twice, first on line 2: merge a list"),
    ],
)
def test_a_key_given_twice_is_refused(tmp_path, text, told):
    assert refused(tmp_path, text).startswith(told)


def test_a_merged_key_may_be_given_again():
    """YAML's merge: a mapping's own keys come before those that it merges, and the first merged before the others."""
    text = "a: &a {x: 1, y: 1}\nb: &b {<<: *a, y: 2}\nc: {<<: [*b, *a], z: 3}\nd: {<<: *b, x: 4}\n"
    values = parse_yaml(text, "config.yaml")
    assert values["b"] == {"x": 1, "y": 2}
    assert values["c"] == {"x": 1, "y": 2, "z": 3}
    assert values["d"] == {"x": 4, "y": 2}


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("010", "YAML reads 010 as 8, to the base 8: write 10, 8 or '010'"),
        ("-0100", "YAML reads -0100 as -64, to the base 8: write -100, -64 or '-0100'"),
        ("12:30", "YAML reads 12:30 as 750, to the base 60: write 750, or '12:30' as text"),
        ("1:30.5", "YAML reads 1:30.5 as 90.5, to the base 60"),
    ],
)
def test_a_number_that_yaml_takes_for_another_is_refused(tmp_path, written, told):
    assert refused(tmp_path, f"studies:\n  seeds: {written}\n").startswith(f"line 2: {told}")


@pytest.mark.parametrize(
    ("written", "value"),
    [("07", 7), ("0", 0), ("1_000", 1000), ("0x10", 16), ("1.0e-3", 1e-3), ("'010'", "010"), ("'12:30'", "12:30")],
)
def test_numbers_that_mean_what_they_say_are_read(written, value):
    assert parse_yaml(f"a: {written}", "config.yaml") == {"a": value}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty; expected keys with values"),
        (b"# a comment\n", "is empty; expected keys with values"),
        (b"- a\n", "holds a list; expected keys with values"),
        (b"a: 1\n\xdc: 2\n", "line 2: byte 0xdc is not UTF-8; save it in UTF-8"),
        ("ä: 1\n".encode("utf-16"), "is in UTF-16; save it in UTF-8"),
        (b"a:\n\tb: 1\n", "not valid YAML: line 2: found a tab; indent with spaces"),
        (b"a: [\n", "not valid YAML: line 2: "),
        (b"a: b: c\n", "not valid YAML: line 1: "),
        (b"a: *unknown\n", "not valid YAML: line 1: "),
        (b"a: \x00\n", "not valid YAML: "),
        (b"a: 2026-13-01\n", "line 1: '2026-13-01' is no timestamp"),
        (b"a: !!int many\n", "line 1: 'many' is no int"),
        (b"a: !!bool perhaps\n", "line 1: 'perhaps' is no bool"),
        (b"a: !!python/object/apply:os.system ['true']\n", "not valid YAML: line 1: "),
        (b"a: " + b"[" * 5000, "not valid YAML: too many sections inside each other"),
    ],
)
def test_what_is_no_configuration_is_told_in_one_line(tmp_path, content, told):
    assert refused(tmp_path, content).startswith(told)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(UserError, match=r"gone\.yaml: no such file; "):
        read_mapping(tmp_path / "gone.yaml")
    with pytest.raises(UserError, match=r"cannot be read \(Is a directory\); expected a file in YAML"):
        read_mapping(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everywhere")
def test_a_file_that_may_not_be_read_is_named(tmp_path):
    (tmp_path / "config.yaml").touch(mode=0o000)
    with pytest.raises(UserError, match=r"cannot be read \(Permission denied\)"):
        read_mapping(tmp_path / "config.yaml")


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
def test_utf8_is_read_under_any_locale(tmp_path, mark):
    path = tmp_path / "config.yaml"
    path.write_bytes(mark + "größe: Übung\r\n".encode())
    program = "import sys, pathlib; from flatminima.settings.yaml_files import read_mapping; "
    program += "print(ascii(read_mapping(pathlib.Path(sys.argv[1]))))"
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    run = subprocess.run([sys.executable, "-c", program, path], env=environment, capture_output=True, text=True)
    assert run.stdout == "{'gr\\xf6\\xdfe': '\\xdcbung'}\n", run.stderr
