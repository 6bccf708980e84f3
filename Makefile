# Every command runs in .venv, which the target `environment` keeps in line with requirements.lock.
# Options: CORES=2 limits the processor cores; MEM_MB=4000 limits the memory of `make paper`; RESULTS=results/digits
# chooses what is audited; PYTHON=python3.12 chooses the Python that .venv is made with.
PYTHON ?= python3
CORES ?= all
MEM_MB ?= 8000

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.PHONY: help reproduce paper unlock audit check test slurm-test lint benchmark sweep readme schema lock clean environment
OUTSIDE := $(PATH)
export PATH := $(CURDIR)/.venv/bin:$(PATH)
unexport PYTHONPATH PYTHONHOME

# Snakemake without its limit on jobs per second, which costs a fifth of the processor's time in a long run.
SNAKEMAKE := python -m flatminima.workflow

# What the tests of a file share is made once, and the longest files come first.
WORKERS = --numprocesses $(CORES:all=auto) --dist loadfile --no-loadscope-reorder

# What Snakemake locks it unlocks when it stops, unless it is killed.
LOCKED = { code=$$?; [ -z "$$(ls .snakemake/locks 2> /dev/null)" ] || \
	echo "If no other run is at work in this folder, the last one was killed: make unlock, then this again" >&2; exit $$code; }

help: ## Print this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | while IFS='|' read -r target text; do printf 'make %-20s %s\n' "$$target" "$$text"; done

reproduce: environment ## Run every study that needs no download, judge every claim, write the report
	@$(SNAKEMAKE) --cores $(CORES) || $(LOCKED)
	@flatminima verdicts results

paper: environment ## The same at the paper's scale, on MNIST and CIFAR-10: downloads them, or finds them in data_root (config.yaml)
	@$(SNAKEMAKE) paper --cores $(CORES) --resources mem_mb=$(MEM_MB) || $(LOCKED)
	@flatminima verdicts results

unlock: environment ## After a run was killed: let the next one go on where it stopped
	snakemake --unlock

check: environment ## Lint, then run the unit tests of what has changed since the last commit that was shared
	ruff check && ruff format --check && mypy && lint-imports
	@OMP_NUM_THREADS=1 python tests/changed.py $(WORKERS)

test: lint ## Lint, then run all tests and print the branch coverage
	OMP_NUM_THREADS=1 pytest $(WORKERS) --cov --cov-report term-missing:skip-covered

slurm-test: environment ## Run a study on a Slurm cluster made of this machine, through failures; needs Debian and root
	@python tests/cluster/slurm.py

lint: environment ## Check style, types, the direction of imports, and the workflow
	ruff check && ruff format --check && mypy && lint-imports
	snakefmt --check Snakefile workflow && snakemake --lint

# Memory that is kept between products is what the workflow asks of glibc, too.
benchmark: export MALLOC_MMAP_THRESHOLD_ := 1000000000
benchmark: export MALLOC_TRIM_THRESHOLD_ := 2000000000
benchmark: environment ## On an idle machine: time engine, plans, kernels and the workflow, and write the pages that tell
	@python -W ignore -m benchmarks.curvature
	@python -m benchmarks.planning
	@python -m benchmarks
	@flatminima readme

sweep: environment ## Hold all layers and losses of torch.nn against dense Hessians, and write the table of docs/curvature.md
	@python -m benchmarks.layers

audit: environment ## Check results and their reference against manifests, measures, this code, and a run of some jobs
	@flatminima audit $(or $(RESULTS),$(patsubst %/manifest.json,%,$(wildcard results/*/manifest.json results/reference/*/manifest.json)))

readme: environment ## Record the evidence in results/reference, and write the scoreboard of README.md anew
	flatminima readme

schema: environment ## Write the JSON schemas of config.yaml and of manifests anew
	flatminima schema > .venv/config.schema.json && mv .venv/config.schema.json workflow/
	flatminima schema manifest > .venv/manifest.schema.json && mv .venv/manifest.schema.json docs/

lock: ## Pin what pyproject.toml asks for; pins that still fit stay, delete requirements.lock to upgrade all
	$(PYTHON) -m venv --clear .venv/lock && .venv/lock/bin/pip install --quiet uv
	.venv/lock/bin/uv pip compile --universal --python-version 3.11 --fork-strategy fewest --extra cluster --extra dev --extra peers \
		--no-annotate --custom-compile-command "make lock" --quiet --output-file requirements.lock pyproject.toml

clean: ## Delete results (results/reference stays), logs, and what Snakemake remembers
	rm -rf logs .snakemake
	[ ! -d results ] || find results/ -mindepth 1 -maxdepth 1 ! -name reference -exec rm -rf {} +

# The stamp is written last, so an interrupted installation is never taken for a complete one.
environment: export PATH := $(OUTSIDE)
environment:
	@command -v $(PYTHON) > /dev/null || { echo "$(PYTHON): no such command; install Python 3.11 or newer, or pass PYTHON=path" >&2; exit 1; }
	@wanted=$$($(PYTHON) -E -c "$$WANTED"); stamp=$${wanted%% *}; python=$${wanted#* }; \
	if [ ! -f "$$stamp" ] || [ ! -x .venv/bin/python ]; then \
		echo "Installing the packages of requirements.lock into .venv: once, a few minutes, 6 GB"; \
		rm -f .venv/.lock-*; \
		"$$python" -m venv --clear .venv; \
		.venv/bin/python -m pip install --no-deps --requirement requirements.lock; \
		.venv/bin/python -m pip install --no-deps --no-build-isolation --editable .; \
		.venv/bin/python -m pip check; \
		touch "$$stamp"; \
	fi

# Prints a stamp named after all that .venv depends on, and the Python to make it with, which is outside .venv.
# Written for any Python, so that an old one can say that it is too old.
define WANTED
import sys
if sys.version_info < (3, 11):
    sys.exit("flatminima needs Python 3.11 or newer, $(PYTHON) is %d.%d; pass PYTHON=python3.11" % sys.version_info[:2])
import hashlib, importlib.util, os, tomllib
if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
    sys.exit("$(PYTHON) cannot make virtual environments; install its venv package (Debian: apt install python3-venv)")
lock, project = open("requirements.lock", "rb").read(), tomllib.load(open("pyproject.toml", "rb"))["project"]
wanted = lock, project, sys.version_info[:2], os.getcwd()
print(".venv/.lock-" + hashlib.sha256(repr(wanted).encode()).hexdigest(), os.path.realpath(sys.executable))
endef
export WANTED
