"""Sharpness, balance and coupling of trained networks, of their control, and of their nulls."""

from pathlib import Path

import pandas as pd

from flatminima.data.storage import load_moments, load_samples
from flatminima.minima.controls import unbalanced
from flatminima.minima.measure import measure as measure_networks
from flatminima.minima.nulls import measure_nulls
from flatminima.networks.device import flush_denormals, resolve
from flatminima.networks.storage import load
from flatminima.settings.device import DeviceName
from flatminima.settings.training import Measure
from flatminima.stages.files import write_table


def measure(
    networks: Path,
    samples: Path,
    moments: Path,
    settings: Measure,
    unbalance: float | None,
    measures: Path,
    shared: Path,
    device: DeviceName = "auto",
) -> None:
    """Measure every replica of a file of networks and of their unbalanced control, and the coupling of their nulls.

    Args:
        networks: to measure.
        samples: of their task.
        moments: of the task.
        settings: tolerances and numbers of samples.
        unbalance: standard deviation of the logarithm of the control's rescaling; None for no control.
        measures: table to write.
        shared: table to write, of how much of the signal each singular vector has.
        device: where to compute.

    Raises:
        UserError: if a file cannot be read.
    """
    flush_denormals()
    trained, problem, place = load(networks), (load_samples(samples), load_moments(moments)), resolve(device)
    own, vectors = measure_networks(trained, *problem, settings, place)
    rows = [own]
    if unbalance is not None:
        control, _ = measure_networks(unbalanced(trained, unbalance), *problem, settings.of_controls(), place)
        rows.append(control)
    rows.append(measure_nulls(trained, own, problem[0], settings, place))
    write_table(measures, pd.concat(rows, ignore_index=True))
    write_table(shared, vectors)
