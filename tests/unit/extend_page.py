"""docs/extend.md as tests read it: the files and commands of each recipe."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ROOT / "tests" / "recipes"
CHANGES = "changes.diff"
HEADINGS = {
    "study": "A study",
    "images": "Images of your own",
    "figure": "A figure",
    "statistic": "A statistic",
    "claim": "A claim",
    "paper": "A paper",
}
LAST = "Before you commit"
NAME = r"(?:New file `([^`\n]+)`|`tests/recipes/\w+/([^`\n]+)`|Changes):"
FILE = re.compile(rf"^{NAME}\n\n```\w+\n(.*?)^```$", re.M | re.S)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


def section(recipe: str) -> str:
    """Text of a recipe's section."""
    page = (ROOT / "docs" / "extend.md").read_text()
    ends = "|".join((*HEADINGS.values(), LAST))
    return re.search(rf"^## {HEADINGS[recipe]}\n(.*?)(?=^## (?:{ends})\n)", page, re.M | re.S)[1]


def shown_files(recipe: str) -> dict[str, str]:
    """Files that a section shows, by their paths in the recipe's folder."""
    return {new or beside or CHANGES: code for new, beside, code in FILE.findall(section(recipe))}


def commands(recipe: str) -> list[list[str]]:
    """Commands that a section tells to type: blocks without a language."""
    blocks = [code for language, code in BLOCK.findall(section(recipe)) if not language]
    return [shlex.split(line) for code in blocks for line in code.splitlines()]


def recipe_files(recipe: str) -> dict[str, str]:
    """Files of a recipe's folder, by their paths in it."""
    paths = (path for path in (RECIPES / recipe).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(RECIPES / recipe)): path.read_text() for path in sorted(paths)}
