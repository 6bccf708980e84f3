"""Arguments of public functions, checked by their annotations, and refused in one line."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, ParamSpec, TypeVar

from pydantic import ConfigDict, Field, ValidationError, validate_call

from flatminima.errors import UserError

P = ParamSpec("P")
T = TypeVar("T")

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1)]
Names = Annotated[Sequence[str], Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


def checked(function: Callable[P, T]) -> Callable[P, T]:
    """Refuse arguments that are misspelt, missing, or not what the function's annotations say.

    Raises:
        UserError: by the function that is returned: one line that names the argument, its value, and what is expected.
    """
    signature = inspect.signature(function)
    validated = validate_call(config=ConfigDict(arbitrary_types_allowed=True))(function)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            takes = ", ".join(name for name in signature.parameters if name != "self")
            raise UserError(f"{function.__name__}: {error}; expected {takes}") from None
        try:
            return validated(**given)  # type: ignore[call-arg]
        except ValidationError as error:
            raise UserError(_refusal(error)) from None

    return call


def _refusal(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    value, message = first["input"], first["msg"]
    shown = repr(value) if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"
    if isinstance(value, type):
        shown = f"the class {value.__name__}"
    return f"{first['loc'][0]}: is {shown}; {message[0].lower()}{message[1:]}"
