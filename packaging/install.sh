#!/bin/sh
# install.sh PYTHON VENV WHAT: make the virtual environment and install WHAT (". " or ".[extras]").
set -eu
python=$1 venv=$2 what=$3

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "photosearch needs Python 3.11 or newer; $python is $("$python" --version 2>&1)." >&2
    echo "Name another one: make PYTHON=python3.12" >&2
    exit 3
}
if [ ! -x "$venv/bin/python" ]; then
    "$python" -m venv "$venv" || {
        echo "The virtual environment could not be made. On Debian and Ubuntu: apt install python3-venv" >&2
        exit 3
    }
    "$venv/bin/python" -m pip install --quiet --upgrade pip
fi
if ! "$venv/bin/python" -c 'import llama_cpp' 2>/dev/null; then
    cat <<'TEXT'
Installing. llama.cpp is compiled for this computer, which takes about five minutes, once.
Without a C++ compiler, take a prebuilt wheel first:
  .venv/bin/pip install llama-cpp-python==0.3.36 \
      --extra-index-url https://abetlen.github.io/llama-cpp-python/whl/cpu
TEXT
    # Not quiet, so that one sees that it goes on.
    "$venv/bin/python" -m pip install "$(sed -n 's/.*"\(llama-cpp-python==[^"]*\)".*/\1/p' pyproject.toml)"
fi
echo "Installing photosearch and the libraries it uses."
# Editable, so that the code that is looked at is the code that runs.
"$venv/bin/python" -m pip install --quiet --editable "$what"
