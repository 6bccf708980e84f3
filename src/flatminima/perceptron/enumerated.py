"""Exhaustive enumeration of small perceptrons against replica theory (theory.md 3.3, last line)."""

import numpy as np
import pandas as pd
from scipy.special import entr, gammaln

from flatminima.config import Enumeration
from flatminima.data.seeding import sequence
from flatminima.errors import UserError
from flatminima.perceptron import exact
from flatminima.perceptron.franz_parisi import local_entropy
from flatminima.perceptron.gaussian import Array
from flatminima.perceptron.instances import pattern_count, storage
from flatminima.perceptron.landscape import flip_errors
from flatminima.perceptron.records import curve, rows
from flatminima.perceptron.replica import maximal_margin, saddle_point
from flatminima.perceptron.stability import error_after_flips
from flatminima.perceptron.typical import Tables
from flatminima.training.progress import Progress
