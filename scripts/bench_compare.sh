#!/usr/bin/env bash
# Times dalenet, PyTorch and Brian2 on the same networks, one after another on this machine, and prints one table.
#   --device cpu|gpu   batch 32 on the processor (default) or 256 on the GPU; Brian2 always runs on the processor
#   --quick            trials of 200 steps in place of 2000: to see that all runs, not for figures
#   --compile          also time PyTorch with torch.compile
#   --skip-brian2      leave Brian2 out
#   --install          where python3 has no PyTorch, make a virtual environment in target/bench-venv with all that is needed
# DALENET=path/to/dalenet times that binary; by default it is built here first.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(torch "numpy<2.4" "brian2>=2.9") # Brian2 2.9.0 cannot be imported with NumPy 2.4
venv=target/bench-venv
device=cpu steps=2000 modes=(eager) brian2=1 install=0

usage() { sed -n '2,8s/^# \{0,1\}//p' scripts/bench_compare.sh; }
fail() {
    echo "bench_compare.sh: $1" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case "$1" in
    --device)
        device="${2:-}"
        [ "$device" = cpu ] || [ "$device" = gpu ] || fail "--device takes cpu or gpu"
        shift
        ;;
    --quick) steps=200 ;;
    --compile) modes+=(compile) ;;
    --skip-brian2) brian2=0 ;;
    --install) install=1 ;;
    -h | --help)
        usage
        exit 0
        ;;
    *) fail "unknown option $1; --help lists them" ;;
    esac
    shift
done

case "$device" in
cpu) batch=32 torch_device=cpu ;;
gpu) batch=256 torch_device=cuda ;;
esac

has_torch() { "$1" -c 'import torch, numpy' 2>/dev/null; }

python=python3
if ! has_torch "$python"; then
    python="$venv/bin/python"
    if [ "$install" = 1 ] && ! has_torch "$python"; then
        python3 -m venv "$venv"
        "$python" -m pip install --quiet "${packages[@]}"
    fi
    has_torch "$python" ||
        fail "python3 has no PyTorch. Run this again with --install (several GB), or: python3 -m pip install$(printf " '%s'" "${packages[@]}")"
fi
if [ "$brian2" = 1 ] && ! "$python" -c 'import brian2' 2>/dev/null; then
    echo "Brian2 is left out, as it cannot be imported: $python -m pip install '${packages[1]}' '${packages[2]}'" >&2
    brian2=0
fi
if [ -z "${DALENET:-}" ]; then
    cargo build --release --quiet
    DALENET="${CARGO_TARGET_DIR:-target}/release/dalenet"
fi

reports="$(mktemp -d)"
trap 'rm -rf "$reports"' EXIT

# measure NAME COMMAND...: keeps the JSON report that the command prints.
measure() {
    local name="$1"
    shift
    echo "timing $name" >&2
    "$@" >"$reports/$name.json" || fail "$name failed: $*"
}

for network in ping coba; do
    # The bench makes COBA's input weights strong enough to fire; the scripts keep the published start.
    settings=(--set "network.duration_ms=$((steps / 10))")
    [ "$network" = ping ] || settings+=(--set weights.in_mean_us=0.3)
    measure "dalenet-$network" "$DALENET" bench --quick --json --networks "$network" --batch "$batch" --device "$device" "${settings[@]}"
    for mode in "${modes[@]}"; do
        flags=()
        [ "$mode" = eager ] || flags=(--compile)
        for task in train inference; do
            measure "pytorch-$mode-$network-$task" "$python" scripts/bench_pytorch.py --json --network "$network" --mode "$task" \
                --device "$torch_device" --batch "$batch" --steps "$steps" ${flags[@]+"${flags[@]}"}
        done
    done
    if [ "$brian2" = 1 ]; then
        measure "brian2-$network" "$python" scripts/bench_brian2.py --json --network "$network" --trials 32 --steps "$steps"
    fi
done
"$python" scripts/bench_table.py "$reports"/*.json
