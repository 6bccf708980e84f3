"""Digest of a module and of all that it imports: it changes exactly when what they compute may change.

And the digest of a file of the user's own images.
"""

import ast
import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from flatminima.errors import UserError
from flatminima.settings.folders import placed

PACKAGE = Path(__file__).resolve().parents[1]
IMPLIED = ("ctx", "kind")


class Imported(NamedTuple):
    """One import statement: `from {dots}{module} import {names}`; `names` is empty for `import {module}`."""

    dots: int
    module: str
    names: tuple[str, ...]


class Source(NamedTuple):
    """Digest and imports of one module."""

    sha256: str
    imports: tuple[Imported, ...]


def code_digest(*modules: str, data: Sequence[str] = (), package: Path = PACKAGE) -> str:
    """Digest of the code that runs when `modules` are used: they, their packages, and all they import of `package`.

    Two versions of the code share a digest when they differ only in comments, docstrings, formatting, or modules
    outside the closure. The digest is the same for Python 3.11 to 3.13. Nothing is imported: files are only parsed.
    Imports inside functions count. A block under `if TYPE_CHECKING:` does not run, so neither it nor its imports count.
    Imports by a computed name (importlib) are not seen.

    Args:
        modules: dotted names, `flatminima.training.descent`.
        data: glob patterns, relative to the package's folder, of other files to count: `report/templates/*`.
        package: the package's folder; its name is the first part of every module's name.

    Returns:
        SHA-256, 64 hexadecimal digits.

    Raises:
        ValueError: if a module is not in the package, cannot be parsed, or a pattern matches no file.
    """
    parts = digested(*modules, data=data, package=package)
    return _sha256("\n".join(f"{name} {sha256}" for name, sha256 in parts.items()).encode())


@cache
def images_digest(path: str | None, data_root: str) -> str:
    """SHA-256 of a file of the user's own images; empty where there is none, which the job that reads it tells.

    Args:
        path: the file, as `dataset.path` has it; None for other data sets.
        data_root: the folder of data.
    """
    if path is None:
        return ""
    try:
        with placed(path, data_root).open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except (UserError, OSError):
        return ""


def digested(*modules: str, data: Sequence[str] = (), package: Path = PACKAGE) -> dict[str, str]:
    """SHA-256 of everything that `code_digest` covers, modules before files: what changed, where a digest did.

    Args:
        modules: as `code_digest` takes them.
        data: as it takes them.
        package: as it takes it.

    Returns:
        64 hexadecimal digits each, by a module's dotted name, or a file's path relative to the package's folder.

    Raises:
        ValueError: as `code_digest`.
    """
    code = {name: source.sha256 for name, source in sorted(_closure(modules, package).items())}
    files = {path.relative_to(package).as_posix(): _sha256(_unix(path.read_bytes())) for path in _files(data, package)}
    return code | files


def _closure(modules: Sequence[str], package: Path) -> dict[str, Source]:
    closure: dict[str, Source] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in closure:
            continue
        path = _find(name, package)
        if path is None:
            raise ValueError(f"{name}: no such module in {package}; check the spelling")
        try:
            closure[name] = _source(path.read_bytes())
        except SyntaxError as error:
            raise ValueError(f"{path}:{error.lineno}: {error.msg}; mend the file") from error
        parent = name.rpartition(".")[0]
        waiting += [parent] if parent else []
        here = name if path.name == "__init__.py" else parent
        for imported in closure[name].imports:
            waiting += _targets(imported, here, package)
    return closure


def _targets(imported: Imported, here: str, package: Path) -> Iterator[str]:
    """Names of the modules of `package` that one statement, in a module of the package `here`, loads."""
    parents = here.split(".")
    origin = parents[: len(parents) - imported.dots + 1] if imported.dots else []
    base = ".".join([*origin, imported.module] if imported.module else origin)
    if base.split(".")[0] != package.name:
        return
    yield base
    yield from (submodule for name in imported.names if _find(submodule := f"{base}.{name}", package))


def _find(module: str, package: Path) -> Path | None:
    first, *rest = module.split(".")
    stem = package.joinpath(*rest)
    candidates = [stem / "__init__.py", stem.with_name(f"{stem.name}.py")] if rest else [stem / "__init__.py"]
    return next((path for path in candidates if first == package.name and path.is_file()), None)


def _files(patterns: Sequence[str], package: Path) -> list[Path]:
    found = {pattern: [path for path in package.glob(pattern) if path.is_file()] for pattern in patterns}
    for pattern, paths in found.items():
        if not paths:
            raise ValueError(f"{pattern}: matches no file in {package}; check the pattern")
    return sorted({path for paths in found.values() for path in paths})


def _unix(text: bytes) -> bytes:
    """A text without Windows' line endings, which git may have put there."""
    return text.replace(b"\r\n", b"\n")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@cache
def _source(text: bytes) -> Source:
    reader = _Reader()
    reader.read(ast.parse(text))
    return Source(_sha256(" ".join(reader.words).encode()), tuple(reader.imports))


class _Reader:
    """One walk over a syntax tree: its words, like `ast.dump` but equal for all Python versions, and its imports."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.imports: list[Imported] = []

    def read(self, value: object) -> None:
        if isinstance(value, list):
            self.words.append("[")
            for item in value:
                self.read(item)
            self.words.append("]")
        elif isinstance(value, ast.AST):
            self._node(value)
        else:
            self.words.append(ascii(value))

    def _node(self, node: ast.AST) -> None:
        match node:
            case ast.Expr(ast.Constant(str())):
                pass
            case ast.If(ast.Name("TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
                self.read(node.orelse)
            case ast.JoinedStr():  # Python 3.12 ends some format specifications with an empty text
                self._fields(ast.JoinedStr([part for part in node.values if getattr(part, "value", None) != ""]))
            case _:
                self._imports(node)
                self._fields(node)

    def _imports(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            self.imports += [Imported(0, alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            self.imports.append(Imported(node.level, node.module or "", tuple(alias.name for alias in node.names)))

    def _fields(self, node: ast.AST) -> None:
        self.words.append(type(node).__name__)
        for name in node._fields:
            child = getattr(node, name, None)
            if child is not None and child != [] and name not in IMPLIED:
                self.words.append(name)
                self.read(child)
        self.words.append(";")
