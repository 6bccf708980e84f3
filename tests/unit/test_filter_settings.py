"""Settings of convolutional experiments that do not fit together."""

import pytest
from configured import RUN, example, message

SGD = {"family": "fully_convolutional", "optimiser": "sgd", "batch_size": 8}
WIDE = SGD | {"width": 8}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"family": "fully_convolutional", "width": 8}, "optimiser gradient_descent works on second moments"),
        (SGD, "`width` is required for fully_convolutional: the channels of its hidden layers"),
        (
            WIDE | {"initialisation": "xavier_normal"},
            "filters start as PyTorch's do: the family fully_convolutional needs initialisation pytorch",
        ),
    ],
)
def test_settings_that_do_not_fit_together(changes, expected):
    values = example()
    values["studies"]["digits"]["experiments"]["linear"] |= changes
    assert message(values).startswith(f"{RUN}: {expected}")


def test_convolutional_networks_denoise():
    values = example()
    study = values["studies"]["digits"]
    study["experiments"]["linear"] |= WIDE | {"task": "labels"}
    study["tasks"]["labels"] = {key: study["tasks"]["noisy"][key] for key in ("pixels", "centre", "whiten", "loss")}
    study["tasks"]["labels"]["kind"] = "classify"
    expected = "experiments.linear.family is fully_convolutional: its task must be of kind denoise"
    assert message(values).startswith(f"studies.digits: {expected}")
