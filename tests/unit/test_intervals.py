"""Intervals of 95 %: against closed forms and tables, and how often they cover what they should."""

from itertools import product

import numpy as np
import pytest
from numpy.random import default_rng

from flatminima.claims.intervals import mean_interval, mean_intervals, share_interval

SAMPLES, UNITS, TOLERANCE = 4000, 5, 0.015


def test_students_interval_of_known_numbers():
    """t tables: 2.7764 at four degrees of freedom, 12.7062 at one."""
    assert mean_interval(np.arange(1.0, 6.0)) == pytest.approx((3, 3 - 1.963243, 3 + 1.963243), abs=1e-6)
    assert mean_interval(np.array([0.0, 2.0])) == pytest.approx((1, 1 - 12.706205, 1 + 12.706205), abs=1e-6)


@pytest.mark.parametrize(
    ("count", "units", "low", "high"),
    [(5, 5, 0.4782, 1.0), (0, 5, 0.0, 0.5218), (4, 5, 0.2836, 0.9949), (10, 10, 0.6915, 1.0), (5, 10, 0.1871, 0.8129)],
)
def test_exact_intervals_of_published_tables(count, units, low, high):
    assert share_interval(count, units) == pytest.approx((count / units, low, high), abs=5e-5)


@pytest.fixture(scope="module")
def samples():
    """Normal samples of five whose mean is zero."""
    return default_rng(1).standard_normal((SAMPLES, UNITS))


def test_students_interval_covers_the_mean_of_five_seeds_in_95_per_cent(samples):
    _, low, high = mean_intervals(samples)
    assert ((low <= 0) & (high >= 0)).mean() == pytest.approx(0.95, abs=TOLERANCE)


def test_the_percentile_bootstrap_covers_it_in_84_per_cent_and_is_therefore_not_used(samples):
    """All 5^5 resamples of each: sqrt(4/5) and the normal law's quantile alone would give 85 %."""
    resamples = np.array(list(product(range(UNITS), repeat=UNITS)))
    shares = np.array([(resamples == unit).mean(1) for unit in range(UNITS)])
    low, high = np.quantile(samples @ shares, [0.025, 0.975], axis=1)
    assert ((low <= 0) & (high >= 0)).mean() == pytest.approx(0.84, abs=TOLERANCE)
