"""Changes of a network's outputs, loss and test error from one set of parameters to another."""

from torch import Tensor

from flatminima.rescaling.subjects import Subject


def changes(before: Subject, after: Subject) -> dict[str, float]:
    """Statistics function_change (`output_change`), loss_change (relative), test_error_change, and test_error after."""
    return {
        "function_change": output_change(before.outputs, after.outputs),
        "loss_change": abs(after.loss / before.loss - 1),
        "test_error_change": abs(after.test_error - before.test_error),
        "test_error": after.test_error,
    }


def output_change(before: Tensor, after: Tensor) -> float:
    """The largest change of an output, relative to the largest output there was; both of shape (samples, d_y)."""
    return float((after - before).abs().max() / before.abs().max())
