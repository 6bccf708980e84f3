"""The device that networks are trained and measured on, and how it rounds."""

import torch

from flatminima.errors import UserError
from flatminima.progress import report_device
from flatminima.settings.device import DeviceName


def resolve(name: DeviceName) -> torch.device:
    """The device of a name, which goes to the log; float32 is computed as such there, never as TF32.

    Random numbers are drawn on the processor whatever the device, and moved, so that initial weights, batches and noise
    are the same everywhere. Results differ by rounding, which training amplifies; see docs/device.md.

    Args:
        name: `auto` for a GPU where there is one that CUDA can use.

    Raises:
        UserError: if `cuda` is asked for where there is none.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise UserError("device is 'cuda', but torch finds no CUDA device here; set device to auto or cpu")
    cuda = available and name != "cpu"
    if cuda:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    report_device(torch.cuda.get_device_name() if cuda else "cpu")
    return torch.device("cuda" if cuda else "cpu")


def flush_denormals() -> None:
    """Round numbers below 1e-38 to zero: dead units and settled optimisers make many, which slow processors down."""
    torch.set_flush_denormal(True)
