"""Solvers and exact enumeration of the binary perceptron, against the plain way to do the same."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.random import Generator
from scipy.special import log_ndtr

from benchmarks.timing import Row, Section, interleave
from flatminima.perceptron.exhaustive import decode, least_products
from flatminima.perceptron.instances import Signs, storage
from flatminima.perceptron.message_passing import Reinforced
from flatminima.perceptron.solvers import SOLVERS, solve

SIZE, LOAD, INSTANCES = 2001, 0.6, 8
STEPS = 200
LEARNED = 401
SMALL, PATTERNS = 25, 12
BLOCK = 1 << 18
REPETITIONS = 3


def measure() -> Section:
    """Time reinforced belief propagation, SBPI and enumeration, and their peers, on one thread."""
    rows = [_reinforced(), _learning(), _enumeration()]
    text = (
        f"Reinforced belief propagation in at most {STEPS} steps with N = {SIZE} at alpha = {LOAD}: here messages are "
        "closed on magnetisations and instances are in one batch; the peer keeps a message on every edge, with the "
        f"same reinforcement, and solves one instance. SBPI with N = {LEARNED} at alpha = 0.4: the peer is a loop over "
        f"instances and patterns. Enumeration of all weights of N = {SMALL} and P = {PATTERNS}: the peer multiplies "
        "the patterns with all vectors of signs, in blocks; both must count the same solutions. Seconds an instance, "
        f"on one thread: medians of {REPETITIONS} interleaved runs, one with a message on every edge."
    )
    return Section("Binary perceptron", text, rows)


def _reinforced() -> Row:
    patterns = storage(INSTANCES, SIZE, LOAD, np.random.default_rng(0))

    def here() -> int:
        settings = Reinforced(steps=STEPS)
        return int(solve("reinforced-bp", patterns, np.random.default_rng(1), settings=settings).solved.sum())

    seconds, solved = interleave({"here": here, "peer": partial(_edge_by_edge, patterns[0])}, repetitions=1)
    _check(solved["peer"] == 1, "the peer did not solve its instance with reinforced belief propagation")
    return _row("reinforced BP", seconds["here"] / INSTANCES, seconds["peer"], f"{solved['here']} of {INSTANCES}")


def _learning() -> Row:
    patterns = storage(INSTANCES, LEARNED, 0.4, np.random.default_rng(2))

    def here() -> int:
        return int(solve("sbpi", patterns, np.random.default_rng(3)).solved.sum())

    def peer() -> int:
        generator = np.random.default_rng(3)
        return sum(_learn(instance, generator) for instance in patterns)

    seconds, solved = interleave({"here": here, "peer": peer}, REPETITIONS)
    _check(solved["peer"] == INSTANCES, f"the peer solved {solved['peer']} of {INSTANCES} instances with SBPI")
    return _row("SBPI", seconds["here"] / INSTANCES, seconds["peer"] / INSTANCES, f"{solved['here']} of {INSTANCES}")


def _enumeration() -> Row:
    patterns = storage(1, SMALL, PATTERNS / SMALL, np.random.default_rng(4))
    candidates: dict[str, Callable[[], int]] = {
        "here": lambda: int((least_products(patterns[0]) > 0).sum()),
        "peer": partial(_multiply_all, patterns[0]),
    }
    seconds, counts = interleave(candidates, REPETITIONS)
    _check(counts["here"] == counts["peer"], f"enumeration counted {counts['here']} and {counts['peer']} solutions")
    return _row("enumeration", seconds["here"], seconds["peer"], "1 of 1")


def _row(task: str, here: float, peer: float, solved: str) -> Row:
    return {"task": task, "solved": solved, "here, s": here, "peer, s": peer, "ratio": peer / here} | {
        "here, instances a minute": 60 / here
    }


def _edge_by_edge(patterns: Signs) -> int:
    """Reinforced belief propagation of one instance, with messages on all edges."""
    forces = (patterns / SIZE**0.5).astype(np.float32)
    messages = np.zeros_like(forces)
    fields = 0.01 * np.random.default_rng(5).standard_normal(SIZE, dtype=np.float32)
    for step in range(STEPS):
        mean = (forces * messages).sum(1, keepdims=True) - forces * messages
        variance = np.maximum((1 - messages**2).sum(1, keepdims=True) - (1 - messages**2), 1e-4 * SIZE)
        deviation = np.sqrt(variance / SIZE)
        warnings = (log_ndtr((mean + forces) / deviation) - log_ndtr((mean - forces) / deviation)) / 2
        fields = warnings.sum(0) + step / STEPS * fields
        if ((forces @ np.where(fields > 0, np.float32(1), np.float32(-1))) > 0).all():
            return 1
        messages = np.tanh(fields - warnings)
    return 0


def _learn(patterns: Signs, generator: Generator) -> bool:
    """SBPI on one instance, pattern by pattern, with the settings of the solver."""
    settings = SOLVERS["sbpi"].settings
    rows, size = patterns.astype(np.float32), patterns.shape[1]
    bound = 2 * np.ceil(settings.states * size**0.5) - 1
    hidden = 2.0 * generator.integers(0, 2, size) - 1
    for _ in range(settings.epochs):
        for row in generator.permutation(len(rows)):
            product = rows[row] @ np.sign(hidden)
            if product < 0:
                hidden = np.clip(hidden + 2 * rows[row], -bound, bound)
            elif product == 1 and generator.random() < settings.probability:
                hidden = np.clip(hidden + 2 * rows[row] * (hidden * rows[row] > 0), -bound, bound)
        if (rows @ np.sign(hidden) > 0).all():
            return True
    return False


def _multiply_all(patterns: Signs) -> int:
    """Number of solutions, by matrix products of all vectors of signs with the patterns."""
    columns = patterns.T.astype(np.float32)
    codes = np.arange(1 << SMALL, dtype=np.uint32).reshape(-1, BLOCK)
    return sum(int(((decode(block, SMALL) @ columns) > 0).all(1).sum()) for block in codes)


def _check(same: bool, message: str) -> None:
    if not same:
        raise RuntimeError(message)


if __name__ == "__main__":
    print(measure().markdown())
