"""The protocol of a study as tables: every hyperparameter, its value, and where it comes from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from flatminima.config import AnyStudy
from flatminima.settings.base import LABELS, Hyperparameters

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
    names = [name for name in type(study).model_fields if name not in ("kind", "title", *LABELS)]
    return [
        _section(name, content, _source(study, name)) for name in names if (content := getattr(study, name)) is not None
    ]


def _section(name: str, content: object, source: str) -> Section:
    if isinstance(content, list) and not source:
        content = {str(k): part for k, part in enumerate(content, 1)}
    columns = content if isinstance(content, Mapping) else {"value": content}
    start = name if source else ""
    leaves = {
        column: {leaf.name: leaf for leaf in _leaves(part, start, "", source)} for column, part in columns.items()
    }
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


def _leaves(value: object, name: str, meaning: str, source: str) -> Iterator[_Leaf]:
    """Every value in a part of the configuration, absent options included so that rows keep the schema's order."""
    if isinstance(value, BaseModel) and not source:
        for key, field in type(value).model_fields.items():
            if key not in LABELS:
                below = f"{name}.{key}".lstrip(".")
                yield from _leaves(getattr(value, key), below, field.description or "", _source(value, key))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{name}.{key}", meaning, source)
    else:
        yield _Leaf(name, meaning, None if value is None else Cell(_text(value), source))


def _source(section: BaseModel, name: str) -> str:
    """Origin of a value; empty for what is no hyperparameter."""
    return section.origin(name) if isinstance(section, Hyperparameters) and name in section.hyperparameters() else ""


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, BaseModel):
        return ", ".join(f"{key} {_text(item)}" for key, item in value)
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value)
    return str(value)
