#!/usr/bin/env bash
# Makes the stored runs and studies of this folder anew with a program (default: the built one). They were last made
# with the program of commit 37d97c9, and expected/ holds what that program made of them: later ones must make the same.
# The test writes what it finds to target/tmp/frozen, in the form of expected/.
#   tests/frozen/make.sh [DALENET]
set -euo pipefail
program=$(realpath "${1:-target/release/dalenet}")
cd "$(dirname "$0")"
rm -rf runs studies
mkdir runs studies

# Waits until file $2 has $3 lines, and then a little, so that process $1 is within a batch.
within() {
    until [ -f "$2" ] && [ "$(wc -l <"$2")" -ge "$3" ]; do sleep 0.002; done
    sleep 0.03
}

for config in mem_mean_project spike_count_clamp rate_signed li_signed_loop log_loop events; do
    "$program" train $config.json --device cpu --out runs/$config
done
"$program" sweep runs/mem_mean_project --grid 0,1,2 --device cpu
"$program" analyse runs/log_loop --device cpu

"$program" train interrupted.json --device cpu --out runs/interrupted &
within $! runs/interrupted/metrics.jsonl 5
kill -TERM $!
wait $! || true
"$program" train killed.json --device cpu --out runs/killed &
within $! runs/killed/metrics.jsonl 8
kill -KILL $!
wait $! || true

"$program" study run two_cells.json --device cpu --out studies/two_cells
"$program" study run stopped.json --device cpu --out studies/stopped &
within $! studies/stopped/cells/coba/metrics.jsonl 4
kill -TERM $!
wait $! || true

# What is made of these files is not kept: it is made again and compared.
find runs studies \( -name figures -o -name '.lock' -o -name '*.log' \) -prune -exec rm -r {} +
find runs studies \( -name '*.html' -o -name '*.png' -o -name 'numbers.csv' \) -delete
