#!/usr/bin/env python3
"""Time training of rate RNNs that read 28 × 28 images row by row: dalenet and PyTorch, one after the other, in one run.

PyTorch twice: "loop", as such networks are usually written, a Python loop over the steps with two matrix products each
(any kind of network can be written so), and "fused", `torch.nn.RNN(nonlinearity="relu")`, which only a standard network
fits. Both: cross-entropy of the last step, SGD, batches of 32, float32. dalenet trains the same shape by `dalenet train`
and says its own speed; what it does beside training (evaluation, files) is not counted, and neither is PyTorch's.
Updates per second, medians over repetitions that alternate. Needs torch.

Then 32 networks of one shape, each with weights of its own: PyTorch one after another, PyTorch with all of them in one
`vmap` over stacked weights, and dalenet side by side (`dalenet study run --lanes 32`; what its cells say, added up).

    bench_rnn_pytorch.py target/release/dalenet --threads 2
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

ROWS, COLUMNS, CLASSES, BATCH = 28, 28, 10, 32
LEARNING_RATE = 0.01
WARM_UP = 20


class Loop(nn.Module):
    """h(t) = relu(U x(t) + W h(t-1) + b), layer upon layer, a step at a time."""

    def __init__(self, layers: list[int]) -> None:
        super().__init__()
        inputs = [COLUMNS, *layers[:-1]]
        self.u = nn.ModuleList(nn.Linear(below, units) for below, units in zip(inputs, layers))
        self.w = nn.ModuleList(nn.Linear(units, units, bias=False) for units in layers)
        self.out = nn.Linear(layers[-1], CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = [x.new_zeros(x.shape[1], w.out_features) for w in self.w]
        for row in x:
            below = row
            for layer, (u, w) in enumerate(zip(self.u, self.w)):
                h[layer] = torch.relu(u(below) + w(h[layer]))
                below = h[layer]
        return self.out(h[-1])


class Fused(nn.Module):
    """The same by PyTorch's own RNN; all layers must have the same number of units."""

    def __init__(self, layers: list[int]) -> None:
        super().__init__()
        self.rnn = nn.RNN(COLUMNS, layers[0], len(layers), nonlinearity="relu")
        self.out = nn.Linear(layers[-1], CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.rnn(x)[0][-1])


def updates_per_second(make: Callable[[list[int]], nn.Module], layers: list[int], device: str, seconds: float) -> float:
    torch.manual_seed(0)
    model = make(layers).to(device)
    optimiser = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)
    x = torch.rand(64, ROWS, BATCH, COLUMNS, device=device)
    y = torch.randint(CLASSES, (64, BATCH), device=device)

    def update(i: int) -> None:
        optimiser.zero_grad()
        functional.cross_entropy(model(x[i % 64]), y[i % 64]).backward()
        optimiser.step()

    def finish() -> None:
        if device != "cpu":
            torch.cuda.synchronize()

    for i in range(WARM_UP):
        update(i)
    finish()
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for _ in range(10):
            update(done)
            done += 1
    finish()
    return done / (time.perf_counter() - start)


def vmapped_updates_per_second(layers: list[int], networks: int, device: str, seconds: float) -> float:
    """All networks in one call: a gradient for each by vmap, and one descent step for the stacked weights."""
    torch.manual_seed(0)
    models = [Loop(layers).to(device) for _ in range(networks)]
    parameters, _ = torch.func.stack_module_state(models)
    parameters = {name: weights.detach() for name, weights in parameters.items()}
    skeleton = Loop(layers).to("meta")

    def loss(parameters: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(torch.func.functional_call(skeleton, parameters, (x,)), y)

    gradient = torch.func.vmap(torch.func.grad(loss), in_dims=(0, 0, 0))
    x = torch.rand(8, networks, ROWS, BATCH, COLUMNS, device=device)
    y = torch.randint(CLASSES, (8, networks, BATCH), device=device)

    def update(i: int) -> None:
        of = gradient(parameters, x[i % 8], y[i % 8])
        for name, weights in parameters.items():
            weights -= LEARNING_RATE * of[name]

    def finish() -> None:
        if device != "cpu":
            torch.cuda.synchronize()

    for i in range(3):
        update(i)
    finish()
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        update(done)
        done += 1
    finish()
    return networks * done / (time.perf_counter() - start)


def dalenet(program: str, kind: str, layers: list[int], device: str, threads: int) -> float:
    config = {
        "name": "bench",
        "family": "rate_rnn",
        "data": {"images": {"dataset": "digits", "train_samples": 16_000, "test_samples": 100}},
        "network": {"kind": kind, "layers": layers},
        "training": {"epochs": 3, "batch_size": BATCH, "learning_rate": LEARNING_RATE},
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.json"
        path.write_text(json.dumps(config))
        run = Path(folder) / "run"
        command = [program, "train", str(path), "--out", str(run), "--device", device, "--threads", str(threads)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        lines = (run / "metrics.jsonl").read_text().splitlines()
        # The first epoch warms up.
        return statistics.median(json.loads(line)["samples_per_second"] for line in lines[2:]) / BATCH


def dalenet_side_by_side(program: str, layers: list[int], networks: int, device: str, threads: int) -> float:
    study = {
        "name": "bench",
        "title": "Networks side by side",
        "base": {
            "family": "rate_rnn",
            "data": {"images": {"dataset": "digits", "train_samples": 16_000, "test_samples": 100}},
            "network": {"layers": layers},
            "training": {"epochs": 3, "batch_size": BATCH, "learning_rate": LEARNING_RATE},
        },
        "axes": [{"name": "seed", "key": "seeds.weights", "values": list(range(networks))}],
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.json"
        path.write_text(json.dumps(study))
        out = Path(folder) / "out"
        command = [program, "study", "run", str(path), "--out", str(out), "--device", device, "--lanes", str(networks)]
        subprocess.run([*command, "--threads", str(threads)], check=True, stdout=subprocess.DEVNULL)
        speed = 0.0
        for metrics in out.glob("cells/*/metrics.jsonl"):
            # The middle epoch: in the first and the last not all are under way.
            line = json.loads(metrics.read_text().splitlines()[2])
            speed += line["samples_per_second"] / BATCH
        return speed


def alternated(runs: dict[str, Callable[[], float]], repetitions: int) -> dict[str, list[float]]:
    speeds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repetitions):
        for name, measure in runs.items():
            speeds[name].append(measure())
    return speeds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the dalenet binary")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="PyTorch's; dalenet takes cpu or gpu likewise")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each PyTorch measurement")
    parser.add_argument("--networks", type=int, default=32, help="side by side")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    own = "cpu" if args.device == "cpu" else "gpu"
    results = []
    for layers in ([100], [100, 100, 100]):
        runs: dict[str, Callable[[], float]] = {
            "PyTorch loop": lambda: updates_per_second(Loop, layers, args.device, args.seconds),
            "PyTorch fused": lambda: updates_per_second(Fused, layers, args.device, args.seconds),
        }
        for kind in ("standard", "col_ei", "dann"):
            runs[f"dalenet {kind}"] = lambda kind=kind: dalenet(args.program, kind, layers, own, args.threads)
        speeds = alternated(runs, args.repetitions)
        medians = {name: statistics.median(all_of) for name, all_of in speeds.items()}
        results.append({"layers": layers, "updates_per_second": medians, "all": speeds})
        if not args.json:
            print(f"{len(layers)} × {layers[0]} units, batch {BATCH}, {args.device}, {args.threads} threads")
            for name, speed in medians.items():
                loop, fused = (speed / medians[other] for other in ("PyTorch loop", "PyTorch fused"))
                low, high = min(speeds[name]), max(speeds[name])
                print(f"  {name:18} {speed:8.0f} updates/s ({low:.0f} to {high:.0f})  {loop:5.2f} × loop  {fused:5.2f} × fused")
    together = []
    for layers in ([100], [100, 100, 100]):
        n = args.networks
        runs = {
            "one after another": lambda: updates_per_second(Loop, layers, args.device, args.seconds),
            "vmap": lambda: vmapped_updates_per_second(layers, n, args.device, args.seconds),
            "dalenet": lambda: dalenet_side_by_side(args.program, layers, n, own, args.threads),
        }
        speeds = alternated(runs, args.repetitions)
        medians = {name: statistics.median(all_of) for name, all_of in speeds.items()}
        together.append({"layers": layers, "networks": n, "updates_per_second": medians, "all": speeds})
        if not args.json:
            print(f"{n} networks of {len(layers)} × {layers[0]} units side by side")
            for name, speed in medians.items():
                low, high = min(speeds[name]), max(speeds[name])
                ratio = speed / medians["one after another"]
                print(f"  {name:18} {speed:8.0f} updates/s ({low:.0f} to {high:.0f})  {ratio:5.2f} × one after another")
    if args.json:
        report = {"torch": torch.__version__, "results": results, "side_by_side": together}
        print(json.dumps(report, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
