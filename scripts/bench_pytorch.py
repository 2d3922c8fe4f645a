#!/usr/bin/env python3
"""Time the conductance network (PING or COBA) in PyTorch: training by back-propagation through time, or inference.

The same equations, order and gradient as `make_case.py` and the crate, in float32, written the way such networks are
usually written in PyTorch: a Python loop over the steps, one kernel an operation, and a dense product x[t] @ W_in for
the input although only ~0.26 of 784 inputs spike in a step and trial. W_EE and W_II, and for COBA the whole loop, are
left out instead of multiplying zeros. Drawing weights and input is not timed. Needs torch and numpy.

    bench_pytorch.py --network ping --mode train
    bench_pytorch.py --network coba --mode inference --device cuda --compile --json
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from bench_network import NETWORKS, Network, describe, draw_trial, draw_weights, peak_memory_mib, rate_hz, spread

WARM_UP_STEPS = 20
BATCH = {"cpu": 32, "cuda": 256}
Weights = dict[str, torch.Tensor]


class Spike(torch.autograd.Function):
    """s = [u >= 0] can; backward ds/du = can k / (1 + k|u|)^2, u the distance above threshold."""

    @staticmethod
    def forward(ctx: Any, u: torch.Tensor, can: torch.Tensor, slope: float) -> torch.Tensor:
        ctx.save_for_backward(u, can)
        ctx.slope = slope
        return ((u >= 0) & can).to(u.dtype)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        u, can = ctx.saved_tensors
        return grad * can * ctx.slope / (1.0 + ctx.slope * u.abs()) ** 2, None, None


class Damp(torch.autograd.Function):
    """The same value; the gradient divided by gamma."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, gamma: float) -> torch.Tensor:
        ctx.gamma = gamma
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        return grad / ctx.gamma, None


class State(NamedTuple):
    """All that one step hands to the next: [batch, cells] each; no inhibition of I cells, as W_II is left out."""

    v_e: torch.Tensor
    ref_e: torch.Tensor
    s_e: torch.Tensor
    v_i: torch.Tensor
    ref_i: torch.Tensor
    s_i: torch.Tensor
    g_exc_e: torch.Tensor
    g_inh_e: torch.Tensor
    g_exc_i: torch.Tensor
    v_out: torch.Tensor
    total: torch.Tensor


def initial_state(network: Network, batch: int, like: torch.Tensor) -> State:
    """Rest, on the device and in the type of `like`."""
    def cells(count: int, value: float = 0.0) -> torch.Tensor:
        # Asking for gradients makes step 0 like all others, so that a compiled step is compiled once.
        return like.new_full((batch, count), value).requires_grad_(torch.is_grad_enabled())

    def refractory(count: int) -> torch.Tensor:
        return like.new_zeros((batch, count), dtype=torch.int32)

    n_e, n_i, n_out, rest = network.n_e, network.n_i, network.n_out, network.e_l_mv
    return State(cells(n_e, rest), refractory(n_e), cells(n_e), cells(n_i, rest), refractory(n_i), cells(n_i),
                 cells(n_e), cells(n_e), cells(n_i), cells(n_out), cells(n_out))


def make_step(network: Network) -> Callable[[State, torch.Tensor, Weights], State]:
    """The function that advances a state by one step with the input x [batch, n_in]."""
    net, dt = network, network.dt_ms
    beta_ampa, beta_gaba, beta_out = (math.exp(-dt / tau) for tau in (net.tau_ampa_ms, net.tau_gaba_ms, net.tau_out_ms))
    gain_out = (1.0 - beta_out) / dt

    def population(v: torch.Tensor, ref: torch.Tensor, g_exc: torch.Tensor, g_inh: torch.Tensor | None, g_l: float, c_nf: float,
                   ref_ms: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        g, current = g_l + g_exc, g_l * net.e_l_mv + g_exc * net.e_exc_mv
        if g_inh is not None:
            g, current = g + g_inh, current + g_inh * net.e_inh_mv
        dv = (current / g - v) * (1.0 - torch.exp(-dt / c_nf * g))
        v = (v + Damp.apply(dv, net.grad_dampen)).clamp(min=net.v_floor_mv)
        ref = (ref - 1).clamp(min=0)
        can = ref == 0
        s = Spike.apply(v - net.v_th_mv, can, net.surrogate_slope)
        fired = s.detach() > 0
        v = torch.where(fired | ~can, net.v_reset_mv, v)  # a hard reset: no gradient through the replaced voltage
        return v, torch.where(fired, max(1, round(ref_ms / dt)), ref), s

    def step(state: State, x: torch.Tensor, w: Weights) -> State:
        loop = "ei" in w
        g_exc_e = state.g_exc_e * beta_ampa + x @ w["in"]
        g_exc_i = (state.g_exc_i + state.s_e @ w["ei"] if loop else state.g_exc_i) * beta_ampa
        g_inh_e = (state.g_inh_e + state.s_i @ w["ie"] if loop else state.g_inh_e) * beta_gaba
        v_e, ref_e, s_e = population(state.v_e, state.ref_e, g_exc_e, g_inh_e, net.g_l_e_us, net.c_m_e_nf, net.ref_e_ms)
        v_i, ref_i, s_i = population(state.v_i, state.ref_i, g_exc_i, None, net.g_l_i_us, net.c_m_i_nf, net.ref_i_ms)
        v_out = beta_out * state.v_out + gain_out * (s_e @ w["out"])
        total = state.total + v_out
        u = v_out - net.readout_threshold
        v_out = v_out - net.readout_threshold * Spike.apply(u, torch.ones_like(u, dtype=torch.bool), net.surrogate_slope)
        return State(v_e, ref_e, s_e, v_i, ref_i, s_i, g_exc_e, g_inh_e, g_exc_i, v_out, total)

    return step


class Outcome(NamedTuple):
    """Logits [batch, n_out] and the number of spikes of each population over the batch, tensors on the device."""

    logits: torch.Tensor
    spikes_e: torch.Tensor
    spikes_i: torch.Tensor


@dataclass
class Model:
    """A network with its step, eager or compiled, and trainable W_in and W_out."""

    network: Network
    params: Weights
    step: Callable[[State, torch.Tensor, Weights], State]

    def __post_init__(self) -> None:
        trained = [self.params[name].requires_grad_() for name in ("in", "out")]
        self.adam = torch.optim.Adam(trained, lr=4e-4, betas=(0.9, 0.999), eps=1e-8)
        self.trained = trained

    def run(self, inputs: torch.Tensor) -> Outcome:
        """One batch of trials from dense inputs [steps, batch, n_in]."""
        # Dale's law: max(w, 0), and the gradient passes where the stored w >= 0, exactly 0 included
        w = {name: torch.where(param >= 0, param, 0.0) for name, param in self.params.items()}
        state = initial_state(self.network, inputs.shape[1], inputs)
        spikes_e, spikes_i = inputs.new_zeros(()), inputs.new_zeros(())
        for x in inputs:
            state = self.step(state, x, w)
            spikes_e += state.s_e.detach().sum()
            spikes_i += state.s_i.detach().sum()
        return Outcome(state.total / len(inputs), spikes_e, spikes_i)

    def train(self, inputs: torch.Tensor, labels: torch.Tensor) -> Outcome:
        """One optimiser step: cross-entropy, clip at norm 1 (a norm that is not finite skips it), Adam, projection to w >= 0."""
        self.adam.zero_grad()
        outcome = self.run(inputs)
        torch.nn.functional.cross_entropy(outcome.logits, labels).backward()
        if torch.nn.utils.clip_grad_norm_(self.trained, 1.0).isfinite():
            self.adam.step()
            with torch.no_grad():
                for param in self.trained:
                    param.clamp_(min=0)
        return outcome

    @torch.inference_mode()
    def infer(self, inputs: torch.Tensor, labels: torch.Tensor) -> Outcome:
        """The forward pass alone; the labels are not needed."""
        return self.run(inputs)


def draw_batch(network: Network, seed: int, first_trial: int, batch: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Dense inputs [steps, batch, n_in] f32 and labels [batch] of `batch` trials."""
    inputs, labels = np.zeros((network.steps, batch, network.n_in), np.float32), np.zeros(batch, np.int64)
    for k in range(batch):
        events, labels[k] = draw_trial(network, seed, first_trial + k)
        inputs[events[:, 0], k, events[:, 1]] = 1.0
    return torch.from_numpy(inputs).to(device), torch.from_numpy(labels).to(device)


def fresh_model(network: Network, seed: int, device: torch.device, step: Callable[..., State]) -> Model:
    """A model with its initial weights."""
    return Model(network, {name: torch.from_numpy(w).to(device) for name, w in draw_weights(network, seed).items()}, step)


def warmed_step(network: Network, arguments: argparse.Namespace, device: torch.device) -> tuple[Callable[..., State], bool]:
    """The step, compiled if that is wanted and works, after a short batch with it; and whether it is compiled."""
    network = replace(network, steps=min(WARM_UP_STEPS, network.steps))
    inputs, labels = draw_batch(network, arguments.seed, 0, arguments.batch, device)

    def warm(step: Callable[..., State]) -> Callable[..., State]:
        model = fresh_model(network, arguments.seed, device, step)
        (model.train if arguments.mode == "train" else model.infer)(inputs, labels)
        return step

    if arguments.compile:
        try:
            return warm(torch.compile(make_step(network))), True
        except Exception as error:  # whatever the compiler, its back end or the C++ or Triton tool chain raises
            reason = (str(error).strip().splitlines() or [""])[0]
            print(f"torch.compile does not work here ({type(error).__name__}: {reason}); going on without it", file=sys.stderr)
    return warm(make_step(network)), False


def bench(arguments: argparse.Namespace) -> dict[str, Any]:
    """The measured figures, in the form that `bench_table.py` reads."""
    device = torch.device(arguments.device)
    network = Network(**NETWORKS[arguments.network], steps=arguments.steps)
    step, compiled = warmed_step(network, arguments, device)
    model = fresh_model(network, arguments.seed, device, step)
    seconds, spikes_e, spikes_i, events = [], 0.0, 0.0, 0.0
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    for repetition in range(arguments.repetitions):
        inputs, labels = draw_batch(network, arguments.seed, repetition * arguments.batch, arguments.batch, device)
        events += inputs.sum().item()  # also waits for the copy to the device
        start = time.perf_counter()
        outcome = (model.train if arguments.mode == "train" else model.infer)(inputs, labels)
        logits = outcome.logits.detach().cpu()  # waits for the forward pass
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
        if not logits.isfinite().all():
            raise SystemExit("bench_pytorch.py: the logits are not finite; this is no valid measurement")
        spikes_e, spikes_i = spikes_e + outcome.spikes_e.item(), spikes_i + outcome.spikes_i.item()
    trials = arguments.repetitions * arguments.batch
    memory_mib = torch.cuda.max_memory_allocated() / 2.0**20 if device.type == "cuda" else peak_memory_mib()
    work = {
        "network": arguments.network, "mode": "training" if arguments.mode == "train" else "inference",
        "batch": arguments.batch, "steps": arguments.steps,
        "samples_per_second": spread([arguments.batch / s for s in seconds]), "seconds_per_batch": spread(seconds),
        "peak_memory_mib": memory_mib,
        "e_rate_hz": rate_hz(spikes_e, network.n_e, trials, network), "i_rate_hz": rate_hz(spikes_i, network.n_i, trials, network),
        "events_per_trial": events / trials,
    }
    return {"system": f"PyTorch {'compiled' if compiled else 'eager'}", "version": torch.__version__, "dtype": "float32",
            "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu", "threads": torch.get_num_threads(),
            "compiled": compiled, "repetitions": arguments.repetitions, "workloads": [work]}


def parse_arguments() -> argparse.Namespace:
    """What the user typed, checked."""
    def positive(text: str) -> int:
        if (value := int(text)) < 1:
            raise ValueError
        return value

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=NETWORKS, default="ping", help="default: ping")
    parser.add_argument("--mode", choices=("train", "inference"), default="train", help="default: train")
    parser.add_argument("--device", choices=BATCH, default="cpu", help="default: cpu")
    parser.add_argument("--batch", type=positive, help="trials in a batch (default: 32 on cpu, 256 on cuda)")
    parser.add_argument("--steps", type=positive, default=2000, help="steps of 0.1 ms in a trial (default: 2000)")
    parser.add_argument("--repetitions", type=positive, default=3, help="measured batches, after a short one to warm up (default: 3)")
    parser.add_argument("--compile", action="store_true", help="torch.compile the step; without it where that does not work")
    parser.add_argument("--threads", type=positive, help="CPU threads (default: PyTorch's own choice)")
    parser.add_argument("--seed", type=int, default=42, help="of weights and input (default: 42)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: this PyTorch sees no CUDA device; use --device cpu")
    if arguments.seed < 0:
        parser.error(f"--seed {arguments.seed} must be 0 or more")
    arguments.batch = arguments.batch or BATCH[arguments.device]
    return arguments


def main() -> None:
    """Measure and print."""
    arguments = parse_arguments()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    report = bench(arguments)
    print(json.dumps(report) if arguments.json else describe(report))


if __name__ == "__main__":
    main()
