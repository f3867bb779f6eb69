#!/bin/sh
# Make .venv/sdxl, the sdxl model's interpreter: torch and diffusers beside Triton's backend, with numpy 1. Wants `make setup`
# first. Safe to repeat and to interrupt; does nothing when nothing changed. About 1.2 GB with torch's CPU build, more with
# the CUDA one.
set -eu
cd "$(dirname "$0")/.."

torch=2.13.0
say() { printf '\033[1msetup:\033[0m %s\n' "$*"; }

[ -x .venv/bin/uv ] || { say "run make setup first: it brings uv" >&2; exit 1; }
python=${PYTHON:-python3}

stamp=.venv/sdxl/.setup-stamp
inputs=$(cat requirements/sdxl.txt requirements/triton.txt scripts/setup_sdxl.sh | cksum)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$inputs" ]; then exit 0; fi
rm -f "$stamp"

[ -x .venv/sdxl/bin/pip ] || { say "creating .venv/sdxl"; "$python" -m venv .venv/sdxl; }
say "installing diffusers and what torch needs (locked, hashes checked)"
# Complete lists, so nothing is resolved here; compiled now, because the model's process writes no bytecode of its own.
.venv/bin/uv pip install --quiet --python .venv/sdxl/bin/python --no-deps --require-hashes --compile-bytecode \
    -r requirements/sdxl.txt
.venv/bin/uv pip install --quiet --python .venv/sdxl/bin/python --no-deps --require-hashes -r requirements/triton.txt
say "installing torch $torch (pip chooses the build for this machine)"
# Not locked: its hash differs with the build. What it depends on is installed already, but for CUDA's own packages.
.venv/sdxl/bin/python -m pip install --quiet --disable-pip-version-check "torch==$torch"

.venv/sdxl/bin/python -W ignore -c 'import diffusers, numpy, torch; assert numpy.__version__ < "2"' >/dev/null
echo "$inputs" > "$stamp"
say "done"
