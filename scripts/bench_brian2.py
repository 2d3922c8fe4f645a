#!/usr/bin/env python3
"""Time inference of the conductance network (PING or COBA) in Brian2's C++ standalone mode, one trial after another.

Weights and trials are those of `bench_pytorch.py` at the same seed. Compilation, the making of the synapses and the
reading of the input are not timed: the seconds are those of the simulation loop, measured by the standalone program.
Needs brian2 (2.9 or later), numpy and a C++ compiler.

    bench_brian2.py --network ping --trials 32
    bench_brian2.py --network coba --json

The step. Brian2 runs its objects in slots, and these reproduce the order of `make_case.py` exactly:

    start           at a trial's first step: logits of the trial before are kept, all state goes back to rest
    start           conductances decay, by their exact factor
    before_groups   input events arrive; they add to g_exc_e, not decayed in this step
    groups          membranes, `exponential_euler` for conductances constant over the step
    thresholds      v >= v_th, unless refractory
    before_synapses v_out decays
    synapses        E and I spikes reach the conductances, which use them in the next step, and v_out, which uses them now
    resets          v = v_reset
    end             v_out is summed, then its reset

Differences that remain: float64 where the others have float32 (Brian2's default); a refractory cell is held at v_reset
where the others integrate it and put it back; the voltage floor is left out, as conductances cannot drive a cell below
e_inh; the compiler may reorder sums (-ffast-math), so that a tie at threshold may fall otherwise.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
from dataclasses import dataclass
from typing import Any

import brian2 as b2
import numpy as np
from brian2 import ms, mV, nF, uS

from bench_network import NETWORKS, Network, describe, draw_trial, draw_weights, rate_hz, spread

MEMBRANE = """
dv/dt = (g_l * (e_l - v) + g_exc * (e_exc - v) + g_inh * (e_inh - v)) / c_m : volt (unless refractory)
g_exc : siemens
g_inh : siemens
"""


@dataclass
class Simulation:
    """What one run over all trials gives: rasters [n, 3] (trial, step, cell), logits [trials, n_out], seconds of the loop."""

    spikes_e: np.ndarray
    spikes_i: np.ndarray
    logits: np.ndarray
    seconds: float


def neurons(network: Network, kind: str) -> b2.NeuronGroup:
    """The E or I cells; they decay at the start of a step and go back to rest at the start of a trial."""
    net = network
    cells, c_nf, g_l_us, refractory_ms = {"e": (net.n_e, net.c_m_e_nf, net.g_l_e_us, net.ref_e_ms),
                                          "i": (net.n_i, net.c_m_i_nf, net.g_l_i_us, net.ref_i_ms)}[kind]
    namespace = {"c_m": c_nf * nF, "g_l": g_l_us * uS, "e_l": net.e_l_mv * mV, "e_exc": net.e_exc_mv * mV, "e_inh": net.e_inh_mv * mV,
                 "v_th": net.v_th_mv * mV, "v_reset": net.v_reset_mv * mV,
                 "beta_ampa": math.exp(-net.dt_ms / net.tau_ampa_ms), "beta_gaba": math.exp(-net.dt_ms / net.tau_gaba_ms)}
    steps = max(1, round(refractory_ms / net.dt_ms))
    group = b2.NeuronGroup(cells, MEMBRANE, method="exponential_euler", threshold="v >= v_th", reset="v = v_reset",
                           refractory=steps * net.dt_ms * ms, namespace=namespace, name=f"cells_{kind}")
    # Brian2 does not write v while a cell is refractory, so the refractoriness ends first.
    rest = net.duration_ms * ms
    group.run_regularly("lastspike = -10000*second\nnot_refractory = True", dt=rest, when="start", order=0)
    group.run_regularly("v = e_l\ng_exc = 0*siemens\ng_inh = 0*siemens", dt=rest, when="start", order=1)
    group.run_regularly("g_exc *= beta_ampa\ng_inh *= beta_gaba", when="start", order=2)
    return group


def readout(network: Network) -> b2.NeuronGroup:
    """The output cells: v_out decays before the spikes of a step arrive, is summed after it, then reset by subtraction."""
    net = network
    group = b2.NeuronGroup(net.n_out, "v_out : 1\ntotal : 1", name="outputs", namespace={
        "beta_out": math.exp(-net.dt_ms / net.tau_out_ms), "theta": net.readout_threshold})
    group.run_regularly("v_out = 0\ntotal = 0", dt=net.duration_ms * ms, when="start", order=1)
    group.run_regularly("v_out *= beta_out", when="before_synapses")
    group.run_regularly("total += v_out\nv_out -= theta * int(v_out >= theta)", when="end")
    return group


def synapses(pre: b2.Group, post: b2.Group, matrix: np.ndarray, target: str, name: str) -> b2.Synapses:
    """Synapses for the entries of `matrix` that are not 0; `target` is a conductance, in µS, or the read-out."""
    unit, value = ("1", 1.0) if target == "v_out" else ("siemens", uS)
    connection = b2.Synapses(pre, post, f"w : {unit} (constant)", on_pre=f"{target}_post += w", name=name)
    source, destination = np.nonzero(matrix)
    connection.connect(i=source, j=destination)
    connection.w = matrix[source, destination].astype(float) * value
    return connection


def simulate(network: Network, weights: dict[str, np.ndarray], trials: list[np.ndarray], directory: str) -> Simulation:
    """Build the program in `directory` and run all `trials` (events [n, 2]: step, input) one after another."""
    net = network
    b2.device.reinit()
    b2.device.activate(build_on_run=False, directory=directory)
    b2.prefs.devices.cpp_standalone.extra_make_args_unix = [f"-j{os.cpu_count() or 1}"]  # Brian2's own choice is all files at once
    b2.defaultclock.dt = net.dt_ms * ms
    e, i, out = neurons(net, "e"), neurons(net, "i"), readout(net)
    events = np.concatenate([np.column_stack([trial[:, 0] + k * net.steps, trial[:, 1]]) for k, trial in enumerate(trials)])
    source = b2.SpikeGeneratorGroup(net.n_in, events[:, 1], events[:, 0] * net.dt_ms * ms, when="before_groups", order=0, name="pixels")
    entry = synapses(source, e, weights["in"], "g_exc", "w_in")
    entry.pre.when, entry.pre.order = "before_groups", 1
    gain = (1.0 - math.exp(-net.dt_ms / net.tau_out_ms)) / net.dt_ms
    objects = [e, i, out, source, entry, synapses(e, out, weights["out"].astype(float) * gain, "v_out", "w_out")]
    if net.has_loop:
        objects += [synapses(e, i, weights["ei"], "g_exc", "w_ei"), synapses(i, e, weights["ie"], "g_inh", "w_ie")]
    monitors = [b2.SpikeMonitor(e), b2.SpikeMonitor(i)]
    sums = b2.StateMonitor(out, "total", record=True, dt=net.duration_ms * ms, when="start", order=0)  # of the trial before
    b2.Network(*objects, *monitors, sums).run(len(trials) * net.duration_ms * ms)
    b2.device.build(directory=directory, compile=True, run=True)

    def raster(monitor: b2.SpikeMonitor) -> np.ndarray:
        step = np.rint(np.asarray(monitor.t / ms) / net.dt_ms).astype(np.int64)
        return np.column_stack([step // net.steps, step % net.steps, np.asarray(monitor.i)])

    totals = np.vstack([np.asarray(sums.total)[:, 1:].T, np.asarray(out.total)])
    # `_last_run_time` is the only place where Brian2 keeps the loop's own time
    return Simulation(raster(monitors[0]), raster(monitors[1]), totals / net.steps, b2.device._last_run_time)


def bench(arguments: argparse.Namespace) -> dict[str, Any]:
    """The measured figures, in the form that `bench_table.py` reads."""
    network = Network(**NETWORKS[arguments.network], steps=arguments.steps)
    weights = draw_weights(network, arguments.seed)
    trials = [draw_trial(network, arguments.seed, k)[0] for k in range(arguments.trials)]
    seconds = []
    for _ in range(arguments.repetitions):
        with tempfile.TemporaryDirectory() as directory:
            result = simulate(network, weights, trials, directory)
        seconds.append(result.seconds)
    work = {
        "network": arguments.network, "mode": "inference", "batch": 1, "steps": arguments.steps,
        "samples_per_second": spread([arguments.trials / s for s in seconds]),
        "seconds_per_trial": spread([s / arguments.trials for s in seconds]),
        "e_rate_hz": rate_hz(len(result.spikes_e), network.n_e, arguments.trials, network),
        "i_rate_hz": rate_hz(len(result.spikes_i), network.n_i, arguments.trials, network),
        "events_per_trial": sum(map(len, trials)) / arguments.trials,
    }
    return {"system": "Brian2 C++ standalone", "version": b2.__version__, "dtype": "float64", "device": "cpu", "threads": 1,
            "repetitions": arguments.repetitions, "workloads": [work]}


def main() -> None:
    """Measure and print."""
    def positive(text: str) -> int:
        if (value := int(text)) < 1:
            raise ValueError
        return value

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=NETWORKS, default="ping", help="default: ping")
    parser.add_argument("--trials", type=positive, default=32, help="trials, one after another (default: 32)")
    parser.add_argument("--steps", type=positive, default=2000, help="steps of 0.1 ms in a trial (default: 2000)")
    parser.add_argument("--repetitions", type=positive, default=3, help="how often all trials are measured (default: 3)")
    parser.add_argument("--seed", type=int, default=42, help="of weights and input (default: 42)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    if arguments.seed < 0:
        parser.error(f"--seed {arguments.seed} must be 0 or more")
    b2.set_device("cpp_standalone", build_on_run=False)
    report = bench(arguments)
    print(json.dumps(report) if arguments.json else describe(report))


if __name__ == "__main__":
    main()
