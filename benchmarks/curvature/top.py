"""Top eigenvalues of the Hessian: seconds, and whether they are right."""

from collections.abc import Callable, Sequence
from functools import partial

from benchmarks.curvature import methods
from benchmarks.curvature.methods import Values
from benchmarks.curvature.problems import Problem, linear, relu
from benchmarks.timing import Row, Section, interleave

Method = Callable[[Problem, int], Values]
GENERAL: Sequence[Method] = (
    methods.flatminima,
    methods.flatminima_values,
    methods.curvlinops_eigsh,
    methods.pyhessian_default,
)


def measure() -> Section:
    """Compare all methods on a linear and a ReLU network."""
    rows = _compare(linear(), 1, (methods.second_moments, *GENERAL, methods.pyhessian_strict), repetitions=3)
    rows += _compare(relu(), 1, GENERAL, repetitions=3)
    rows += _compare(
        linear(),
        10,
        (
            methods.second_moments,
            methods.flatminima,
            methods.flatminima_values,
            methods.flatminima_cold,
            methods.curvlinops_eigsh,
        ),
        repetitions=2,
    )
    text = (
        "Trained networks, 10,000 samples, float32, two threads for everyone; from the network to the eigenvalues, "
        "with all that has to be set up, and for `second_moments` with the moments. `flatminima` starts from a tenth "
        "of the samples, `flatminima_cold` at random, and `flatminima_values` stops by the bounds of the values' own "
        "errors, where the others of ours stop by residuals; curvlinops is run through scipy's eigsh at the same "
        "tolerance. Median of interleaved runs, after one that does not count. *Speed-up* is the method's time over "
        f"that of `flatminima`. *Gradients* are times in units of one gradient by plain PyTorch, in batches of "
        f"{methods.BATCH}. *Error* is the largest of any eigenvalue in any run, relative to scipy's eigsh to 1e-9 on "
        f"float64 products; wanted is {methods.TOLERANCE:.0e}."
    )
    return Section("Top eigenvalues", text, rows)


def _compare(problem: Problem, k: int, compared: Sequence[Method], repetitions: int) -> list[Row]:
    exact = methods.reference(problem, k)
    errors: dict[str, list[float]] = {method.__name__: [] for method in compared}

    def checked(method: Method) -> Values:
        values = method(problem, k)
        errors[method.__name__].append(max(abs(v / e - 1) for v, e in zip(values, exact, strict=True)))
        return values

    candidates: dict[str, Callable[[], object]] = {method.__name__: partial(checked, method) for method in compared}
    candidates["gradient"] = partial(methods.gradient, problem)
    seconds, _ = interleave(candidates, repetitions)
    return [
        {
            "network": problem.name,
            "eigenvalues": k,
            "method": name,
            "seconds": seconds[name],
            "speed-up": seconds[name] / seconds["flatminima"],
            "gradients": seconds[name] / seconds["gradient"],
            "error": max(errors[name]),
            "right": "yes" if max(errors[name]) <= methods.TOLERANCE else "no",
        }
        for name in errors
    ]
