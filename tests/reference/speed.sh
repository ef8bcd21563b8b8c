#!/usr/bin/env bash
# Both sides of the speed benchmark in turns: `speed.sh PYTHON ROUNDS`, from the root of the repository, on a quiet machine. Prints the medians.
set -euo pipefail
python=${1:-python3}
rounds=${2:-5}
here=$(dirname "$0")
cargo bench --bench speed --no-run
ours=$(ls -t target/release/deps/speed-* | grep -v '\.d$' | head -1)
lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
for shape in tiny crammed; do
    : >"$lines"
    for _ in $(seq "$rounds"); do
        SHAPE=$shape RAYON_NUM_THREADS=2 "$ours" >>"$lines"
        "$python" "$here/speed.py" "$shape" eager >>"$lines"
        "$python" "$here/speed.py" "$shape" compile >>"$lines" 2>/dev/null || true
    done
    "$python" - "$shape" "$lines" <<'P'
import json, statistics, sys
runs = [json.loads(line) for line in open(sys.argv[2])]
for who in dict.fromkeys(run["who"] for run in runs):
    mine = [run for run in runs if run["who"] == who]
    of = lambda key: statistics.median(run[key] for run in mine)
    print(f"{sys.argv[1]:8} {who:16} {of('tokens_s'):10.1f} tokens/s {of('peak_bytes') / 2**20:8.1f} MiB  ({len(mine)} runs)")
P
done
