"""The shape of a kind of study: its stages, tables of record, figures and tables, and what readers are told of them.

Light to import: every job of a run parses the workflow, which reads the kinds.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from flatminima.config import Config
from flatminima.errors import UserError
from flatminima.settings.parsing import nearest
from flatminima.settings.variations import Variation

MEASURED = ("measure", "figures", "tables", "claims", "report")
"""Stages of every study, in order, after its networks are trained."""

Study = TypeVar("Study")
"""Settings of the studies of a kind."""


def nothing(*_: object) -> list[str]:
    """No name: the default of what a kind need not have."""
    return []


@dataclass(frozen=True)
class Exhibit:
    """Title, caption and alternative text of one figure or table.

    Attributes:
        title: a few words.
        text: how to read it, in plain text.
        alternative: what a reader who cannot see the figure needs to know; empty for tables.
        per_task: whether the figure is drawn for each task of a study, in files named `<figure>-<task>`.
        judged: whether the table holds verdicts, and is made by a rule of its own that reads the ledger.
    """

    title: str
    text: str
    alternative: str = ""
    per_task: bool = False
    judged: bool = False


@dataclass(frozen=True)
class Kind(Generic[Study]):
    """A kind of study.

    Attributes:
        name: key `kind` of the study's settings, and the name of its module here and of its folder of figures.
        stages: names of the stages that lead to the report, in order.
        overview: the figure that sums up a study.
        figures: every figure, in the order in which studies list them.
        tables: every table of results, in order.
        parts: from the configuration, a study and a table of record to the names of the table's parts, in order.
        details: second table of record, beside `measures`.
        tabulated: whether tables of results are made of `details` too; figures always are.
        data: tasks of a study whose samples it makes.
        networks: names of the files of networks that a study trains.
        tasks: tasks of a study that figures are drawn for.
        empty: figures and tables that the settings of a study cannot fill.
        left_out: experiments that a figure of a study does not show.
        variations: experiments of a study that change one choice of another.
    """

    name: str
    stages: Sequence[str]
    overview: str
    figures: Mapping[str, Exhibit]
    tables: Mapping[str, Exhibit]
    parts: Callable[[Config, Study, str], list[str]]
    details: str | None = None
    tabulated: bool = False
    data: Callable[[Study], list[str]] = nothing
    networks: Callable[[Study], list[str]] = nothing
    tasks: Callable[[Study], list[str]] = nothing
    empty: Callable[[Study], Collection[str]] = nothing
    left_out: Callable[[Study, str], list[str]] = nothing
    variations: Callable[[Study], list[Variation]] = lambda _: []

    def split(self, name: str) -> tuple[str, str | None]:
        """A figure and the task it is drawn for, from the name of its files: `<figure>` or `<figure>-<task>`.

        Raises:
            UserError: if there is no figure of this name.
        """
        if name in self.figures:
            return name, None
        figure, _, task = name.rpartition("-")
        if figure in self.figures and self.figures[figure].per_task:
            return figure, task
        raise UserError(f"figure {name!r} is not known: {nearest(name, self.figures)}")

    def figure(self, name: str) -> Exhibit:
        """Title, text and alternative of a figure, by the name of its files; its task, if any, stands in the title.

        Raises:
            UserError: if there is no figure of this name.
        """
        figure, task = self.split(name)
        exhibit = self.figures[figure]
        return replace(exhibit, title=f"{exhibit.title}: {task}") if task else exhibit

    def table(self, name: str) -> Exhibit:
        """Title and text of a table of results.

        Raises:
            UserError: if there is no table of this name.
        """
        if name not in self.tables:
            raise UserError(f"table {name!r} is not known: {nearest(name, self.tables)}")
        return self.tables[name]

    def figure_module(self, name: str) -> str:
        """The module that draws a figure, by the name of its files, with a function of its own name.

        Raises:
            UserError: if there is no figure of this name.
        """
        return f"flatminima.figures.{self.name}.{self.split(name)[0].replace('-', '_')}"

    @property
    def tables_module(self) -> str:
        """The module with a function for each table of results that is not judged."""
        return f"flatminima.figures.{self.name}.tables"

    @property
    def record(self) -> list[str]:
        """Names of the tables of record."""
        return ["measures", *([self.details] if self.details else [])]

    def every_figure(self, study: Study) -> list[str]:
        """Names of the files of all figures, in order, for each of a study's tasks those that are drawn for one."""
        names = []
        for figure, exhibit in self.figures.items():
            names += [f"{figure}-{task}" for task in self.tasks(study)] if exhibit.per_task else [figure]
        return names

    def figure_names(self, study: Study) -> list[str]:
        """Names of the files of the figures that a study's settings can fill, in order."""
        empty = self.empty(study)
        return [name for name in self.every_figure(study) if self.split(name)[0] not in empty]

    def table_names(self, study: Study) -> list[str]:
        """All tables of results that a study's settings can fill, in order."""
        empty = self.empty(study)
        return [table for table in self.tables if table not in empty]

    def targets(self, study: Study, stage: str) -> list[str]:
        """The files that a stage is done for, relative to the study's folder of results.

        Raises:
            KeyError: if there is no stage of this name.
        """
        files: Mapping[str, tuple[str, Callable[[Study], Sequence[str]]]] = {
            "data": ("data/{}.sha256", self.data),
            "train": ("networks/{}.safetensors", self.networks),
            "measure": ("{}.parquet", lambda _: self.record),
            "figures": ("figures/{}.svg", self.figure_names),
            "tables": ("tables/{}.html", self.table_names),
            "claims": ("{}.json", lambda _: ["claims"]),
            "report": ("report/{}.html", lambda _: ["index"]),
            "manifest": ("{}.json", lambda _: ["manifest"]),
        }
        form, names = files[stage]
        return [form.format(name) for name in names(study)]

    def captions(self, study: Study) -> dict[str, dict[str, str]]:
        """Texts of all figures and tables, by the names of their files."""
        return {
            "figures": {name: self.figure(name).text for name in self.every_figure(study)},
            "tables": {name: table.text for name, table in self.tables.items()},
        }
