"""What results are compared with: a checkout, wherever the audit starts, and the settings that the run had."""

import os
from pathlib import Path

import pytest
import yaml
from audited import manifest, results
from snakemake.utils import update_config

from flatminima.audit import checkout
from flatminima.audit.audit import audit
from flatminima.audit.checkout import PARTS, find_checkout
from flatminima.audit.code import check_code
from flatminima.audit.configuration import configured
from flatminima.audit.jobs import recorded_jobs
from flatminima.audit.levels import LevelName
from flatminima.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def repository(tmp_path):
    """What a checkout is known by, in a folder with a space in its name."""
    root = tmp_path / "my checkout"
    for part in PARTS:
        (root / part).parent.mkdir(parents=True, exist_ok=True)
        (root / part).touch()
    (root / "results/toy").mkdir(parents=True)
    return root


def test_the_checkout_is_where_one_is_or_above(repository, tmp_path, monkeypatch):
    for place in (repository, repository / "results", repository / "results/toy"):
        monkeypatch.chdir(place)
        assert find_checkout(tmp_path / "copied/toy") == repository


def test_the_checkout_is_above_the_results_where_one_is_elsewhere(repository, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_checkout(repository / "results/toy") == repository
    assert find_checkout(Path("my checkout/results/toy")) == repository
    (tmp_path / "link").symlink_to(repository / "results/toy")
    assert find_checkout(Path("link")) == repository


def test_the_checkout_is_above_the_package_where_neither_is_in_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_checkout(Path()) == ROOT
    monkeypatch.setattr(checkout, "PACKAGE", tmp_path / "site-packages/flatminima")
    with pytest.raises(UserError, match=r"no checkout to compare with: run in the folder that holds Snakefile, "):
        find_checkout(Path())


@pytest.fixture
def somebody_else():
    """Root may read everything."""
    if root := os.geteuid() == 0:
        os.seteuid(65534)
    yield
    if root:
        os.seteuid(0)


@pytest.mark.parametrize("name", ["", "manifest.json", "networks"])
def test_results_of_another_user_that_one_may_not_read_are_no_failure(tmp_path_factory, name, request):
    folder = results(tmp_path_factory.mktemp("of_another"))
    (folder / name).chmod(0)
    request.getfixturevalue("somebody_else")
    with pytest.raises(UserError, match=r"you may not read it; .*chmod -R a\+rX "):
        audit(folder, [LevelName.INTEGRITY], ROOT, sample=1, seed=0)


def test_settings_are_merged_as_snakemake_merges_them(tmp_path):
    longer, other = tmp_path / "longer.yaml", tmp_path / "other.json"
    longer.write_text("embedded: [theory]\nstudies: {patches: {title: Mine, dataset: {holdout: 0.3}}}\n")
    other.write_text('{"studies": {"patches": {"title": "Other"}}}')
    values = yaml.safe_load((ROOT / "config.yaml").read_text())
    update_config(values, {"embedded": ["theory"], "studies": {"patches": {"title": "Other"}}})
    values["studies"]["patches"]["dataset"]["holdout"] = 0.3
    config = configured(ROOT / "config.yaml", [longer, other])
    assert config == type(config).model_validate(values)
    settings = config.studies["patches"].model_dump(mode="json")
    of_run = manifest(study="patches", settings=settings, outputs=[file("data", [])])
    assert not any("not the settings" in finding for finding in check_code(of_run, config, ROOT).findings)
    (finding,) = [
        finding
        for finding in check_code(of_run, configured(ROOT / "config.yaml", []), ROOT).findings
        if "not the settings of the manifest: title, dataset; " in finding
    ]
    assert finding.endswith("--configfile FILE")


@pytest.mark.parametrize("text", [None, "[1, 2]", "a: [", "\udce9: 1", "studies: {patches: {titel: a}}"])
def test_a_configuration_that_cannot_be_read_is_named(tmp_path, text):
    path = tmp_path / "mine.yaml"
    if text is not None:
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError, match=r"mine\.yaml") as error:
        configured(ROOT / "config.yaml", [path])
    assert "\n" not in str(error.value)


def file(rule, command):
    entry = {"path": "results/patches/a.txt", "sha256": "0" * 64, "size": 1, "rule": rule, "command": command}
    return entry | {"code": None, "inputs": {}}


@pytest.mark.parametrize(("dataset", "folder"), [("patches", "data"), ("mnist", "(absolute path)")])
def test_the_folder_of_data_sets_does_not_matter_where_the_data_set_is_bundled(dataset, folder):
    made = file("data", ["flatminima", "data", "--study", "patches", "noisy", "(absolute path)"])
    (job,) = recorded_jobs(manifest(study="patches", settings={"dataset": {"name": dataset}}, outputs=[made]))
    assert job.command == ("flatminima", "data", "--study", "patches", "noisy", folder)
