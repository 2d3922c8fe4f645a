#!/usr/bin/env bash
# A study on a real Slurm of one node, with cells that are pre-empted, requeued and killed, must give
# the same bytes as the same study run undisturbed without Slurm.
#
#   scripts/slurm/test.sh [PATH/TO/dalenet]     (target/release/dalenet)
#
# Installs Debian's slurm-wlm and munge where they are missing and it is root; about a minute.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/one_node.sh"

say() { printf '== %s\n' "$*"; }
broken() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

DALENET=${1:-$here/../../target/release/dalenet}
[ -x "$DALENET" ] || broken "no program at $DALENET: cargo build --release, or give its path"
DALENET=$(realpath "$DALENET")
export DALENET
command -v python3 >/dev/null || broken "python3 is missing (Debian: apt-get install python3)"
cluster_need

work=$(mktemp -d)
chmod 755 "$work" # MUNGE refuses a socket in a folder that is closed to others
clean_up() {
    local code=$?
    set +e
    if [ "$code" -ne 0 ]; then
        find "$work" -name '*.log' -path '*slurm*' -exec tail -n 15 {} + >&2
    fi
    cluster_stop
    rm -rf "$work"
    exit "$code"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

cat >"$work/tiny.json" <<'TEXT'
{
  "name": "tiny",
  "title": "Four tiny networks",
  "base": {
    "data": { "dataset": "digits", "subset": "stratified", "train_samples": 1500, "test_samples": 50 },
    "encoding": { "rate_hz": 40 },
    "network": { "n_e": 32, "n_i": 8, "duration_ms": 20 },
    "training": { "epochs": 60, "batch_size": 50 }
  },
  "axes": [{ "name": "seed", "key": "seeds.weights", "values": [1, 2, 3, 4] }]
}
TEXT
alone=$work/alone
there=$work/on_slurm

# manifest CELL FIELD: the status, or how often it was resumed.
manifest() {
    python3 - "$there/cells/seed$(($1 + 1))/manifest.json" "$2" <<'TEXT'
import json, sys
value = json.load(open(sys.argv[1]))[sys.argv[2]]
print(len(value) if isinstance(value, list) else value)
TEXT
}

epochs_of() { grep -c . "$there/cells/seed$(($1 + 1))/metrics.jsonl" 2>/dev/null || true; }
is_midway() { [ "0$(epochs_of "$1")" -ge 4 ]; }
wait_midway() {
    wait_for 120 "cell $1 to train" is_midway "$1"
    [ "$(epochs_of "$1")" -lt 60 ] || broken "cell $1 ended before it could be interrupted: this machine needs more epochs"
}

task_field() { scontrol show job "${array}_$1" | grep -o "$2=[^ ]*" | head -n 1 | cut -d= -f2; }
has_status() { [ "$(manifest "$1" status)" = "$2" ]; }
has_state() { [ "$(task_field "$1" JobState)" = "$2" ]; }

# Whether two files hold the same tensors: names, types, shapes and bytes.
same_tensors() {
    python3 - "$1" "$2" <<'TEXT'
import json, sys

def tensors(path):
    data = open(path, "rb").read()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    body = data[start:]
    return {name: (t["dtype"], t["shape"], body[slice(*t["data_offsets"])]) for name, t in header.items()}

first, second = tensors(sys.argv[1]), tensors(sys.argv[2])
sys.exit(0 if first and first == second else 1)
TEXT
}

say "the study undisturbed, without Slurm"
"$DALENET" study run "$work/tiny.json" --out "$alone" --device cpu --threads 2 --jobs 2 >"$work/alone.log" 2>&1 ||
    broken "the study does not run: $(tail -n 5 "$work/alone.log")"
"$DALENET" study collect "$alone" >/dev/null

say "a Slurm of one node"
cluster_start "$work/slurm"
sbatch --version

say "submit.sh"
export DALENET_MAX_RETRIES=0
"$here/submit.sh" "$work/tiny.json" --out "$there" --device cpu -- --time=10 | tee "$work/submitted"
array=$(sed -n 's/^array \([0-9]*\):.*/\1/p' "$work/submitted")
[ -n "$array" ] || broken "submit.sh named no array job"

say "cells 0 and 1: pre-empted by an urgent job on both processors"
wait_midway 0
wait_midway 1
sbatch --partition=urgent --ntasks=2 --output=/dev/null --wrap="sleep 1"
wait_for 30 "cell 0 to be interrupted" has_status 0 interrupted
wait_for 30 "cell 1 to be interrupted" has_status 1 interrupted

say "cell 2: its program killed"
wait_midway 2
kill -KILL "$(sed -n 's/.*cell 2: process \([0-9]*\) .*/\1/p' "$there/slurm/cell-2.log")"

say "cell 3: requeued from outside, where Slurm signals shell and program"
wait_midway 3
scontrol requeue "${array}_3"
wait_for 30 "cell 3 to be interrupted" has_status 3 interrupted
wait_for 30 "cell 2 to fail" has_state 2 FAILED

wait_for 120 "the array and the collecting job" cluster_is_empty
for cell in 0 1 3; do
    [ "$(task_field "$cell" Restarts)" = 1 ] || broken "cell $cell: Restarts=$(task_field "$cell" Restarts), not 1"
    [ "$(manifest "$cell" resumed)" = 1 ] || broken "cell $cell was resumed $(manifest "$cell" resumed) times, not once"
    [ "$(manifest "$cell" status)" = finished ] || broken "cell $cell is $(manifest "$cell" status)"
    grep -q "stopped (exit code 143)" "$there/slurm/cell-$cell.log" || broken "cell $cell: the program did not exit with 143"
done
[ "$(task_field 2 Restarts)" = 0 ] || broken "cell 2 was requeued, though none was allowed"
[ "$(manifest 2 status)" = running ] || broken "cell 2 is $(manifest 2 status), but was killed midway"
[ -s "$there/table.csv" ] || broken "the dependent job collected nothing"
cmp -s "$alone/table.csv" "$there/table.csv" && broken "the tables agree although cell 2 is not done"
echo "0, 1 and 3 interrupted, requeued and finished; 2 killed and left; collected without 2"

say "retry.sh"
"$here/retry.sh" "$there" --device cpu -- --time=10 | tee "$work/submitted"
grep -q ": cells 2 of " "$work/submitted" || broken "retry.sh did not submit cell 2 alone"
"$here/retry.sh" "$there" | grep "nothing to do" || broken "retry.sh submitted a cell that is in the queue"
wait_for 120 "the retried cell and the collecting job" cluster_is_empty
[ "$(manifest 2 status)" = finished ] || broken "cell 2 is $(manifest 2 status)"
[ "$(manifest 2 resumed)" = 1 ] || broken "cell 2 was resumed $(manifest 2 resumed) times, not once"
"$here/retry.sh" "$there" | grep "nothing to do" || broken "retry.sh submitted a cell that is done"

say "comparison with the undisturbed study"
for table in "$alone"/table*; do # .csv and .json
    cmp "$table" "$there/$(basename "$table")" || broken "$(basename "$table") differs"
    echo "$(basename "$table"): the same $(wc -c <"$table") bytes"
done
for seed in 1 2 3 4; do
    same_tensors {"$alone","$there"}"/cells/seed$seed/last.safetensors" || broken "seed $seed: last.safetensors differs"
done
same_tensors "$alone"/cells/seed{1,2}/last.safetensors && broken "the comparison of tensors finds two seeds equal"
echo "last.safetensors: the same tensors in all four cells"
[ -s "$there/report.html" ] || broken "no report.html"
say "passed in $SECONDS s"
