"""Where numbers are computed."""

from typing import Literal

DeviceName = Literal["auto", "cpu", "cuda"]

RECORD = "device: "
"""How the line begins by which a stage tells its log where it computes."""
