#!/usr/bin/env python3
"""Print one table of the reports that `bench_compare.sh` collected: `bench_table.py FILE...`, a JSON report a file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple


class Row(NamedTuple):
    """One system on one workload."""

    system: str
    network: str
    mode: str
    batch: int
    samples_per_second: float
    e_rate_hz: float
    i_rate_hz: float
    steps: int | None  # of a trial, where the report says


def rows_of(report: dict[str, Any]) -> list[Row]:
    """The figures of one report: the only place that knows the form of `dalenet bench --json` and of the Python scripts."""
    if "about" in report:
        return [Row(f"dalenet ({report['about']['backend']})", work["network"], work["task"], work["batch_trials"],
                    work["samples_per_second"]["median"], work["state"]["e_rate_hz"], work["state"]["i_rate_hz"], work["steps"])
                for work in report["workloads"]]
    return [Row(report["system"], work["network"], work["mode"], work.get("batch", 0),
                work["samples_per_second"]["median"], work["e_rate_hz"], work["i_rate_hz"], work.get("steps"))
            for work in report["workloads"]]


def table(rows: list[Row]) -> str:
    """The rows by network and mode, each with its ratio to the fastest PyTorch row of the same network and mode."""
    lines = [("system", "network", "mode", "batch", "samples/s", "E Hz", "I Hz", "ratio to PyTorch")]
    for row in sorted(rows, key=lambda row: (row.network != "ping", row.mode != "training", -row.samples_per_second)):
        pytorch = [other.samples_per_second for other in rows
                   if other.system.startswith("PyTorch") and (other.network, other.mode) == (row.network, row.mode)]
        ratio = f"{row.samples_per_second / max(pytorch):.2f}" if pytorch else "-"
        lines.append((row.system, row.network, row.mode, str(row.batch or "-"), f"{row.samples_per_second:.4g}",
                      f"{row.e_rate_hz:.2f}", f"{row.i_rate_hz:.2f}", ratio))
    widths = [max(map(len, column)) for column in zip(*lines)]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in lines)


def main() -> int:
    """Exit status 0: printed; 2: no figures, figures that cannot be compared, or a report of another form."""
    rows: list[Row] = []
    for path in map(Path, sys.argv[1:]):
        try:
            rows += rows_of(json.loads(path.read_text()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            print(f"bench_table.py: {path} is no report of a benchmark ({type(error).__name__}: {error})", file=sys.stderr)
            return 2
    if not rows:
        print("bench_table.py: no figures; give the JSON reports of the benchmarks", file=sys.stderr)
        return 2
    if len(steps := {row.steps for row in rows} - {None}) > 1:
        print(f"bench_table.py: trials of {sorted(steps)} steps cannot be compared; run all with the same", file=sys.stderr)
        return 2
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
