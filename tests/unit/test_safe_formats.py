"""No call that runs what it reads, no shell, and no path out of the results: in all code of the project."""

import ast
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml

from flatminima.config import Config
from flatminima.errors import UserError
from flatminima.settings.parsing import parse

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(path for folder in ("src", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
RULES = [ROOT / "Snakefile", *sorted((ROOT / "workflow").rglob("*.smk"))]
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "tarfile"}
CALLS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.load", "yaml.load_all", "yaml.full_load",
    "yaml.unsafe_load", "torch.load", "torch.save", "torch.hub.load", "torch.jit.load", "pd.read_pickle",
    "shutil.unpack_archive",
}  # fmt: skip
METHODS = {"to_pickle", "extractall", "unsafe_load", "read_pickle"}
LOADERS = {"np.load": ("allow_pickle", False), "numpy.load": ("allow_pickle", False)}


def dotted(node: ast.expr) -> str:
    """`np.load` for an attribute of a name."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def banned(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            yield str(node.module)
        elif isinstance(node, ast.Call):
            name = dotted(node.func)
            options = {keyword.arg: getattr(keyword.value, "value", None) for keyword in node.keywords}
            safe = LOADERS.get(name)
            if name in CALLS or name.rpartition(".")[2] in METHODS or options.get("shell"):
                yield name
            if safe and options.get(safe[0]) is not safe[1]:
                yield f"{name} without {safe[0]}={safe[1]}"


def test_no_module_runs_what_it_reads():
    found = {str(path.relative_to(ROOT)): list(banned(path.read_text())) for path in SOURCES}
    assert len(found) > 100
    assert {path: calls for path, calls in found.items() if calls} == {}


@pytest.mark.parametrize(
    "text",
    [
        "import pickle", "from joblib import load", "import numpy as np\nnp.load('a')", "torch.load('a')",
        "yaml.load(text)", "np.load('a', allow_pickle=True)", "eval('1')", "frame.to_pickle('a')",
        "archive.extractall()", "subprocess.run('ls', shell=True)", "def f():\n    import dill",
    ],
)  # fmt: skip
def test_the_search_finds_what_it_looks_for(text):
    assert list(banned(text))


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_rules_run_commands_of_the_package_and_no_python_of_their_own(path):
    lines = [line.strip() for line in path.read_text().splitlines()]
    assert not {"run:", "script:", "notebook:", "wrapper:"} & set(lines)
    programs = [after for before, after in pairwise(lines) if before == 'r"""']
    assert all(program.startswith("flatminima ") for program in programs)
    assert len(programs) == lines.count("shell:")


CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())


@pytest.mark.parametrize("name", ["../digits", "a/b", "..", ".hidden", "/etc", "a b", "A", ""])
@pytest.mark.parametrize("section", ["study", "experiment", "task"])
def test_names_that_would_lead_out_of_the_results_are_refused(name, section):
    """Names of studies, experiments and tasks become parts of paths."""
    values = yaml.safe_load((ROOT / "config.yaml").read_text())
    holder = {"study": values["studies"], "experiment": values["studies"]["digits"]["experiments"]}.get(
        section, values["studies"]["digits"]["tasks"]
    )
    holder[name] = next(iter(holder.values()))
    with pytest.raises(UserError, match=r"^config\.yaml: studies"):
        parse(Config, values, "config.yaml")


def test_a_configuration_cannot_make_objects(tmp_path):
    from flatminima.config import load

    path = tmp_path / "config.yaml"
    path.write_text("data_root: !!python/object/apply:os.system ['touch made']\n")
    with pytest.raises(UserError, match="not valid YAML"):
        load(path)
    assert not (tmp_path / "made").exists()


def test_an_archive_that_leads_out_is_never_unpacked(tmp_path):
    """Data in npz files are read in memory, so that a member `../x` has nowhere to go; objects are refused."""
    from flatminima.data import published

    folder = tmp_path / "data"
    folder.mkdir()
    archive = folder / "mnist.npz"
    objects = np.array([{"an": "object"}], dtype=object)
    np.savez(archive, x_train=objects, y_train=objects, x_test=objects, y_test=objects)
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("../outside.npy", b"x")
    with pytest.raises(UserError, match=r"mnist\.npz: damaged"):
        published.load("mnist", folder)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["data", "mnist.npz"]
