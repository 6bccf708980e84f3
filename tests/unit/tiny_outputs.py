"""What the tiny configuration of tests/workflow makes: the one list that all tests compare with."""

STUDIES = ["digits", "patches", "theory", "rescaling", "perceptron"]
TRAINED = {"digits": ["noisy", "labels"], "patches": ["noisy"]}
"""Tasks of the studies that train networks."""
EVIDENCE = ["coupling-excess", "overview", "training", "path-cosine"]
FIGURES = {
    "digits": ["sharpness-noisy", "sharpness-labels", "dose-response", *EVIDENCE],
    "patches": ["sharpness-noisy", *EVIDENCE],
    "theory": [
        "theory-overview", "least-sharpness", "random-minima", "any-inputs", "first-interface", "attacks", "witnesses",
        "step-size", "arrival", "predicted-price", "balance-price", "catapult", "scaled-residual",
    ],
    "rescaling": [
        "rescaling-overview", "alpha", "volume", "spectrum", "balls", "coordinates", "landscape", "orbits"
    ],
    "perceptron": [
        "perceptron-overview", "capacity", "local-entropy", "transitions", "typical-distance", "neighbours",
        "solvers", "flips", "enumeration",
    ],
}  # fmt: skip
MEASURED = ["summary", "sharpness", "balance", "coupling", "crosscheck"]
TABLES = {
    "digits": [*MEASURED, "sensitivity"],
    "patches": MEASURED,
    "theory": ["falsification", "constructed", "convergence"],
    "rescaling": ["orbits", "theorems"],
    "perceptron": ["thresholds", "success", "solvers", "agreement"],
}
SHAPES = {
    "digits": [
        "linear-depth2-part{0..1}", "linear-depth3-part{0..1}", "residual-depth3", "residual_flow-depth3",
        "relu-depth2", "relu-depth3", "relu_unbiased-depth2", "relu_labels-depth2-part{0..0}",
        "relu_labels-depth3-part{0..0}", "denoiser-depth3", "start_identity-depth3", "start_pytorch-depth3",
    ],
    "patches": ["relu-depth2", "start_identity-depth2"],
}  # fmt: skip
"""Names of the files of trained networks."""
THEOREMS = ["theorems-depth2", "theorems-depth3", "theorems-convolutional", "volume"]
ORBITS = ["orbit-depth2", "orbit-depth3", "orbit-convolutional", "orbit-linear"]
SOLVERS = ["reinforced-bp-201", "sgd-201"]
SOLUTIONS = ["typical", "surroundings", "transitions", "enumeration", *(f"solver-{solver}" for solver in SOLVERS)]
PARTS = {
    "digits": {
        "measures": [*SHAPES["digits"], "crosscheck-labels", "crosscheck-noisy"],
        "shared": SHAPES["digits"],
    },
    "patches": {"measures": [*SHAPES["patches"], "crosscheck-noisy"], "shared": SHAPES["patches"]},
    "theory": {"measures": ["attack_bound", "minima", "residual", "catapult", "price", "scaled_residual"]},
    "rescaling": {"measures": THEOREMS + ORBITS, "curves": THEOREMS},
    "perceptron": {"measures": [*SOLUTIONS, "planted-201"], "curves": SOLUTIONS},
}
"""Parts of the tables of record."""
