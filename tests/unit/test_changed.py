"""`make check` runs the unit tests of what has changed."""

from pathlib import Path

import pytest
from tests import changed

UNIT = Path(__file__).parent
SOURCES = changed.SOURCES / "flatminima"


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ([SOURCES / "report" / "times.py"], ["test_readme.py"]),
        ([SOURCES / "forkclient.py"], ["test_forkserver.py"]),
        ([UNIT / "test_changed.py", changed.ROOT / "README.md"], ["test_changed.py"]),
        ([changed.ROOT / "README.md"], []),
    ],
)
def test_tests_that_import_what_changed(files, found):
    assert [path.name for path in changed.tests_of(set(files))] == found


def test_modules_are_found_however_they_are_imported(tmp_path):
    path = tmp_path / "test_it.py"
    path.write_text("import a.b\nfrom c import d\ndef f():\n    from e.f import g as h\n")
    assert changed.imported(path) == {"a.b", "c", "c.d", "e.f", "e.f.g"}
