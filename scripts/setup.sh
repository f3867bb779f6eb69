#!/bin/sh
# Make this checkout runnable: Debian packages (RabbitMQ, venv, ExifTool), two virtual environments, our packages in
# editable form.
# Safe to repeat; does nothing when nothing changed. Needs Debian 12 or alike, Python 3.11+, and root or sudo for apt.
set -eu
cd "$(dirname "$0")/.."

say() { printf '\033[1msetup:\033[0m %s\n' "$*"; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else
        say "cannot install Debian packages: neither root nor sudo. As root, run: apt-get install -y $missing" >&2
        exit 1
    fi
}

python=${PYTHON:-python3}
command -v "$python" >/dev/null || { say "no $python found; install Python 3.11 or newer, or set PYTHON=..." >&2; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    say "$("$python" --version) is too old; install Python 3.11 or newer, or set PYTHON=..." >&2
    exit 1
}

missing=
[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || missing="$missing rabbitmq-server"
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
# Triton's Python backend loads the interpreter as a library, which Debian packs apart.
"$python" -c '
import os, sys, sysconfig
folder, triplet, version = (sysconfig.get_config_var(name) or "" for name in ("LIBDIR", "MULTIARCH", "VERSION"))
name = f"libpython{version}.so.1.0"
sys.exit(not any(os.path.exists(os.path.join(place, name)) for place in (folder, os.path.join(folder, triplet))))
' || missing="$missing libpython$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("VERSION"))')"
# Tests read marks back with ExifTool; watermarks that are written from the right need FriBidi. Without them the rest works:
# their absence stops nobody who may not install them.
wanted=
command -v exiftool >/dev/null || wanted="$wanted libimage-exiftool-perl"
"$python" -c 'import ctypes.util, sys; sys.exit(not ctypes.util.find_library("fribidi"))' || wanted="$wanted libfribidi0"
if [ -n "$wanted" ]; then
    if [ -n "$missing" ] || { command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; }
    then missing="$missing$wanted"
    else say "some tests need these Debian packages, and nobody here may install them:$wanted; going on" >&2
    fi
fi
if [ -n "$missing" ]; then
    command -v apt-get >/dev/null || { say "please install:$missing (no apt-get on this machine)" >&2; exit 1; }
    say "installing Debian packages:$missing"
    export DEBIAN_FRONTEND=noninteractive
    as_root apt-get update -qq
    # A policy file keeps the package from starting a broker of its own: the product starts a private node.
    # shellcheck disable=SC2086 # the list is meant to split
    as_root env RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

# In the last environment that is made: removing either one makes setup mend it.
stamp=.venv/triton/.setup-stamp
inputs=$(cat requirements/*.txt libs/*/pyproject.toml services/*/pyproject.toml cli/pyproject.toml scripts/setup.sh | cksum)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$inputs" ]; then exit 0; fi

[ -x .venv/bin/python ] || { say "creating .venv"; "$python" -m venv .venv; }
say "installing Python packages (locked, hashes checked)"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
export VIRTUAL_ENV="$PWD/.venv"
.venv/bin/uv pip sync --quiet --require-hashes requirements/dev.txt
# Ours come last: editable, without dependencies (the lock has them) and without a build environment.
ours=
for package in libs/* services/* cli; do ours="$ours -e $package"; done
# shellcheck disable=SC2086
.venv/bin/uv pip install --quiet --no-deps --no-build-isolation $ours

say "installing Triton's environment (numpy 1, the server from its wheel)"
[ -x .venv/triton/bin/python ] || "$python" -m venv --without-pip .venv/triton
.venv/bin/uv pip install --quiet --python .venv/triton/bin/python --no-deps --require-hashes -r requirements/triton.txt

echo "$inputs" > "$stamp"
say "done"
