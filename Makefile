# `make repro` builds the project's artifacts, `make test` runs the tests.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: repro repro-shell shell-stages test bench test-slow test-gpu lint docs wheels format env clean

repro: env ## build what is out of date
	@lmspec sync --check
	dvc --wait-for-lock repro

repro-shell: env ## build what is out of date of the second project, examples/shell
	@cd examples/shell && lmspec sync --check
	cd examples/shell && dvc --wait-for-lock repro

shell-stages: ## a project has stages of its own: copy this one's to examples/shell
	rm -f examples/shell/stages/*.py
	cp stages/*.py examples/shell/stages/

test: env ## the suite, miniature project included, in two processes
	pytest -n 2 --durations 20

test-slow: env ## tests that take minutes
	pytest -m slow --timeout 5400

bench: env ## validation, cache, comparison and verdicts beside peers; needs a built repository
	python bench/validate.py > bench/validate.md
	python bench/stage.py > bench/stage.md
	python bench/inputs.py > bench/inputs.md
	python bench/diff.py > bench/diff.md
	python bench/verdicts.py > bench/verdicts.md
	python bench/bounds.py > bench/bounds.md
	python bench/answers.py > bench/answers.md
	python bench/duplicates.py > bench/duplicates.md
	python bench/small.py > bench/small.md
	python bench/suspects.py > bench/suspects.md
	python bench/folds.py > bench/folds.md
	python bench/private.py > bench/private.md
	python bench/conformal.py > bench/conformal.md
	python bench/active.py > bench/active.md
	python bench/crowd.py > bench/crowd.md
	python bench/weak.py > bench/weak.md
	python bench/first.py > bench/first.md
	python bench/load.py > bench/load.md
	python bench/read_gguf.py > bench/read_gguf.md
	python bench/train.py > bench/train.md
	python bench/sweep.py > bench/sweep.md
	python bench/generate.py > bench/generate.md
	cat bench/duplicates.md bench/validate.md bench/stage.md bench/inputs.md bench/diff.md bench/verdicts.md bench/bounds.md bench/answers.md bench/small.md bench/suspects.md bench/folds.md bench/private.md bench/conformal.md bench/active.md bench/crowd.md bench/weak.md bench/first.md bench/load.md bench/read_gguf.md bench/train.md bench/sweep.md bench/generate.md

test-gpu: env ## tests that need a CUDA device
	pytest -m gpu

lint: env ## style, types, params.yaml, and that dvc.yaml is up to date
	ruff check .
	ruff format --check .
	mypy
	lmspec validate
	lmspec sync --check
	cd examples/shell && lmspec validate
	lmspec schema | cmp - lmspec/language/params.schema.json

docs: env ## generate what the documentation takes from code and data/metrics
	python docs/generate.py

OF_BUNDLES := ftfy\nllguidance\nnumpy\nonnxruntime\ntokenizers\n
OF_SERVICES := click\nhttptools\npolars\nprometheus_client\nstarlette\nuvicorn\nuvloop\n
LOCKED := uv pip compile - --quiet --universal --generate-hashes --python-version 3.11 --no-annotate \
  --no-header -c requirements.lock

wheels: env ## hashes of the packages that a bundle and a service need; asks the index, with uv (`pip install uv`)
	printf '$(OF_BUNDLES)' | $(LOCKED) | python -m tests.wheels lmspec/formats/wheels.py
	printf '$(OF_BUNDLES)$(OF_SERVICES)' | $(LOCKED) \
	  | python -m tests.wheels lmspec/scaffold/serving_wheels.py

format: env
	ruff check --fix .
	ruff format .

env: $(BIN)/.installed ## the virtual environment, with pinned packages

$(BIN)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lmspec needs Python 3.11 or newer; this is " + sys.version.split()[0] + " -> make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

clean: ## remove the environment; builds stay
	rm -rf .venv
