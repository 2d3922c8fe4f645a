# shellcheck shell=bash
# What submit.sh and retry.sh share; to be sourced.

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

fail() {
    echo "$(basename "$0"): $*" >&2
    exit 2
}

# Checks that all programs are there, and makes the path of dalenet absolute: it must mean the same in a
# job as here.
need_programs() {
    local program
    for program in sbatch squeue scontrol python3; do
        command -v "$program" >/dev/null 2>&1 || fail "\`$program\` is not on the path"
    done
    program=${DALENET:-dalenet}
    DALENET=$(command -v "$program") || fail "\`$program\` is not on the path; set DALENET=/path/to/dalenet"
    DALENET=$(realpath "$DALENET")
    export DALENET
}

# Splits the arguments: run_options for `dalenet study run`, those after `--` in sbatch_options; --out,
# --at-once, --device and --lanes by themselves.
split_options() {
    run_options=()
    sbatch_options=()
    out=
    at_once=
    device=
    lanes=1
    local value
    while [ $# -gt 0 ]; do
        case $1 in
            --)
                shift
                sbatch_options=("$@")
                return
                ;;
            --cell | --group | --jobs | --threads | --log | --cell=* | --group=* | --jobs=* | --threads=* | --log=*)
                fail "${1%%=*} is set for each cell (threads: those of -- --cpus-per-task=N)"
                ;;
            --out | --at-once | --device | --lanes | --out=* | --at-once=* | --device=* | --lanes=*)
                value=${1#*=}
                if [ "$value" = "$1" ]; then
                    [ $# -ge 2 ] || fail "$1 needs a value"
                    value=$2
                    set -- "$1" "${@:3}"
                fi
                case $1 in
                    --out*) out=$value ;;
                    --at-once*) at_once=$value ;;
                    --device*) device=$value ;;
                    --lanes*) lanes=$value ;;
                esac
                ;;
            *) run_options+=("$1") ;;
        esac
        shift
    done
}

# submit_cells STUDY DIR INDICES: the array, and the job that collects when it has ended.
submit_cells() {
    local study=$1 out=$2 indices=$3 array collect most what=cells
    [ "$lanes" = 1 ] || what="groups of up to $lanes cells:"
    most=$(scontrol show config | sed -n 's/^MaxArraySize *= *//p')
    if [ -n "$most" ] && [ "${indices##*[,-]}" -ge "$most" ]; then
        fail "cell ${indices##*[,-]} is beyond the arrays of this cluster (MaxArraySize $most); split the study"
    fi
    mkdir -p "$out/slurm"
    run_options+=(--lanes "$lanes")
    [ -n "$device" ] && run_options+=(--device "$device")
    array=$(sbatch --parsable ${sbatch_options[@]+"${sbatch_options[@]}"} --array="$indices${at_once:+%$at_once}" \
        --output="$out/slurm/cell-%a.log" "$scripts/array.sbatch" "$study" "$out" \
        ${run_options[@]+"${run_options[@]}"}) || fail "sbatch refused the array"
    array=${array%%;*} # JOB;CLUSTER where there are several
    echo "$array" >>"$out/slurm/jobs"
    collect=$(sbatch --parsable ${sbatch_options[@]+"${sbatch_options[@]}"} --dependency="afterany:$array" \
        --output="$out/slurm/collect.log" "$scripts/collect.sbatch" "$out") || fail "sbatch refused the collecting job"
    collect=${collect%%;*}

    local again=("$scripts/retry.sh" "$out" ${at_once:+--at-once "$at_once"} ${run_options[@]+"${run_options[@]}"})
    [ ${#sbatch_options[@]} -gt 0 ] && again+=(-- "${sbatch_options[@]}")
    cat <<TEXT
array $array: $what $indices of $study, into $out
job $collect: tables and page, when the array has ended

  squeue --jobs=$array,$collect            what waits and runs
  tail -F $out/slurm/cell-${indices%%[,-]*}.log
  $DALENET study status $out
  scancel $array                           stops; what was done is kept
then:
  $out/report.html and $out/table.csv
if cells failed:
 $(printf ' %q' "${again[@]}")
TEXT
}
