#!/usr/bin/env bash
# Gathers the wheels that benchmarks/gpu.sh needs on a machine that has PyTorch and transformers and no network.
#
#   benchmarks/wheels.sh [--most MIB] [FOLDER] [PYTHON VERSION]      wheels and 3.12 unless given
#
# Then, there: benchmarks/gpu.sh --wheels FOLDER. With --most, it is an error where they are larger together.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
most=""
if [[ "${1:-}" == --most ]]; then
  most="$2"
  shift 2
fi
folder="${1:-wheels}" version="${2:-3.12}"
python="${PYTHON:-python3}"

# Of what the package needs, all but torch, transformers and what these bring along; no codecs: footage is drawn.
wanted="$("$python" - "$here/pyproject.toml" <<'END'
import re, sys, tomllib
from pathlib import Path

needs = tomllib.loads(Path(sys.argv[1]).read_text())["project"]["dependencies"]
ours = ("diffusers", "tyro", "rich")
print(*(need for need in needs if re.match(r"[\w-]+", need)[0] in ours), sep="\n")
END
)"
# The smallest OpenCV that the package takes, and what these need in turn.
mapfile -t packages <<<"$wanted"
packages+=("opencv-python-headless==4.10.*" importlib-metadata zipp pillow typeguard docstring-parser typing-extensions markdown-it-py mdurl pygments)

mkdir -p "$folder"
rm -f "$folder"/*.whl
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
  --python-version "$version" --platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 \
  --platform manylinux_2_17_x86_64 --platform any --dest "$folder" "${packages[@]}"

size="$(cat "$folder"/*.whl | wc -c)"
echo "$(find "$folder" -name '*.whl' | wc -l) wheels for Python $version, $((size >> 20)) MiB, in $folder"
if [[ -n "$most" ]] && ((size > most << 20)); then
  echo "wheels.sh: that is more than $most MiB: leave out what the machine has" >&2
  exit 1
fi
