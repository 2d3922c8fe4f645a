//! What wide registers are worth: the loop over cells, timed alone at several widths.

use std::hint::black_box;
use std::time::Instant;

use super::cells::{step, step_one_by_one};
use super::state::PopulationState;
use crate::conductance::params::{CellConstants, Params};
use crate::config::Config;

/// How fast one form of the loop is on one thread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CellLoopRate {
    /// Instructions and cells at a time.
    pub form: &'static str,
    /// Cells advanced by one step, a second.
    pub cell_steps_per_s: f64,
}

/// Cells of the loop: those of the published networks, whose state fits the nearest cache.
const CELLS: usize = 1024;
/// Steps between two looks at the clock.
const STEPS: usize = 500;
/// Looks of which the median counts.
const LOOKS: usize = 9;

/// The forward step of E cells under constant conductances, float32: as the engine runs it, then
/// narrower. One cell at a time is the same arithmetic in the same instructions, with the compiler
/// kept from taking several together.
pub fn cell_loop_rates() -> Vec<CellLoopRate> {
    let mut rates = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        use pulp::x86::{V3, V4};
        let wide = V4::try_new().map(|v4| ("AVX-512, 16 cells at a time", pulp::Arch::V4(v4)));
        let narrow = V3::try_new().map(|v3| ("AVX2, 8 cells at a time", pulp::Arch::V3(v3)));
        rates.extend(
            [wide, narrow]
                .into_iter()
                .flatten()
                .map(|(form, arch)| CellLoopRate {
                    form,
                    cell_steps_per_s: rate(arch, false),
                }),
        );
    }
    if rates.is_empty() {
        rates.push(CellLoopRate {
            form: "as the engine runs it",
            cell_steps_per_s: rate(pulp::Arch::new(), false),
        });
    }
    rates.push(CellLoopRate {
        form: "one cell at a time",
        cell_steps_per_s: rate(pulp::Arch::new(), true),
    });
    rates
}

fn rate(arch: pulp::Arch, one_by_one: bool) -> f64 {
    let params = Params::new(&Config::default(), 1, 1);
    let constants = params.constants::<f32>();
    let k: CellConstants<f32> = constants.e;
    let mut cells = PopulationState::new(CELLS, true);
    cells.v.fill(k.e_l_mv);
    let mut fires = vec![0u8; CELLS];
    let mut seconds = [0.0; LOOKS];
    for look in &mut seconds {
        cells.ge.fill(0.01);
        cells.gi.fill(0.02);
        let start = Instant::now();
        for _ in 0..STEPS {
            // Conductances that do not decay stay ordinary numbers.
            let losses = [0.0; 2];
            let PopulationState {
                v,
                ge,
                gi,
                refractory,
            } = black_box(&mut cells);
            if one_by_one {
                step_one_by_one(arch, k, losses, v, ge, gi, refractory, &mut fires);
            } else {
                let f = &mut fires;
                step(
                    arch,
                    k,
                    losses,
                    v,
                    ge,
                    gi,
                    refractory,
                    f,
                    &mut [],
                    &mut [],
                    &mut [],
                );
            }
        }
        *look = start.elapsed().as_secs_f64();
    }
    seconds.sort_by(f64::total_cmp);
    (CELLS * STEPS) as f64 / seconds[LOOKS / 2].max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_the_loop_give_the_same_bits() {
        let params = Params::new(&Config::default(), 1, 1);
        let k = params.constants::<f32>().e;
        let run = |one_by_one: bool| {
            let mut p = PopulationState::new(67, true);
            for (c, v) in p.v.iter_mut().enumerate() {
                *v = -65.0 + 0.3 * c as f32;
            }
            p.ge.fill(0.02);
            p.gi.fill(0.01);
            let mut fires = vec![0u8; 67];
            let mut fired = 0;
            for _ in 0..200 {
                let (arch, losses) = (pulp::Arch::new(), [0.01, 0.02]);
                let (v, ge, gi, r) = (&mut p.v, &mut p.ge, &mut p.gi, &mut p.refractory);
                if one_by_one {
                    step_one_by_one(arch, k, losses, v, ge, gi, r, &mut fires);
                } else {
                    let f = &mut fires;
                    step(arch, k, losses, v, ge, gi, r, f, &mut [], &mut [], &mut []);
                }
                fired += fires.iter().filter(|&&f| f != 0).count();
            }
            let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            (bits(&p.v), bits(&p.ge), bits(&p.refractory), fired)
        };
        let (wide, narrow) = (run(false), run(true));
        assert!(wide.3 > 0, "cells must fire");
        assert_eq!(wide, narrow);
    }
}
