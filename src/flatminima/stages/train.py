"""Replicas of one experiment at one depth: trained from their starts, and kept with their histories."""

from pathlib import Path

from flatminima.data.storage import load_moments, load_samples
from flatminima.errors import UserError
from flatminima.networks.device import flush_denormals, resolve
from flatminima.networks.storage import save
from flatminima.settings.device import DeviceName
from flatminima.stages.files import read_json, write_table
from flatminima.training.experiments import Task
from flatminima.training.experiments import train as train_replicas
from flatminima.training.job import Job


def train(
    job: Job, samples: Path, moments: Path, bounds: Path, networks: Path, history: Path, device: DeviceName = "auto"
) -> None:
    """Train the replicas of a job.

    Args:
        job: which replicas, and how.
        samples: of the job's task.
        moments: of the task.
        bounds: least sharpness of linear networks on the task, by depth.
        networks: file to write.
        history: table of training losses to write.
        device: where to compute.

    Raises:
        UserError: if a file cannot be read, or does not fit the job.
    """
    flush_denormals()
    task = Task(load_samples(samples), load_moments(moments), _critical_step(bounds, job.depth))
    trained, losses = train_replicas(job, task, resolve(device))
    write_table(history, losses)
    save(trained, networks)


def _critical_step(bounds: Path, depth: int) -> float:
    """Largest step size at which gradient descent can rest at a minimum: 2 / (least sharpness of linear networks)."""
    least = read_json(bounds)
    if str(depth) not in least:
        raise UserError(f"{bounds}: no bound for depth {depth}, only for {', '.join(least)}; add it to `depths`")
    return 2 / float(least[str(depth)]["minimal_sharpness"])
