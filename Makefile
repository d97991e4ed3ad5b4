# codemill on one machine. `make demo` and `make test` need nothing but Python 3.11 and make.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.codemill-installed
DEMO   := out/demo
MODEL  ?= embedded
STDLIB  = $(shell $(BIN)/python -c "import sysconfig; print(sysconfig.get_path('stdlib'))")

# Tests and the demo run on the CPU, whatever else the machine has; a job of one's own chooses by itself.
export JAX_PLATFORMS ?= cpu

.PHONY: setup tpu-aot demo test check soak format clean-demo bench bench-filters bench-pack

setup: $(READY)                ## the environment, with the command codemill in it

$(READY): setup.py pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: python3.11 is not on the PATH"; exit 2; }
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" \
	  || { echo "make: codemill needs Python 3.11 or later, got $$($(PYTHON) --version); set PYTHON=..."; exit 2; }
	@echo "making $(VENV) with $$($(PYTHON) --version): some minutes the first time"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

tpu-aot: setup                 ## libtpu's compiler (213 MB), so that the tests compile for TPUs that aren't there
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[tpu-aot]'

demo: setup clean-demo         ## the main job over part of Python's standard library, with the embedded model
	$(BIN)/codemill corpus $(STDLIB) --output $(DEMO)/corpus \
	  --include 'json/*.py' 'email/*.py' 'http/*.py' 'urllib/*.py' 'logging/*.py' 'csv.py' 'textwrap.py' 'shutil.py'
	$(BIN)/codemill infill --input $(DEMO)/corpus/data --output $(DEMO)/infill \
	  --model $(MODEL) --spans_per_file 4 --max_prompt_tokens 384 --max_new_tokens 64 --max_middle_tokens 64
	$(BIN)/codemill inspect $(DEMO)/infill --rows 3

clean-demo:
	@rm -rf $(DEMO)

test: setup                    ## all tests but the slow ones; groups share what is dear to make
	$(BIN)/python -m pytest -n 2 --dist loadgroup -q

check: setup                   ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

soak: setup                    ## the slow tests
	$(BIN)/python -m pytest -n 2 -q -m slow

# OTHERS: a python that has torch, transformers, xllamacpp; GEMMA: a python, 3.12 or later, that has gemma.
RACE = $(BIN)/python -m benchmarks.engine --write $(if $(OTHERS),--others $(OTHERS)) $(if $(GEMMA),--gemma $(GEMMA))
bench: setup                   ## the engine against other ways to run the same model, into docs/benchmarks.md
	$(RACE) --size 100m
	$(RACE) --size 400m --batches 16

bench-filters: setup           ## figures of the filters; other tools beside them with OTHERS=a python that has them
	$(BIN)/python -m benchmarks.filters $(if $(OTHERS),--others $(OTHERS))

bench-pack: setup              ## figures of spans, imports, order and packing, as a table
	$(BIN)/python benchmarks/pack.py

format: setup                  ## put the code in order
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
