# The door to the project. `make sweep` and `make test` need only make and a Python that has a lock here:
# they create .venv from the lock of that Python version, once.

PYTHON ?= python3
PYTHON_MXNET ?= python3.11
ARGS ?=
# Two processes, each keeping a file's tests (and so its compiled programs) together.
PYTEST_ARGS ?= -n 2 --dist loadfile

VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
LOCK := locks/py$(subst .,,$(VERSION)).txt
BIN := .venv/bin
READY := .venv/ready
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

.PHONY: sweep test test-faults test-frameworks test-mxnet frameworks check format bench notebooks docs lock clean

sweep: $(READY)
	@$(BIN)/jaxbn sweep digits --num-configs 1024 --num-epochs 20 $(ARGS)

test: $(READY)
	$(BIN)/python -m pytest -q $(PYTEST_ARGS)

# A sweep killed 200 times, which goes on each time; 20,000 broken files and 300 configurations from the ends of all
# ranges, none of which brings anything down.
test-faults: $(READY)
	JAXBN_KILLS=200 JAXBN_INPUTS=20000 JAXBN_CONFIGS=300 $(BIN)/python -m pytest -q -s tests/faults $(ARGS)

# Conventions beside the frameworks themselves; their largest differences are printed. PaddlePaddle needs a process of
# its own: it crashes in one with TensorFlow.
test-frameworks: .venv-frameworks/ready
	.venv-frameworks/bin/python -m pytest -q tests/frameworks -k "not paddle" $(ARGS)
	.venv-frameworks/bin/python -m pytest -q tests/frameworks -k paddle $(ARGS)

# The course notes' criteria measured; MXNet is left out where `make test-mxnet` has not been run.
frameworks: .venv-frameworks/ready
	.venv-frameworks/bin/python -m benchmarks.frameworks $(ARGS)

.venv-frameworks/ready: $(LOCK)
	@echo "Installing $(LOCK) and seven frameworks into .venv-frameworks (once)"
	@$(PYTHON) -m venv --clear .venv-frameworks
	@.venv-frameworks/bin/python -m pip --disable-pip-version-check -qq install --require-hashes --no-deps -r $(LOCK)
	@.venv-frameworks/bin/python -m pip --disable-pip-version-check -qq install torch==2.13.0 dm-haiku==0.0.17 \
	  equinox==0.13.8 keras==3.15.1 tensorflow-cpu==2.21.0 tf_keras==2.21.0 paddlepaddle==3.3.1 setuptools
	@.venv-frameworks/bin/python -m pip --disable-pip-version-check -qq install --no-deps --no-build-isolation -e .
	@touch $@

# MXNet needs a NumPy older than 1.24, so a Python of at most 3.11, and an environment of its own.
test-mxnet: .venv-frameworks/ready .venv-mxnet/ready
	.venv-frameworks/bin/python -m pytest -q tests/frameworks -k "mxnet or gluon" $(ARGS)

.venv-mxnet/ready:
	@echo "Installing MXNet into .venv-mxnet (once)"
	@$(PYTHON_MXNET) -m venv --clear .venv-mxnet
	@.venv-mxnet/bin/python -m pip --disable-pip-version-check -qq install mxnet==1.9.1 'numpy<1.24'
	@touch $@

check: $(READY)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/basedpyright --pythonpath $(BIN)/python

format: $(READY)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# PyTorch, the rival, is large and in no lock.
bench: $(READY)
	@$(BIN)/python -c 'import torch' 2>/dev/null || $(PIP) install --no-build-isolation -e '.[bench]'
	$(BIN)/python -m benchmarks.throughput $(ARGS)

# ARGS='01 03' runs these alone.
notebooks: $(READY)
	@$(BIN)/python -c 'import jupytext, nbclient, ipykernel' 2>/dev/null || $(PIP) install --no-build-isolation -e '.[notebooks]'
	$(BIN)/python notebooks/execute.py $(ARGS)

# Sphinx is in no lock. What is wrong with a page, or a docstring, is an error.
docs: $(READY)
	@$(BIN)/python -c 'import sphinx, myst_parser' 2>/dev/null || $(PIP) install --no-build-isolation -e '.[docs]'
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html $(ARGS)
	@echo "The documentation is in docs/_build/html/index.html"

$(READY): $(LOCK) pyproject.toml
	@echo "Installing $(LOCK) into .venv (once)"
	@$(PYTHON) -m venv --clear .venv
	@$(PIP) install --require-hashes --no-deps -r $(LOCK)
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

# Reached only when the lock is not there.
$(LOCK):
	@echo "jaxbn has locks for Python 3.11, 3.12 and 3.13 and $(PYTHON) is $(or $(VERSION),missing):" \
	  "name another one, as in: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2

lock:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip --disable-pip-version-check -qq install uv==0.13.9
	mkdir -p locks
	for version in 3.11 3.12 3.13; do \
	  .venv-lock/bin/uv pip compile pyproject.toml --quiet --upgrade --extra dev --extra data \
	    --python-version $$version --universal --fork-strategy fewest --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	    --output-file locks/py$$(echo $$version | tr -d .).txt || exit 1; \
	done

clean:
	rm -rf .venv .venv-lock .venv-frameworks .venv-mxnet build dist docs/_build .pytest_cache .ruff_cache .hypothesis
	find jaxbn tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +
