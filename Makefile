.PHONY: check test slow format lock quickstart

check: ## lint, format, types and the fast tests
	scripts/test.sh

test: ## the fast tests alone
	bash -c 'set -e; . scripts/environment.sh dev; TF_CPP_MIN_LOG_LEVEL=3 "$$PYTHON" -m pytest -m "not slow"'

slow: ## check, with the slow tests
	scripts/test.sh --slow

format: ## bring the source into form
	bash -c 'set -e; . scripts/environment.sh dev; "$$PYTHON" -m ruff check --fix .; "$$PYTHON" -m ruff format .'

lock: ## renew requirements/*.txt from pyproject.toml
	scripts/lock.sh

quickstart: ## train, evaluate, export and use a classifier of digits
	scripts/quickstart.sh
