//! The forms of the backward pass: which there are, and what they need of the device.

use super::tiles::{SLICES, StepTiles, WORKGROUP};
use crate::conductance::engine::EngineError;
use crate::conductance::params::Params;
use crate::conductance::weights::Wiring;
use crate::device::BackwardForm;
use crate::gpu::AdapterLimits;

/// Rows of workgroup memory of the backward pass: a row holds one number for each trial.
#[derive(Clone, Copy, Debug)]
pub(super) struct SharedRows {
    /// Λ_inh of E cells; also where sums change hands.
    pub(super) work: usize,
    /// Λ_exc of I cells.
    pub(super) ge_i: usize,
    /// Λ_exc of E cells.
    pub(super) ge_e: usize,
    /// Λ_inh of I cells.
    pub(super) gi_i: usize,
    /// λ_out.
    pub(super) out: usize,
    /// All rows.
    pub(super) rows: usize,
}

impl SharedRows {
    pub(super) fn new(params: &Params, wiring: &Wiring) -> Self {
        let (e, i) = (params.n_e(), params.n_i());
        let if_ = |there: bool, n: usize| if there { n } else { 0 };
        let partial = if_(wiring.ie || wiring.ii, SLICES * i);
        let ge_i = if_(is_recurrent(wiring), e.max(partial));
        let ge_e = ge_i + if_(wiring.ei, i);
        let gi_i = ge_e + if_(wiring.ee, e);
        let out = gi_i + if_(wiring.ii, i);
        Self {
            work: 0,
            ge_i,
            ge_e,
            gi_i,
            out,
            rows: out + params.n_out,
        }
    }
}

/// There are products to take, and so several forms of the backward pass.
pub fn is_recurrent(wiring: &Wiring) -> bool {
    wiring.ei || wiring.ie || wiring.ee || wiring.ii
}

/// Rows of the buffer of adjoints that the per-step form of the backward pass keeps between
/// dispatches: two sets, of odd and of even steps, then the read-out's of every step of a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct LambdaRows {
    /// Λ_exc of I cells.
    pub(super) ge_i: usize,
    /// Λ_inh of E cells.
    pub(super) gi_e: usize,
    /// Λ_exc of E cells.
    pub(super) ge_e: usize,
    /// Λ_inh of I cells.
    pub(super) gi_i: usize,
    /// Rows of one set.
    pub(super) rows: usize,
    /// Trials of a row: whole tiles.
    pub(super) trials: usize,
}

impl LambdaRows {
    pub(super) fn new(
        params: &Params,
        wiring: &Wiring,
        form: BackwardForm,
        chunk_trials: usize,
    ) -> Self {
        let if_ = |there: bool, n: usize| if there { n } else { 0 };
        let gi_e = if_(wiring.ei, params.n_i());
        let ge_e = gi_e + if_(wiring.ie, params.n_e());
        let gi_i = ge_e + if_(wiring.ee, params.n_e());
        Self {
            ge_i: 0,
            gi_e,
            ge_e,
            gi_i,
            rows: gi_i + if_(wiring.ii, params.n_i()),
            trials: chunk_trials.next_multiple_of(StepTiles::of(form).e[1]),
        }
    }

    /// Floats of the whole buffer.
    pub(super) fn len(&self, params: &Params, segment_steps: usize) -> usize {
        (2 * self.rows + segment_steps * params.n_out) * self.trials
    }
}

/// Trials that share a workgroup's loop weights: 8, 4 or 1; [`BackwardForm::Persistent4`] takes no more than 4.
///
/// A workgroup that streams the full-size network's 2.1 MB of loop weights at the 64 bytes a clock
/// of one multiprocessor takes 32,768 clocks a step, whatever the number of trials; at 128
/// multiply-adds a clock, 8 trials' arithmetic takes as long and 4 trials' half of it. So 8 trials
/// halve the traffic of the second-level cache at hardly any cost where they leave enough
/// workgroups, 4 are better below that, and fewer gain nothing: they serve a small workgroup memory. A thread's
/// sums stay within 32 registers. Without a loop there is nothing to share.
pub(super) fn trials_per_workgroup(
    params: &Params,
    wiring: &Wiring,
    form: BackwardForm,
    trials: usize,
    limits: &AdapterLimits,
) -> Result<usize, EngineError> {
    let bytes = 4 * SharedRows::new(params, wiring).rows;
    let most = limits.workgroup_memory_bytes as usize;
    // A vector more: of vectors and scalars one is in use, and the other has a single element.
    let fits = |trials: usize| (trials * bytes).next_multiple_of(16) + 16 <= most;
    if !fits(1) {
        return Err(EngineError::Memory(format!(
            "{} E and {} I cells need {bytes} bytes of workgroup memory, this GPU has {most}: lower \
             network.n_e or network.n_i, or use --device cpu",
            params.n_e(),
            params.n_i(),
        )));
    }
    let sums = params.n_e().div_ceil(WORKGROUP as usize).max(4);
    let eight = trials >= 16 * 8 && 8 * sums <= 32 && form != BackwardForm::Persistent4;
    Ok(match is_recurrent(wiring) {
        true if eight && fits(8) => 8,
        true if fits(4) => 4,
        _ => 1,
    })
}
