#!/usr/bin/env bash
# All that `sidestream bench` measures, on one machine with a GPU; for a machine without network.
#
#   benchmarks/gpu.sh [--device cuda] [--model twin] [--out FOLDER] [--wheels FOLDER] [--seconds N] [--quick] [-- FLAG...]
#
# --wheels   a folder of .whl files that this machine lacks, as benchmarks/wheels.sh gathers them; they are unpacked into
#            a folder that is gone afterwards
# --seconds  what there is, no end unless given: a measurement is cut off there, or after a third of it, and those that
#            are left out are named
# --quick    a look, as `sidestream bench --quick`
# FLAG...    for every measurement, such as --size 512x512
#
# Where there are pytest and hypothesis, the tests that need a GPU come first. Each measurement fills a folder of FOLDER;
# FOLDER/records.jsonl has every record, and the last output is a table of them. SIDESTREAM_COMMIT names the commit where
# this is a copy without its repository. On a machine without a GPU:
#
#   benchmarks/gpu.sh --device cpu --model nano --quick -- --size 64x64
set -uo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
device=cuda model=twin out=out/gpu wheels="" seconds="" quick=()
while (($#)); do
  case "$1" in
    --device) device="$2"; shift 2 ;;
    --model) model="$2"; shift 2 ;;
    --out) out="$2"; shift 2 ;;
    --wheels) wheels="$2"; shift 2 ;;
    --seconds) seconds="$2"; shift 2 ;;
    --quick) quick=(--quick); shift ;;
    --) shift; break ;;
    *) echo "gpu.sh: there is no option $1: see the head of this script" >&2; exit 2 ;;
  esac
done
flags=("$@")

python="${PYTHON:-python3}"
site="$(mktemp -d)"
trap 'rm -rf "$site"' EXIT
if [[ -n "$wheels" ]]; then
  "$python" -m pip install --quiet --no-index --no-deps --no-compile --target "$site" "$wheels"/*.whl || exit
fi
# What is given goes before what is installed here, and the source beside this script before both.
export PYTHONPATH="$here/src:$site${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1

mkdir -p "$out" || exit
: >"$out/records.jsonl" || exit
missed=()

step() { # NAME COMMAND...: as long as there is time; what does not end well is named
  local name="$1" left=0 # which is no limit
  shift
  if [[ -n "$seconds" ]]; then
    left=$((seconds - SECONDS))
    # None takes more than its share from those behind it.
    ((left > seconds / 3)) && left=$((seconds / 3))
    if ((left < 5)); then
      missed+=("$name")
      return
    fi
  fi
  echo "== $name, after $SECONDS s"
  timeout --signal=INT --kill-after=10 "$left" "$@" || missed+=("$name")
}

measure() { # NAME SUBCOMMAND FLAG...: one measurement into a folder of its name
  local name="$1"
  shift
  step "$name" "$python" -m sidestream bench "$@" --model "$model" --device "$device" \
    --output-dir "$out/$name" "${quick[@]}" "${flags[@]}"
  # What was cut off leaves what it has.
  cat "$out/$name/records.jsonl" >>"$out/records.jsonl" 2>/dev/null
}

if [[ "$device" == cuda* ]]; then
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
  if "$python" -c "import hypothesis, pytest" 2>/dev/null; then
    # Only files that have such tests are read, without the project's settings: other tests and those need more libraries.
    mapfile -t files < <(grep -rl --include='test_*.py' '^@pytest.mark.gpu' "$here/tests")
    PYTHONPATH="$here/tests:$PYTHONPATH" step tests "$python" -m pytest -q -m gpu -c /dev/null --rootdir "$here" \
      --import-mode importlib "${files[@]}"
  fi
fi
# What is asked for first comes first: the later, the likelier to be cut off. Compiling takes minutes, so it comes late.
on="--flow dense"
measure sustained-b8 sustained --batch 8 $on
measure sustained-b1 sustained --batch 1 $on
measure sustained-b1-k4 sustained --batch 1 $on --steps 4
measure live-b1 sustained --batch 1 $on --rate 30
measure eager-b1 sustained --batch 1 $on --no-capture
measure dis-b8 sustained --batch 8 --flow dis
measure fp8-b8 sustained --batch 8 $on --fp8
measure profile-b8 profile --batch 8 $on
measure profile-b1 profile --batch 1 $on
measure baseline baseline --batch 8 --rounds 3
measure compiled-b8 sustained --batch 8 $on --compile
measure compiled-b1 sustained --batch 1 $on --compile
measure compiled-b1-k4 sustained --batch 1 $on --compile --steps 4
measure memory memory $on
measure refresh refresh $on
measure scaling scaling $on

((${#missed[@]})) && echo "== not whole: ${missed[*]}"
echo "== $SECONDS s; $(wc -l <"$out/records.jsonl") records in $out/records.jsonl"
"$python" "$here/benchmarks/table.py" "$out/records.jsonl" || exit
((${#missed[@]} == 0))
