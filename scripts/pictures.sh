#!/usr/bin/env bash
# Makes the README's pictures again: the rhythm of the quickstart's network and the comparison of the short
# study of the trainable loop. Two to three minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
dalenet() { cargo run --release --quiet -- "$@"; }
dalenet train quickstart --device cpu --out "$work/run"
dalenet study run short/trainable_loop --device cpu --out "$work/study"
cp "$work/run/figures/rhythm.png" "$work/study/figures/comparison.png" scripts/pictures/
