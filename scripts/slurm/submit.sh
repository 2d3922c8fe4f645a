#!/usr/bin/env bash
# Runs a study on a Slurm cluster: an array job with one task per cell (with --lanes N per group of up to N
# cells of one shape, side by side on one engine), and a job after it that collects.
#
#   submit.sh STUDY [--out DIR] [--at-once N] [--lanes N] [OPTIONS OF `dalenet study run`] [-- OPTIONS OF sbatch]
#
# STUDY is a file or a built-in name; DIR is studies/NAME unless given, as the program has it. Example:
#   submit.sh audit --data ~/mnist --device gpu -- --partition=gpu --gpus=1 --time=4:00:00
set -euo pipefail
. "$(dirname "$0")/common.sh"
if [ $# -lt 1 ] || [ "${1:0:1}" = - ]; then
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
    exit 2
fi
need_programs
study=$1
shift
split_options "$@"
[ -f "$study" ] && study=$(realpath "$study")

# Checks study, data and memory before anything waits in a queue; without the device, which a login node
# need not have.
plan=$("$DALENET" study run "$study" ${run_options[@]+"${run_options[@]}"} --device cpu --lanes "$lanes" --dry-run --log json) ||
    fail "the study cannot be run (above); nothing was submitted"
read -r name count < <(python3 -c '
import json, sys
plan = json.load(sys.stdin)
print(plan["study"]["name"], len(plan["groups"]))
' <<<"$plan")
submit_cells "$study" "$(realpath -m "${out:-studies/$name}")" "0-$((count - 1))"
