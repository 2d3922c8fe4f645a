//! The kernels of the family: their sources, and the constants that are put in front of them.

use crate::gpu::{Constant, GpuError, KernelSource, resolve_imports, with_constants};
use crate::optim;
use crate::rate_rnn::TRIAL_GROUP;

/// Threads of a workgroup.
pub(super) const WORKGROUP: u32 = optim::gpu::WORKGROUP;

/// Trials of a workgroup of the recurrent kernels: each weight it reads serves so many.
pub(super) const TRIALS: usize = 4;

/// Rows and columns of a tile of the gradients.
pub(super) const TILE: usize = 16;

macro_rules! shaders {
    ($($file:literal),* $(,)?) => {
        /// Every shader of the family by its path below `shaders/`.
        pub(super) const SHADERS: &[(&str, &str)] =
            &[$(($file, include_str!(concat!("../../../shaders/", $file)))),*];
    };
}

shaders!(
    "common/expm1.wgsl",
    "common/exp.wgsl",
    "rate_rnn/effective.wgsl",
    "rate_rnn/forward.wgsl",
    "rate_rnn/outputs.wgsl",
    "rate_rnn/loss.wgsl",
    "rate_rnn/backward.wgsl",
    "rate_rnn/gradients.wgsl",
    "rate_rnn/bias_gradient.wgsl",
    "rate_rnn/chain.wgsl",
    "optim/norms.wgsl",
    "optim/update.wgsl",
);

/// The kernels of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KernelId {
    Effective,
    Forward,
    Outputs,
    Loss,
    Backward,
    Gradients,
    BiasGradient,
    Chain,
    Norms,
    Update,
}

impl KernelId {
    const ALL: [Self; 10] = [
        Self::Effective,
        Self::Forward,
        Self::Outputs,
        Self::Loss,
        Self::Backward,
        Self::Gradients,
        Self::BiasGradient,
        Self::Chain,
        Self::Norms,
        Self::Update,
    ];

    /// Path of its source below `shaders/`.
    pub(super) fn file(self) -> &'static str {
        match self {
            Self::Effective => "rate_rnn/effective.wgsl",
            Self::Forward => "rate_rnn/forward.wgsl",
            Self::Outputs => "rate_rnn/outputs.wgsl",
            Self::Loss => "rate_rnn/loss.wgsl",
            Self::Backward => "rate_rnn/backward.wgsl",
            Self::Gradients => "rate_rnn/gradients.wgsl",
            Self::BiasGradient => "rate_rnn/bias_gradient.wgsl",
            Self::Chain => "rate_rnn/chain.wgsl",
            Self::Norms => "optim/norms.wgsl",
            Self::Update => "optim/update.wgsl",
        }
    }
}

/// Parts of [`ChainStep`](super::steps::ChainStep).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChainPart {
    Columns,
    Inhibition,
    IntoInhibition,
}

/// All kernels, each in its place of [`KernelId::ALL`].
///
/// # Errors
/// A source whose imports or constants do not fit.
pub(super) fn sources() -> Result<Vec<Option<KernelSource>>, GpuError> {
    let constants = constants();
    let source = |kernel: KernelId| {
        let source = resolve_imports(kernel.file(), SHADERS)?;
        Ok(Some(KernelSource {
            name: kernel.file(),
            text: with_constants(&source, &constants)?,
        }))
    };
    KernelId::ALL.into_iter().map(source).collect()
}

/// Every number that host and shaders share.
fn constants() -> Vec<(&'static str, Constant)> {
    let word = |x: usize| Constant::U32(x as u32);
    let mut all = optim::gpu::constants();
    all.extend([
        ("WG", Constant::U32(WORKGROUP)),
        ("TRIALS", word(TRIALS)),
        ("TILE", word(TILE)),
        ("TRIAL_GROUP", word(TRIAL_GROUP)),
        ("COLUMNS", word(ChainPart::Columns as usize)),
        ("INHIBITION", word(ChainPart::Inhibition as usize)),
        ("INTO_INHIBITION", word(ChainPart::IntoInhibition as usize)),
    ]);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::translate::translate;
    use crate::gpu::{component_stores, workgroup_size};

    #[test]
    fn kernels_lie_in_the_order_of_their_numbers() {
        for (number, kernel) in KernelId::ALL.into_iter().enumerate() {
            assert_eq!(kernel as usize, number);
        }
    }

    #[test]
    fn workgroups_are_as_large_as_the_host_reckons_and_write_no_component_of_a_shared_vector() {
        for (kernel, source) in KernelId::ALL.into_iter().zip(sources().unwrap()) {
            let text = source.unwrap().text;
            let expected = match kernel {
                KernelId::Gradients => [TILE as u32, TILE as u32, 1],
                _ => [WORKGROUP, 1, 1],
            };
            assert_eq!(workgroup_size(&text), expected, "{}", kernel.file());
            assert_eq!(component_stores(&text), [""; 0], "{}", kernel.file());
        }
    }

    #[test]
    fn every_kernel_translates_for_every_graphics_api() {
        for (kernel, source) in KernelId::ALL.into_iter().zip(sources().unwrap()) {
            translate(kernel.file(), &source.unwrap().text);
        }
    }

    #[test]
    fn every_shared_number_is_used_and_none_is_declared_twice() {
        let text: String = SHADERS.iter().map(|(_, text)| *text).collect();
        let words: std::collections::HashSet<&str> = text
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .collect();
        for (name, _) in constants() {
            assert!(words.contains(name), "{name} is used nowhere");
            assert!(!text.contains(&format!("const {name}:")), "{name}");
        }
    }
}
