//! What the user says about the device, whatever the family.

use crate::gpu::DeviceChoice;

/// What the user says about the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceOptions {
    /// Which device.
    pub device: DeviceChoice,
    /// Worker threads of the CPU engine; 0: all cores.
    pub threads: usize,
    /// Most memory the engine may take, bytes.
    pub memory: Option<u64>,
    /// Distance of the states kept by the CPU engine; `None`: the usual one. Changes time and
    /// memory, never results.
    pub segment_steps: Option<usize>,
    /// Form of the GPU engine's backward pass; changes time, and results only on devices whose driver rounds one form
    /// otherwise than another.
    pub backward: BackwardChoice,
}

impl DeviceOptions {
    /// Worker threads, resolved.
    pub fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
    }
}

/// Who chooses the form of the backward pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackwardChoice {
    /// The fastest, by timing.
    #[default]
    Auto,
    /// The user.
    Form(BackwardForm),
}

impl BackwardChoice {
    /// Its name in options.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Form(form) => form.name(),
        }
    }

    /// The form where nothing is timed: a dispatch a step has been seen to be faster on cards.
    pub fn untimed(self, is_software: bool) -> BackwardForm {
        match self {
            Self::Form(form) => form,
            Self::Auto if is_software => BackwardForm::Persistent,
            Self::Auto => BackwardForm::PerStep,
        }
    }
}

impl std::str::FromStr for BackwardChoice {
    type Err = UnknownForm;

    fn from_str(name: &str) -> Result<Self, UnknownForm> {
        match name {
            "auto" => Ok(Self::Auto),
            name => name.parse().map(Self::Form),
        }
    }
}

/// Form of the backward pass. All give the same bits where the driver rounds as it is written; which is fastest depends
/// on the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackwardForm {
    /// Many steps a dispatch: a workgroup keeps a few trials and reads the loop weights every step.
    #[default]
    Persistent,
    /// The same with at most 4 trials a workgroup: twice the workgroups, each half the arithmetic for what it reads.
    Persistent4,
    /// A dispatch a step, which reads the loop weights once for 16 or 32 trials; a thread sums up 4 cells × 4 trials.
    /// Networks without a loop have nothing to share and run as [`BackwardForm::Persistent`].
    PerStep,
    /// The same for 32 or 64 trials, a thread sums up 8 cells × 4 trials.
    PerStep8x4,
    /// The same with 8 cells × 8 trials a thread, and half the threads.
    PerStep8x8,
}

impl BackwardForm {
    /// Every form.
    pub const ALL: [Self; 5] = [
        Self::Persistent,
        Self::Persistent4,
        Self::PerStep,
        Self::PerStep8x4,
        Self::PerStep8x8,
    ];

    /// Whether every backward step is a dispatch.
    pub fn is_per_step(self) -> bool {
        !matches!(self, Self::Persistent | Self::Persistent4)
    }

    /// Its name in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Persistent => "persistent",
            Self::Persistent4 => "persistent-4",
            Self::PerStep => "per-step",
            Self::PerStep8x4 => "per-step-8x4",
            Self::PerStep8x8 => "per-step-8x8",
        }
    }
}

/// A form of the backward pass that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no backward pass `{0}`: use auto, persistent, persistent-4, per-step, per-step-8x4 or per-step-8x8"
)]
pub struct UnknownForm(String);

impl std::str::FromStr for BackwardForm {
    type Err = UnknownForm;

    fn from_str(name: &str) -> Result<Self, UnknownForm> {
        Self::ALL
            .into_iter()
            .find(|form| form.name() == name)
            .ok_or_else(|| UnknownForm(name.to_owned()))
    }
}

/// The processor's name where the system tells it, else its architecture.
pub fn processor_name() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == "model name");
    named.map_or_else(
        || format!("{} processor", std::env::consts::ARCH),
        |(_, name)| name.trim().to_owned(),
    )
}

/// Free memory of this machine in bytes; `None` where the system does not say it in
/// `/proc/meminfo`.
pub fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    available_in(&text)
}

/// The same from the text of that file.
pub(crate) fn available_in(meminfo: &str) -> Option<u64> {
    kibibytes_of(meminfo, "MemAvailable:")
}

/// The bytes of a line `KEY 123 kB`.
pub(crate) fn kibibytes_of(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_have_names() {
        for form in BackwardForm::ALL {
            assert_eq!(form.name().parse(), Ok(form));
        }
        assert_eq!("auto".parse(), Ok(BackwardChoice::Auto));
        let form = BackwardChoice::Form(BackwardForm::PerStep);
        assert_eq!(form.name().parse(), Ok(form));
        let error = "per_step"
            .parse::<BackwardChoice>()
            .expect_err("is unknown");
        let error = error.to_string();
        assert!(error.contains("`per_step`"), "{error}");
        for form in BackwardForm::ALL {
            assert!(error.contains(form.name()), "{error}");
        }
    }
}
