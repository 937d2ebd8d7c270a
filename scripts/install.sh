#!/usr/bin/env bash
# Install the tested stack into a virtual environment: the CUDA one where nvidia-smi answers, else the CPU one.
# usage: scripts/install.sh VENV [EXTRA ...]        (PYTHON=python3.12 chooses the interpreter)
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1; shift
extras=$(IFS=,; echo "train${*:+,$*}")
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "Python 3.11 or newer is needed, $("$python" --version) was found: PYTHON=python3.12 make ..." >&2; exit 2; }
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt)
# For tests, which import a fifth of it: bytecode is made on two cores when it is needed, not of all on one.
[ $# -eq 0 ] || pip+=(--no-compile)
torch=$(grep '^torch==' constraints.txt)
if nvidia-smi >/dev/null 2>&1; then
  echo "NVIDIA GPU found: installing the CUDA stack (several GB the first time)."
  "${pip[@]}" "$torch,!=${torch#torch==}+cpu"
  "${pip[@]}" --no-deps cut_cross_entropy
else
  echo "No NVIDIA GPU: installing the CPU stack."
  # The CPU build where pip can find one (an index or folder of PyTorch's CPU wheels), else what there is.
  "${pip[@]}" "$torch+cpu" 2>/dev/null || "${pip[@]}" "$torch"
fi
# A plain path: the finder that setuptools would put in its place takes 25 ms of each start.
"${pip[@]}" --config-settings editable_mode=compat --editable ".[$extras]"
"${pip[@]}" --no-deps -r requirements-unsloth.txt
