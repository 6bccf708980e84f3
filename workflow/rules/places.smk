"""Where the workflow runs, which may be any folder, and where its own files and commands lie."""

import os
import shutil
import sys
import sysconfig
from pathlib import Path

ACTIVATE = "run `make environment` once, and `source .venv/bin/activate` in every new shell"
REPOSITORY = Path(str(workflow.current_basedir)).parents[1].resolve()

try:
    from flatminima import forkserver
    from flatminima.errors import UserError
    from flatminima.progress import JOB
    from flatminima.settings.yaml_files import read_mapping
except ModuleNotFoundError as missing:
    sys.exit(f"{sys.executable}: {missing}; {ACTIVATE}")

if not (REPOSITORY / "workflow/claims.yaml").is_file():
    sys.exit(f"{workflow.current_basedir}: not a folder of this machine; clone the repository, and name its Snakefile")

# That of the working folder; where it has none, as a folder named by --directory may, that of the repository.
CONFIG_FILE = "config.yaml" if Path("config.yaml").exists() else str(REPOSITORY / "config.yaml")

# Of a key that is given twice, Snakemake would take the last; and of a file that is not in UTF-8 it says less.
for _file in [*workflow.configfiles, CONFIG_FILE]:
    try:
        read_mapping(Path(_file))
    except UserError as error:
        sys.exit(str(error))

# Jobs run the command of the Python that takes the digests of their code, be its environment activated or not.
_commands = Path(sysconfig.get_path("scripts"))
if (_commands / "flatminima").exists():
    os.environ |= {"PATH": f"{_commands}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
elif not shutil.which("flatminima"):
    sys.exit(f"flatminima: no such command in {_commands}; {ACTIVATE}")

# Large tensors come and go: without the thresholds, glibc gives their memory back each time, at a tenth of the cost.
os.environ |= {"MALLOC_MMAP_THRESHOLD_": "1000000000", "MALLOC_TRIM_THRESHOLD_": "2000000000"}

# What a job took is the last line of its log. A server of another run would be that of another machine, or of none.
os.environ |= {JOB: "1"}
os.environ.pop(forkserver.ADDRESS, None)

# It drops assertions that torch computes with.
os.environ.pop("PYTHONOPTIMIZE", None)

if workflow.modifier.path_modifier.replace_prefix("results/") != "results/":
    sys.exit(
        "module: prefix or replace_prefix: manifests name files below results/; leave it out, and have the results of "
        "this module in a folder of their own by `snakemake --directory FOLDER`"
    )


def check_writable(folder):
    """Stop, in one line, unless a folder can be written, or made in the one that it would lie in."""
    if os.path.lexists(folder) and not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        target = f" (a link to {folder.readlink()})" if folder.is_symlink() else ""
        sys.exit(f"{folder}{target}: not a folder that can be written; make it one, or move it away")
    if not os.path.lexists(folder) and folder.parent.exists() and not os.access(folder.parent, os.W_OK | os.X_OK):
        sys.exit(f"{Path.cwd()}: not a folder that can be written; add `--directory FOLDER` to run in another")


for _folder in ("results", "logs", ".snakemake"):
    check_writable(Path(_folder))


def placed(path):
    """A path relative to the working folder if it lies in it, so that the folder can be moved; else absolute."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def shipped(name):
    """A file of the workflow, wherever that runs; no storage provider keeps it."""
    return local(placed(REPOSITORY / name))
