#!/usr/bin/env bash
# The speed table of all networks on a CUDA machine, written to a Markdown file that names GPU, driver, versions, commit
# and date.
#
#     benchmarks/speed/gpu.sh [--dry-run] [--out FILE] [what benchmarks.speed.models takes: MODEL ... --rounds N]
#
# PYTHON names the interpreter; else it is that of .venv, else python3. --dry-run says what would run and where the
# figures would go; it needs no GPU.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

dry=false out="" rest=()
while [ $# -gt 0 ]; do
  case "$1" in
    -h | --help) sed -n 's/^# \{0,1\}//p' "${BASH_SOURCE[0]}" | sed 1d; exit ;;
    --dry-run) dry=true ;;
    --out) [ $# -gt 1 ] || { echo "error: --out needs the name of a file" >&2; exit 2; }; out=$2; shift ;;
    *) rest+=("$1") ;;
  esac
  shift
done

python=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
gpu=$("$python" -c 'import torch; print(torch.cuda.get_device_name() if torch.cuda.is_available() else "")') || {
  echo "error: $python cannot import torch; name another interpreter: PYTHON=.venv/bin/python $0" >&2; exit 2; }
slug=$(echo "${gpu:-gpu}" | tr '[:upper:] ' '[:lower:]-' | tr -cd 'a-z0-9-')
out=${out:-benchmarks/speed/$slug-$(date -u +%F).md}
command=("$python" -m benchmarks.speed.models --device cuda ${rest[@]+"${rest[@]}"})

if $dry; then
  echo "gpu      ${gpu:-none here}"
  echo "command  ${command[*]}"
  echo "figures  $out"
  exit
fi
[ -n "$gpu" ] || {
  echo "error: torch sees no CUDA device here; run this on a machine with an NVIDIA GPU, or see --dry-run" >&2; exit 2; }

part=$out.part
trap 'rm -f "$part"' EXIT
"${command[@]}" > "$part"
mv "$part" "$out"
echo "figures written to $out"
