"""Seeds are functions of names."""

import subprocess
import sys

import numpy as np

from flatminima.seeding import sequence


def state(*names):
    return sequence(*names).generate_state(4).tolist()


def test_entropy_is_the_utf8_text_of_the_joined_names():
    assert sequence("mnist", "é", 3).entropy == int.from_bytes(b"mnist/\xc3\xa9/3", "big")
    assert state("a", 1) == np.random.SeedSequence(0x612F31).generate_state(4).tolist()


def test_distinct_names_give_distinct_streams():
    names = [(), ("a",), ("b",), ("a", "b"), ("ab",), ("b", "a"), ("a", 1), ("a", 2), ("a", 12), ("a", 1, 2)]
    assert len({tuple(state(*each)) for each in names}) == len(names)


def test_the_seed_does_not_depend_on_the_hash_seed_of_the_process():
    code = "from flatminima.seeding import sequence; print(sequence('digits', 'noise', 7).generate_state(4).tolist())"
    for seed in ("1", "2"):
        command = [sys.executable, "-c", code]
        printed = subprocess.run(command, env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True)
        assert printed.stdout.strip() == str(state("digits", "noise", 7))
