"""Device on which numbers are computed."""

from typing import Literal

DeviceName = Literal["auto", "cpu", "cuda"]
