"""Validation of settings, which reports the first mistake in one line."""

import difflib
import math
import re
import types
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from flatminima.errors import UserError

Model = TypeVar("Model", bound=BaseModel)


def nearest(word: str, allowed: Mapping[str, Any] | Sequence[str]) -> str:
    """Say what is allowed instead of `word`, the closest spelling first."""
    close = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}allowed: {', '.join(allowed)}"


def parse(model: type[Model], values: Any, origin: str) -> Model:
    """Validate `values` against `model`.

    Args:
        model: the section's model.
        values: parsed YAML or JSON.
        origin: where the values stand, for the message (`config.yaml`).

    Raises:
        UserError: one line naming the first wrong key, its value, what is allowed and the nearest valid key.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first, *others = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        more = f" ({len(others)} more)" if others else ""
        raise UserError(f"{origin}: {_explain(model, first)}{more}") from None


def _explain(model: type[BaseModel], error: ErrorDetails) -> str:
    value = error["input"]
    section, location = _section(model, error["loc"])
    key = ".".join(str(part) for part in location)
    if error["type"] == "extra_forbidden":
        return f"{key}: unknown key; {nearest(str(location[-1]), section.model_fields)}"
    if error["type"] == "missing":
        parent, _ = _section(model, error["loc"][:-1])
        return f"{key}: missing key; add it ({parent.__name__} requires it)"
    if error["type"].startswith("union_tag"):
        given = value.get("kind") if isinstance(value, Mapping) else None
        kinds = [_tag(member) for member in _walk(model, error["loc"])[0]]
        return f"{key}.kind is {given!r}: {nearest(str(given), kinds)}"
    if error["type"] == "value_error":
        return f"{key}: {error['ctx']['error']}".removeprefix(": ")
    if error["type"] == "model_type":
        return f"{key} is {value!r}: expected a mapping with the keys {', '.join(section.model_fields)}"
    if error["type"] == "literal_error" and isinstance(value, str):
        choices = error["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        return f"{key} is {value!r}: {nearest(value, choices)}"
    shown = repr(value) if len(repr(value)) < 60 else type(value).__name__
    return f"{key} is {shown}: {error['msg'][0].lower()}{error['msg'][1:]}{_cure(error['type'], value)}"


def _cure(kind: str, value: Any) -> str:
    """Say how to write a value that YAML took for one of another type; empty where it did not."""
    if kind in ("float_type", "int_type") and isinstance(value, str) and (number := _as_number(value, kind)):
        return f"; YAML reads it as text: write {number}"
    if kind == "int_type" and isinstance(value, float) and value.is_integer():
        return f"; write {value:.0f}"
    if kind == "bool_type" and isinstance(value, str):
        return "; write true or false, without quotes"
    if kind == "list_type" and isinstance(value, (int, float, str)):
        return f"; write [{value}]"
    if kind == "string_type" and value is None:
        return "; YAML reads ~, null and an empty value as nothing: write a text, in quotes if need be"
    if kind == "string_type" and isinstance(value, (bool, int, float, date)):
        read = "yes, no, on and off as true and false" if isinstance(value, bool) else f"it as {type(value).__name__}"
        return f"; YAML reads {read}: put it in quotes"
    return ""


def _as_number(text: str, kind: str) -> str | None:
    """A text that people read as a number, in the form that YAML 1.1 reads as one of a kind: 1.0e-3 for 1e-3."""
    try:
        number = float(text)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    mantissa, _, exponent = text.strip().lower().partition("e")
    if number.is_integer() and (kind == "int_type" or not exponent):
        return str(int(number))
    if not exponent:
        return repr(number)
    pointed = re.sub(r"^([-+]?)\.", r"\g<1>0.", mantissa if "." in mantissa else f"{mantissa}.0")
    return f"{pointed}e{'' if exponent[0] in '+-' else '+'}{exponent}"


def _section(model: type[BaseModel], location: Sequence[str | int]) -> tuple[type[BaseModel], list[str | int]]:
    """The model at a location of the configuration, or above an unknown key, and the location without unions' tags."""
    kind, keys = _walk(model, location)
    return kind if _is_model(kind) else model, keys


def _walk(model: type[BaseModel], location: Sequence[str | int]) -> tuple[Any, list[str | int]]:
    """The type at a location, a tuple of the members where it is a union, and the location without unions' tags."""
    kind: Any = model
    keys: list[str | int] = []
    for part in location:
        if part == "[key]":  # the name of a section is wrong, not what stands in it
            break
        if isinstance(kind, tuple):
            kind = next(member for member in kind if _tag(member) == part)
        else:
            keys.append(part)
            if _is_model(kind) and part not in kind.model_fields:
                break
            kind = _unwrap(kind.model_fields[part].annotation if _is_model(kind) else get_args(kind)[-1])
    return kind, keys


def _unwrap(kind: Any) -> Any:
    """Drop `Annotated` and `| None`; a tuple of the members where several are left."""
    if get_origin(kind) is Annotated:
        return _unwrap(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        members = tuple(_unwrap(arm) for arm in get_args(kind) if arm is not type(None))
        return members[0] if len(members) == 1 else members
    return kind


def _tag(model: type[BaseModel]) -> str:
    """The value of `kind` that chooses a member of a union."""
    tag: str = get_args(model.model_fields["kind"].annotation)[0]
    return tag


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
