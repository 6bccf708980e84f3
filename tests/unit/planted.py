"""Results of record in a repository whose code, ledger and settings went on after the commit that made them."""

import shutil
import subprocess
from pathlib import Path

import pandas as pd
import yaml
from audited import digest
from synthetic import synthetic_study

from flatminima.config import Config
from flatminima.figures.tables import render_table
from flatminima.provenance.digest import PACKAGE, code_digest
from flatminima.provenance.environment import environment, packages
from flatminima.provenance.manifest import Manifest, write_manifest
from flatminima.settings.parsing import parse
from flatminima.studies.registry import KINDS

ROOT = Path(__file__).resolve().parents[2]
CONFIG = parse(Config, yaml.safe_load((ROOT / "config.yaml").read_text()), "config.yaml")
LEDGER = "workflow/claims.yaml"
TRAINED, TABLES = "flatminima.training.experiments", "flatminima.figures.training.tables"
"""Modules that have changed since the commit."""
JUDGED, COLLECTED = "flatminima.claims.verdicts", "flatminima.record"
"""Modules that have not."""
VERDICTS = b'{"study": "digits", "claims": []}\n'
"""What the run made of an earlier ledger."""
FINISHED = 951_782_400.0
"""29 February 2000, in seconds since 1970."""


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    run = subprocess.run(["git", "-C", folder, *who, *arguments], check=True, capture_output=True, text=True)
    return run.stdout.strip()


def committed(folder: Path) -> str:
    """Commit all of a folder, which becomes a repository if it is none; the commit."""
    git(folder, "init")
    git(folder, "add", "--all")
    git(folder, "commit", "--allow-empty", "--message", "a")
    return git(folder, "rev-parse", "HEAD")


def repository(root: Path) -> str:
    """A copy of package and ledger as an earlier commit had them, and the ledger of today on top; that commit."""
    package = shutil.copytree(PACKAGE, root / "src" / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    for module in (TRAINED, TABLES):
        path = package.joinpath(*module.split(".")[1:]).with_suffix(".py")
        path.write_text(f"{path.read_text()}\nEARLIER = True\n")
    ledger = root / LEDGER
    ledger.parent.mkdir()
    ledger.write_text(f"{(ROOT / LEDGER).read_text()}\n# earlier\n")
    commit = committed(root)
    shutil.copy(ROOT / LEDGER, ledger)
    return commit


def reference(root: Path, commit: str) -> Path:
    """Results of record of the study digits that were made at the commit; their folder."""
    folder = root / "results" / "reference" / "digits"
    (folder / "tables").mkdir(parents=True)
    measures, _ = synthetic_study(depths=(2,))
    measures.to_parquet(folder / "measures.parquet")
    (folder / "claims.json").write_bytes(VERDICTS)
    render_table(KINDS["training"], "sharpness", folder / "measures.parquet", root / "sharpness")
    table = pd.read_csv(root / "sharpness.csv")
    table["sharpness_median"] *= 2
    table.to_csv(folder / "tables" / "sharpness.csv", index=False)
    write_manifest(_manifest(root, folder, commit), folder / "manifest.json")
    return folder


def code(root: Path, *modules: str) -> dict:
    """The digest of modules at the commit."""
    package = root / "src" / PACKAGE.name
    return {"sha256": code_digest(*modules, package=package), "modules": list(modules), "files": []}


def _manifest(root: Path, folder: Path, commit: str) -> Manifest:
    contents = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    made_from = {
        "networks/linear.safetensors": ("train", TRAINED, []),
        "measures/linear.parquet": ("measure", COLLECTED, ["networks/linear.safetensors"]),
        "measures.parquet": ("collect", COLLECTED, ["measures/linear.parquet"]),
        **{f"tables/sharpness.{kind}": ("table", TABLES, ["measures.parquet"]) for kind in ("csv", "html", "tex")},
        "claims.json": ("claims", JUDGED, ["measures.parquet"]),
        "report/index.html": ("report", COLLECTED, ["claims.json"]),
    }
    known = {name: contents.get(name, name.encode()) for name in made_from}
    outputs = [
        {
            "path": f"results/digits/{name}",
            "sha256": digest(known[name]),
            "size": len(known[name]),
            "rule": rule,
            "command": ["flatminima", rule, f"results/digits/{name}"],
            "code": code(root, module),
            "inputs": {f"results/digits/{source}": digest(known[source]) for source in sources},
        }
        for name, (rule, module, sources) in made_from.items()
    ]
    outputs[-2]["inputs"][LEDGER] = digest(git(root, "show", f"{commit}:{LEDGER}").encode() + b"\n")
    expense = {"finished": FINISHED, "seconds": None, "peak_memory": None, "threads": None}
    return Manifest.model_validate(
        {
            "study": "digits",
            "kept": "of record",
            "settings": CONFIG.studies["digits"].model_dump(mode="json"),
            "environment": environment(),
            "packages": packages(),
            "outputs": outputs,
            "circumstances": {
                "commit": commit,
                "dirty": False,
                "outputs": {output["path"]: expense for output in outputs},
            },
        }
    )
