"""Commands of stability studies."""

from flatminima.commands.options import Output, Settings, StudyName, settings_of
from flatminima.settings.stability import Descent


def descend(study: StudyName, settings: Settings, output: Output) -> None:
    """Descend beside minima of random quadratic losses."""
    from flatminima.stages.descend import descend

    descend(study, settings_of(Descent, settings, "descent"), output)
