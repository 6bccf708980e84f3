"""Second level: verdicts, tables and figures follow from the measures."""

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from flatminima.audit.differences import difference
from flatminima.audit.levels import LevelName
from flatminima.audit.machine import same_machine
from flatminima.audit.older import CLAIMS, abridged, commit_of_record, outdated, short
from flatminima.audit.outcome import Level
from flatminima.audit.rejudging import LEDGER, MEASURES, verdicts_of
from flatminima.claims.ledger import Ledger, load_ledger
from flatminima.config import AnyStudy, StudySettings
from flatminima.errors import UserError
from flatminima.figures import figure_files
from flatminima.figures.render import drawn
from flatminima.figures.tables import render_table
from flatminima.figures.training.sensitivity import NAME as SENSITIVITY
from flatminima.figures.training.sensitivity import render_sensitivity
from flatminima.files import numbered
from flatminima.provenance.job_records import SHIPPED
from flatminima.provenance.manifest import Manifest
from flatminima.record import join_tables
from flatminima.report.page import write_report
from flatminima.settings.parsing import parse
from flatminima.settings.variations import Variation
from flatminima.studies.kind import Kind
from flatminima.studies.registry import kind_of

CHANGES = "predicates.yaml"
PAGE = PurePosixPath("report/index.html")
DATA = (".csv", ".json", ".parquet")
QUESTION = "Do verdicts, tables and figures follow from the measures?"
ROUNDED = "other hardware or software than the manifest's: rounding is allowed, pictures and pages are not compared"


def check_derivation(folder: Path, manifest: Manifest, root: Path) -> Level:
    """Make claims, tables, figures, collected tables and the report again in a scratch folder, and compare.

    On the machine of the manifest all bytes must be equal. Elsewhere numbers may differ by rounding, and pictures and
    pages, which depend on the fonts and libraries that made them, are not compared.

    Results of record may be older than this code: a table or figure that other code made, and that this code makes
    otherwise, is counted as older. Verdicts are not: they must follow from the measures under this ledger.

    Args:
        folder: the study's results.
        manifest: its manifest.
        root: the repository, for workflow/claims.yaml and workflow/predicates.yaml.

    Raises:
        UserError: if the ledger cannot be read.
    """
    exact = same_machine(manifest)
    commit = commit_of_record(manifest)
    earlier = outdated(manifest, root) if commit else set()
    findings: list[str] = []
    otherwise: list[str] = []
    compared = 0
    with tempfile.TemporaryDirectory() as scratch:
        ledger = load_ledger(root / SHIPPED / LEDGER)
        anew = _Anew(folder, Path(scratch), manifest, ledger, root / SHIPPED / CHANGES)
        for names, make in anew.recipes(exact):
            compared += len(names)
            found = list(_differences(anew, names, make, exact))
            if found and str(names[0]) == CLAIMS and manifest.prefix + CLAIMS in earlier:
                findings += [f"{finding}; `make readme` takes verdicts of record again" for finding in found]
            elif found and any(manifest.prefix + str(name) in earlier for name in names):
                otherwise += map(str, names)
            else:
                findings += found
    if not compared:
        findings.append("nothing is there to be made anew")
    unrecorded = [str(manifest.relative(output)) for output in manifest.present() if not output.command]
    notes = [] if exact else [ROUNDED]
    if unrecorded:
        notes.append(f"no command is on record for {abridged(unrecorded)}; what needs one is not made anew")
    older = (f"made otherwise by code later than commit {short(commit)}: {abridged(otherwise)}",) if commit else ()
    return Level(
        LevelName.DERIVATION,
        QUESTION,
        f"{compared} files",
        tuple(findings),
        tuple(notes),
        older=older if otherwise else (),
    )


def _differences(anew: "_Anew", names: Sequence[PurePosixPath], make: Callable[[], None], exact: bool) -> Iterator[str]:
    """Differences of files that one job makes together, when they are made again."""
    try:
        make()
    except (UserError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        yield f"{names[0]}: cannot be made anew: {error}"
        return
    judged_later = anew.manifest.rejudged if str(names[0]) == CLAIMS else None
    exact = same_machine(judged_later) if judged_later else exact
    yield from _compare(anew.folder, anew.scratch, names, exact)
    yield from _unlisted(anew.manifest, anew.scratch, names)


@dataclass(frozen=True)
class _Anew:
    """Makes the files of a study again, from its measures alone."""

    folder: Path
    scratch: Path
    manifest: Manifest
    ledger: Ledger
    changes: Path

    def recipes(self, exact: bool) -> Iterator[tuple[Sequence[PurePosixPath], Callable[[], None]]]:
        """Files that are made together, and how; pictures only where bytes must be equal."""
        manifest = self.manifest
        commands = {manifest.relative(output): output.command for output in manifest.present()}
        together = defaultdict(list)
        for name in sorted(commands):
            if exact or name.suffix in DATA:
                together[name.with_suffix("")].append(name)
        for stem, names in together.items():
            if stem == PurePosixPath("tables", SENSITIVITY):
                yield names, self.sensitivity
            elif stem.parts[0] == "tables":
                yield names, partial(self.table, stem.name)
            elif stem.parts[0] == "figures":
                pictures = any(name.suffix not in DATA for name in names)
                yield names, partial(self.figure, stem.name, self.left_out(stem.name, commands[names[0]]), pictures)
            elif names == [PurePosixPath(CLAIMS)]:
                yield names, self.claims
            elif (parts := _parts(stem, manifest, commands[names[0]])) and parts.keys() <= commands.keys():
                yield names, partial(self.collected, stem.name, list(parts))
        if exact and commands.get(PAGE):
            yield [PAGE], partial(self.page, commands[PAGE])

    @property
    def details(self) -> Path | None:
        """The study's other table, where it has one."""
        path = self.folder / f"{self.kind.details}.parquet"
        return path if path.exists() else None

    @property
    def settings(self) -> AnyStudy:
        """The study's section of the configuration, as the manifest has it."""
        return parse(StudySettings, {"study": self.manifest.settings}, "settings of the manifest").study

    @property
    def kind(self) -> Kind[Any]:
        """The study's kind."""
        return kind_of(self.settings)

    @property
    def variations(self) -> list[Variation]:
        """The study's variations; only trained networks have any."""
        return self.kind.variations(self.settings)

    def left_out(self, figure: str, command: Sequence[str]) -> list[str]:
        """Experiments that a figure does not show: by its command, or where none is on record by the settings."""
        return _values(command, "--without=") if command else self.kind.left_out(self.settings, figure)

    def claims(self) -> None:
        (self.scratch / CLAIMS).write_text(verdicts_of(self.folder, self.manifest.study, self.ledger), encoding="utf-8")

    def table(self, name: str) -> None:
        render_table(self.kind, name, self.folder / MEASURES, self.scratch / "tables" / name, self.details)

    def sensitivity(self) -> None:
        output = self.scratch / "tables" / SENSITIVITY
        render_sensitivity(self.folder / MEASURES, self.ledger, self.variations, output)

    def figure(self, name: str, without: Sequence[str], pictures: bool) -> None:
        figure, plotted = drawn(self.kind, name, self.folder / MEASURES, self.details, self.ledger, without)
        output = self.scratch / "figures" / name
        if pictures:
            figure_files.save(figure, plotted, output)
        else:
            figure_files.save_data(plotted, output)

    def collected(self, name: str, parts: Sequence[PurePosixPath]) -> None:
        join_tables([self.folder / part for part in parts], self.scratch / f"{name}.parquet")

    def page(self, command: Sequence[str]) -> None:
        """The report, from claims, figures and tables that were made again before it, in the order of its command."""

        def shown(option: str) -> list[Path]:
            words = _values(command, option)
            return [self.scratch / PurePosixPath(word).relative_to(self.manifest.prefix) for word in words]

        shutil.copyfile(self.folder / MEASURES, self.scratch / MEASURES)
        claims, figures, tables = self.scratch / CLAIMS, shown("--figure="), shown("--table=")
        write_report(self.manifest.study, self.settings, claims, self.changes, figures, tables, self.scratch / PAGE)


def _values(command: Sequence[str], option: str) -> list[str]:
    """Values of an option that a command may repeat; the option's name includes `--option=`."""
    return [word.removeprefix(option) for word in command if word.startswith(option)]


def _parts(stem: PurePosixPath, manifest: Manifest, command: Sequence[str]) -> dict[PurePosixPath, None]:
    """The parts of a collected table in their order, `measures/linear.parquet` for `measures`; else none."""
    words = [PurePosixPath(name.removeprefix(manifest.prefix)) for word in command for name in numbered(word)]
    return {word: None for word in words if word.parent == stem}


def _unlisted(manifest: Manifest, scratch: Path, names: Sequence[PurePosixPath]) -> Iterator[str]:
    """Files that are made with others but that the manifest does not list."""
    listed = {manifest.relative(output) for output in manifest.outputs}
    for path in sorted((scratch / names[0]).parent.glob(f"{names[0].stem}.*")):
        if (name := PurePosixPath(path.relative_to(scratch))) not in listed:
            yield f"{name}: is made by this code, and not in the manifest"


def _compare(folder: Path, scratch: Path, names: Sequence[PurePosixPath], exact: bool) -> Iterator[str]:
    for name in names:
        if not (scratch / name).is_file():
            yield f"{name}: is not made by this code"
        elif not (folder / name).is_file():
            yield f"{name}: missing"
        elif found := difference(folder / name, scratch / name, exact):
            yield f"{name}: {found}"
