"""Commands of theory studies."""

from flatminima.commands.options import Output, Settings, StudyName, settings_of
from flatminima.settings.theory import Attack, Convergence, Minima, Price, ScaledResidual


def attack(study: StudyName, name: str, settings: Settings, output: Output) -> None:
    """Search for global minima that break a statement of theory."""
    from flatminima.stages.attack import attack

    attack(study, name, settings_of(Attack, settings, "attack"), output)


def construct(study: StudyName, settings: Settings, output: Output) -> None:
    """Construct global minima of random linear problems and measure them."""
    from flatminima.stages.construct import construct

    construct(study, settings_of(Minima, settings, "minima"), output)


def converge(study: StudyName, start: str, settings: Settings, output: Output) -> None:
    """Train on random linear problems from one kind of start and measure where training ends."""
    from flatminima.stages.converge import converge

    converge(study, start, settings_of(Convergence, settings, "convergence"), output)


def price(study: StudyName, settings: Settings, output: Output) -> None:
    """Measure how much sharper than necessary balanced minima are, on random problems and on the dearest found."""
    from flatminima.stages.price import price

    price(study, settings_of(Price, settings, "price"), output)


def scaled_residual(study: StudyName, settings: Settings, output: Output) -> None:
    """Train linear residual networks with a fixed last projection from starts of several scales."""
    from flatminima.stages.scaled_residual import scaled_residual

    scaled_residual(study, settings_of(ScaledResidual, settings, "scaled_residual"), output)
