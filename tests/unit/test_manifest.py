"""The manifest: what it takes from the workflow's records, what it refuses, and that it can be trusted to be whole."""

import base64
import hashlib
import json
import os
from pathlib import Path, PurePosixPath

import pytest
from audited import PREFIX, edited, manifest, results
from hypothesis import given
from hypothesis import strategies as st
from planted import committed

from flatminima.errors import UserError
from flatminima.provenance.environment import graphics, instructions, packages
from flatminima.provenance.git import checkout
from flatminima.provenance.job_records import METADATA, code_stamp, read_jobs
from flatminima.provenance.manifest import Manifest, inside, make_manifest, of_record, read_manifest

ROOT = Path(__file__).resolve().parents[2]
STAMP = f"code {'a' * 64} of flatminima.minima.bound flatminima.data.storage report/templates/*"
RECORD = {
    "rule": "bound",
    "input": ["results/toy/data.txt", "config.txt"],
    "log": ["logs/toy/bound.log"],
    "shellcmd": "\n  flatminima bound \\\n --settings '{\"a b\": 1}' \\\n /home/me/data 2>&1 | tee bound.log >&2\n",
    "params": [repr('{"a b": 1}'), repr(STAMP), "not a literal("],
    "endtime": 12.5,
    "input_checksums": {"config.txt": f"sha256:{'b' * 64}"},
}


def record(root: Path, path: str, content: bytes, **changes) -> None:
    """A file, and what Snakemake remembers of the job that made it."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(content)
    name = base64.urlsafe_b64encode(path.encode()).decode()
    parts = [name[k : k + 254] for k in range(0, len(name), 254)]
    file = (root / METADATA).joinpath(*[f"@{part}" for part in parts[:-1]], parts[-1])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(RECORD | changes))


@pytest.fixture
def run(tmp_path):
    """Two outputs of one job, one of another, a file of another study, and a file that no job made."""
    record(tmp_path, "results/toy/bound.json", b"bound")
    record(tmp_path, "results/toy/bound.txt", b"the same in words")
    record(tmp_path, "results/toy/data.txt", b"data", rule="data", input=["results/other/a.txt"], log=["logs/data.log"])
    record(tmp_path, "results/other/a.txt", b"other", rule="data", log=["logs/other.log"], input=[])
    (tmp_path / "results/toy/stray.txt").write_text("made by hand")
    (tmp_path / "logs/toy").mkdir(parents=True)
    cost = "cost: 1.50 s, 1.25 s of processor time, 200 MB, 2 threads"
    (tmp_path / "logs/toy/bound.log").write_text(f"warning\ndevice: Accelerator X\ntoy: done\n{cost}\n")
    return tmp_path


@pytest.fixture
def made(run):
    return make_manifest("toy", {"title": "Toy"}, ["results/toy/bound.json"], run, run)


def test_it_lists_targets_what_they_are_made_from_and_what_came_with_them(made):
    assert [output.path for output in made.outputs] == [f"{PREFIX}{n}" for n in ("bound.json", "bound.txt", "data.txt")]


def test_an_entry_says_what_the_file_is_and_where_it_came_from(made, run):
    entry = made.outputs[0]
    assert entry.sha256 == hashlib.sha256(b"bound").hexdigest()
    assert (entry.size, entry.rule) == (5, "bound")
    assert entry.command == ["flatminima", "bound", "--settings", '{"a b": 1}', "(absolute path)"]
    assert entry.code.sha256 == "a" * 64
    assert entry.code.modules == ["flatminima.minima.bound", "flatminima.data.storage"]
    assert entry.code.files == ["report/templates/*"]


def test_inputs_carry_the_hash_that_the_job_read_or_else_the_file_s(made):
    assert made.outputs[0].inputs == {
        "config.txt": "b" * 64,
        "results/toy/data.txt": hashlib.sha256(b"data").hexdigest(),
    }


def test_costs_are_those_of_the_benchmark_file_and_nothing_where_there_is_none(made):
    known, unknown = made.circumstances.outputs[f"{PREFIX}bound.txt"], made.circumstances.outputs[f"{PREFIX}data.txt"]
    assert (known.finished, known.seconds, known.peak_memory, known.threads) == (12.5, 1.5, 200.0, 2)
    assert (unknown.seconds, unknown.peak_memory, unknown.threads) == (None, None, None)


def test_the_device_is_the_one_that_the_log_names(made):
    known, unknown = made.circumstances.outputs[f"{PREFIX}bound.txt"], made.circumstances.outputs[f"{PREFIX}data.txt"]
    assert (known.device, unknown.device) == ("Accelerator X", None)


def test_graphics_processors_are_those_that_their_driver_lists(tmp_path):
    assert graphics(tmp_path / "absent") == {}
    for name in ("0000:0a:00.0", "0000:0b:00.0"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "information").write_text("Model: \t\t Accelerator X\nIRQ: 17\n")
    assert graphics(tmp_path) == {"Graphics processors": "Accelerator X, Accelerator X"}


def test_vector_instructions_are_those_that_linux_lists(tmp_path):
    assert instructions(tmp_path / "absent") == {}
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("model name\t: Q\nflags\t\t: fpu sse4_2 smep avx2 sse avx512f fma\n\nflags\t: other\n")
    assert instructions(cpuinfo) == {"Vector instructions": "avx2 avx512f fma sse sse4_2"}
    cpuinfo.write_text("BogoMIPS\t: 50\nFeatures\t: fp asimd crc32 sve i8mm sme2\n")
    assert instructions(cpuinfo) == {"Vector instructions": "asimd sme2 sve"}


def test_what_is_not_on_record_is_null(tmp_path):
    (tmp_path / "results/toy").mkdir(parents=True)
    (tmp_path / "results/toy/a.txt").write_text("a")
    entry = make_manifest("toy", {}, ["results/toy/a.txt"], tmp_path, tmp_path).outputs[0]
    assert (entry.rule, entry.command, entry.code, entry.inputs) == (None, [], None, {})


def test_where_records_are_gone_files_that_are_there_are_listed_with_null(run):
    """Snakemake's folder is often deleted to get rid of a lock; the next run makes a manifest from what is left."""
    for path in (run / METADATA).iterdir():
        path.unlink()
    record(run, "results/toy/data.txt", b"data", rule="data", input=[], log=["logs/data.log"])
    (run / "results/toy/bound.txt~").touch()
    (run / "results/toy/manifest.json").touch()
    outputs = {output.path: output for output in make_manifest("toy", {}, ["results/toy/bound.json"], run, run).outputs}
    assert list(outputs) == [f"{PREFIX}{name}" for name in ("bound.json", "bound.txt", "data.txt", "stray.txt")]
    assert [output.rule for output in outputs.values()] == [None, None, "data", None]
    assert [output.code is None for output in outputs.values()] == [True, True, False, True]
    assert outputs[f"{PREFIX}bound.txt"].sha256 == hashlib.sha256(b"the same in words").hexdigest()


@pytest.mark.parametrize("name", [".DS_Store", "not base 64!", "w6k"])
def test_files_of_others_among_the_records_are_left_alone(run, name):
    before = read_jobs(run, PREFIX, run)
    (run / METADATA / name).write_bytes(b"\xff")
    assert read_jobs(run, PREFIX, run) == before


def test_a_record_that_was_cut_short_is_none(run):
    name = base64.urlsafe_b64encode(b"results/toy/bound.txt").decode()
    (run / METADATA / name).write_text('{"rule": ')
    assert list(read_jobs(run, PREFIX, run)) == [f"{PREFIX}bound.json", f"{PREFIX}data.txt"]


def test_a_missing_target_is_named(tmp_path):
    with pytest.raises(UserError, match=r"results/toy/a\.txt: no such file"):
        make_manifest("toy", {}, ["results/toy/a.txt"], tmp_path, tmp_path)


def test_long_names_are_read_from_the_folders_that_snakemake_splits_them_into(tmp_path):
    path = f"results/toy/{'long/' * 80}a.txt"
    record(tmp_path, path, b"a")
    assert list(read_jobs(tmp_path, "results/toy/", tmp_path)) == [path]


def test_records_of_other_studies_are_not_opened(run):
    """Snakemake may be writing them."""
    (path,) = (run / METADATA).glob(base64.urlsafe_b64encode(b"results/other/a.txt").decode())
    path.write_text("{")
    assert len(read_jobs(run, "results/toy/", run)) == 3


def test_a_stamp_holds_the_digest_of_its_modules():
    stamp = code_stamp("flatminima.errors")
    assert stamp.split()[2:] == ["of", "flatminima.errors"]
    assert len(stamp.split()[1]) == 64


def test_the_commit_is_that_of_git(tmp_path):
    assert checkout(tmp_path) == (None, None)
    (tmp_path / "a").write_text("a")
    commit = committed(tmp_path)
    assert checkout(tmp_path) == (commit, False)
    (tmp_path / "a").write_text("b")
    assert checkout(tmp_path) == (commit, True)


def test_a_folder_that_only_lies_in_a_checkout_is_at_no_commit(tmp_path):
    """As an unpacked archive of this repository in somebody's own, or the folder .venv."""
    (tmp_path / "a").write_text("a")
    committed(tmp_path)
    (tmp_path / "unpacked").mkdir()
    (tmp_path / "unpacked" / "b").write_text("b")
    assert checkout(tmp_path / "unpacked") == (None, None)


@pytest.mark.parametrize("below", [False, True], ids=["beside the run", "in its folder"])
def test_a_run_elsewhere_lists_what_a_run_in_the_repository_lists(tmp_path, below):
    """Files of the workflow by their names in it, wherever the run was; the commit is the workflow's."""
    ledger = b"claims: []\n"
    here, elsewhere = tmp_path / "repository", tmp_path / "elsewhere"
    if below:
        here = elsewhere / "repository"
    (here / "workflow").mkdir(parents=True)
    (here / "workflow/claims.yaml").write_bytes(ledger)
    commit = committed(here)
    made = []
    for folder in (here, elsewhere):
        name = os.path.relpath(here, folder) if below else str(here)
        name = "workflow/claims.yaml" if folder == here else f"{name}/workflow/claims.yaml"
        command = f"\n flatminima claims --ledger {name} --output results/toy/claims.json 2>&1 | tee a.log >&2\n"
        record(folder, "results/toy/claims.json", b"{}", shellcmd=command, input=[name], input_checksums={})
        made.append(make_manifest("toy", {}, ["results/toy/claims.json"], folder, here))
    assert made[0].outputs == made[1].outputs
    assert made[0].outputs[0].inputs == {"workflow/claims.yaml": hashlib.sha256(ledger).hexdigest()}
    assert made[1].outputs[0].command[2:4] == ["--ledger", "workflow/claims.yaml"]
    assert [manifest.circumstances.commit for manifest in made] == [commit, commit]


def test_packages_are_those_that_the_project_requires():
    assert {"numpy", "torch", "snakemake"} <= packages().keys()
    assert "pytest" not in packages()


@pytest.mark.parametrize("path", ["results/toy/../other/a", "/etc/passwd", "results/other/a", "results/toy/./a", ""])
def test_paths_that_lead_out_of_the_study_are_refused(tmp_path, path):
    folder = results(tmp_path)
    with pytest.raises(ValueError, match="is not below results/toy/"):
        edited(folder, lambda values: values["outputs"][0].update(path=path))
    with pytest.raises(UserError, match="not a manifest"):
        read_manifest(folder)


@given(st.lists(st.sampled_from(["a", "..", ".", "", "b c"]), min_size=1))
def test_what_is_inside_a_folder_stays_there(parts):
    """Against pathlib: a path that is accepted resolves to a file below the folder."""
    path = "results/toy/" + "/".join(parts)
    if inside(path, "results/toy/"):
        assert (Path("/root") / path).resolve().is_relative_to("/root/results/toy")
        assert ".." not in parts


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values["outputs"].append(values["outputs"][0]),
        lambda values: values.update(outputs=[]),
        lambda values: values.update(version=2),
        lambda values: values.update(more=1),
        lambda values: values["outputs"][0].update(sha256="A" * 64),
        lambda values: values["outputs"][0].pop("inputs"),
    ],
    ids=["twice", "empty", "version", "extra key", "no digest", "missing key"],
)
def test_a_malformed_manifest_is_an_error_that_names_the_file(tmp_path, change):
    folder = results(tmp_path)
    with pytest.raises(ValueError, match="validation error"):
        edited(folder, change)
    with pytest.raises(UserError, match=r"manifest\.json: not a manifest: .*make reproduce"):
        read_manifest(folder)


def test_only_verdicts_of_record_are_taken_again():
    again = {"original": "0" * 64, "finished": 0.0, "environment": {}}
    assert manifest(kept="of record", rejudged=again).rejudged.original == "0" * 64
    with pytest.raises(ValueError, match="only verdicts of record are taken again"):
        manifest(rejudged=again)


def test_only_tables_of_record_have_other_names_of_columns():
    renamed = {"results/toy/measures.parquet": "0" * 64}
    assert manifest(kept="of record", migrated=renamed).migrated == renamed
    with pytest.raises(ValueError, match="only tables of record have other names"):
        manifest(migrated=renamed)


def test_a_missing_manifest_names_the_cure(tmp_path):
    with pytest.raises(UserError, match=r"manifest\.json: no such file; run `make reproduce`"):
        read_manifest(tmp_path)


def test_a_manifest_read_is_the_one_written(tmp_path):
    assert read_manifest(results(tmp_path)) == manifest()


def test_of_record_are_verdicts_measures_and_data_of_tables_and_figures():
    names = ["claims.json", "measures.parquet", "tables/a.csv", "figures/b.csv", "figures/overview.png"]
    others = ["measures/a.parquet", "networks/a.safetensors", "figures/b.png", "tables/a.html", "report/index.html"]
    assert [of_record(PurePosixPath(name)) for name in names + others] == [True] * len(names) + [False] * len(others)
    partial = manifest(kept="of record")
    assert [str(partial.relative(output)) for output in partial.present()] == ["measures.parquet", "claims.json"]


def test_the_published_schema_is_the_one_in_use():
    """Run `make schema` after changes of flatminima.provenance.manifest."""
    published = json.loads((ROOT / "docs" / "manifest.schema.json").read_text())
    assert published == Manifest.model_json_schema()
