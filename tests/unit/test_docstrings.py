"""Docstrings stand alone: they open with a verb or a noun of the field, and point at no other docstring."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
LEANING = re.compile(
    r"(The same|Of|In|From|To|As|At|By|With|For|On|So|Such|This|These|It|They|Its|Both|And|Or|But|Between|Beyond|Before"
    r"|After|Behind|What|How|Where|Which|See|Like)\b"
)
POINTING = re.compile(r"\b(see there|see above|so many|anew|as well)\b", re.IGNORECASE)


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of every docstring: of modules, classes and functions, and below attributes and constants."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else []:
            match statement:
                case ast.Expr(ast.Constant(str(text))):
                    yield statement.lineno, text.strip()


def faults(text: str) -> list[str]:
    opening = LEANING.match(text)
    found = [opening[0]] if opening else []
    first = text.partition("\n")[0]
    return found + (["the same"] if "the same" in first else []) + POINTING.findall(text)


def test_docstrings_stand_alone():
    found = [
        f"{path.relative_to(ROOT)}:{line}: {fault!r} in {text.splitlines()[0]!r}"
        for path in SOURCES
        for line, text in docstrings(path)
        for fault in faults(text)
    ]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "The same for stacks.",
        "Of the training loss.",
        "Loss on the same data.",
        "Sum.\n\n    seed: see there.",
        "What is left.",
    ],
)
def test_leaning_docstrings_are_found(text):
    assert faults(text)


def test_whether_and_nouns_may_open():
    assert faults("Whether all hold.") == faults("Inputs of a layer.") == faults("Ordered by size.") == []
