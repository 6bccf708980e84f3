"""The command line: one command per stage of the workflow. Numerical libraries load only where a stage needs them."""

import json
import os
import secrets
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from flatminima.audit.names import LevelName
from flatminima.config import Config, StudySettings, load
from flatminima.errors import UserError
from flatminima.provenance.files import atomic_path
from flatminima.provenance.parts import numbered
from flatminima.settings.device import DeviceName
from flatminima.settings.parsing import nearest, parse
from flatminima.settings.perceptron import Enumeration, ReplicaTheory, SolverName, SolverRuns
from flatminima.settings.rescaling import Convolutional, Demonstrations, Orbits
from flatminima.settings.theory import Attack, Convergence, Minima
from flatminima.settings.training import DataSettings, Experiment, Measure
from flatminima.settings.variations import Variations

if TYPE_CHECKING:
    from pandas import DataFrame

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Replication of three papers on flat minima.",
)

TRACEBACK = "FLATMINIMA_TRACEBACK"

StudyName = Annotated[str, typer.Option(help="Name of the study.")]
Settings = Annotated[str, typer.Option(help="The stage's part of config.yaml, as JSON.")]
Input = Annotated[Path, typer.Option(help="File to read.")]
Output = Annotated[Path, typer.Option(help="File to write.")]
Inputs = Annotated[list[Path], typer.Argument(help="Files to read.")]
Device = Annotated[DeviceName, typer.Option(help="Where to compute; auto: on a GPU if there is one.")]


@app.command()
def data(
    study: StudyName,
    task: str,
    data_root: Path,
    settings: Settings,
    samples: Output,
    moments: Output,
    checksums: Output,
) -> None:
    """Make the samples of a task, their second moments, and the checksums of both."""
    from flatminima.data.moments import second_moments
    from flatminima.data.sources import load_images
    from flatminima.data.storage import save_checksums, save_moments, save_samples
    from flatminima.data.tasks import build

    values = parse(DataSettings, _json(settings), "--settings")
    made = build(load_images(values.dataset, data_root), values.task, study, task)
    save_samples(samples, made)
    save_moments(moments, second_moments(made))
    save_checksums(checksums, [samples, moments])


@app.command()
def bound(moments: Input, settings: Settings, output: Output) -> None:
    """Minimal sharpness of linear networks of several depths (theory.md I3), certified."""
    from flatminima.data.storage import load_moments
    from flatminima.minima.bound import minimal_sharpness

    known = load_moments(moments)
    bounds = {}
    for depth in _json(settings):
        least = minimal_sharpness(known.end_to_end_map(), depth, known.loss_scale * known.input_moment)
        bounds[depth] = {"minimal_sharpness": least.value, "upper": least.upper, "gain": least.gain}
    _write_json(output, bounds)


@app.command()
def train(
    study: StudyName,
    experiment: str,
    depth: int,
    settings: Settings,
    samples: Input,
    moments: Input,
    bounds: Input,
    networks: Output,
    history: Output,
    part: Annotated[int, typer.Option(help="Number of the job, for an experiment with `seeds_per_job`.")] = 0,
    device: Device = "auto",
) -> None:
    """Train replicas of one experiment at one depth: all, or those of one part of the seeds."""
    from flatminima.data.storage import load_moments, load_samples
    from flatminima.networks.device import resolve
    from flatminima.networks.storage import save
    from flatminima.training.job import train as train_shape

    _flush_denormals()
    least = _read_json(bounds)
    if str(depth) not in least:
        raise UserError(f"{bounds}: no bound for depth {depth}, only for {', '.join(least)}; add it to `depths`")
    trained, losses = train_shape(
        study,
        experiment,
        parse(Experiment, _json(settings), f"experiments.{experiment}"),
        depth,
        load_samples(samples),
        load_moments(moments),
        critical_step=2 / least[str(depth)]["minimal_sharpness"],
        part=part,
        device=resolve(device),
    )
    _write_table(history, losses)
    save(trained, networks)


@app.command()
def measure(
    networks: Path,
    samples: Input,
    moments: Input,
    settings: Settings,
    measures: Output,
    overlaps: Output,
    unbalance: Annotated[float | None, typer.Option(help="Log-scale of the control's rescaling.")] = None,
    device: Device = "auto",
) -> None:
    """Sharpness, balance and coupling of every replica of a file, and of its unbalanced control."""
    import pandas as pd

    from flatminima.data.storage import load_moments, load_samples
    from flatminima.minima.measure import measure as measure_networks
    from flatminima.networks.device import resolve
    from flatminima.networks.storage import load as load_networks
    from flatminima.networks.storage import unbalanced

    _flush_denormals()
    trained, chosen = load_networks(networks), parse(Measure, _json(settings), "measure")
    problem, place = (load_samples(samples), load_moments(moments)), resolve(device)
    results = [measure_networks(trained, *problem, chosen, place)]
    if unbalance is not None:
        results.append(measure_networks(unbalanced(trained, unbalance), *problem, chosen.of_controls(), place))
    for tables, path in zip(zip(*results, strict=True), (measures, overlaps), strict=True):
        _write_table(path, pd.concat(tables, ignore_index=True))


@app.command()
def crosscheck(networks: Inputs, samples: Input, moments: Input, output: Output) -> None:
    """Sharpness of one network of each file by other libraries."""
    import pandas as pd

    from flatminima.data.storage import load_moments, load_samples
    from flatminima.minima.crosscheck import crosscheck as check
    from flatminima.networks.storage import load as load_networks

    problem = load_samples(samples), load_moments(moments)
    _write_table(output, pd.concat([check(load_networks(path), *problem) for path in networks], ignore_index=True))


@app.command()
def attack(study: StudyName, name: str, settings: Settings, output: Output) -> None:
    """Search for global minima that break a statement of theory."""
    from flatminima.minima.falsification import attack as attack_statement

    _flush_denormals()
    _write_table(output, attack_statement(study, name, parse(Attack, _json(settings), "attack")))


@app.command()
def construct(study: StudyName, settings: Settings, output: Output) -> None:
    """Construct global minima of random linear problems and measure them."""
    from flatminima.minima.construction import construct as construct_minima

    _write_table(output, construct_minima(study, parse(Minima, _json(settings), "minima")))


@app.command()
def converge(study: StudyName, start: str, settings: Settings, output: Output) -> None:
    """Train on random linear problems from one kind of start and measure where training ends."""
    from flatminima.minima.convergence import converge as train_from

    _flush_denormals()
    _write_table(output, train_from(study, start, parse(Convergence, _json(settings), "convergence")))


@app.command()
def convolve(study: StudyName, settings: Settings, samples: Input, networks: Output) -> None:
    """Train the convolutional networks of a rescaling study."""
    from flatminima.data.storage import load_samples
    from flatminima.networks.convolutional import save
    from flatminima.training.convolutional import train_convolutional

    _flush_denormals()
    values = parse(Convolutional, _json(settings), "convolutional")
    trained, shape, labels = train_convolutional(study, values, load_samples(samples))
    save(trained, shape, labels, networks)


@app.command()
def orbit(study: StudyName, settings: Settings, samples: Input, networks: Inputs, output: Output) -> None:
    """Find the flattest network in the rescaling orbit of every network of one shape."""
    from flatminima.data.storage import load_samples
    from flatminima.rescaling.invariants import measure_orbits
    from flatminima.rescaling.subjects import load as load_subjects

    known = load_samples(samples)
    subjects = [subject for path in networks for subject in load_subjects(path, known)]
    _write_table(output, measure_orbits(study, subjects, parse(Orbits, _json(settings), "orbits")))


@app.command()
def linear_orbit(
    study: StudyName, settings: Settings, moments: Input, bounds: Input, networks: Inputs, output: Output
) -> None:
    """Find the flattest network in the orbits of linear networks, and compare it with theory's minimum."""
    from flatminima.data.storage import load_moments
    from flatminima.networks.storage import load as load_networks
    from flatminima.rescaling.invariants import measure_linear_orbits
    from flatminima.rescaling.subjects import linear

    least = {int(depth): values["minimal_sharpness"] for depth, values in _read_json(bounds).items()}
    known = load_moments(moments)
    subjects = [subject for path in networks for subject in linear(load_networks(path), known)]
    _write_table(output, measure_linear_orbits(study, subjects, least, parse(Orbits, _json(settings), "orbits")))


@app.command()
def rescale(
    study: StudyName,
    demonstrations: Settings,
    orbits: Settings,
    samples: Input,
    networks: Inputs,
    measures: Output,
    curves: Output,
) -> None:
    """Show the theorems of Dinh et al. 2017 on networks of one shape."""
    from flatminima.data.storage import load_samples
    from flatminima.rescaling.subjects import load as load_subjects
    from flatminima.rescaling.theorems import show_theorems

    settings = parse(Demonstrations, _json(demonstrations), "demonstrations"), parse(Orbits, _json(orbits), "orbits")
    known = load_samples(samples)
    subjects = [subject for path in networks for subject in load_subjects(path, known)]
    tables = show_theorems(study, subjects, *settings)
    _write_tables(tables, measures, curves)


@app.command()
def volume(study: StudyName, settings: Settings, measures: Output, curves: Output) -> None:
    """Sample the volume of a minimum of two weights."""
    from flatminima.rescaling.coordinates import volumes

    _write_tables(volumes(study, parse(Demonstrations, _json(settings), "demonstrations")), measures, curves)


@app.command()
def replica(study: StudyName, part: str, settings: Settings, measures: Output, curves: Output) -> None:
    """Compute one part of the replica theory of the binary perceptron."""
    from flatminima.perceptron.transitions import transitions
    from flatminima.perceptron.typical import surroundings, typical_solutions

    parts = {"typical": typical_solutions, "surroundings": surroundings, "transitions": transitions}
    if part not in parts:
        raise UserError(f"part {part!r} is not known: {nearest(part, parts)}")
    _write_tables(parts[part](study, parse(ReplicaTheory, _json(settings), "theory")), measures, curves)


@app.command()
def enumerate(study: StudyName, settings: Settings, measures: Output, curves: Output) -> None:
    """Enumerate the solutions of small perceptrons."""
    from flatminima.perceptron.enumerated import enumerate_perceptrons

    tables = enumerate_perceptrons(study, parse(Enumeration, _json(settings), "enumeration"))
    _write_tables(tables, measures, curves)


@app.command()
def solve(
    study: StudyName, solver: SolverName, settings: Settings, solutions: Output, measures: Output, curves: Output
) -> None:
    """Run one solver on random perceptrons, and survey the solutions it finds."""
    from flatminima.data.storage import save_arrays
    from flatminima.perceptron.searches import run_solver

    *tables, found = run_solver(study, solver, parse(SolverRuns, _json(settings), "runs"))
    save_arrays(solutions, found, {"study": study, "solver": solver})
    _write_tables((tables[0], tables[1]), measures, curves)


@app.command()
def collect(
    tables: Annotated[list[Path], typer.Argument(help="Files to read; `part{0..9}` stands for ten.")], output: Output
) -> None:
    """Put the tables of all parts into one."""
    from flatminima.provenance.tables import join_tables

    with atomic_path(output) as temporary:
        join_tables([Path(name) for table in tables for name in numbered(str(table))], temporary)


@app.command()
def figure(
    name: str,
    measures: Input,
    output: Output,
    details: Annotated[Path | None, typer.Option(help="The study's other table: overlaps, or curves.")] = None,
    without: Annotated[list[str] | None, typer.Option(help="Experiment to leave out.")] = None,
) -> None:
    """Draw one figure as svg, pdf and png, with the csv of what it shows; `output` is any of them."""
    from flatminima.figures.render import render

    render(name, measures, details, output.with_suffix(""), without or [])


@app.command()
def table(
    name: str,
    measures: Input,
    output: Output,
    details: Annotated[Path | None, typer.Option(help="The study's other table: curves.")] = None,
) -> None:
    """Write one table as csv, html and tex; `output` is any of them."""
    from flatminima.figures.tables import render_table

    render_table(name, measures, output.with_suffix(""), details)


@app.command()
def sensitivity(settings: Settings, ledger: Input, measures: Input, output: Output) -> None:
    """Write the table of variations, judged as their baselines are, as csv, html and tex; `output` is any of them."""
    from flatminima.claims.ledger import load_ledger
    from flatminima.figures.sensitivity import render_sensitivity

    varied = parse(Variations, {"variations": _json(settings)}, "--settings").variations
    render_sensitivity(measures, load_ledger(ledger), varied, output.with_suffix(""))


@app.command()
def claims(study: StudyName, ledger: Input, measures: Input, output: Output) -> None:
    """Judge every claim of the ledger by the measures."""
    from flatminima.claims.ledger import load_ledger
    from flatminima.claims.verdicts import judge
    from flatminima.provenance.tables import read_table

    _write_json(output, {"study": study, "claims": judge(load_ledger(ledger), read_table(measures))})


@app.command()
def report(
    study: StudyName,
    settings: Settings,
    claims: Input,
    figures: Annotated[list[Path], typer.Option("--figure", help="Figure (svg).")],
    tables: Annotated[list[Path], typer.Option("--table", help="Table (html).")],
    output: Output,
) -> None:
    """Write the page of a study."""
    from flatminima.report.page import write_report

    values = parse(StudySettings, {"study": _json(settings)}, "--settings").study
    write_report(study, values, claims, figures, tables, output)


@app.command()
def manifest(study: StudyName, targets: Inputs, settings: Settings, output: Output) -> None:
    """List every file of a study, and where it came from; runs in the repository's root."""
    from flatminima.provenance.manifest import make_manifest, write_manifest

    values = parse(StudySettings, {"study": _json(settings)}, "--settings").study.model_dump(mode="json")
    write_manifest(make_manifest(study, values, [str(path) for path in targets], Path()), output)


@app.command()
def audit(
    folders: Annotated[list[Path], typer.Argument(help="Folders of results, one study each.")],
    level: Annotated[list[LevelName] | None, typer.Option(help="Level to run; all if none is given.")] = None,
    sample: Annotated[int, typer.Option(min=1, help="Jobs that are run again, for each study.")] = 1,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the draw of these jobs; drawn if not given.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="File to write the outcome to.")] = None,
) -> None:
    """Check results against their manifest, their measures, this code, and a run of some jobs."""
    from flatminima.audit.audit import audit as audit_study
    from flatminima.audit.audit import for_machines, for_people

    seed = secrets.randbelow(10**6) if seed is None else seed
    results = []
    for folder in folders:
        results.append(audit_study(folder, level or list(LevelName), Path(), sample, seed))
        print(for_people(results[-1]))
    if json_file:
        with atomic_path(json_file) as temporary:
            temporary.write_text(for_machines(results))
    sys.exit(0 if all(result.passed for result in results) else 1)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="Folder of results.")],
    second: Annotated[Path, typer.Argument(help="Folder to compare it with.")],
    tolerance: Annotated[float, typer.Option(help="Relative difference of numbers that agree.")] = 1e-2,
) -> None:
    """Compare two sets of results, quantity by quantity, and say which verdicts differ."""
    from flatminima.audit.compare import compare as compare_results
    from flatminima.audit.compare import comparison_table

    comparison = compare_results(first, second, tolerance)
    print(comparison_table(comparison))
    sys.exit(0 if comparison.agree else 1)


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Folder of results.")],
    output: Annotated[Path, typer.Argument(help="Archive to write (.zip).")],
) -> None:
    """Pack a study and its workflow as a Workflow Run RO-Crate."""
    from flatminima.audit.export import export as export_study

    export_study(folder, Path(), output)


@app.command()
def verdicts(results: Annotated[Path, typer.Argument(help="Folder of results.")]) -> None:
    """Print the verdict of every claim in every study, and where the reports are."""
    from flatminima.report.scoreboard import terminal_table

    paths = _claims(results)
    print(terminal_table(paths))
    for path in paths:
        print(f"report: {path.parent / 'report' / 'index.html'}")


@app.command()
def readme(
    results: Annotated[Path, typer.Argument(help="Folder of results.")] = Path("results"),
    check: Annotated[
        bool, typer.Option(help="Write nothing; fail if README.md or docs/results.md is not up to date.")
    ] = False,
) -> None:
    """Record the evidence of every study in results/reference, and write the tables of README.md and docs anew."""
    from flatminima.provenance.reference import record
    from flatminima.report.scoreboard import update_readme, update_tables

    reference = results / "reference"
    for path in [] if check else _claims(results):
        record(path.parent, reference / path.parent.name)
    update_readme(Path("README.md"), _claims(reference), check)
    update_tables(Path("docs/results.md"), reference, check)


@app.command()
def schema(of: Annotated[Literal["config", "manifest"], typer.Argument(help="Which file.")] = "config") -> None:
    """Print the JSON schema of config.yaml, for editors, or of manifests."""
    from flatminima.provenance.manifest import Manifest

    print(json.dumps((Config if of == "config" else Manifest).model_json_schema(), indent=2))


@app.command()
def validate(path: Annotated[Path, typer.Argument(help="Configuration to check.")] = Path("config.yaml")) -> None:
    """Check config.yaml, without running anything."""
    load(path)
    print(f"{path}: valid")


def main() -> None:
    """Run a command; a user's mistake ends in one line and exit code 2, not in a traceback."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # leaves no temporary file behind
    try:
        app()
    except UserError as error:
        if os.environ.get(TRACEBACK):
            raise
        hint = f" (for the traceback, set {TRACEBACK}=1)" if error.__cause__ else ""
        print(f"flatminima: {error}{hint}", file=sys.stderr)
        sys.exit(2)


def _flush_denormals() -> None:
    """Round numbers below 1e-38 to zero: dead units and settled optimisers make many, which slow processors down."""
    import torch

    torch.set_flush_denormal(True)


def _claims(results: Path) -> list[Path]:
    found = sorted(results.glob("*/claims.json"))
    if not found:
        raise UserError(f"{results}: no claims.json in any study; run `make reproduce` first")
    return found


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"--settings is not JSON: {error}") from None


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run the step that makes it") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not readable JSON ({error}); delete it and run again") from error


def _write_table(path: Path, table: "DataFrame") -> None:
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)


def _write_tables(tables: "tuple[DataFrame, DataFrame]", measures: Path, curves: Path) -> None:
    for table, path in zip(tables, (measures, curves), strict=True):
        _write_table(path, table)


def _write_json(path: Path, values: Any) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n")
