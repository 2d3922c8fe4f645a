"""The networks of the speed comparison: parameters, drawn weights and drawn trials, the same for every Python script.

Units: ms, mV, nF, µS, Hz; matrices [pre, post]. PING has the E-I loop, COBA has not; W_EE and W_II are absent from both.
Needs numpy alone, so that each simulator can be installed without the others.
"""

from __future__ import annotations

import platform
import resource
import statistics
from dataclasses import dataclass
from typing import Any

import numpy as np

WEIGHTS_STREAM, TRIALS_STREAM = 0, 1  # keep the draws of weights and of trials apart
# As in MNIST: about a fifth of the pixels are lit, more in some images than in others, and those have a mean near 0.68.
# Mean pixel 0.13, ~520 events a trial at 25 Hz. Without the variation between images the I cells would hardly fire.
LIT_SHARE_MEAN, LIT_SHARE_STD, LIT_SHARE_RANGE = 0.195, 0.055, (0.05, 0.45)
PIXEL_RANGE = (0.36, 1.0)


@dataclass(frozen=True)
class Network:
    """One network; the names are those of `make_case.py` and of the crate's config."""

    in_mean_us: float
    ei_strength: float
    out_scale: float
    dt_ms: float = 0.1
    steps: int = 2000
    n_in: int = 784
    n_e: int = 1024
    n_i: int = 256
    n_out: int = 10
    tau_ampa_ms: float = 2.0
    tau_gaba_ms: float = 9.0
    tau_out_ms: float = 2.0
    c_m_e_nf: float = 1.0
    c_m_i_nf: float = 0.5
    g_l_e_us: float = 0.05
    g_l_i_us: float = 0.1
    ref_e_ms: float = 3.0
    ref_i_ms: float = 1.5
    e_l_mv: float = -65.0
    e_exc_mv: float = 0.0
    e_inh_mv: float = -80.0
    v_th_mv: float = -50.0
    v_reset_mv: float = -65.0
    v_floor_mv: float = -200.0
    readout_threshold: float = 1.0
    surrogate_slope: float = 1.0
    grad_dampen: float = 1000.0
    rate_hz: float = 25.0
    in_sparsity: float = 0.95
    ie_to_ei_ratio: float = 2.0
    out_mean: float = 5.1
    out_std: float = 3.8

    @property
    def has_loop(self) -> bool:
        """Whether W_EI and W_IE exist."""
        return self.ei_strength > 0.0

    @property
    def duration_ms(self) -> float:
        """Length of a trial."""
        return self.steps * self.dt_ms


NETWORKS: dict[str, dict[str, float]] = {
    "ping": {"in_mean_us": 1.2, "ei_strength": 1.0, "out_scale": 500.0},
    "coba": {"in_mean_us": 0.3, "ei_strength": 0.0, "out_scale": 100.0},
}


def draw_weights(network: Network, seed: int) -> dict[str, np.ndarray]:
    """Initial weights {"in", "out" and, with the loop, "ei", "ie"}: [pre, post] f32.

    w = max(N(mean, std), 0) * keep / (1 - sparsity) / pre, keep a Bernoulli mask; W_out also times `out_scale`.
    """
    random = np.random.default_rng([seed, WEIGHTS_STREAM])

    def matrix(mean: float, std: float, sparsity: float, pre: int, post: int) -> np.ndarray:
        drawn = np.maximum(random.normal(mean, std, (pre, post)), 0.0) / (1.0 - sparsity) / pre
        return drawn * (random.random((pre, post)) >= sparsity)

    mean, e = network.in_mean_us, network.ei_strength
    weights = {"in": matrix(mean, 0.1 * mean, network.in_sparsity, network.n_in, network.n_e),
               "out": matrix(network.out_mean, network.out_std, 0.0, network.n_e, network.n_out) * network.out_scale}
    if network.has_loop:
        weights["ei"] = matrix(e, 0.1 * e, 0.0, network.n_e, network.n_i)
        weights["ie"] = matrix(e, 0.1 * e, 0.0, network.n_i, network.n_e) * network.ie_to_ei_ratio
    return {name: weight.astype(np.float32) for name, weight in weights.items()}


def draw_trial(network: Network, seed: int, trial: int) -> tuple[np.ndarray, int]:
    """Events [n, 2] i64 (step, input; sorted) and the label of one trial, which depend on the seed and its number alone.

    Every pixel is a Bernoulli process with p = pixel * rate_hz * dt / 1000 a step.
    """
    random = np.random.default_rng([seed, TRIALS_STREAM, trial])
    lit_share = np.clip(random.normal(LIT_SHARE_MEAN, LIT_SHARE_STD), *LIT_SHARE_RANGE)
    lit = np.flatnonzero(random.random(network.n_in) < lit_share)
    probability = random.uniform(*PIXEL_RANGE, len(lit)) * network.rate_hz * network.dt_ms / 1000.0
    step, pixel = np.nonzero(random.random((network.steps, len(lit))) < probability)
    return np.stack([step, lit[pixel]], axis=1), int(random.integers(network.n_out))


def rate_hz(spikes: float, cells: int, trials: int, network: Network) -> float:
    """Mean rate of a population over whole trials."""
    return spikes / (cells * trials * network.duration_ms / 1000.0)


def spread(values: list[float]) -> dict[str, float]:
    """Median, least and largest of repeated measurements."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def peak_memory_mib() -> float:
    """Most memory this process has held at once, the interpreter and its libraries included."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB, on macOS bytes
    return peak / 2.0 ** (20 if platform.system() == "Darwin" else 10)


def describe(report: dict[str, Any]) -> str:
    """A report of one of the benchmarks as text, a line a figure."""
    lines = [f"{key:16} {value}" for key, value in report.items() if key != "workloads"]
    for work in report["workloads"]:
        lines.append(f"{work['network']}, {work['mode']}, batch {work['batch']}, {work['steps']} steps")
        for key, value in work.items():
            if isinstance(value, dict):
                lines.append(f"  {key:20} median {value['median']:.4g}, min {value['min']:.4g}, max {value['max']:.4g}")
            elif isinstance(value, float):
                lines.append(f"  {key:20} {value:.4g}")
    return "\n".join(lines)
