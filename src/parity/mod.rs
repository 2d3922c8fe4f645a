//! Golden cases: networks with exact expected spikes, gradients and weights, and the comparison of an
//! engine with them. `scripts/make_case.py` writes cases; `dalenet parity` runs them.

pub mod case;
pub mod compare;
mod tensors;

pub use case::{Case, CaseError};
pub use compare::{CaseReport, Precision, Row, run};
