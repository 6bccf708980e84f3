"""The one reader of YAML files: UTF-8, each key once, and no number that YAML takes for another one."""

import re
from pathlib import Path
from typing import Any

import yaml

from flatminima.errors import UserError

UTF_16 = (b"\xff\xfe", b"\xfe\xff")
"""First bytes of a file in UTF-16."""
INTEGER, FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
OCTAL = re.compile(r"[-+]?0[0-7_]+")
"""Integers that YAML 1.1 reads to the base eight: 010 is 8."""
SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
"""Numbers that YAML 1.1 reads to the base sixty: 12:30 is 750."""


class _RefusedError(yaml.MarkedYAMLError):
    """Refusal of what YAML allows and no file of ours may hold."""


class _Loader(yaml.SafeLoader):
    """Plain values only, each key of a mapping once; errors of a value name its line."""

    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        """A mapping, unless one of its own keys stands in it twice; those that it merges it may give again."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        _refuse_repeated_keys(node)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node; PyYAML ends in other errors at a 13th month, or a word tagged as a number."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError, AttributeError):
            raise _refused(node, f"{node.value!r} is no {node.tag.rpartition(':')[2]}") from None

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        """A number, unless its digits stand for another one than people read."""
        text = str(node.value)
        value: int | float = (self.construct_yaml_int if node.tag == INTEGER else self.construct_yaml_float)(node)
        if SEXAGESIMAL.fullmatch(text):
            raise _refused(node, f"YAML reads {text} as {value}, to the base 60: write {value}, or '{text}' as text")
        if OCTAL.fullmatch(text) and value != (decimal := int(text.replace("_", ""), 10)):
            raise _refused(node, f"YAML reads {text} as {value}, to the base 8: write {decimal}, {value} or '{text}'")
        return value


for _tag in (INTEGER, FLOAT):
    _Loader.add_constructor(_tag, _Loader.construct_number)


def read_mapping(path: Path) -> dict[Any, Any]:
    """Read a YAML file whose content is a mapping.

    Args:
        path: the file, in UTF-8, with a byte order mark or without.

    Raises:
        UserError: if the file is missing or cannot be read, is not UTF-8, is not YAML, gives a key twice, writes a
            number in a way that YAML takes for another one, or holds anything else than a mapping.
    """
    values = parse_yaml(_text(path), str(path))
    if not isinstance(values, dict):
        found = "is empty" if values is None else f"holds a {type(values).__name__}"
        raise UserError(f"{path}: {found}; expected keys with values, one `key: value` a line")
    return values


def parse_yaml(text: str, origin: str) -> Any:
    """Parse a text in YAML.

    Args:
        text: the text.
        origin: where it stands, for the message.

    Raises:
        UserError: if it is not YAML, gives a key twice, or writes a number in a way that YAML takes for another one.
    """
    try:
        return _Loader(text).get_single_data()
    except yaml.MarkedYAMLError as error:
        raise UserError(f"{origin}: {_explain(error)}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{origin}: not valid YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise UserError(f"{origin}: not valid YAML: too many sections inside each other") from None


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run from the repository's root, or name the file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); expected a file in YAML") from None
    if content.startswith(UTF_16):
        raise UserError(f"{path}: is in UTF-16; save it in UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, byte = content.count(b"\n", 0, error.start) + 1, content[error.start]
        raise UserError(
            f"{path}: line {line}: byte 0x{byte:02x} is not UTF-8; save it in UTF-8 (from Latin-1: "
            f"`iconv -f latin1 -t utf-8`)"
        ) from None


def _refuse_repeated_keys(node: yaml.MappingNode) -> None:
    lines: dict[tuple[str, str], int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        name, line = (key.tag, key.value), key.start_mark.line + 1
        if name in lines:
            cure = "merge a list, <<: [*a, *b]" if key.value == "<<" else "rename or delete one of them"
            raise _refused(key, f"the key {key.value!r} is given twice, first on line {lines[name]}: {cure}")
        lines[name] = line


def _refused(node: yaml.Node, problem: str) -> _RefusedError:
    return _RefusedError(None, None, problem, node.start_mark)


def _explain(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    line = f"line {mark.line + 1}: " if mark else ""
    problem = " ".join(str(error.problem).split())
    if isinstance(error, _RefusedError):
        return line + problem
    if "'\\t'" in problem:
        problem = "found a tab; indent with spaces"
    elif error.context:
        problem = f"{error.context}, {problem}"
    return f"not valid YAML: {line}{problem}"
