"""Sizes of square images, from the numbers of their pixels."""

from math import isqrt

from flatminima.errors import UserError

CHANNELS = (1, 3)
"""Channels of grey and of colour images: no number of pixels is both a square and three times one."""


def square(pixels: int, layers: int, what: str) -> int:
    """Side of a square image that can be halved as often as there are layers.

    Raises:
        UserError: if the images are not square, or cannot be halved by every layer.
    """
    side = _side(pixels)
    if side is None or side % 2**layers:
        raise UserError(
            f"{what}: {pixels} pixels; expected square images whose side is a multiple of {2**layers}, for {layers} "
            "layers that halve it: use fewer channels, or another data set"
        )
    return side


def image_shape(pixels: int, what: str) -> tuple[int, int]:
    """Side and channels of square images, grey or of three colours.

    Args:
        pixels: entries of a flattened image.
        what: the setting to name in an error.

    Raises:
        UserError: if there are no such images.
    """
    for channels in CHANNELS:
        side = _side(pixels // channels) if pixels % channels == 0 else None
        if side is not None:
            return side, channels
    raise UserError(
        f"{what}: {pixels} values per sample; expected square images of 1 or 3 channels, such as 28 x 28 or "
        "32 x 32 x 3: use another data set, or the family relu"
    )


def _side(pixels: int) -> int | None:
    """Side of a square of pixels; None if they fill none."""
    side = isqrt(pixels)
    return side if side**2 == pixels else None
