"""Commands of theory studies."""

from flatminima.commands.files import flush_denormals, parse_json, write_table
from flatminima.commands.options import Output, Settings, StudyName
from flatminima.settings.parsing import parse
from flatminima.settings.theory import Attack, Convergence, Minima, Price, ScaledResidual


def attack(study: StudyName, name: str, settings: Settings, output: Output) -> None:
    """Search for global minima that break a statement of theory."""
    from flatminima.theory.falsification import attack as attack_statement

    flush_denormals()
    write_table(output, attack_statement(study, name, parse(Attack, parse_json(settings), "attack")))


def construct(study: StudyName, settings: Settings, output: Output) -> None:
    """Construct global minima of random linear problems and measure them."""
    from flatminima.theory.construction import construct as construct_minima

    write_table(output, construct_minima(study, parse(Minima, parse_json(settings), "minima")))


def converge(study: StudyName, start: str, settings: Settings, output: Output) -> None:
    """Train on random linear problems from one kind of start and measure where training ends."""
    from flatminima.theory.convergence import converge as train_from

    flush_denormals()
    write_table(output, train_from(study, start, parse(Convergence, parse_json(settings), "convergence")))


def price(study: StudyName, settings: Settings, output: Output) -> None:
    """Measure how much sharper than necessary balanced minima are, on random problems and on the dearest found."""
    from flatminima.theory.price import prices

    write_table(output, prices(study, parse(Price, parse_json(settings), "price")))


def scaled_residual(study: StudyName, settings: Settings, output: Output) -> None:
    """Train linear residual networks with a fixed last projection from starts of several scales."""
    from flatminima.theory.scaled_residual import sweep

    flush_denormals()
    write_table(output, sweep(study, parse(ScaledResidual, parse_json(settings), "scaled_residual")))
