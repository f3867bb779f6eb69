# The only front door. Each target is at most five lines; longer work lives in scripts/ or in the `imagetron` command.
.DEFAULT_GOAL := help
.PHONY: help setup demo up doctor test test-unit test-sdxl check format docs lock chaos chaos-mutants bench-pipeline bench-fairness bench-backlog bench-enhance bench-derive bench-crops bench-gpu clean
BIN := .venv/bin
# What must be covered to the last branch: decisions, contracts, and what answers the broker.
CORE := */imagetron_contracts/*,*/domain/*,*/usecases/*,*/usecases.py,*/imagetron_chassis/delivery.py,*/imagetron_chassis/verdicts.py,*/imagetron_chassis/outbox.py,*/imagetron_chassis/breaker.py,*/imagetron_chassis/retry_budget.py

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what is missing (Debian packages, .venv, .venv/triton); safe to repeat
	@scripts/setup.sh

demo: setup ## start a stack, make two sets of pictures into ./out, check every one, stop
	@$(BIN)/imagetron demo

up: setup ## run the whole stack on this machine until Ctrl-C (API on http://127.0.0.1:8015)
	@$(BIN)/imagetron up

doctor: ## find out what is wrong with this installation
	@test -x $(BIN)/imagetron || { echo "not installed: run make setup"; exit 1; }
	@$(BIN)/imagetron doctor

test: setup ## all tests, with coverage and its gates
	@rm -f .coverage .coverage.*
	$(BIN)/pytest -n 2 --dist loadfile --cov --cov-report=
	$(BIN)/coverage report --skip-covered --fail-under=90 --format=total
	$(BIN)/coverage report --skip-covered --show-missing --fail-under=100 --include='$(CORE)'

test-unit: setup ## the tests that need nothing but Python; seconds
	$(BIN)/pytest tests/unit

test-sdxl: setup ## the diffusion model and the upscaler through a real Triton server, on the CPU, with tiny weights (an environment of its own)
	scripts/setup_sdxl.sh
	.venv/sdxl/bin/python -m pytest -c deploy/triton/tests/engine/pytest.ini deploy/triton/tests/engine
	.venv/sdxl/bin/python -m pytest -c deploy/triton/tests/upscaler/engine/pytest.ini deploy/triton/tests/upscaler/engine
	$(BIN)/pytest deploy/triton/tests/server
	$(BIN)/pytest deploy/triton/tests/upscaler/server

check: setup ## format, lint, types, import rules, generated files; changes nothing
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m imagetron_contracts.export --check --page docs/events.md && $(BIN)/python scripts/configuration_page.py --check \
		&& $(BIN)/python scripts/font_coverage.py --check

format: setup ## format the code and mend what the linter can mend
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

docs: setup ## write the generated pages and schemas again
	$(BIN)/python -m imagetron_contracts.export --page docs/events.md
	$(BIN)/python scripts/configuration_page.py
	$(BIN)/python scripts/font_coverage.py

lock: setup ## renew the locked requirements
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/lock.sh

chaos: setup ## kill everything under load and compare what clients were told with what is there (KILLS=60 JOBS=300 SEED=)
	$(BIN)/python tests/chaos/run.py --kills $(or $(KILLS),60) --jobs $(or $(JOBS),300) $(if $(SEED),--seed $(SEED))

chaos-mutants: setup ## take out each rule of the delivery once: the tests must notice (minutes)
	$(BIN)/python tests/chaos/mutants.py

bench-pipeline: setup ## measure the pipeline (minutes; wants an otherwise idle machine)
	$(BIN)/python benchmarks/pipeline.py

bench-fairness: setup ## how long people wait behind 10,000 batch jobs (minutes; wants an otherwise idle machine)
	$(BIN)/python benchmarks/fairness.py

bench-backlog: setup ## what a job costs behind 100, 2,000 and 20,000 waiting ones (minutes; wants an idle machine)
	$(BIN)/python benchmarks/backlog.py

bench-enhance: setup ## how long a proposed prompt takes, with a slow and with a hanging language model (minutes)
	$(BIN)/python benchmarks/enhance.py

bench-derive: setup ## cutting and encoding against Sharp (minutes; wants Node.js and an idle machine; QUICK=1)
	npm ci --prefix benchmarks/derive --no-fund --no-audit
	$(BIN)/python benchmarks/derive/run.py $(if $(QUICK),--quick)

bench-crops: setup ## what crops keep of hand-drawn subjects, against Sharp's (wants Node.js); draws docs/images/crops.png
	npm ci --prefix benchmarks/crops --no-fund --no-audit
	$(BIN)/python benchmarks/crops/run.py --sheet docs/images/crops.png

bench-gpu: setup ## the diffusion model against plain diffusers (wants a CUDA machine; TINY=1 runs it small on any)
	scripts/setup_sdxl.sh
	.venv/sdxl/bin/python benchmarks/gpu/run.py $(if $(TINY),--tiny)

clean: ## remove the embedded stack's data and logs (.imagetron) and the pictures (out)
	@for lock in .imagetron/lock .imagetron/demo/lock; do test ! -e $$lock || flock -n $$lock true \
		|| { echo "a stack is running on it ($$lock): stop it first"; exit 1; }; done
	rm -rf .imagetron out
