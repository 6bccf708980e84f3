"""The benchmarks take turns, compare equal networks, notice when they are not, and plan as many jobs as they say."""

import time

import pytest
import torch
from benchmarks.planning import SIZES, configuration
from benchmarks.sweep import largest_difference
from benchmarks.timing import Section, interleave
from references import DTYPE

from flatminima.config import Config
from flatminima.settings.parsing import parse
from flatminima.studies.registry import kind_of


def test_candidates_take_turns_and_the_median_leaves_the_first_run_out(monkeypatch):
    clock, turns = [0.0], []
    durations = {"one": [90.0, 3.0, 1.0, 50.0], "two": [0.0, 7.0, 8.0, 9.0]}

    def run(name):
        clock[0] += durations[name][turns.count(name)]
        turns.append(name)
        return len(turns)

    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    seconds, results = interleave({"one": lambda: run("one"), "two": lambda: run("two")}, repetitions=3)
    assert turns == ["one", "two"] * 4
    assert seconds == {"one": 3.0, "two": 8.0}
    assert results == {"one": 7, "two": 8}


def test_a_section_is_a_markdown_table():
    section = Section("Title", "Text.", [{"run": "cold", "s": 123.456}, {"run": "warm", "s": 0.00123}])
    table = "| run | s |\n| ---: | ---: |\n| cold | 123 |\n| warm | 0.00123 |\n"
    assert section.markdown() == f"## Title\n\nText.\n\n{table}"


def test_different_weights_are_noticed():
    one = (torch.tensor([[2.0, -4.0]], dtype=DTYPE), torch.tensor([[1.0]], dtype=DTYPE))
    other = (torch.tensor([[2.0, -4.0]], dtype=DTYPE), torch.tensor([[0.8]], dtype=DTYPE))
    assert largest_difference(one, one, limit=1e-9) == 0
    assert largest_difference(one, other, limit=0.3) == pytest.approx(0.25)
    with pytest.raises(RuntimeError, match=r"differ by 2.5e-01"):
        largest_difference(one, other, limit=0.2)
    broken = (one[0], torch.tensor([[torch.nan]], dtype=DTYPE))
    with pytest.raises(RuntimeError, match="nan"):
        largest_difference(broken, one, limit=0.2)


@pytest.mark.parametrize(("jobs", "shape"), SIZES.items())
def test_a_plan_trains_and_measures_as_many_files_as_its_size_says(jobs, shape):
    study = parse(Config, configuration(*shape), "config.yaml").studies["digits"]
    files = kind_of(study).targets(study, "train")
    assert 2 * len(set(files)) == jobs
