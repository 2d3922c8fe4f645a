//! The families of networks, and what each does for a verb of the program: one `match` a verb.

use crate::conductance::open::DeviceOptions;
use crate::gpu::Selection;
use crate::parity::{CaseError, CaseFile, CaseReport, ParityError, Precision};
use crate::{conductance, rate_rnn};

macro_rules! families {
    ($($variant:ident $module:ident),* $(,)?) => {
        /// A family of networks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Family {
            $(#[doc = concat!("[`", stringify!($module), "`].")] $variant),*
        }

        impl Family {
            /// All families.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name in configurations and cases.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($module)),*
                }
            }

            /// Compares the engine of a selected device with a case of the family.
            fn compare(
                self,
                file: &CaseFile,
                precision: Precision,
                selection: &Selection,
                options: &DeviceOptions,
            ) -> Result<CaseReport, ParityError> {
                match self {
                    $(Self::$variant => $module::parity::compare(file, precision, selection, options)),*
                }
            }
        }
    };
}

families!(Conductance conductance, RateRnn rate_rnn);

impl Family {
    /// The family of this name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|family| family.name() == name)
    }

    /// The names of all families.
    pub fn names() -> String {
        let names: Vec<_> = Self::ALL.iter().map(|family| family.name()).collect();
        names.join(", ")
    }
}

/// Compares the engine of a selected device with a case of any family.
///
/// # Errors
/// What is no case, or one of a family that is not known; an engine that fails.
pub fn compare(
    file: &CaseFile,
    precision: Precision,
    selection: &Selection,
    options: &DeviceOptions,
) -> Result<CaseReport, ParityError> {
    let Some(family) = Family::find(&file.family) else {
        return Err(ParityError::Case(CaseError::Family {
            path: file.path.clone(),
            family: file.family.clone(),
            known: Family::names(),
        }));
    };
    family.compare(file, precision, selection, options)
}
