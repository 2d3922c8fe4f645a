#!/usr/bin/env python3
"""Make or check golden cases of the conductance family (PING and COBA networks).

An independent float64 reference in PyTorch: automatic differentiation but for two conventions, the surrogate slope of a spike
(`Spike`) and the damping of the gradient entering the membrane's increment (`Population.step`).
Needs Python 3.10, torch, numpy and safetensors. Units: ms, mV, nF, µS, Hz; matrices [pre, post]. One step, beta = exp(-dt / tau):

    g_exc_e = (g_exc_e + s_e W_ee) beta_ampa + x[t] W_in      g_exc_i = (g_exc_i + s_e W_ei) beta_ampa
    g_inh_e = (g_inh_e + s_i W_ie) beta_gaba                  g_inh_i = (g_inh_i + s_i W_ii) beta_gaba
    v      <- max(v + dv, v_floor), dv: see `Population`;  ref <- max(ref - 1, 0);  can = (ref == 0)
    s       = [v >= v_th] can;  where s or not can: v <- v_reset;  where s: ref <- ref_steps;  logits: see `Readout`

Loss: mean cross-entropy + rate_strength * sum over E cells of max(0, rate - rate_theta_hz)^2.

    make_case.py --out ping.safetensors --preset ping --set seed=7 adam_steps=1
    make_case.py --check ping.safetensors coba.safetensors
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

PROGRAM = "make_case.py 1.0"
Arrays = dict[str, np.ndarray]
Config = dict[str, Any]

# The names of the six matrices with their pre and post populations; ee and ii may be absent.
SHAPES = {"in": ("n_in", "n_e"), "out": ("n_e", "n_out"),
          "ee": ("n_e", "n_e"), "ei": ("n_e", "n_i"), "ie": ("n_i", "n_e"), "ii": ("n_i", "n_i")}
LOOP = ("ee", "ei", "ie", "ii")
RASTERS = {"spikes_e": "n_e", "spikes_i": "n_i", "resets_out": "n_out"}
TRACES = ("v_e", "v_i", "g_exc_e", "g_inh_e", "g_exc_i", "g_inh_i")
CHOICES = {"integrator": ("exp_euler", "euler"), "readout_reset": ("subtract", "none"), "dale": ("clamp", "project", "signed"),
           "readout": ("mem_mean", "spike_count", "rate", "li")}
MAX_CELLS_TRACES, MAX_E_CELLS_F64 = 128, 256  # more E and I cells: no traces stored; more E cells: gradients stored in float32
TIE_MV, TIE_OUT = 1e-3, 1e-5  # a decision this near to its threshold may differ between correct engines
MARGIN_UNITS = 64  # float32 rounding units a few hundred steps may gather; a margin below them is a tie

# `ping`: [mean, std, sparsity] of the drawn weights, null for an absent matrix.
DEFAULTS: Config = {
    "dt_ms": 0.1, "steps": 400, "n_in": 24, "n_e": 32, "n_i": 8, "n_out": 4, "batch": 4,
    "tau_ampa_ms": 2.0, "tau_gaba_ms": 9.0, "tau_out_ms": 2.0, "c_m_e_nf": 1.0, "c_m_i_nf": 0.5, "g_l_e_us": 0.05, "g_l_i_us": 0.1,
    "e_l_mv": -65.0, "e_exc_mv": 0.0, "e_inh_mv": -80.0, "v_th_mv": -50.0, "v_reset_mv": -65.0, "v_floor_mv": -200.0,
    "ref_e_ms": 3.0, "ref_i_ms": 1.5, "integrator": "exp_euler", "surrogate_slope": 1.0, "grad_dampen": 1000.0,
    "readout": "mem_mean", "readout_reset": "subtract", "readout_threshold": 1.0,
    "dale": "project", "signed_loop": False, "trainable": ["w_in", "w_out"], "lr": 4e-4, "clip": 1.0, "adam_steps": 3,
    "rate_theta_hz": 0.0, "rate_strength": 0.0,
    "w_in": [1.2, 0.12, 0.8], "w_ei": [1.0, 0.1], "w_ie": [2.0, 0.2], "w_ee": None, "w_ii": None,
    "w_out": [5.1, 3.8], "w_out_scale": 20.0, "rate_hz": 150.0, "seed": 1, "negative_fraction": 0.0,
}
ANY_SIGN = ("e_l_mv", "e_exc_mv", "e_inh_mv", "v_th_mv", "v_reset_mv", "v_floor_mv", "readout_threshold", "w_out_scale")
NON_NEGATIVE = ("ref_e_ms", "ref_i_ms", "adam_steps", "rate_theta_hz", "rate_strength", "rate_hz", "seed", "negative_fraction")
NO_LOOP: Config = {"w_ei": [0.0, 0.0], "w_ie": [0.0, 0.0]}
# Euler with powers of two throughout: one input spike lifts an E cell from rest to v_th without rounding
# (dv = dt/C g (E_exc - v) = 16 mV), so `>` in place of `>=` fires a step late.
EXACT: Config = {
    "dt_ms": 0.25, "steps": 128, "n_in": 4, "n_e": 8, "n_i": 4, "n_out": 2, "batch": 4, "g_l_e_us": 0.0625, "g_l_i_us": 0.125,
    "e_l_mv": -64.0, "v_reset_mv": -64.0, "v_th_mv": -48.0, "integrator": "euler", "adam_steps": 1, "rate_hz": 40.0,
    "w_in": [2.0, 0.0, 0.5], "w_ei": [2.0, 0.25], "w_out": [4.0, 3.0], "w_out_scale": 1.0,
}
PRESETS: dict[str, Config] = {
    "ping": {},
    "coba": NO_LOOP | {"w_in": [0.6, 0.06, 0.8]},
    "threshold_exact": EXACT | {"seed": 7},
    "readout_spike_count": {"readout": "spike_count", "w_out_scale": 0.05},
    "readout_rate": {"readout": "rate"}, "readout_li": {"readout": "li"},
    "batch1_tiny": {"n_in": 3, "n_e": 1, "n_i": 1, "n_out": 2, "batch": 1, "rate_hz": 400.0, "w_in": [1.2, 0.12, 0.0],
                    "w_out_scale": 4.0, "trainable": ["w_in", "w_out", "w_ei", "w_ie"]},
    "prime_sizes": {"n_in": 65, "n_e": 67, "n_i": 63, "n_out": 13, "batch": 5, "steps": 211, "adam_steps": 0, "w_ee": [0.2, 0.05],
                    "w_ii": [0.5, 0.1], "trainable": ["w_in", "w_out", "w_ee", "w_ei", "w_ie", "w_ii"]},
    "no_loop_euler_li": NO_LOOP | {"seed": 201, "integrator": "euler", "readout": "li", "w_in": [0.6, 0.06, 0.8]},
    # beta_ampa is 1 and beta_out 0, without rounding: I cells (dv = 32 mV/µS g) and the read-out meet their thresholds exactly too.
    "threshold_exact_all": EXACT | {"seed": 10, "tau_ampa_ms": 1e18, "tau_out_ms": 1e-4, "rate_hz": 15.0, "w_ei": [1.0, 0.0, 0.5],
                                    "w_ie": [0.0, 0.0], "w_out": [1.0, 0.0, 0.5]},
}


class CaseError(Exception):
    """A setting, a file or a result that cannot make or check a case; the message says what to change."""


def validated(config: Config) -> Config:
    """`config` with every key of `DEFAULTS` (only `readout` may be absent), or a `CaseError` naming the bad one."""
    config = {"readout": "mem_mean"} | config
    for key in sorted(DEFAULTS.keys() ^ config.keys()):
        raise CaseError(f"config key `{key}` is {'missing' if key in DEFAULTS else 'unknown'}; known keys: {', '.join(DEFAULTS)}")
    present = [f"w_{name}" for name in SHAPES if config[f"w_{name}"] is not None]
    for key, default in DEFAULTS.items():
        value = config[key]
        numbers = [x for x in (value if isinstance(value, list) else [value]) if type(x) in (int, float) and math.isfinite(x)]
        if isinstance(default, bool):
            ok, wanted = isinstance(value, bool), "true or false"
        elif isinstance(default, (int, float)):
            sign, kind = ">= 0" if key in NON_NEGATIVE else "of any sign" if key in ANY_SIGN else "> 0", type(default)
            ok = numbers == [value] and isinstance(value, (int, kind)) and (value > 0 or sign != "> 0") and (value >= 0 or key in ANY_SIGN)
            wanted = f"{'a whole' if kind is int else 'a finite'} number {sign}"
        elif key in CHOICES:
            ok, wanted = value in CHOICES[key], " | ".join(CHOICES[key])
        elif key == "trainable":
            ok, wanted = isinstance(value, list) and value != [] and all(x in present for x in value), f"a list of {', '.join(present)}"
        else:
            law = numbers == value and len(value) in (2, 3) and value[1] >= 0 and 0 <= (value + [0])[2] < 1
            ok, wanted = law or (value is None and key in ("w_ee", "w_ii")), "[mean, std, sparsity (optional)] or, for w_ee and w_ii, null"
        if not ok:
            raise CaseError(f"config `{key}` = {json.dumps(value)} must be {wanted}")
    return config


def setting(text: str) -> tuple[str, Any]:
    """`key=value`, the value read as JSON and, where it is none, as plain text."""
    key, _, value = text.partition("=")
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        return key, value


def draw(config: Config) -> tuple[Arrays, np.ndarray, np.ndarray]:
    """Weights {name: [pre, post] f32}, events [n, 3] i32 (trial, step, input; sorted) and labels [batch] i32 from `seed`.

    w = max(N(mean, std), 0) * keep / (1 - sparsity) / pre, keep a Bernoulli mask, W_out times `w_out_scale`; the share
    `negative_fraction` of the entries then changes sign. Inputs spike with p = U(0, 1) of each trial and input * rate_hz * dt / 1000.
    """
    random = np.random.default_rng(config["seed"])
    weights: Arrays = {}
    for name, (pre, post) in ((name, axes) for name, axes in SHAPES.items() if config[f"w_{name}"] is not None):
        (mean, std, sparsity), shape = (config[f"w_{name}"] + [0.0])[:3], (config[pre], config[post])
        drawn = np.maximum(random.normal(mean, std, shape), 0.0) * (random.random(shape) >= sparsity) / (1.0 - sparsity) / config[pre]
        drawn *= config["w_out_scale"] if name == "out" else 1.0
        drawn = np.where(random.random(shape) < config["negative_fraction"], -drawn, drawn)
        weights[name] = (drawn + 0.0).astype(np.float32)  # + 0.0: no negative zeros
    probability = random.random((config["batch"], 1, config["n_in"])) * config["rate_hz"] * config["dt_ms"] / 1000.0
    events = np.argwhere(random.random((config["batch"], config["steps"], config["n_in"])) < probability).astype(np.int32)
    return weights, events, random.integers(0, config["n_out"], config["batch"]).astype(np.int32)


class Spike(torch.autograd.Function):
    """The decision 0 or 1 forward; backward ds/du = k / (1 + k|u|)^2, u the distance above threshold."""

    @staticmethod
    def forward(ctx: Any, u: torch.Tensor, slope: float, decision: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(u)
        ctx.slope = slope
        return decision.to(u.dtype)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return grad * ctx.slope / (1.0 + ctx.slope * ctx.saved_tensors[0].abs()) ** 2, None, None


@dataclass
class Decisions:
    """Threshold decisions of one pass. With `imposed` history the engine's own decision is only compared with it."""

    imposed: dict[str, torch.Tensor] | None = None  # name -> [steps, batch, cells] bool
    raster: dict[str, list[torch.Tensor]] = field(default_factory=lambda: {name: [] for name in RASTERS})
    margin: dict[str, float] = field(default_factory=lambda: {name: math.inf for name in RASTERS})
    ties: int = 0
    violations: int = 0  # decisions against the imposed history that are no tie

    def decide(self, name: str, u: torch.Tensor, can: torch.Tensor) -> torch.Tensor:
        """[u >= 0] can, [batch, cells] bool, for u = the distance above threshold; or what history imposes."""
        distance = u.detach()
        decision = (distance >= 0) & can
        self.margin[name] = min(self.margin[name], distance.abs()[can].min().item() if can.any() else math.inf)
        if self.imposed is not None:
            own, decision = decision, self.imposed[name][len(self.raster[name])]
            tie = (distance.abs() <= (TIE_OUT if name == "resets_out" else TIE_MV)) & can & (own | (distance != 0))  # at 0 it must fire
            self.ties += int(((own != decision) & tie).sum())
            self.violations += int(((own != decision) & ~tie).sum())
        self.raster[name].append(decision)
        return decision


def constrained(name: str, config: Config) -> bool:
    """Whether Dale's law holds for the matrix."""
    return config["dale"] != "signed" and not (config["signed_loop"] and name in LOOP)


class Population:
    """Integrate-and-fire cells, refractory for max(1, round_half_to_even(ref / dt)) steps.

    exp_euler: g = gL + ge + gi, dv = ((gL E_L + ge E_exc + gi E_inh) / g - v) (1 - exp(-dt g / C))
    euler:     dv = dt / C (-gL (v - E_L) + ge (E_exc - v) + gi (E_inh - v))
    """

    def __init__(self, config: Config, kind: str, dtype: torch.dtype) -> None:
        self.config, self.raster = config, f"spikes_{kind}"
        self.c_nf, self.g_l = config[f"c_m_{kind}_nf"], config[f"g_l_{kind}_us"]
        self.ref_steps = max(1, round(config[f"ref_{kind}_ms"] / config["dt_ms"]))  # Python rounds half to even
        self.s = torch.zeros(config["batch"], config[f"n_{kind}"], dtype=dtype)
        self.v, self.ref = self.s + config["e_l_mv"], torch.zeros(self.s.shape, dtype=torch.int64)

    def step(self, g_exc: torch.Tensor, g_inh: torch.Tensor, decisions: Decisions) -> torch.Tensor:
        """Advance `v`, `s`, `ref` and return the voltage before its reset; the reset is hard and passes no gradient."""
        v, g_l, config = self.v, self.g_l, self.config
        dt, e_l, e_exc, e_inh, floor = (config[key] for key in ("dt_ms", "e_l_mv", "e_exc_mv", "e_inh_mv", "v_floor_mv"))
        if config["integrator"] == "exp_euler":
            g = g_l + g_exc + g_inh
            dv = ((g_l * e_l + g_exc * e_exc + g_inh * e_inh) / g - v) * (1.0 - torch.exp(-dt * g / self.c_nf))
        else:
            dv = dt / self.c_nf * (-g_l * (v - e_l) + g_exc * (e_exc - v) + g_inh * (e_inh - v))
        if dv.requires_grad:
            dv.register_hook(lambda gradient: gradient / config["grad_dampen"])  # the damping; forward unchanged
        v = torch.where(v + dv < floor, floor, v + dv)
        self.ref = (self.ref - 1).clamp(min=0)
        can, u = self.ref == 0, v - config["v_th_mv"]
        fired = decisions.decide(self.raster, u, can)
        self.s = Spike.apply(u, config["surrogate_slope"], fired) * can
        self.v = torch.where(fired | ~can, config["v_reset_mv"], v)
        self.ref = torch.where(fired, self.ref_steps, self.ref)
        return v


class Readout:
    """Logits from out = s_e W_out [batch, n_out] of every step.

    mem_mean:     v <- beta v + (1 - beta) / dt out, summed before the reset v <- v - theta [v >= theta]; logits = sum / steps
    spike_count:  logits = sum of out;  rate: the same / steps
    li:           v <- beta v + (1 - beta) out; logits = its largest value, the gradient going to the first such step
    """

    def __init__(self, config: Config, dtype: torch.dtype) -> None:
        self.config, self.kind = config, config["readout"]
        self.beta = math.exp(-config["dt_ms"] / config["tau_out_ms"])
        self.gain = (1.0 - self.beta) / (config["dt_ms"] if self.kind == "mem_mean" else 1.0)
        self.divisor = config["steps"] if self.kind in ("mem_mean", "rate") else 1
        self.v = torch.zeros(config["batch"], config["n_out"], dtype=dtype)
        self.total = self.v if self.kind != "li" else self.v - math.inf

    def step(self, out: torch.Tensor, decisions: Decisions) -> None:
        """Take one step's output current."""
        theta = self.config["readout_threshold"]
        self.v = self.beta * self.v + self.gain * out
        if self.kind == "mem_mean":
            self.total = self.total + self.v
            if self.config["readout_reset"] == "subtract":
                fired = decisions.decide("resets_out", self.v - theta, torch.ones_like(self.v, dtype=torch.bool))
                self.v = self.v - theta * Spike.apply(self.v - theta, self.config["surrogate_slope"], fired)
        elif self.kind == "li":
            self.total = torch.where(self.v > self.total, self.v, self.total)
        else:
            self.total = self.total + out


def run_trials(config: Config, weights: dict[str, torch.Tensor], events: np.ndarray,
               decisions: Decisions) -> tuple[torch.Tensor, torch.Tensor, Arrays]:
    """One batch of trials: logits [batch, n_out], spikes of each E cell [batch, n_e], traces {name: [steps, batch, cells]}."""
    dtype, steps = weights["in"].dtype, config["steps"]
    # max(w, 0) where constrained; the gradient passes where stored w >= 0, exactly 0 included
    w = {name: torch.where(weight >= 0, weight, 0.0) if constrained(name, config) else weight for name, weight in weights.items()}
    w_ee, w_ei, w_ie, w_ii = (w.get(name, torch.zeros([config[key] for key in SHAPES[name]], dtype=dtype)) for name in LOOP)
    inputs = torch.zeros(steps, config["batch"], config["n_in"], dtype=dtype)
    trial, time, source = torch.from_numpy(events.astype(np.int64)).T
    inputs[time, trial, source] = 1.0
    drive = inputs @ w["in"]
    beta_ampa, beta_gaba = (math.exp(-config["dt_ms"] / config[key]) for key in ("tau_ampa_ms", "tau_gaba_ms"))
    e, i, readout = Population(config, "e", dtype), Population(config, "i", dtype), Readout(config, dtype)
    count, g_exc_e, g_inh_e, g_exc_i, g_inh_i = (torch.zeros_like(cells.s) for cells in (e, e, e, i, i))
    traces: dict[str, list[torch.Tensor]] = {name: [] for name in TRACES}
    for t in range(steps):
        g_exc_e = (g_exc_e + e.s @ w_ee) * beta_ampa + drive[t]
        g_exc_i = (g_exc_i + e.s @ w_ei) * beta_ampa
        g_inh_e = (g_inh_e + i.s @ w_ie) * beta_gaba
        g_inh_i = (g_inh_i + i.s @ w_ii) * beta_gaba
        v_e, v_i = e.step(g_exc_e, g_inh_e, decisions), i.step(g_exc_i, g_inh_i, decisions)
        readout.step(e.s @ w["out"], decisions)
        count = count + e.s
        for name, value in zip(TRACES, (v_e, v_i, g_exc_e, g_inh_e, g_exc_i, g_inh_i)):
            traces[name].append(value.detach())
    return readout.total / readout.divisor, count, {name: torch.stack(rows).numpy() for name, rows in traces.items()}


@dataclass
class Run:
    """All that one run of max(1, adam_steps) passes over the batch gives; `expect` in the names and shapes of the format."""

    expect: Arrays = field(default_factory=dict)
    traces: Arrays = field(default_factory=dict)  # of the first optimiser step
    decisions: list[Decisions] = field(default_factory=list)  # one for each optimiser step


def raster_dense(expect: Arrays, config: Config, index: int) -> dict[str, torch.Tensor]:
    """The rasters of optimiser step `index` as {name: [steps, batch, cells] bool}."""
    dense = {name: torch.zeros(config["steps"], config["batch"], config[cells], dtype=torch.bool) for name, cells in RASTERS.items()}
    for name, raster in dense.items():
        _, trial, time, cell = torch.from_numpy(expect[f"expect.{name}"][expect[f"expect.{name}"][:, 0] == index].astype(np.int64)).T
        raster[time, trial, cell] = True
    return dense


def run_case(config: Config, weights: Arrays, events: np.ndarray, labels: np.ndarray, dtype: torch.dtype,
             imposed: Arrays | None = None) -> Run:
    """Train `adam_steps` steps on the one batch (one pass without update for 0), in `dtype`; `imposed` holds rasters to follow.

    g <- g min(1, clip / (norm + 1e-6)), Adam, then w <- max(w, 0) under `project`; a norm that is not finite skips the step.
    """
    params = {name: torch.tensor(weight, dtype=dtype, requires_grad=f"w_{name}" in config["trainable"]) for name, weight in weights.items()}
    trained = {name: param for name, param in params.items() if param.requires_grad}
    adam = torch.optim.Adam(trained.values(), lr=config["lr"], betas=(0.9, 0.999), eps=1e-8)
    run, losses, sizes, factors = Run(), [], [], []
    for index in range(max(1, config["adam_steps"])):
        adam.zero_grad(set_to_none=False)
        run.decisions.append(decisions := Decisions(imposed and raster_dense(imposed, config, index)))
        logits, count, traces = run_trials(config, params, events, decisions)
        excess_hz = (count.mean(dim=0) / (config["steps"] * config["dt_ms"] / 1000.0) - config["rate_theta_hz"]).clamp(min=0)
        penalty = config["rate_strength"] * excess_hz.square().sum()
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels).long()) + penalty
        loss.backward()
        gradients = {name: torch.zeros_like(param) if param.grad is None else param.grad for name, param in trained.items()}
        norm = math.sqrt(sum(float(g.double().square().sum()) for g in gradients.values()))
        if index == 0:
            run.expect["expect.logits"], run.traces = logits.detach().double().numpy(), traces
            run.expect |= {f"expect.grad.{name}": gradient.double().numpy().copy() for name, gradient in gradients.items()}
        losses, sizes = losses + [loss.item()], sizes + [norm]
        if config["adam_steps"] == 0:
            break
        factors.append(min(1.0, config["clip"] / (norm + 1e-6)) if math.isfinite(norm) else 0.0)
        if not math.isfinite(norm):
            continue  # a skipped step: weights and moments stay
        with torch.no_grad():
            for name, param in trained.items():
                param.grad = gradients[name] * factors[-1]
            adam.step()
            for name, param in trained.items():
                if config["dale"] == "project" and constrained(name, config):
                    param.clamp_(min=0)
    run.expect |= {"expect.losses": np.array(losses), "expect.grad_norm": np.array(sizes), "expect.clip_factor": np.array(factors)}
    run.expect |= {f"expect.after.{name}": param.detach().double().numpy() for name, param in trained.items() if factors}
    for name in RASTERS:  # dense [optimiser step, trial, step, cell] to a sorted list; the read-out without resets has none
        dense = [torch.stack(step.raster[name]).transpose(0, 1).numpy() for step in run.decisions if step.raster[name]]
        run.expect[f"expect.{name}"] = np.argwhere(dense).astype(np.int32) if dense else np.zeros((0, 4), np.int32)
    return run


def norms(name: str, a: np.ndarray, b: np.ndarray, weights: Arrays) -> tuple[float, float]:
    """(|a - b|, |b|) over the whole tensor; |b - before| for the weights after the steps."""
    start = weights[name.rpartition(".")[2]].astype(np.float64) if name.startswith("expect.after.") else 0.0
    return float(np.linalg.norm(a - b)), float(np.linalg.norm(b - start))


def float32_error(single: Run, double: Run, weights: Arrays) -> dict[str, float]:
    """What plain float32 loses: relative norms (of the worst matrix), and the largest differences over the batch and all cells."""
    error = {"grad": 0.0, "after_change": 0.0, "logits": 0.0}
    for key, prefix in zip(error, ("expect.grad.", "expect.after.", "expect.logits")):
        for name in (name for name in double.expect if name.startswith(prefix)):
            difference, size = norms(name, single.expect[name], double.expect[name], weights)
            error[key] = max(error[key], difference / max(size, 1e-300))
    differences = [float(np.abs(single.traces[name] - double.traces[name]).max()) for name in TRACES]
    return error | {"v_mv": max(differences[:2]), "g_us": max(differences[2:])}


def make_case(config: Config, allow_ties: bool) -> tuple[Arrays, dict[str, str], str]:
    """Tensors, metadata and a one-line summary of the case `config` draws; a `CaseError` where it would prove little."""
    weights, events, labels = draw(config)
    double = run_case(config, weights, events, labels, torch.float64)
    for name, value in (double.expect | double.traces).items():
        if not np.isfinite(value).all():
            raise CaseError(f"{name} is not finite; raise grad_dampen or use another seed")
    if len(double.expect["expect.spikes_e"]) == 0:
        raise CaseError("no E cell spikes; raise the mean of w_in, rate_hz or steps")
    single = run_case(config, weights, events, labels, torch.float32)
    same = all(np.array_equal(single.expect[f"expect.{name}"], double.expect[f"expect.{name}"]) for name in RASTERS)
    if not same:
        single = run_case(config, weights, events, labels, torch.float32, imposed=double.expect)
    least_mv, least_out = (MARGIN_UNITS * float(np.spacing(np.float32(abs(config[key])))) for key in ("v_th_mv", "readout_threshold"))
    margin_mv = [min(step.margin["spikes_e"], step.margin["spikes_i"]) for step in double.decisions]
    margin_out = [step.margin["resets_out"] if step.raster["resets_out"] else None for step in double.decisions]
    nearest_out = min(step.margin["resets_out"] for step in double.decisions)
    summary = f"seed {config['seed']}, margins {min(margin_mv):.1e} mV, {nearest_out:.1e}, float32 rasters {'equal' if same else 'differ'}"
    if not allow_ties and (not same or min(margin_mv) < least_mv or nearest_out < least_out):
        raise CaseError(f"within float32 rounding ({least_mv:.1e} mV, {least_out:.1e}): {summary}; use another seed or --allow-ties")
    tensors = {f"w.{name}": weight for name, weight in weights.items()} | {"events": events, "labels": labels} | double.expect
    if config["n_e"] > MAX_E_CELLS_F64:
        tensors |= {name: value.astype(np.float32) for name, value in tensors.items() if name.startswith("expect.grad.")}
    if config["n_e"] + config["n_i"] <= MAX_CELLS_TRACES:
        tensors |= {f"expect.trial0.{name}": trace[:, 0].astype(np.float32) for name, trace in double.traces.items()}
    maker = {"program": PROGRAM, "torch": torch.__version__, "numpy": np.__version__}
    metadata = {"config": config, "margin_mv": margin_mv, "margin_out": margin_out,
                "float32_error": float32_error(single, double, weights), "maker": maker}
    return (tensors, {"family": "conductance", "format": "1"} | {key: json.dumps(value) for key, value in metadata.items()},
            ", ".join([summary] + [f"{len(double.expect[f'expect.{name}'])} {name}" for name in RASTERS]))


def write_file(path: Path, tensors: Arrays, metadata: dict[str, str]) -> int:
    """Write beside `path`, sync and rename, so that no half file is ever seen; the number of bytes."""
    data = save({name: np.ascontiguousarray(value) for name, value in tensors.items()}, metadata)  # `save` ignores strides
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return len(data)


def read_case(path: Path) -> tuple[Config, Arrays]:
    """Config and tensors of a conductance case; the tensors a run starts from or follows are checked in type, shape and range."""
    try:
        with safe_open(str(path), "np") as file:
            metadata, tensors = file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}
        if (metadata.get("family"), metadata.get("format")) != ("conductance", "1"):
            raise CaseError(f"family {metadata.get('family')!r}, format {metadata.get('format')!r}; need 'conductance', '1'")
        config = validated(dict(json.loads(metadata.get("config", "{}"))))
        trial, shapes = (config["batch"], config["steps"]), {f"w.{name}": axes for name, axes in SHAPES.items() if config[f"w_{name}"]}
        bounds = {"labels": (config["n_out"],), "events": trial + (config["n_in"],)}
        bounds |= {f"expect.{name}": (max(1, config["adam_steps"]),) + trial + (config[cells],) for name, cells in RASTERS.items()}
        for name in shapes | bounds:
            tensor = tensors.get(name, np.zeros(0))
            rows = trial[:1] if name == "labels" else (len(tensor), len(bounds.get(name, ())))
            shape = tuple(config[key] for key in shapes[name]) if name in shapes else rows
            if tensor.dtype != (np.float32 if name in shapes else np.int32) or tensor.shape != shape:
                raise CaseError(f"{name} is absent or {tensor.dtype} {tensor.shape}; need {'f32' if name in shapes else 'i32'} {shape}")
            ordered = name in shapes or name == "labels" or np.array_equal(np.unique(tensor, axis=0), tensor)
            if name in bounds and ((tensor < 0).any() or (tensor >= np.array(bounds[name])).any() or not ordered):
                raise CaseError(f"{name} has an index outside 0..{bounds[name]}, a repeated row or is not sorted")
        return config, tensors
    except (CaseError, OSError, SafetensorError, ValueError, TypeError) as error:
        raise CaseError(f"{path}: {error}") from error


def check_file(path: Path) -> bool:
    """Recompute the case in float64, print a row for each expected tensor, and say whether all agree.

    |a - b| <= tol |b| + floor. Where the rasters differ, the expected ones are imposed, and each decision must be theirs or a tie.
    """
    print(f"{path.name}:", flush=True)
    config, tensors = read_case(path)
    weights = {name: tensors[f"w.{name}"] for name in SHAPES if config[f"w_{name}"] is not None}
    arguments = (config, weights, tensors["events"], tensors["labels"], torch.float64)
    run, rasters = run_case(*arguments), [f"expect.{name}" for name in RASTERS]
    wrong = {name: sorted(set(map(tuple, run.expect[name].tolist())) ^ set(map(tuple, tensors[name].tolist()))) for name in rasters}
    for name in filter(wrong.get, wrong):
        print(f"  {name} differs, first at optimiser step, trial, step, cell {wrong[name][0]}")
    if any(wrong.values()):
        run = run_case(*arguments, imposed=tensors)
        print(f"  imposing the expected rasters: {sum(step.ties for step in run.decisions)} ties")
    violations = sum(step.violations for step in run.decisions)
    rows = [(name, len(wrong[name]), 0, violations == 0 and np.array_equal(run.expect[name], tensors[name])) for name in rasters]
    produced = run.expect | {f"expect.trial0.{name}": trace[:, 0] for name, trace in run.traces.items()}
    gradient = float(np.linalg.norm([np.linalg.norm(value) for name, value in tensors.items() if name.startswith("expect.grad.")]))
    for name in sorted((run.expect.keys() | {name for name in tensors if name.startswith("expect.")}) - set(rasters)):
        a, b = produced.get(name), tensors.get(name)
        if a is None or b is None or a.shape != b.shape:
            raise CaseError(f"{path}: {name} is absent, unknown or not {None if a is None else a.shape}")
        error, size = norms(name, a, b, weights)
        tol, floor = {"grad": (1e-6 if b.dtype == np.float32 else 1e-9, 1e-12 * gradient), "after": (1e-6, 1e-9 * math.sqrt(b.size)),
                      "clip_factor": (1e-9, 0.0)}.get(name.split(".")[1], (1e-9, 1e-7))
        if name.startswith("expect.trial0."):
            error, tol, floor = float(np.abs(a - b).max(initial=0.0)), 0.0, 1e-4 if ".v_" in name else 1e-6
        rows.append((name, error, tol * size + floor, error <= tol * size + floor))  # a NaN fails
    for name, error, allowed, ok in sorted(rows):
        print(f"  {'ok  ' if ok else 'FAIL'} {name:24} error {error:9.2e}  allowed {allowed:9.2e}")
    passed = all(ok for *_, ok in rows)
    print(f"  {'passed' if passed else 'FAILED'}", flush=True)
    return passed


def main() -> int:
    """Exit status 0: written, or all checks passed; 1: a check failed; 2: bad input."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--out", type=Path, metavar="FILE", help="write a case to this .safetensors file")
    action.add_argument("--check", type=Path, nargs="+", metavar="FILE", help="recompute these cases and compare")
    parser.add_argument("--preset", choices=PRESETS, default="ping", help="settings to start from (default: ping)")
    parser.add_argument("--set", type=setting, nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="settings to change")
    parser.add_argument("--allow-ties", action="store_true", help="write a case even if float32 may decide one of its spikes otherwise")
    arguments = parser.parse_args()
    try:
        if arguments.check:
            verdicts = [check_file(path) for path in arguments.check]
            print(f"{sum(verdicts)} of {len(verdicts)} cases passed ({PROGRAM}, torch {torch.__version__}, float64)")
            return 0 if all(verdicts) else 1
        config = validated(DEFAULTS | PRESETS[arguments.preset] | dict(arguments.set))
        tensors, metadata, summary = make_case(config, arguments.allow_ties)
        print(f"{arguments.out.name}: {write_file(arguments.out, tensors, metadata)} bytes, {summary}")
    except (CaseError, OSError) as error:
        print(f"make_case.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
