"""Images of the user's own: read from their file, and read again when its content is another one."""

import os

import numpy as np
import yaml

FACES = "$FACES/faces.npz"


def save(folder, seed):
    images = np.random.default_rng(seed).integers(0, 256, (40, 6, 5, 3), np.uint8)
    np.savez(folder / "faces.npz", images=images)
    return images


def test_the_content_of_the_file_decides_what_runs_again(project, tmp_path, monkeypatch):
    monkeypatch.setenv("FACES", str(tmp_path))
    settings = yaml.safe_load((project.folder / "config.yaml").read_text())
    study = settings["studies"]["patches"]
    study["dataset"] = {"name": "npz", "path": FACES, "shape": [6, 5, 3], "holdout": 0.2}
    settings |= {"embedded": ["patches"], "studies": {"patches": study}}
    (project.folder / "config.yaml").write_text(yaml.safe_dump(settings))
    missing = project.snakemake("patches_data")
    assert missing.returncode != 0
    assert f"{tmp_path}/faces.npz: no such file; name it in dataset.path" in missing.stdout
    save(tmp_path, 0)
    run = project.snakemake("patches_data")
    assert run.returncode == 0, run.stdout
    os.utime(tmp_path / "faces.npz")
    assert project.planned("patches_data") == set()
    save(tmp_path, 1)
    assert project.planned("patches_data") == {("data", "study=patches, task=noisy")}
