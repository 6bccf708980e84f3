"""docs/audit.md: its commands, options and links are those that there are."""

import re
from pathlib import Path

from typer.main import get_command

from flatminima.audit.levels import LevelName
from flatminima.commands.application import app

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "audit.md").read_text()


def test_every_command_of_the_page_exists():
    commands = get_command(app).commands
    named = set(re.findall(r"`?flatminima ([a-z]+) ", PAGE))
    assert {"audit", "compare", "export"} <= named <= set(commands)
    options = {name for command in ("audit", "compare") for p in commands[command].params for name in p.opts}
    assert {f"--{name}" for name in re.findall(r"--([a-z]+)", PAGE)} <= options


def test_every_level_is_explained():
    assert re.findall(r"^\| ([a-z]+) \| [A-Z]", PAGE, re.MULTILINE) == list(LevelName)


def test_every_file_that_the_page_points_to_is_there():
    targets = re.findall(r"\]\(([^)#:]+)\)", PAGE)
    assert targets
    assert [target for target in targets if not (ROOT / "docs" / target).exists()] == []
