"""The studies of published data sets: the shipped study of MNIST on the real files, others on small ones."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from project import ROOT, Project
from safetensors.numpy import load_file

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
WIDTH = 32
NPZ = Path("images/data/fashion_mnist.npz")
DATA_ROOT = "$IMAGES/data"


def reduced(study: dict) -> dict:
    """The same study on its main task, a linear and a ReLU experiment left, with few networks, measured coarsely."""
    study["tasks"] = {"noisy": study["tasks"]["noisy"]}
    study["experiments"] = {name: study["experiments"][name] for name in ("linear", "relu")}
    for run in study["experiments"].values():
        run["depths"] = [2]
        run["step_sizes"] = [0.15, 0.2]
        run["seeds"] = 1
        run["steps"] = 800 if run["family"] == "relu" else 80
        run["width"] = WIDTH
    study["measure"]["tolerance"] = 0.1
    study["measure"]["products"] = 4
    study["measure"]["jacobian_samples"] = 2
    return study


def configured(project: Project, name: str, data_root: Path | str, dataset: str | None = None) -> Project:
    """A project whose only study is the shipped one of MNIST, reduced, on some data set."""
    study = reduced(yaml.safe_load((ROOT / "config.yaml").read_text())["studies"]["mnist"])
    study["dataset"]["name"] = dataset or name
    settings = {"data_root": str(data_root), "embedded": [name], "studies": {name: study}}
    (project.folder / "config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    return project


def samples_of(project: Project, name: str, pixels: int, train: int, test: int) -> dict[str, np.ndarray]:
    """The samples of a study of images, whose checksums and shapes are right."""
    folder = project.folder / "results" / name / "data"
    for line in (folder / "noisy.sha256").read_text().splitlines():
        digest, file = line.split("  ")
        assert hashlib.sha256((folder / file).read_bytes()).hexdigest() == digest
    samples = load_file(folder / "noisy.safetensors")
    assert samples["targets"].shape == (train, pixels)
    assert samples["test_targets"].shape == (test, pixels)
    assert (samples["targets"].min(), samples["targets"].max()) == (0, 1)
    return samples


@pytest.mark.skipif(not (DATA / "MNIST").is_dir(), reason=f"no MNIST in {DATA}; the study itself would download it")
def test_the_study_of_mnist_runs_on_the_real_files(project):
    """The moments are checked against those of the published images: mean pixel 0.1307, deviation 0.3081."""
    overview = "results/mnist/figures/overview.svg"
    configured(project, "mnist", DATA)
    run = project.snakemake("mnist_claims", "mnist_tables", overview, "--resources=mem_mb=4000")
    assert run.returncode == 0, run.stdout
    clean = samples_of(project, "mnist", 784, 60_000, 10_000)["targets"]
    assert clean.mean(dtype=np.float64) == pytest.approx(0.1307, abs=1e-4)
    assert clean.std(dtype=np.float64) == pytest.approx(0.3081, abs=1e-4)
    folder = project.folder / "results" / "mnist"
    measures = pd.read_parquet(folder / "measures.parquet")
    final = measures[measures["final"] & (measures["statistic"] == "sharpness")]
    assert final.groupby(["case", "control"])["value"].count().to_dict() == {
        (case, control): 2 for case in ("linear", "relu") for control in ("", "unbalanced")
    }
    claims = json.loads((folder / "claims.json").read_text())["claims"]
    assert [claim["id"] for claim in claims] == ["M2", "M3", "M4", "M5"]
    names = "sharpness-noisy", "dose-response", "coupling-excess", "path-cosine"
    left = {f"study=mnist, name={name}" for name in names}
    assert project.planned("mnist") == {("figure", figure) for figure in left} | {
        (rule, "study=mnist") for rule in ("report", "manifest")
    }


@pytest.fixture
def fashion(project, monkeypatch) -> Project:
    """A study of a few hundred random images in the form of Fashion-MNIST, in a folder that a variable names."""
    monkeypatch.setenv("IMAGES", str(project.folder / "images"))
    arrays = {}
    generator = np.random.default_rng(0)
    for part, count in {"train": 300, "test": 50}.items():
        arrays[f"x_{part}"] = generator.integers(0, 256, (count, 28, 28), np.uint8)
        arrays[f"y_{part}"] = generator.integers(0, 10, count)
    (project.folder / NPZ).parent.mkdir(parents=True)
    np.savez(project.folder / NPZ, **arrays)
    return configured(project, "fashion", DATA_ROOT, "fashion_mnist")


def test_a_study_of_fashion_mnist_runs_on_an_npz_file(fashion):
    run = fashion.snakemake("fashion_data")
    assert run.returncode == 0, run.stdout
    samples = samples_of(fashion, "fashion", 784, 300, 50)
    with np.load(fashion.folder / NPZ) as arrays:
        np.testing.assert_allclose(samples["targets"], arrays["x_train"].reshape(300, 784) / 255, rtol=1e-6)


def test_the_audit_makes_networks_again_from_published_images_where_it_has_them(fashion):
    measures = "results/fashion/measures.parquet"
    run = fashion.snakemake(measures)
    assert run.returncode == 0, run.stdout
    study = json.dumps(yaml.safe_load((fashion.folder / "config.yaml").read_text())["studies"]["fashion"])
    output = ["--repository", ".", "--output", "results/fashion/manifest.json"]
    made = fashion.run("flatminima", "manifest", "--study", "fashion", "--settings", study, *output, measures)
    assert made.returncode == 0, made.stdout
    for folder in ("data", "networks"):
        shutil.rmtree(fashion.folder / "results" / "fashion" / folder)
    audit = ["flatminima", "audit", "results/fashion", "--level=recomputation", "--sample=9"]
    with_data = fashion.run(*audit)
    assert (with_data.returncode, with_data.stdout.splitlines()[1].split()[1]) == (0, "PASSED"), with_data.stdout
    (fashion.folder / NPZ).unlink()
    without = fashion.run(*audit)
    assert (without.returncode, without.stdout.splitlines()[1].split()[1:3]) == (0, ["NOT", "RUN"]), without.stdout
    told = " ".join(without.stdout.split())
    assert f"not run: the data set fashion_mnist is not in the folder {DATA_ROOT}" in told
    unset = fashion.run(*audit, IMAGES="")
    assert unset.returncode == 0
    assert "not run: data_root is '$IMAGES/data': the variable 'IMAGES' is not set" in " ".join(unset.stdout.split())


@pytest.mark.skipif(not (DATA / "cifar10.npz").is_file(), reason=f"no cifar10.npz in {DATA}")
def test_a_study_of_cifar10_runs_on_some_of_the_real_images(project):
    """A thousand images: the channels' means are those of the published set, within what so few images can tell."""
    with np.load(DATA / "cifar10.npz") as archive:
        parts = {"x_train": 1000, "y_train": 1000, "x_test": 100, "y_test": 100}
        arrays = {name: archive[name][:count] for name, count in parts.items()}
    (project.folder / "data").mkdir()
    np.savez(project.folder / "data" / "cifar10.npz", **arrays)
    run = configured(project, "cifar10", Path("data")).snakemake("cifar10_data")
    assert run.returncode == 0, run.stdout
    clean = samples_of(project, "cifar10", 3072, 1000, 100)["targets"]
    channels = clean.reshape(-1, 3).mean(axis=0, dtype=np.float64)
    assert channels == pytest.approx([0.4914, 0.4822, 0.4465], abs=0.02)
