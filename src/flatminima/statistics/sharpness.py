"""Loss and sharpness of networks (Mulayoff & Michaeli 2020)."""

from flatminima.statistics.statistic import Statistic

CURVATURE = "loss per squared weight"
TRAINED = ("training",)
LINEAR = ("training", "theory")
EVERY = ()
SETTING = "theory.md#setting-mulayoff--michaeli-2020"
IDENTITIES = "theory.md#identities-derived"

SHARPNESS = {
    "diverged": Statistic(
        "Diverged",
        "",
        "1 if training diverged or learned nothing, else 0; other statistics are then missing.",
        "evidence.md#a-case-its-units-and-its-interval",
        EVERY,
    ),
    "loss": Statistic(
        "Loss",
        r"L",
        "Training loss at the end of training or at a snapshot.",
        SETTING,
        LINEAR,
        "loss",
    ),
    "test_loss": Statistic("Test loss", "", "Loss on the samples held out for testing.", SETTING, TRAINED, "loss"),
    "excess_loss": Statistic(
        "Excess loss",
        r"(L - \min L) / (L_0 - \min L)",
        "Training loss above the least of any linear network, relative to the excess of the zero map's loss.",
        SETTING,
        LINEAR,
    ),
    "gradient_norm": Statistic(
        "Gradient",
        r"\lVert\nabla L\rVert / \lVert\nabla L_{\mathrm{start}}\rVert",
        "Norm of the gradient, relative to its norm at the start of training.",
        SETTING,
        LINEAR,
    ),
    "expected_gradient_norm": Statistic(
        "Expected gradient",
        "",
        "Norm of the gradient of the loss averaged over the noise, relative to the gradient's norm at the start.",
        SETTING,
        TRAINED,
    ),
    "start_scale": Statistic(
        "Scale of the start",
        "",
        "Factor by which the start's weights were multiplied, or scale of its random part.",
        SETTING,
        LINEAR,
    ),
    "sharpness": Statistic(
        "Sharpness",
        r"\lambda_{\max}",
        "Largest eigenvalue of the Hessian of the training loss in the weights.",
        SETTING,
        ("training", "theory", "rescaling"),
        CURVATURE,
    ),
    "minimal_sharpness": Statistic(
        "Least sharpness",
        r"\min\lambda_{\max}",
        "Least sharpness of any global minimum of a linear network of this depth on this task; the error bound is the "
        "gap of its certificate.",
        IDENTITIES,
        LINEAR,
        CURVATURE,
    ),
    "sharpness_ratio": Statistic(
        "Relative to minimum",
        r"\lambda_{\max} / \min\lambda_{\max}",
        "Sharpness over the least sharpness.",
        IDENTITIES,
        LINEAR,
    ),
    "stability_limit": Statistic(
        "Limit of stability",
        r"2/\eta",
        "Largest sharpness at which gradient descent with this step size is stable.",
        IDENTITIES,
        LINEAR,
        CURVATURE,
    ),
    "sharpness_checked": Statistic(
        "Sharpness (ours)",
        r"\lambda_{\max}",
        "Sharpness by our own Hessian on the samples given to other libraries.",
        SETTING,
        TRAINED,
        CURVATURE,
    ),
    "sharpness_curvlinops": Statistic(
        "curvlinops",
        r"\lambda_{\max}",
        "Sharpness by curvlinops with scipy's eigsh.",
        SETTING,
        TRAINED,
        CURVATURE,
    ),
    "sharpness_pyhessian": Statistic(
        "PyHessian",
        r"\lambda_{\max}",
        "Sharpness by PyHessian's power iteration, in single precision.",
        SETTING,
        TRAINED,
        CURVATURE,
    ),
}
