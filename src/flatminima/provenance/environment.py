"""The software and hardware that a page was made with: what stays the same from run to run, and nothing else."""

import os
import platform
import re
from importlib.metadata import requires, version
from pathlib import Path

PACKAGES = ("flatminima", "torch", "numpy", "scipy", "pandas", "snakemake")


def environment() -> dict[str, str]:
    """Names and versions of what ran, in the order in which to show them; no dates and no host names."""
    return {
        "Python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
        "Operating system": _operating_system(),
        "Processor": _processor(Path("/proc/cpuinfo")),
        "Logical processors": str(os.cpu_count()),
        **graphics(Path("/proc/driver/nvidia/gpus")),
    }


def packages() -> dict[str, str]:
    """Versions of every package that this one requires at run time."""
    direct = [line for line in requires("flatminima") or [] if "extra ==" not in line]
    names = sorted(re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in direct)
    return {name: version(name) for name in names}


def _operating_system() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        name = f"{platform.system()} {platform.release()}"
    return f"{name}, {platform.machine()}"


def _processor(cpuinfo: Path) -> str:
    lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines() if cpuinfo.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


def graphics(folder: Path) -> dict[str, str]:
    """Names of the GPUs that the NVIDIA driver lists; no entry where it lists none."""
    lines = [
        line
        for file in sorted(folder.glob("*/information"))
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines()
    ]
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("Model")]
    return {"Graphics processors": ", ".join(models)} if models else {}
