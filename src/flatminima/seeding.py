"""Seeds that depend on names alone, equal in every process and on every machine."""

from numpy.random import SeedSequence


def sequence(*names: str | int) -> SeedSequence:
    """Seed sequence of a named purpose, such as `sequence("digits", "holdout")`.

    The entropy is the UTF-8 text of the names joined by slashes, read as one integer: distinct texts give distinct
    entropy. An integer stands for its decimal text, and a slash inside a name is not told from a joint.

    Args:
        names: the purpose, from general to particular.
    """
    return SeedSequence(int.from_bytes("/".join(map(str, names)).encode(), "big"))
