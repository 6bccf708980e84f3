"""Copies of the project that the recipes of docs/extend.md are put to, and the places that these touch."""

import shutil
from pathlib import Path
from typing import NamedTuple

from extend_page import CHANGES, RECIPES, commands, recipe_files
from project import Project

HERE = "tests/recipes"
SOURCES = ("config.yaml", "docs", "pyproject.toml", "src", "tests", "workflow")
AUTHOR = ("-c", "user.name=flatminima", "-c", "user.email=flatminima@localhost")


class Places(NamedTuple):
    """What a recipe touches: new files, existing files, and the lines added to these or taken out of them."""

    new: list[str]
    modified: list[str]
    lines: int


class Copy(Project):
    """A copy of the project under version control."""

    @classmethod
    def create(cls, folder: Path) -> "Copy":
        """Copy what the workflow reads, and the recipes."""
        project = super().create(folder)
        shutil.copytree(RECIPES, folder / HERE)
        project.type("git", "init", "--quiet")
        return project

    def type(self, *words: str) -> str:
        """Output of a command that must succeed; two processor cores stand for all."""
        run = self.run(*("2" if word == "all" else word for word in words))
        assert run.returncode == 0, run.stdout
        return run.stdout

    def apply(self, recipe: str) -> Places:
        """Add a recipe's new files, make its changes, and count both."""
        self.type("git", "add", *SOURCES)
        self.type("git", *AUTHOR, "commit", "--quiet", "--message", "sources")
        for name in recipe_files(recipe):
            if name.startswith(SOURCES):
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.folder / HERE / recipe / name, self.folder / name)
        self.type("git", "apply", f"{HERE}/{recipe}/{CHANGES}")
        return self.places()

    def places(self) -> Places:
        """Differences from before the last recipe."""
        self.type("git", "add", *SOURCES)
        compared = ("git", "diff", "--cached", "--no-renames")
        status = [line.split("\t") for line in self.type(*compared, "--name-status").splitlines()]
        new, modified = ([name for kind, name in status if kind == letter] for letter in "AM")
        numbers = [line.split("\t") for line in self.type(*compared, "--numstat", "--", *modified).splitlines()]
        return Places(new, modified, sum(int(added) + int(removed) for added, removed, _ in numbers))

    def follow(self, recipe: str) -> None:
        """Type the commands of a recipe's section."""
        for words in commands(recipe):
            self.type(*words)
