"""Runs the unit tests that have changed, or that import a module of the package that has."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "src"
SHARED = ["origin/HEAD", "HEAD"]
"""Commits from which changes count: the last that this one shares with the origin; where there is none, this one."""


def git(*arguments: str) -> list[str]:
    """Lines that git prints; none if it fails."""
    run = subprocess.run(["git", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    return run.stdout.splitlines() if run.returncode == 0 else []


def changed() -> set[Path]:
    """Files that are not as in the commit that counts, new ones included."""
    base = next(found[0] for commit in SHARED if (found := git("merge-base", "HEAD", commit)))
    names = git("diff", "--name-only", base) + git("ls-files", "--others", "--exclude-standard")
    return {ROOT / name for name in names}


def imported(path: Path) -> set[str]:
    """Dotted names that a file imports: of modules, and of what it takes from them."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def tests_of(files: set[Path]) -> list[Path]:
    """Unit tests among files, or that import a module among them."""
    modules = {".".join(p.relative_to(SOURCES).with_suffix("").parts) for p in files if p.is_relative_to(SOURCES)}
    tests = (ROOT / "tests" / "unit").rglob("test_*.py")
    return sorted(path for path in tests if path in files or imported(path) & modules)


if __name__ == "__main__":
    found = tests_of(changed())
    print(f"{len(found)} unit tests have changed, or import what has", flush=True)
    sys.exit(pytest.main(["-q", *sys.argv[1:], *map(str, found)]) if found else 0)
