"""A digest that moves exactly when the code that runs moves."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flatminima.provenance.digest import PACKAGE, code_digest, digested

TOY = {
    "__init__.py": "",
    "physics.py": '"""Docs."""\nfrom toy.constants import GRAVITY\n\ndef weight(mass):\n    return mass * GRAVITY\n',
    "constants.py": "GRAVITY = 9.81\n",
    "unrelated.py": "COLOUR = 'blue'\n",
    "loops/__init__.py": "",
    "loops/chicken.py": "from toy.loops import egg\n",
    "loops/egg.py": "from toy.loops import chicken\nSHELL = 1\n",
}


@pytest.fixture
def toy(tmp_path):
    for name, text in TOY.items():
        path = tmp_path / "toy" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
    return tmp_path / "toy"


def moves(toy: Path, file: str, text: str, module: str = "toy.physics", **options) -> bool:
    """Whether writing `text` to `file` changes the digest of `module`."""
    before = code_digest(module, package=toy, **options)
    (toy / file).write_text(text)
    return code_digest(module, package=toy, **options) != before


@pytest.mark.parametrize(
    "text",
    [
        'from toy.constants import GRAVITY\n\ndef weight(mass):\n    """Other docs."""\n    return mass * GRAVITY\n',
        "# a comment\nfrom toy.constants import (\n    GRAVITY,\n)\ndef weight(mass): return (mass\n * GRAVITY)\n",
    ],
    ids=["docstring", "comments and formatting"],
)
def test_edits_that_do_not_run_leave_the_digest(toy, text):
    assert not moves(toy, "physics.py", text)


def test_quote_style_and_string_prefix_leave_the_digest(toy):
    (toy / "unrelated.py").write_text("COLOUR = 'blue'\n")
    assert not moves(toy, "unrelated.py", 'COLOUR = u"blue"\n', "toy.unrelated")


@pytest.mark.parametrize(
    ("old", "new"),
    [("mass * GRAVITY", "mass / GRAVITY"), ("mass", "heft"), ("return ", ""), ("def", "async def")],
)
def test_changed_code_changes_the_digest(toy, old, new):
    assert moves(toy, "physics.py", TOY["physics.py"].replace(old, new))


def test_changed_constant_of_an_imported_module_changes_the_digest(toy):
    assert moves(toy, "constants.py", "GRAVITY = 9.80\n")


def test_number_types_are_told_apart(toy):
    (toy / "constants.py").write_text("GRAVITY = 1\n")
    assert moves(toy, "constants.py", "GRAVITY = True\n")


@pytest.mark.parametrize("file", ["unrelated.py", "loops/egg.py"])
def test_modules_outside_the_closure_do_not_count(toy, file):
    assert not moves(toy, file, "EVERYTHING = 'else'\n")


def test_the_packages_around_a_module_count(toy):
    assert moves(toy, "loops/__init__.py", "LAZY = True\n", "toy.loops.egg")


def test_circular_imports_end(toy):
    assert moves(toy, "loops/egg.py", TOY["loops/egg.py"].replace("1", "2"), "toy.loops.chicken")


@pytest.mark.parametrize(
    "statement",
    [
        "import toy.loops.egg",
        "import toy.loops.egg as breakfast",
        "from toy.loops import egg",
        "from toy.loops.egg import SHELL",
        "from .loops import egg",
        "from . import loops\nfrom .loops.egg import SHELL",
        "from .loops.egg import *",
        "def lay():\n    from toy.loops.egg import SHELL",
        "try:\n    import numpy\nexcept ImportError:\n    from toy.loops import egg",
        "if TYPE_CHECKING:\n    import numpy\nelse:\n    from toy.loops import egg",
    ],
)
def test_every_form_of_import_is_followed(toy, statement):
    (toy / "physics.py").write_text(statement)
    assert moves(toy, "loops/egg.py", "SHELL = 2\n")
    assert not moves(toy, "unrelated.py", "COLOUR = 'red'\n")


def test_two_dots_reach_the_package_above(toy):
    (toy / "loops" / "egg.py").write_text("from ..constants import GRAVITY\nfrom .. import unrelated\n")
    assert moves(toy, "constants.py", "GRAVITY = 1.62\n", "toy.loops.egg")
    assert moves(toy, "unrelated.py", "COLOUR = 'red'\n", "toy.loops.egg")


def test_relative_import_in_a_package_starts_at_the_package(toy):
    (toy / "loops" / "__init__.py").write_text("from .egg import SHELL\n")
    assert moves(toy, "loops/egg.py", "SHELL = 2\n", "toy.loops")


@pytest.mark.parametrize("test", ["TYPE_CHECKING", "typing.TYPE_CHECKING"])
def test_imports_for_type_checkers_only_are_not_followed(toy, test):
    (toy / "physics.py").write_text(f"if {test}:\n    from toy.loops import egg\n")
    assert not moves(toy, "loops/egg.py", "SHELL = 2\n")


def test_order_and_repetition_of_the_names_do_not_count(toy):
    names = ["toy.physics", "toy.unrelated"]
    assert code_digest(*names, package=toy) == code_digest(*names[::-1], *names, package=toy)
    assert code_digest(*names, package=toy) != code_digest("toy.physics", package=toy)


def test_line_endings_that_git_converts_do_not_count(toy):
    (toy / "templates").mkdir()
    (toy / "templates" / "page.html").write_text("<p>one</p>\n")
    before = code_digest("toy.physics", data=["templates/*"], package=toy)
    for path in [*toy.glob("templates/*"), *toy.rglob("*.py")]:
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert code_digest("toy.physics", data=["templates/*"], package=toy) == before


def test_data_files_count_when_asked_for(toy):
    (toy / "templates").mkdir()
    (toy / "templates" / "page.html").write_text("<p>one</p>")
    assert not moves(toy, "templates/page.html", "<p>two</p>")
    assert moves(toy, "templates/page.html", "<p>three</p>", data=["templates/*"])
    assert moves(toy, "templates/more.html", "", data=["templates/*"])


@pytest.mark.parametrize("name", ["toy.missing", "numpy", "toy.physics.weight", "toyland"])
def test_a_missing_module_is_named(toy, name):
    with pytest.raises(ValueError, match=rf"^{name}: no such module"):
        code_digest("toy.physics", name, package=toy)


def test_a_missing_import_is_named(toy):
    (toy / "physics.py").write_text("import toy.missing")
    with pytest.raises(ValueError, match=r"^toy\.missing: no such module"):
        code_digest("toy.physics", package=toy)


def test_a_pattern_without_files_is_named(toy):
    with pytest.raises(ValueError, match=r"^templates/\*: matches no file"):
        code_digest("toy.physics", data=["templates/*"], package=toy)


def test_a_file_that_is_not_python_is_named_with_its_line(toy):
    (toy / "physics.py").write_text("x = 1\ndef")
    with pytest.raises(ValueError, match=r"physics\.py:2: "):
        code_digest("toy.physics", package=toy)


def test_the_digest_of_a_small_package_is_known(toy):
    """Recorded once and equal for Python 3.11, 3.12 and 3.13: a Python upgrade must not rerun a study."""
    (toy / "physics.py").write_text(TOY["physics.py"] + 'LABEL = f"{weight(1):>{9}}"\n')
    assert code_digest("toy.physics", package=toy) == "3665ebe7a0eae37594f03ffd58aa6d905a75f07f460f7425d774645dd1bff51e"


def test_the_digest_imports_nothing_that_it_digests():
    program = "import sys; from flatminima.provenance.digest import code_digest; " + (
        "code_digest('flatminima.config'); print(sorted({'yaml', 'torch', 'flatminima.config'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed == "[]\n"


STAGES = {path.stem for path in (PACKAGE / "stages").glob("*.py")} - {"__init__", "files"}
SHOWN = ("figures", "claims", "report", "studies", "audit", "commands", "cli", "config", "workflow", "provenance")
"""Parts of the package on which no number depends."""
RULE = re.compile(r"^rule (\w+):$(.*?)(?=^rule |\Z)", re.MULTILINE | re.DOTALL)
DIGESTED = re.compile(r"code_digest\((.*?)\)", re.DOTALL)


def parts_of(stage: str) -> set[str]:
    return {name.split(".")[1] for name in digested(f"flatminima.stages.{stage}") if name.count(".")}


def test_what_is_shown_is_in_no_digest_of_a_stage_that_computes():
    for stage in STAGES - {"manifest", "claims", "sensitivity"}:
        assert not parts_of(stage) & {*SHOWN}, stage
    assert not parts_of("train") & {"minima", "curvature", "theory", "rescaling", "perceptron"}
    assert not parts_of("data") & {"networks", "training", "minima", "curvature"}


def test_a_stage_is_a_function_of_the_name_of_its_module():
    for stage in STAGES:
        tree = ast.parse((PACKAGE / f"stages/{stage}.py").read_text())
        assert stage in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_code_of_a_rule_is_that_of_its_stage():
    """Figures, tables and reports also depend on modules that are found by the name of a kind."""
    rules = "\n".join(path.read_text() for path in sorted((PACKAGE.parents[1] / "workflow/rules").glob("*.smk")))
    found = {name: DIGESTED.findall(text) for name, text in RULE.findall(rules)}
    stages = {name: [f'"flatminima.stages.{name}"'] for name in found} | {
        "replica": ['f"flatminima.stages.{w.part}"'],
    }
    assert {name: code for name, code in found.items() if code != stages[name]}.keys() == {"figure", "table", "report"}
    assert {"train", "measure", "solve", "attack", "claims", "manifest"} <= found.keys()


def test_the_whole_package_can_be_digested():
    names = [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in PACKAGE.rglob("*.py")
    ]
    assert len(code_digest(*names)) == 64
