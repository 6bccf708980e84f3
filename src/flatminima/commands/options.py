"""Options and arguments that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

from flatminima.settings.device import DeviceName

StudyName = Annotated[str, typer.Option(help="Name of the study.")]
Settings = Annotated[str, typer.Option(help="The stage's part of config.yaml, as JSON.")]
Input = Annotated[Path, typer.Option(help="File to read.")]
Output = Annotated[Path, typer.Option(help="File to write.")]
Inputs = Annotated[list[Path], typer.Argument(help="Files to read.")]
Device = Annotated[DeviceName, typer.Option(help="Where to compute; auto: on a GPU if there is one.")]
