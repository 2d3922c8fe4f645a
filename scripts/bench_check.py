#!/usr/bin/env python3
"""Check that the timed networks of `bench_pytorch.py` and `bench_brian2.py` are the network of `make_case.py`.

Small networks with the same drawn weights and events: E and I rasters, logits, gradients and the weights after three
optimiser steps are compared with `make_case.py` in float64, then again with planted errors, which must be found.
Needs torch, numpy and safetensors; Brian2 is checked where it is installed. Exit status 1: a check failed.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import torch

import bench_pytorch
import make_case
from bench_network import Network

try:
    import bench_brian2
except ImportError:
    bench_brian2 = None

Expect = dict[str, np.ndarray]
# Enough input for gamma in PING; in COBA the loop is off.
CASES = {"ping": {"seed": 3}, "coba": make_case.NO_LOOP | {"seed": 3, "w_in": [0.6, 0.06, 0.8]}}
TOLERANCE = 1e-9


def network_of(config: make_case.Config, loop: bool) -> Network:
    """The benchmark's parameters with the settings of a case; how the weights are drawn does not matter here."""
    shared = {field.name: config[field.name] for field in fields(Network) if field.name in config}
    return Network(in_mean_us=1.0, ei_strength=float(loop), out_scale=1.0, **shared)


def dense(rows: np.ndarray, network: Network, batch: int, cells: int) -> np.ndarray:
    """Rows (trial, step, cell) as a raster [batch, steps, cells] of 0 and 1."""
    raster = np.zeros((batch, network.steps, cells), np.int64)
    raster[tuple(rows.T)] = 1
    return raster


def pytorch(network: Network, weights: Expect, events: np.ndarray, labels: np.ndarray) -> Expect:
    """Rasters, logits, gradients and the weights after the optimiser steps of `bench_pytorch.py` in float64."""
    batch, rasters = len(labels), {"spikes_e": [], "spikes_i": []}
    step = bench_pytorch.make_step(network)

    def recorded(state: bench_pytorch.State, x: torch.Tensor, w: bench_pytorch.Weights) -> bench_pytorch.State:
        state = step(state, x, w)
        rasters["spikes_e"].append(state.s_e.detach() > 0)
        rasters["spikes_i"].append(state.s_i.detach() > 0)
        return state

    inputs = torch.zeros(network.steps, batch, network.n_in, dtype=torch.float64)
    inputs[events[:, 1], events[:, 0], events[:, 2]] = 1.0
    target = torch.from_numpy(labels).long()

    def model(step: Callable[..., bench_pytorch.State]) -> bench_pytorch.Model:
        return bench_pytorch.Model(network, {name: torch.tensor(w, dtype=torch.float64) for name, w in weights.items()}, step)

    single, trained = model(recorded), model(step)
    outcome = single.run(inputs)
    torch.nn.functional.cross_entropy(outcome.logits, target).backward()
    for _ in range(make_case.DEFAULTS["adam_steps"]):
        trained.train(inputs, target)
    found = {name: torch.stack(raster, dim=1).long().numpy() for name, raster in rasters.items()}
    found |= {f"grad.{name}": single.params[name].grad.numpy() for name in ("in", "out")}
    found |= {f"after.{name}": trained.params[name].detach().numpy() for name in ("in", "out")}
    return found | {"logits": outcome.logits.detach().numpy()}


def brian2(network: Network, weights: Expect, events: np.ndarray, labels: np.ndarray) -> Expect:
    """Rasters and logits of `bench_brian2.py`."""
    trials = [events[events[:, 0] == trial][:, 1:].astype(np.int64) for trial in range(len(labels))]
    with tempfile.TemporaryDirectory() as directory:
        result = bench_brian2.simulate(network, weights, trials, directory)
    return {"spikes_e": dense(result.spikes_e, network, len(labels), network.n_e),
            "spikes_i": dense(result.spikes_i, network, len(labels), network.n_i), "logits": result.logits}


def differences(found: Expect, expect: Expect) -> dict[str, float]:
    """Of rasters the number of differing decisions, else the relative norm of the difference; `inf` where nothing can be compared."""
    errors = {}
    for name, value in found.items():
        if name not in expect:  # I cells without a loop have no spikes to compare
            continue
        other = expect[name]
        if value.shape != other.shape or not np.isfinite(value).all() or not other.any():
            errors[name] = np.inf
        elif name.startswith("spikes"):
            errors[name] = float((value != other).sum())
        else:
            errors[name] = float(np.linalg.norm(value - other) / np.linalg.norm(other))
    return errors


def main() -> int:
    """Run all checks and print a row for each."""
    simulators = {"bench_pytorch.py": pytorch}
    if bench_brian2:
        bench_brian2.b2.set_device("cpp_standalone", build_on_run=False)
        simulators["bench_brian2.py"] = brian2
    else:
        print("Brian2 is not installed: bench_brian2.py is not checked")
    passed = True
    for case, changes in CASES.items():
        config = make_case.validated(make_case.DEFAULTS | changes)
        weights, events, labels = make_case.draw(config)
        run = make_case.run_case(config, weights, events, labels, torch.float64).expect
        network = network_of(config, loop=case == "ping")
        expect = {name.removeprefix("expect."): value for name, value in run.items()}
        for name, cells in (("spikes_e", network.n_e), ("spikes_i", network.n_i)):
            rows = expect[name][expect[name][:, 0] == 0][:, 1:]
            expect[name] = dense(rows, network, len(labels), cells)
        if not network.has_loop:
            weights = {name: weight for name, weight in weights.items() if name in ("in", "out")}
            expect.pop("spikes_i")
        counts = {name: int(expect[name].sum()) for name in expect if name.startswith("spikes")}
        for simulator, simulate in simulators.items():
            errors = differences(simulate(network, weights, events, labels), expect)
            ok = all(error <= TOLERANCE for error in errors.values())
            planted = [(replace(network, ref_e_ms=network.ref_e_ms + network.dt_ms), errors.keys() - {"spikes_i"})]  # a step too long
            if "grad.in" in errors:
                planted.append((replace(network, grad_dampen=1.01 * network.grad_dampen), {"grad.in"}))
            found_wrong = [(differences(simulate(wrong, weights, events, labels), expect), names) for wrong, names in planted]
            caught = all(min(wrong[name] for name in names) > TOLERANCE for wrong, names in found_wrong)
            passed &= ok and caught
            print(f"{'ok  ' if ok else 'FAIL'} {simulator:17} {case}: {counts}, "
                  + ", ".join(f"{name} {error:.1e}" for name, error in errors.items())
                  + ("" if caught else "; FAIL: a planted error was not found"))
    print("passed" if passed else "FAILED")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
