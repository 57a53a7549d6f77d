.PHONY: check test slow format lock quickstart site

check: ## lint, format, types and the fast tests
	scripts/test.sh

test: ## only the fast tests
	bash -c 'set -e; . scripts/environment.sh dev; TF_CPP_MIN_LOG_LEVEL=3 "$$PYTHON" -m pytest -m "not slow"'

slow: ## check, including the slow tests
	scripts/test.sh --slow

format: ## fix lint errors and format the source
	bash -c 'set -e; . scripts/environment.sh dev; "$$PYTHON" -m ruff check --fix .; "$$PYTHON" -m ruff format .'

lock: ## update requirements/*.txt from pyproject.toml
	scripts/lock.sh

quickstart: ## train, evaluate, export and run a classifier of digits
	scripts/quickstart.sh

site: ## build the site from docs/
	scripts/site.sh
