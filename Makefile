# make demo         install, build an INT8 bundle of the shipped model, score it on the shipped clip, inspect the clip
# make test         install for development, then lint, types and tests
# make plans        build every shipped model's TensorRT plans ahead of time; none may be worse than before
# make aarch64      run imports, doctor, one frame and a journal as an ARM machine would, under qemu
# make constraints  pin what robots and PCs install anew, with hashes, and try whether it resolves
# make clean        remove what these made
#
# PYTHON=python3.12     another interpreter, 3.10 or newer
# PIP_ARGS='...'        more arguments for pip. On Linux x86_64 the default index serves PyTorch with
#                       CUDA, some gigabytes. PyTorch is only needed to build bundles, and the CPU is
#                       enough: pass PyTorch's CPU index, as its install page states it, by
#                       PIP_ARGS='--extra-index-url ADDRESS', and the pinned version is taken there.

PYTHON ?= python3
PIP_ARGS ?=
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints-dev.txt $(PIP_ARGS)
NEEDED := pyproject.toml constraints-dev.txt $(BIN)/python

.PHONY: demo test plans aarch64 constraints clean

demo: $(BIN)/.demo
	$(BIN)/scnet-edge build --int8 --out demo/bundle --overwrite
	$(BIN)/scnet-edge run demo/bundle --source samples/pipe.mp4 --truth samples/pipe_truth.npz --out demo/run --overwrite
	rm -rf demo/survey
	$(BIN)/scnet-edge inspect demo/bundle --source samples/pipe.mp4 --pipe samples/pipe.toml --odometry speed://0.109mps --out demo/survey
	$(BIN)/scnet-edge report demo/survey

test: $(BIN)/.dev
	scripts/check

plans: $(BIN)/.dev
	$(BIN)/python benchmarks/tensorrt_plans.py --against benchmarks/plans/tensorrt-rtx.json
	$(BIN)/python benchmarks/tensorrt_plans.py --batch 4 --models scnet-small --targets SM80 SM86 SM89 SM120 --precisions fp16 int8 --against benchmarks/plans/tensorrt-rtx-batch4.json

aarch64: $(BIN)/.dev
	scripts/aarch64

constraints: $(BIN)/.release
	scripts/lock

clean:
	rm -rf .venv .aarch64.work demo dist

$(BIN)/.demo: $(NEEDED)
	@echo "Installing scnet-edge with its CPU engines and what builds bundles: about two minutes, without output ..."
	@$(INSTALL) --editable '.[cpu,build]'
	@touch $@

$(BIN)/.dev: $(NEEDED)
	@echo "Installing scnet-edge with its tests and checks: about two minutes, without output ..."
	@$(INSTALL) --editable '.[dev]'
	@touch $@

$(BIN)/.release: $(NEEDED)
	@$(INSTALL) --editable '.[release]'
	@touch $@

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON): not found; install Python 3.10 or newer, or name one: make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "$(PYTHON): older than 3.10; name a newer one: make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON): has no venv; on Debian and Ubuntu: sudo apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv .venv
