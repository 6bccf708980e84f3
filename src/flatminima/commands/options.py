"""Options and arguments that several commands have, and settings as commands receive them."""

import json
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from pydantic import BaseModel

from flatminima.config import AnyStudy, StudySettings
from flatminima.errors import UserError
from flatminima.settings.device import DeviceName
from flatminima.settings.parsing import parse

StudyName = Annotated[str, typer.Option(help="Name of the study.")]
Settings = Annotated[str, typer.Option(help="The stage's part of config.yaml, as JSON.")]
Input = Annotated[Path, typer.Option(help="File to read.")]
Output = Annotated[Path, typer.Option(help="File to write.")]
Inputs = Annotated[list[Path], typer.Argument(help="Files to read.")]
Device = Annotated[DeviceName, typer.Option(help="Where to compute; auto: on a GPU if there is one.")]
Model = TypeVar("Model", bound=BaseModel)


def settings_of(model: type[Model], text: str, key: str = "--settings") -> Model:
    """Settings from the command line.

    Args:
        model: what they are to be.
        text: JSON.
        key: the section of config.yaml that errors name.

    Raises:
        UserError: if the text is not JSON, or does not fit the model.
    """
    return parse(model, parse_json(text), key)


def study_of(text: str) -> AnyStudy:
    """Settings of a whole study from the command line.

    Raises:
        UserError: if the text is not JSON, or is no study.
    """
    return parse(StudySettings, {"study": parse_json(text)}, "--settings").study


def parse_json(text: str) -> Any:
    """Values of `--settings`.

    Raises:
        UserError: if the text is not JSON.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"--settings is not JSON: {error}") from None
