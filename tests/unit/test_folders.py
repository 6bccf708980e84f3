"""Folders of the configuration: the home folder and variables are put in, and none is ever called `~`."""

from pathlib import Path

import numpy as np
import pytest

from flatminima.data.sources import load_images
from flatminima.errors import UserError
from flatminima.settings.datasets import Dataset
from flatminima.settings.folders import expanded


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SCRATCH", "/scratch/ada")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.delenv("UNSET", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("folder", "path"),
    [
        ("data", "data"),
        ("../data", "../data"),
        ("/data", "/data"),
        ("$SCRATCH/data", "/scratch/ada/data"),
        ("${SCRATCH}/data", "/scratch/ada/data"),
        ("/disk$SCRATCH", "/disk/scratch/ada"),
        ("data~", "data~"),
    ],
)
def test_variables_are_put_in(folder, path):
    assert expanded(folder, "data_root") == Path(path)


@pytest.mark.parametrize("folder", ["~/data", "$HOME/data", "${HOME}/data"])
def test_the_home_folder_is_put_in(folder, home):
    assert expanded(folder, "data_root") == home / "data"


@pytest.mark.parametrize(
    ("folder", "told"),
    [
        ("$UNSET/data", "data_root is '$UNSET/data': the variable 'UNSET' is not set; set it, or write the folder out"),
        ("data/${UNSET}", "data_root is 'data/${UNSET}': the variable 'UNSET' is not set"),
        ("$EMPTY/data", "data_root is '$EMPTY/data': the variable 'EMPTY' is not set"),
        ("~nobody-of-this-name/data", "data_root is '~nobody-of-this-name/data': '~nobody-of-this-name' is not known"),
    ],
)
def test_what_is_not_known_here_is_refused(folder, told):
    with pytest.raises(UserError) as error:
        expanded(folder, "data_root")
    assert str(error.value).startswith(told)


@pytest.mark.parametrize("folder", ["~/data", "$HOME/data"])
def test_data_in_the_home_folder_are_found(folder, home, monkeypatch):
    monkeypatch.chdir(home)
    (home / "data").mkdir()
    arrays = {f"x_{part}": np.zeros((3, 28, 28), np.uint8) for part in ("train", "test")}
    np.savez(home / "data/mnist.npz", **arrays, y_train=np.arange(3), y_test=np.arange(3))
    images = load_images(Dataset.model_validate({"name": "mnist"}), Path(folder))
    assert images.train_labels.tolist() == [0, 1, 2]
    assert [path.name for path in home.iterdir()] == ["data"]


def test_bundled_data_need_no_folder():
    dataset = Dataset.model_validate({"name": "digits", "holdout": 0.2})
    assert len(load_images(dataset, Path("$UNSET/data")).train_images) == 1438
