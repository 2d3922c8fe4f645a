#!/usr/bin/env python3
"""Time an Izhikevich network without plasticity in Brian2's C++ standalone mode, one trial after another.

The weights are those of a run, as `dalenet export RUN --to weights.npz` writes them, of a network without hidden layers;
inputs fire as Poisson processes of 20 Hz, the mean of a grating. Compilation, the making of the synapses and the reading
of the input are not timed. Needs brian2 (2.9 or later), numpy below 2.4 and a C++ compiler.

    bench_izhikevich_brian2.py weights.npz --trials 32
    bench_izhikevich_brian2.py --check tests/golden/izhikevich/no_hidden.safetensors

The second form runs the first trial of a golden case and compares every spike.

The step, in Brian2's slots:

    start           at a trial's first step all state goes back to rest
    groups          v, then u with the new v
    thresholds      v >= 30 mV; inputs of this step fire
    before_synapses conductances decay
    synapses        spikes of this step reach the conductances, which the next step uses
    resets          v = c, u = u + d
"""

from __future__ import annotations

import argparse
import json
import math
import os
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import brian2 as b2
import numpy as np
from brian2 import ms

from bench_network import describe, spread

STEP = """
v += dt_ms * (0.04 * v**2 + 5 * v + 140 - u + g_exc - g_inh)
u += dt_ms * a * (b * v - u)
"""
PRESETS = {"rs": (0.02, 0.2, -65.0, 8.0), "fs": (0.1, 0.2, -65.0, 2.0)}


@dataclass
class Network:
    """Cells and synapses: `w` is [pre, post], inputs first."""

    w: np.ndarray
    inhibits: np.ndarray
    abcd: np.ndarray
    n_in: int
    dt_ms: float = 0.1
    steps: int = 10_000
    tau_exc_ms: float = 5.0
    tau_inh_ms: float = 10.0


def of_run(path: Path) -> Network:
    """The network of exported weights."""
    blocks = {name.removeprefix("w_"): values for name, values in np.load(path).items()}
    sizes: dict[str, int] = {}
    for name, block in blocks.items():
        if name != "theta_hz":
            pre, post = name.split("_")
            sizes[pre], sizes[post] = block.shape
    if unknown := set(sizes) - {"input", "output", "lateral"}:
        raise SystemExit(f"{path}: populations {', '.join(sorted(unknown))}: only networks without hidden layers are timed")
    order = [name for name in ("input", "output", "lateral") if name in sizes]
    first = dict(zip(order, np.cumsum([0] + [sizes[name] for name in order])))
    n_in, cells = sizes["input"], sum(sizes.values())
    w = np.zeros((cells, cells - n_in))
    for name, block in blocks.items():
        if name != "theta_hz":
            pre, post = name.split("_")
            row, column = first[pre], first[post] - n_in
            w[row:row + block.shape[0], column:column + block.shape[1]] = block
    inhibits = np.arange(cells) >= first.get("lateral", cells)
    abcd = np.array([PRESETS["fs" if inhibitory else "rs"] for inhibitory in inhibits[n_in:]]).T
    return Network(w, inhibits, abcd, n_in)


def of_case(path: Path) -> tuple[Network, np.ndarray, np.ndarray]:
    """The network of a golden case, the events of its first trial and the spikes expected of it, both (step, cell)."""
    content = path.read_bytes()
    end = 8 + struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:end])
    config = json.loads(header.pop("__metadata__")["config"])
    kinds = {"F32": "<f4", "F64": "<f8", "I32": "<i4", "U8": "u1"}

    def tensor(name: str) -> np.ndarray:
        entry = header[name]
        start, stop = (end + offset for offset in entry["data_offsets"])
        return np.frombuffer(content[start:stop], kinds[entry["dtype"]]).reshape(entry["shape"])

    def of_first(name: str) -> np.ndarray:
        rows = tensor(name)
        return rows[rows[:, 0] == 0][:, 1:]

    network = Network(tensor("w").astype(float), tensor("inhibitory") > 0, tensor("abcd").astype(float), config["n_in"],
                      config["dt_ms"], config["steps"], config["tau_exc_ms"], config["tau_inh_ms"])
    return network, of_first("events"), of_first("expect.spikes")


def simulate(network: Network, trials: list[np.ndarray], directory: str) -> tuple[np.ndarray, float]:
    """Spikes (trial, step, neuron) of all `trials` (events [n, 2]: step, input), and the seconds of the loop."""
    net = network
    b2.device.reinit()
    b2.device.activate(build_on_run=False, directory=directory)
    b2.prefs.devices.cpp_standalone.extra_make_args_unix = [f"-j{os.cpu_count() or 1}"]
    b2.defaultclock.dt = net.dt_ms * ms
    namespace = {"dt_ms": net.dt_ms, "decay_exc": math.exp(-net.dt_ms / net.tau_exc_ms),
                 "decay_inh": math.exp(-net.dt_ms / net.tau_inh_ms)}
    cells = b2.NeuronGroup(net.abcd.shape[1], "v : 1\nu : 1\ng_exc : 1\ng_inh : 1\na : 1\nb : 1\nc : 1\nd : 1",
                           threshold="v >= 30", reset="v = c\nu += d", namespace=namespace, name="cells")
    cells.a, cells.b, cells.c, cells.d = net.abcd
    cells.run_regularly("v = -65\nu = b * v\ng_exc = 0\ng_inh = 0", dt=net.steps * net.dt_ms * ms, when="start")
    cells.run_regularly(STEP, when="groups")
    cells.run_regularly("g_exc *= decay_exc\ng_inh *= decay_inh", when="before_synapses")
    events = np.concatenate([np.column_stack([t[:, 0] + k * net.steps, t[:, 1]]) for k, t in enumerate(trials)])
    inputs = b2.SpikeGeneratorGroup(net.n_in, events[:, 1], events[:, 0] * net.dt_ms * ms, name="inputs")

    def synapses(source: b2.Group, rows: np.ndarray, target: str, name: str) -> list[b2.Synapses]:
        i, j = np.nonzero(rows)
        if len(i) == 0:
            return []
        made = b2.Synapses(source, cells, "w : 1 (constant)", on_pre=f"{target}_post += w", name=name)
        made.connect(i=i, j=j)
        made.w = rows[i, j]
        return [made]

    own, inhibits = net.w[net.n_in:], net.inhibits[net.n_in:, None]
    objects = [cells, inputs, *synapses(inputs, net.w[:net.n_in], "g_exc", "from_inputs"),
               *synapses(cells, np.where(inhibits, 0, own), "g_exc", "excitation"),
               *synapses(cells, np.where(inhibits, own, 0), "g_inh", "inhibition")]
    monitor = b2.SpikeMonitor(cells)
    b2.Network(*objects, monitor).run(len(trials) * net.steps * net.dt_ms * ms)
    b2.device.build(directory=directory, compile=True, run=True)
    step = np.rint(np.asarray(monitor.t / ms) / net.dt_ms).astype(np.int64)
    spikes = np.column_stack([step // net.steps, step % net.steps, np.asarray(monitor.i)])
    # `_last_run_time` is the only place where Brian2 keeps the loop's own time
    return spikes, b2.device._last_run_time


def check(path: Path) -> None:
    """Compare the spikes of a golden case's first trial."""
    network, events, expected = of_case(path)
    with tempfile.TemporaryDirectory() as directory:
        spikes, _ = simulate(network, [events], directory)
    found, wanted = ({tuple(map(int, row)) for row in rows} for rows in (spikes[:, 1:], expected))
    print(f"{path.stem}: {len(wanted)} spikes expected, {len(found)} found, {len(found & wanted)} the same")
    if found != wanted or not wanted:
        raise SystemExit(1)


def bench(arguments: argparse.Namespace) -> dict[str, Any]:
    """The measured figures."""
    network = of_run(arguments.weights)
    draws = np.random.default_rng(arguments.seed)
    trials = []
    for _ in range(arguments.trials):
        step, cell = np.nonzero(draws.random((network.steps, network.n_in)) < 20.0 * network.dt_ms / 1000.0)
        trials.append(np.column_stack([step, cell]))
    seconds = []
    for _ in range(arguments.repetitions):
        with tempfile.TemporaryDirectory() as directory:
            spikes, once = simulate(network, trials, directory)
        seconds.append(once)
    simulated = arguments.trials * network.steps * network.dt_ms / 1000.0
    work = {
        "network": arguments.weights.stem, "mode": "inference", "batch": 1, "steps": network.steps,
        "samples_per_second": spread([arguments.trials / s for s in seconds]),
        "simulated_seconds_per_second": spread([simulated / s for s in seconds]),
        "rate_hz": len(spikes) / (simulated * network.abcd.shape[1]),
    }
    return {"system": "Brian2 C++ standalone", "version": b2.__version__, "dtype": "float64", "device": "cpu", "threads": 1,
            "repetitions": arguments.repetitions, "workloads": [work]}


def main() -> None:
    """Measure and print, or check a case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, nargs="?", help="weights as .npz")
    parser.add_argument("--check", type=Path, metavar="CASE", help="compare with a golden case instead")
    parser.add_argument("--trials", type=int, default=32, help="trials, one after another (default: 32)")
    parser.add_argument("--repetitions", type=int, default=3, help="how often all trials are measured (default: 3)")
    parser.add_argument("--seed", type=int, default=42, help="of the input (default: 42)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    if (arguments.weights is None) == (arguments.check is None):
        parser.error("give either weights or --check CASE")
    if min(arguments.trials, arguments.repetitions) < 1 or arguments.seed < 0:
        parser.error("--trials and --repetitions must be 1 or more, --seed 0 or more")
    b2.set_device("cpp_standalone", build_on_run=False)
    if arguments.check:
        check(arguments.check)
        return
    report = bench(arguments)
    print(json.dumps(report) if arguments.json else describe(report))


if __name__ == "__main__":
    main()
