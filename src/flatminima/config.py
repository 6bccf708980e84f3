"""The one schema of config.yaml: every study by its kind, and how the file is read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from flatminima.settings.base import Distinct, Name, Strict
from flatminima.settings.device import DeviceName
from flatminima.settings.parsing import nearest, parse
from flatminima.settings.perceptron import PerceptronStudy
from flatminima.settings.rescaling import RescalingStudy, Source
from flatminima.settings.theory import TheoryStudy
from flatminima.settings.training import TrainingStudy
from flatminima.settings.yaml_files import read_mapping

AnyStudy = TrainingStudy | TheoryStudy | RescalingStudy | PerceptronStudy
Study = Annotated[AnyStudy, Field(discriminator="kind")]

OF_RECORD = "reference"
"""The folder of results that no study makes."""


class StudySettings(Strict):
    """One study alone, as a stage receives it."""

    study: Study


class Config(Strict):
    """The whole of config.yaml."""

    data_root: str = Field(
        min_length=1,
        description="Folder that holds, or will receive, data sets: data, ~/data, $SCRATCH/data.",
    )
    device: DeviceName = Field(
        default="auto", description="Where networks are trained and measured; auto: on a GPU if there is one."
    )
    embedded: Distinct[Name] = Field(description="Studies of the default run: those that need no download.")
    paper: Distinct[Name] = Field(default=[], description="Studies at the paper's scale: those of `make paper`.")
    studies: dict[Name, Study] = Field(min_length=1)

    @model_validator(mode="after")
    def _folders_are_free(self) -> Self:
        if OF_RECORD in self.studies:
            raise ValueError(f"studies.{OF_RECORD}: results/{OF_RECORD} holds the results of record: rename the study")
        return self

    @model_validator(mode="after")
    def _listed_exist(self) -> Self:
        for key, listed in {"embedded": self.embedded, "paper": self.paper}.items():
            for name in listed:
                if name not in self.studies:
                    raise ValueError(f"{key} names {name!r}: {nearest(name, self.studies)}")
        return self

    @model_validator(mode="after")
    def _sources_exist(self) -> Self:
        trained = {name: study for name, study in self.studies.items() if isinstance(study, TrainingStudy)}
        for name, study in self.studies.items():
            if isinstance(study, RescalingStudy):
                _check_source(f"studies.{name}.source", study.source, trained)
        return self


def _check_source(key: str, source: Source, trained: Mapping[str, TrainingStudy]) -> None:
    if source.study not in trained:
        raise ValueError(f"{key}.study is {source.study!r}: {nearest(source.study, trained)}")
    experiments = trained[source.study].experiments
    for role, families in {"rectified": ("relu",), "linear": ("linear", "residual_linear")}.items():
        fitting = [name for name, experiment in experiments.items() if experiment.family in families]
        if (name := getattr(source, role)) not in [*fitting, None]:
            raise ValueError(f"{key}.{role} is {name!r}: {nearest(name, fitting)}")


def load(path: Path) -> Config:
    """Read and validate config.yaml.

    Raises:
        UserError: if the file is missing, is not YAML in UTF-8, or does not fit the schema.
    """
    return parse(Config, read_mapping(path), str(path))
