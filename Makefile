# make install builds .venv once; run, test, lint, docs, bench and lock use it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH := torch==2.13.0
# torch and everything that only torch pulls in: installed first, alone, so that a CPU machine gets a CPU build.
TORCH_NEEDS := torch|triton|nvidia-.*|cuda-.*|sympy|mpmath|networkx|jinja2|markupsafe|fsspec|typing-extensions|setuptools
# More threads than free cores stall torch: two, passive, unless the caller says otherwise.
export OMP_NUM_THREADS ?= 2
export OMP_WAIT_POLICY ?= PASSIVE
WORKERS ?= 2

.PHONY: install run test lint docs bench lock clean

install: $(VENV)/installed

$(VENV)/installed: requirements.lock setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip setuptools wheel
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# One thread: a second one makes a model of this width no faster, and costs a fifth more processor time.
run: install
	OMP_NUM_THREADS=1 $(BIN)/python run_recbole_diff.py --model=TVDiff --dataset=ml-100k --hidden_size=64 --epochs=30

# Two processes of one thread: small models gain nothing from a second thread, and a third process nothing on two cores. A file stays in
# one process, for its fixtures; files begin in the order of tests/conftest.py, which has the slow ones first. The tests start many
# programs, which would compile the package each: its bytecode is kept, even where the environment says not to.
test: install
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Without a network. A warning is an error: a broken link, a missing anchor, a page that nothing leads to.
docs: install
	$(BIN)/python -m sphinx --builder html --conf-dir docs --doctree-dir build/doctrees --fail-on-warning --keep-going --quiet . site

bench: install
	$(BIN)/python -m benchmarks.speed
	$(BIN)/python -m benchmarks.loading

lock:
	$(BIN)/python -m pip install --quiet uv
	echo '$(TORCH)' > $(VENV)/torch-constraint.txt
	$(BIN)/uv pip compile setup.cfg --extra tune --extra optuna --extra plots --extra docs --extra dev --constraint $(VENV)/torch-constraint.txt \
		--python-version 3.11 --no-header --no-annotate --quiet | grep -vE '^($(TORCH_NEEDS))==' > requirements.lock

clean:
	rm -rf $(VENV) build dist site *.egg-info
