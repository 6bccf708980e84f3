"""A small study with a manifest, made by hand: networks, one measure of them, a claim and what was read."""

import hashlib
import json
from pathlib import Path

from flatminima.provenance.manifest import Circumstances, Expense, Manifest, write_manifest

CONTENTS = {
    "networks/linear-depth2.safetensors": b"two layers",
    "networks/linear-depth3.safetensors": b"three layers",
    "measures/linear.parquet": b"numbers",
    "measures.parquet": b"all numbers",
    "claims.json": b'{"study": "toy"}',
}
MADE_FROM = {
    "networks/linear-depth2.safetensors": [],
    "networks/linear-depth3.safetensors": [],
    "measures/linear.parquet": ["networks/linear-depth2.safetensors", "networks/linear-depth3.safetensors"],
    "measures.parquet": ["measures/linear.parquet"],
    "claims.json": ["measures.parquet"],
}
RULES = dict(zip(MADE_FROM, ["train", "train", "measure", "collect", "claims"], strict=True))
PREFIX = "results/toy/"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def command(name: str) -> list[str]:
    return ["flatminima", RULES[name], *(PREFIX + source for source in MADE_FROM[name]), "--output", PREFIX + name]


def manifest(**changes) -> Manifest:
    """The manifest of the study, with some of its fields changed."""
    outputs = [
        {
            "path": PREFIX + name,
            "sha256": digest(content),
            "size": len(content),
            "rule": RULES[name],
            "command": command(name),
            "code": None,
            "inputs": {PREFIX + source: digest(CONTENTS[source]) for source in MADE_FROM[name]},
        }
        for name, content in CONTENTS.items()
    ]
    nothing = Expense(finished=None, seconds=None, peak_memory=None, threads=None)
    circumstances = Circumstances(commit=None, dirty=None, outputs={PREFIX + name: nothing for name in CONTENTS})
    values = {"study": "toy", "kept": "all", "settings": {}, "environment": {}, "packages": {}, "outputs": outputs}
    return Manifest.model_validate(values | {"circumstances": circumstances.model_dump()} | changes)


def results(root: Path) -> Path:
    """Write the study below a root; its folder."""
    folder = root / PREFIX
    for name, content in CONTENTS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    write_manifest(manifest(), folder / "manifest.json")
    return folder


def edited(folder: Path, change) -> Manifest:
    """Let `change` edit the manifest of a folder as plain JSON, and read it again."""
    path = folder / "manifest.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    return Manifest.model_validate(values)
