//! Golden cases: what independent implementations computed, and the comparison of an engine with it. How a
//! case is run belongs to its family. `dalenet parity` runs them.

mod error;
mod file;
mod report;
mod tensors;

pub use error::{CaseError, ParityError};
pub use file::CaseFile;
pub use report::{CaseReport, Precision, Row, Tie};
pub(crate) use tensors::{Floats, Tensors};
