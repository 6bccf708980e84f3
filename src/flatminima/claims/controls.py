"""Which experiments are controls: networks, minima or searches on which a predicate must fail."""

ENDINGS = (
    *("-unbalanced", "-planted"),
    *("-spectra", "-permuted", "-untrained", "-spectra_again", "-permuted_again", "-untrained_again"),
    *("-tanh", "-trained", "-touching", "-reversed", "-other_layer", "-kept_biases", "-rotated", "-multiplied"),
    *("-unminimised", "-split", "-mixed"),
    *("-negative", "-slight", "-other_load", "-far"),
)
"""What is added to the name of the experiment that a control is made from."""
STARTS = ("catapult_start", "attack_coloured", "enumerated_typical", "planted")
"""How the names of controls begin that are made by themselves."""


def is_control(experiment: str) -> bool:
    """Whether an experiment is there as a control alone."""
    return experiment.endswith(ENDINGS) or experiment.startswith(STARTS)
