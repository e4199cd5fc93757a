# Every target works from a fresh clone with nothing but Python 3.11+ and make.
#   make run                draw the demo pictures, scan them, and show them in the browser
#   make run SOURCE=/path   the same with your own folder (it is only read); the case goes to ./case
#   make test | lint | bench | chaos TIMES=10

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DESCRIBE := $(VENV)/.describe
# PyTorch has one build for each kind of accelerator, each with its own digest and companions: pip
# takes the one that its index offers, so it stands apart from constraints.txt.
TORCH := torch==2.13.0
TORCH_OWN := torch triton cuda-bindings cuda-pathfinder cuda-toolkit $(addprefix nvidia-,cublas \
	cuda-cccl cuda-cupti cuda-nvrtc cuda-runtime cudnn-cu13 cufft cufile curand cusolver cusparse \
	cusparselt-cu13 nccl-cu13 nvjitlink nvshmem-cu13 nvtx)
DEMO := build/demo-pictures
SOURCE ?=
PORT ?= 3000
UI := src/caseframe/web/static/vendor/LICENSES.txt
CASE ?= $(if $(SOURCE),case,build/demo-case)
PYTEST_ARGS ?=
TIMES ?= 1

.PHONY: run case ui screenshots describe test chaos lint format bench constraints docs proto clean

run: case
	@$(BIN)/caseframe serve --case "$(CASE)" --sources "$(if $(SOURCE),$(SOURCE),$(DEMO))" --port $(PORT)

case: $(READY) $(UI)
ifeq ($(SOURCE),)
	@mkdir -p build
	@$(BIN)/caseframe demo $(DEMO)
	@$(BIN)/caseframe scan $(DEMO) --case $(CASE)
	@echo
	@$(BIN)/caseframe show "Holidays/2016 Chamonix/DSC_0412.JPG" --case $(CASE)
	@echo
else
	@$(BIN)/caseframe scan "$(SOURCE)" --case "$(CASE)"
endif

# Browser libraries, bundled from package-lock.json; needs Node.js 20 or newer.
$(UI): package-lock.json ui/build.mjs ui/icons.json
	@command -v npm >/dev/null || { echo "Node.js 20 or newer is needed to bundle the pages' libraries: install it, then run make again"; exit 1; }
	npm ci --ignore-scripts --no-audit --no-fund --silent
	node ui/build.mjs

ui: $(UI)

screenshots: $(READY) $(UI)
	$(BIN)/python -m docs.screenshots

# Where Python may not write bytecode by itself, each of the commands that tests start would compile
# all of ours again. The tests of a file share servers and cases, so they go to one process.
test: $(READY) $(DESCRIBE) $(UI)
	$(BIN)/python -m compileall -q src
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

# Part after part of the system as services fails while a job is at work, TIMES times each.
chaos: $(READY) $(UI)
	CASEFRAME_CHAOS_TIMES=$(TIMES) $(BIN)/python -m pytest -o faulthandler_timeout=0 \
		$(PYTEST_ARGS) tests/chaos

lint: $(READY) $(UI)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/hadolint deploy/Dockerfile
	test ! -x $(BIN)/shellcheck || $(BIN)/shellcheck .ci/run deploy/local.sh deploy/rabbitmq/keep-dead-letters.sh
	$(BIN)/yamllint --strict deploy .pre-commit-config.yaml
	npx --no-install eslint --max-warnings 0 .

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) $(DESCRIBE)
	$(BIN)/python -m bench

docs: $(READY)
	$(BIN)/python -m docs.generate

# The messages of the gRPC contracts, as Python.
proto: $(READY)
	$(BIN)/python -m grpc_tools.protoc --proto_path=proto --python_out=src/caseframe/vision \
		--pyi_out=src/caseframe/vision proto/computer_vision.proto
	$(BIN)/python -m grpc_tools.protoc --proto_path=proto --python_out=src/caseframe/jobmanager \
		--pyi_out=src/caseframe/jobmanager proto/jobmanager.proto

# All packages come from constraints.txt with their hashes; then the project itself, without any.
$(READY): constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; say make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

# Needs uv (a development tool); writes no address of any package index.
constraints:
	echo "$(TORCH)" | uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 \
		--generate-hashes --no-annotate --no-header --no-emit-index-url --quiet --overrides - \
		$(foreach name,$(TORCH_OWN),--no-emit-package $(name)) -o constraints.txt

# What captions need beside the pinned packages (the extra caseframe[describe]).
describe: $(DESCRIBE)

$(DESCRIBE): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	touch $@

clean:
	rm -rf $(VENV) build dist
