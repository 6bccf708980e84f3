"""The kinds of studies: one for each module of this folder that defines KIND."""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from flatminima import studies
from flatminima.config import AnyStudy
from flatminima.errors import UserError
from flatminima.settings.parsing import nearest
from flatminima.studies.kind import Kind


def _kinds() -> Iterator[Kind[Any]]:
    for module in iter_modules(studies.__path__, "flatminima.studies."):
        if module.name != __name__ and (kind := getattr(import_module(module.name), "KIND", None)):
            yield kind


KINDS = {kind.name: kind for kind in _kinds()}


def kind_of(study: AnyStudy) -> Kind[Any]:
    """The kind of a study."""
    return KINDS[study.kind]


def kind_named(name: str) -> Kind[Any]:
    """The kind of a name.

    Raises:
        UserError: if there is none.
    """
    if name not in KINDS:
        raise UserError(f"kind {name!r} is not known: {nearest(name, KINDS)}")
    return KINDS[name]
