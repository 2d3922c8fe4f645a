#!/usr/bin/env bash
# Submits the cells of a study that are not done: never begun, stopped, killed or failed. Left
# alone are those in the queue, and those that diverged, which would again. --lanes must be as it was.
#
#   retry.sh DIR [--at-once N] [--lanes N] [OPTIONS OF `dalenet study run`] [-- OPTIONS OF sbatch]
set -euo pipefail
. "$(dirname "$0")/common.sh"
if [ $# -lt 1 ] || [ "${1:0:1}" = - ]; then
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
    exit 2
fi
need_programs
folder=$(realpath "$1") || fail "no folder $1"
shift
split_options "$@"
[ -f "$folder/study.json" ] || fail "$folder has no study.json: it is no study's folder"

# Array tasks in the queue, as JOB INDEX; those of this folder's jobs count.
queued=$(squeue --noheader --array --user="$(id -un)" --format='%F %K' |
    while read -r job index; do
        if grep -qx "$job" "$folder/slurm/jobs" 2>/dev/null; then echo "$index"; fi
    done)
status=$("$DALENET" study status "$folder" --json --lanes "$lanes") || fail "cannot read $folder"
indices=$(QUEUED=$queued python3 -c '
import json, os, sys
queued = {int(index) for index in os.environ["QUEUED"].split() if index.isdigit()}
status = json.load(sys.stdin)
cells = status["cells"]  # in the order of their indices
is_open = [cell["state"] not in ("finished", "diverged", "running") for cell in cells]
left = [number for number, group in enumerate(status["groups"]) if any(is_open[index] for index in group)]
print(",".join(str(index) for index in left if index not in queued))
' <<<"$status")
if [ -z "$indices" ]; then
    echo "nothing to do: every cell is done, running or in the queue${queued:+ (in the queue: ${queued//$'\n'/ })}"
    exit 0
fi
submit_cells "$folder/study.json" "$folder" "$indices"
