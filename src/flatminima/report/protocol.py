"""The protocol of a study as tables: every hyperparameter, its value, and where it comes from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from flatminima.config import AnyStudy
from flatminima.settings.base import Sourced

SOURCES = {
    "stated": "the paper, or a public text about it, says so",
    "derived": "it follows from the theory",
    "chosen": "the paper could not tell us, so the choice is ours",
}


@dataclass(frozen=True)
class Cell:
    """A value as shown, and a key of SOURCES: empty for values that name a part of the study (a family, a task)."""

    value: str
    source: str


@dataclass(frozen=True)
class Row:
    """One hyperparameter across the columns of a section; None where a column does not have it."""

    name: str
    meaning: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class Section:
    """One table: hyperparameters down; tasks, experiments, or the entries of a list, by number, across."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def protocol(study: AnyStudy) -> list[Section]:
    """Arrange all values of a study in one table per section of its schema, such as data set, tasks, experiments."""
    sections = {name: getattr(study, name) for name in type(study).model_fields if name not in ("kind", "title")}
    return [_section(name, content) for name, content in sections.items() if content is not None]


def _section(name: str, content: object) -> Section:
    if isinstance(content, list):
        content = {str(k): part for k, part in enumerate(content, 1)}
    columns = content if isinstance(content, Mapping) else {"value": content}
    start = name if isinstance(content, Sourced) else ""
    leaves = {column: {leaf.name: leaf for leaf in _leaves(part, start)} for column, part in columns.items()}
    meanings = {leaf.name: leaf.meaning for part in leaves.values() for leaf in part.values()}
    rows = (
        Row(row, meaning, tuple(part[row].cell if row in part else None for part in leaves.values()))
        for row, meaning in meanings.items()
    )
    return Section(name, tuple(columns), tuple(row for row in rows if any(row.cells)))


@dataclass(frozen=True)
class _Leaf:
    """A value below a section: dotted name, schema description, and the value; no cell where an option is left out."""

    name: str
    meaning: str
    cell: Cell | None


def _leaves(value: object, name: str = "", meaning: str = "") -> Iterator[_Leaf]:
    """Every value in a part of the configuration, absent options included so that rows keep the schema's order."""
    if isinstance(value, Sourced) and isinstance(value.value, Mapping):
        for key, item in value.value.items():
            yield _Leaf(f"{name}.{key}", meaning, Cell(_text(item), value.source))
    elif isinstance(value, Sourced):
        yield _Leaf(name, meaning, Cell(_text(value.value), value.source))
    elif isinstance(value, BaseModel):
        for key, field in type(value).model_fields.items():
            yield from _leaves(getattr(value, key), f"{name}.{key}".lstrip("."), field.description or "")
    else:
        yield _Leaf(name, meaning, None if value is None else Cell(_text(value), ""))


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, BaseModel):
        return ", ".join(f"{key} {_text(item)}" for key, item in value)
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value)
    return str(value)
