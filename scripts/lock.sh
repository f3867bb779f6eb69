#!/bin/sh
# Renew the locked requirements: hashes, no download addresses. Run by `make lock` with uv on the PATH.
set -eu
cd "$(dirname "$0")/.."

compile() {
    output=$1
    shift
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links \
        --no-emit-package imagetron-contracts --no-emit-package imagetron-chassis \
        "$@" --output-file "requirements/$output"
}

packages=$(ls libs/*/pyproject.toml services/*/pyproject.toml cli/pyproject.toml)
# shellcheck disable=SC2086 # the list is meant to split
compile runtime.txt $packages
# shellcheck disable=SC2086
compile dev.txt --constraints requirements/runtime.txt $packages requirements/dev.in
compile bootstrap.txt requirements/bootstrap.in
compile triton.txt --no-deps requirements/triton.in
# torch is installed first, by pip alone: each machine has a build of its own.
compile sdxl.txt --constraints requirements/triton.txt --excludes requirements/sdxl-excludes.in requirements/sdxl.in
