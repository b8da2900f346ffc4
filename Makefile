# The only names to remember: book, test, lint, links, pdf, notebooks, new-chapter, clean. `make`
# alone explains them.
# The first target that needs it makes .venv; it is made again only when pyproject.toml,
# constraints.txt or the place of this folder changes. pip would compile each of 24,000 files, one
# after the other; Python compiles the few that are imported.

PYTHON ?= python3
JOBS ?= 2

RUN := .venv/bin/python -m
HTML := _build/html
PDF := _build/pdf/mobilenetv3-rebuilt.pdf
STATE := $(shell { cat pyproject.toml constraints.txt; pwd; } | cksum | cut -d ' ' -f 1)
READY := .venv/.ready-$(STATE)

# One thread a process: two notebooks or test workers that share the cores would slow each other.
export OMP_NUM_THREADS := 1
export JOBS # for book/_ext/side_by_side.py
# Kernels come from .venv, and the debugger inside them keeps quiet.
export JUPYTER_PREFER_ENV_PATH := 1
export PYDEVD_DISABLE_FILE_VALIDATION := 1

.DEFAULT_GOAL := help
.PHONY: help book test lint links pdf notebooks new-chapter clean unit nbval browser

help:
	@echo "make book       execute every notebook and build the book into $(HTML)"
	@echo "make test       everything below, in this order: $(STEPS)"
	@echo "make lint       ruff: style and format of code and notebooks"
	@echo "make links      build the book, then check its links, anchors and images (web addresses are not fetched)"
	@echo "make pdf        build the book, then print it with Chromium into $(PDF)"
	@echo "make notebooks  execute the notebooks and store their text outputs, for authors"
	@echo "make new-chapter NAME=my_topic"
	@echo "                start a chapter from the template; PART=Tasks chooses another part than the last"
	@echo "make clean      remove what building and testing left behind (not .venv)"
	@echo
	@echo "Steps of make test that can be run alone: unit, nbval, browser."
	@echo "PYTHON=python3.11 chooses the interpreter that makes .venv; JOBS=2 the processes that build or test at once."

$(READY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "The book needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1)."; \
	  echo "Name another one: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "Installing the tested versions into .venv (minutes the first time)"
	@.venv/bin/python -c '' 2>/dev/null && grep -qsF '$(CURDIR)/.venv' .venv/bin/activate \
	  || $(PYTHON) -m venv --clear .venv
	$(RUN) pip install --quiet --no-compile --editable ".[book,test,deploy,train,ray]" \
	  --constraint constraints.txt
	@rm -f .venv/.ready-* && touch $@

# EXECUTED: see book/_ext/fresh_outputs.py. Times in that cache lack their zone, which is UTC.
book: $(READY)
	$(if $(EXECUTED),TZ=UTC) .venv/bin/jupyter-book build . -n -W --keep-going
	@test -s $(HTML)/index.html || { echo "The build left no $(HTML)/index.html"; exit 1; }
	@echo "The book is ready: open $(HTML)/index.html in a browser"

STEPS := lint unit nbval book browser

test: $(READY)
	@report="make test:"; for step in $(STEPS); do \
	  echo "== $$step"; start=$$(date +%s); \
	  EXECUTED=$(OUTPUTS) $(MAKE) --no-print-directory $$step || { echo "make test: the step '$$step' failed"; exit 1; }; \
	  report="$$report $$step $$(($$(date +%s) - start)) s,"; \
	done; echo "$${report%,}"

lint: $(READY)
	$(RUN) ruff check .
	$(RUN) ruff format --check .

unit: $(READY)
	$(RUN) pytest -n $(JOBS) --dist loadfile -m "not book"

# As on a machine that has the notebooks and the package, and nothing of this folder: the notebooks
# are those that the download buttons give, alone in a folder; the package is a wheel, which stands
# before the editable install on the path and brings the data along. The check says that it does.
WHEEL := $(CURDIR)/_build/wheel
OUTPUTS := $(CURDIR)/_build/outputs
nbval: $(READY)
	@rm -rf $(WHEEL)
	$(RUN) pip install --quiet --no-deps --no-build-isolation --target $(WHEEL) .
	@alone=$$(mktemp -d) && trap 'rm -rf "$$alone"' EXIT && \
	.venv/bin/python book/_ext/anywhere.py "$$alone" && \
	export PYTHONPATH=$(WHEEL) && \
	( cd "$$alone" && $(CURDIR)/.venv/bin/python -c 'from mnv3lib.paths import data_root as found; \
	  assert str(found()) == "$(WHEEL)/mnv3lib/_data", f"tests would use {found()}"' ) && \
	$(RUN) pytest -c pyproject.toml -n $(JOBS) --dist loadfile \
	  -p tests.nbval_patience -p tests.nbval_outputs --keep-outputs $(OUTPUTS) \
	  --nbval --nbval-current-env --nbval-cell-timeout 120 "$$alone"

# Only the files that speak of the built book: to collect all others takes half a minute.
browser: $(READY)
	$(RUN) pytest -n $(JOBS) -m book $$(grep -l 'pytestmark = pytest.mark.book' tests/test_*.py)

links: book
	$(RUN) pytest -m book -k links tests/test_built_book.py

pdf: book
	.venv/bin/python book/print_book.py $(HTML) $(PDF)

notebooks: $(READY)
	.venv/bin/python book/execute.py

# NAME and PART reach the script through the environment, where no shell takes them apart.
new-chapter: $(READY)
	@.venv/bin/python book/new_chapter.py -- "$$NAME" "$$PART"

clean:
	rm -rf _build dist .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
