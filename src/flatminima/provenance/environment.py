"""Software and hardware that results were made with, as far as they do not change from run to run."""

import os
import platform
import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
PACKAGES = ("flatminima", "torch", "numpy", "scipy", "pandas", "snakemake")

INSTRUCTIONS = "Vector instructions"
WIDE = re.compile(r"(sse|ssse|avx|fma|amx|asimd|neon|sve|sme(?!p))\w*")
"""Names of instructions among which numerical libraries choose when they run, on x86 and ARM."""
CHOICES = (
    "ATEN_CPU_CAPABILITY",
    "DNNL_MAX_CPU_ISA",
    "GLIBC_TUNABLES",
    "MKL_CBWR",
    "MKL_DEBUG_CPU_TYPE",
    "MKL_ENABLE_INSTRUCTIONS",
    "NPY_DISABLE_CPU_FEATURES",
    "NPY_ENABLE_CPU_FEATURES",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
)
"""Variables by which users choose for torch, oneDNN, MKL, OpenBLAS, NumPy and the C library."""


def environment() -> dict[str, str]:
    """Names and versions of what ran, in the order in which to show them; no dates and no host names."""
    return {
        "Python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
        "Operating system": _operating_system(),
        "Processor": _processor(CPUINFO),
        **instructions(CPUINFO),
        **{name: os.environ[name] for name in CHOICES if name in os.environ},
        "Logical processors": str(os.cpu_count()),
        **graphics(Path("/proc/driver/nvidia/gpus")),
    }


@cache
def packages() -> dict[str, str]:
    """Versions of every package that this one requires at run time, and of all that those require."""
    found: dict[str, str] = {}
    waiting = _required("flatminima")
    while waiting:
        name = waiting.pop()
        if name not in found and (installed := _version(name)):
            found[name] = installed
            waiting += _required(name)
    return dict(sorted(found.items()))


def _required(package: str) -> list[str]:
    lines = [line for line in requires(package) or [] if "extra ==" not in line]
    return [re.sub(r"[_.]", "-", re.split(r"[^\w.-]", line, maxsplit=1)[0]).lower() for line in lines]


def _version(package: str) -> str | None:
    """None for what another system or another Python would need."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _operating_system() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        name = f"{platform.system()} {platform.release()}"
    return f"{name}, {platform.machine()}"


def _processor(cpuinfo: Path) -> str:
    models = (text for name, text in _lines(cpuinfo) if name == "model name")
    return next(models, platform.processor() or platform.machine())


def _lines(file: Path) -> Iterator[tuple[str, str]]:
    """Name and text of every line `name: text` of a file; none where there is no such file."""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else []
    for line in lines:
        name, _, text = line.partition(":")
        yield name.strip(), text.strip()


def instructions(cpuinfo: Path) -> dict[str, str]:
    """Vector instructions that the processor has, in alphabetical order; no entry where Linux does not list them.

    Processors of one name may differ in them: virtual machines hide some.
    """
    flags = next((text for name, text in _lines(cpuinfo) if name in ("flags", "Features")), "")
    wide = sorted(flag for flag in flags.split() if WIDE.fullmatch(flag))
    return {INSTRUCTIONS: " ".join(wide)} if wide else {}


def graphics(folder: Path) -> dict[str, str]:
    """Names of the GPUs that the NVIDIA driver lists; no entry where it lists none."""
    files = sorted(folder.glob("*/information"))
    models = [text for file in files for name, text in _lines(file) if name == "Model"]
    return {"Graphics processors": ", ".join(models)} if models else {}
