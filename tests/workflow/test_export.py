"""The export of a study is a Workflow Run RO-Crate that the public validator accepts, and holds the files of record."""

import hashlib
import io
import json
import zipfile

import pytest
import requests
from rocrate_validator.models import Severity, ValidationSettings
from rocrate_validator.services import validate

CONTEXTS = ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"]
TERMS = {
    "http://schema.org/": (
        "about contentSize datePublished description encodingFormat endTime hasPart identifier instrument license "
        "mainEntity mentions name object programmingLanguage result startTime url version ComputerLanguage "
        "CreateAction CreativeWork Dataset SoftwareSourceCode"
    ),
    "http://purl.org/dc/terms/": "conformsTo",
    "https://bioschemas.org/": "ComputationalWorkflow",
    "https://w3id.org/ro/terms/workflow-run#": "sha256",
}
"""The terms of an export, by where the two published contexts, which need a network to be read, say they belong."""


@pytest.fixture(scope="module")
def archive(finished, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "patches.zip"
    run = finished.run("flatminima", "export", "results/patches", str(path))
    assert run.returncode == 0, run.stdout
    return path


@pytest.fixture
def metadata(archive):
    with zipfile.ZipFile(archive) as crate:
        return json.loads(crate.read("ro-crate-metadata.json"))


@pytest.fixture
def contexts(monkeypatch):
    """Answer requests for the two contexts from TERMS; any other request fails as without a network."""
    words = {term: f"{place}{term}" for place, terms in TERMS.items() for term in terms.split()}
    document = json.dumps({"@context": words | {"File": "http://schema.org/MediaObject"}}).encode()

    def send(adapter, request, **options):
        if request.url not in CONTEXTS:
            raise requests.ConnectionError(request.url)
        response = requests.Response()
        response.status_code, response.url, response.request = 200, request.url, request
        response.headers["Content-Type"] = "application/ld+json"
        response.raw = io.BytesIO(document)
        return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    return words


def problems(archive) -> list[str]:
    """What the validator finds at the required level."""
    settings = ValidationSettings(
        rocrate_uri=str(archive),
        profile_identifier="workflow-run-crate-0.5",
        requirement_severity=Severity.REQUIRED,
        no_cache=True,
    )
    return [f"{issue.check.identifier}: {issue.message}" for issue in validate(settings).get_issues()]


def test_the_public_validator_accepts_it(archive, contexts):
    assert problems(archive) == []


def test_the_public_validator_refuses_it_without_the_run(archive, contexts, metadata, tmp_path):
    """The check above can fail."""
    metadata["@graph"] = [entity for entity in metadata["@graph"] if entity["@id"] != "Snakefile"]
    broken = tmp_path / "broken"
    with zipfile.ZipFile(archive) as crate:
        crate.extractall(broken)
    (broken / "ro-crate-metadata.json").write_text(json.dumps(metadata))
    assert problems(broken)


def test_every_term_has_a_meaning(contexts, metadata):
    used = {key for entity in metadata["@graph"] for key in entity if not key.startswith("@")}
    kinds = {kind for entity in metadata["@graph"] for kind in [entity["@type"]] if isinstance(kind, str)}
    assert used | kinds <= {*contexts, "File"}


def test_it_holds_every_file_of_the_manifest_with_its_hash(archive, finished, metadata):
    entities = {entity["@id"]: entity for entity in metadata["@graph"]}
    manifest = json.loads((finished.folder / "results/patches/manifest.json").read_text())
    with zipfile.ZipFile(archive) as crate:
        assert crate.testzip() is None
        for output in manifest["outputs"]:
            assert hashlib.sha256(crate.read(output["path"])).hexdigest() == output["sha256"]
            assert entities[output["path"]]["sha256"] == output["sha256"]
        names = set(crate.namelist())
    assert {"Snakefile", "config.yaml", "workflow/claims.yaml", "src/flatminima/cli.py"} <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith(("/", ".."))]
    made = {item["@id"] for item in entities["#run"]["result"]}
    assert made == {output["path"] for output in manifest["outputs"]} | {"results/patches/manifest.json"}


def test_results_that_fail_the_audit_are_not_exported(copied):
    (copied.folder / "results/patches/claims.json").write_text("{}")
    run = copied.run("flatminima", "export", "results/patches", "out.zip")
    assert run.returncode == 2
    assert "results/patches/claims.json: has 2 bytes" in run.stdout
    assert not (copied.folder / "out.zip").exists()
