//! Which device a run uses, and why.

use std::fmt;
use std::str::FromStr;

use super::adapter::{Adapter, AdapterInfo, adapters};
use super::error::GpuError;

/// The device a user asks for: `auto`, `gpu`, `cpu`, or an adapter's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The best hardware GPU, else the CPU engine.
    #[default]
    Auto,
    /// The best hardware GPU, else a software rasteriser.
    Gpu,
    /// The CPU engine.
    Cpu,
    /// The adapter with this number in [`super::list_adapters`].
    Index(usize),
}

impl FromStr for DeviceChoice {
    type Err = GpuError;

    fn from_str(text: &str) -> Result<Self, GpuError> {
        match text {
            "auto" => Ok(Self::Auto),
            "gpu" => Ok(Self::Gpu),
            "cpu" => Ok(Self::Cpu),
            _ => text
                .parse()
                .map(Self::Index)
                .map_err(|_| GpuError::BadDeviceChoice {
                    text: text.to_owned(),
                }),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Gpu => f.write_str("gpu"),
            Self::Cpu => f.write_str("cpu"),
            Self::Index(index) => write!(f, "{index}"),
        }
    }
}

/// What a [`DeviceChoice`] came to, and why in one sentence.
#[derive(Debug, Clone)]
pub enum Selection {
    /// Run on this adapter.
    Adapter {
        /// The adapter.
        adapter: Box<Adapter>,
        /// Why this one.
        reason: String,
    },
    /// Run on the CPU engine.
    CpuEngine {
        /// Why.
        reason: String,
    },
}

impl Selection {
    /// The sentence that says what was selected and why.
    pub fn reason(&self) -> &str {
        match self {
            Self::Adapter { reason, .. } | Self::CpuEngine { reason } => reason,
        }
    }
}

/// Resolves `choice` on this machine.
///
/// # Errors
/// [`GpuError::NoAdapter`] where `gpu` finds no adapter at all or a number is out of range.
pub fn select(choice: DeviceChoice) -> Result<Selection, GpuError> {
    if choice == DeviceChoice::Cpu {
        let reason = "CPU engine, chosen with --device cpu".to_owned();
        return Ok(Selection::CpuEngine { reason });
    }
    let mut adapters = adapters();
    let infos: Vec<_> = adapters
        .iter()
        .map(|adapter| adapter.info.clone())
        .collect();
    let (index, reason) = decide(choice, &infos)?;
    Ok(match index {
        Some(index) => {
            let adapter = Box::new(adapters.swap_remove(index));
            Selection::Adapter { adapter, reason }
        }
        None => Selection::CpuEngine { reason },
    })
}

/// What [`select`] would say of `choice` on a machine with these `adapters`, as
/// [`super::list_adapters`] lists them: loading the drivers once is enough to show both.
///
/// # Errors
/// Those of [`select`].
pub fn reason_for(choice: DeviceChoice, adapters: &[AdapterInfo]) -> Result<String, GpuError> {
    decide(choice, adapters).map(|(_, reason)| reason)
}

/// The decision of [`select`]: an adapter's index or none for the CPU engine, and the reason.
/// `adapters` are sorted best first.
fn decide(
    choice: DeviceChoice,
    adapters: &[AdapterInfo],
) -> Result<(Option<usize>, String), GpuError> {
    let no_adapter = || GpuError::NoAdapter {
        wanted: choice.to_string(),
        found: one_line_list(adapters),
    };
    let hardware = adapters.iter().find(|info| !info.kind.is_software());
    match (choice, hardware) {
        (DeviceChoice::Cpu, _) => Ok((None, "CPU engine, chosen with --device cpu".to_owned())),
        (DeviceChoice::Auto | DeviceChoice::Gpu, Some(info)) => Ok((
            Some(info.index),
            format!(
                "{} ({}): the best hardware GPU of this machine",
                info.name, info.kind
            ),
        )),
        (DeviceChoice::Auto, None) if adapters.is_empty() => {
            Ok((None, "CPU engine: no GPU was found".to_owned()))
        }
        (DeviceChoice::Auto, None) => Ok((
            None,
            format!(
                "CPU engine: no hardware GPU was found, and its software adapter ({}) \
                 is slower than native code",
                one_line_list(adapters)
            ),
        )),
        (DeviceChoice::Gpu, None) => {
            let info = adapters.first().ok_or_else(no_adapter)?;
            let reason = format!(
                "{} (software): there is no hardware GPU, and a GPU was asked for",
                info.name
            );
            Ok((Some(info.index), reason))
        }
        (DeviceChoice::Index(index), _) => {
            let info = adapters.get(index).ok_or_else(no_adapter)?;
            let reason = format!(
                "{} ({}): adapter {index}, chosen with --device",
                info.name, info.kind
            );
            Ok((Some(index), reason))
        }
    }
}

fn one_line_list(adapters: &[AdapterInfo]) -> String {
    if adapters.is_empty() {
        return "none".to_owned();
    }
    let names: Vec<_> = adapters
        .iter()
        .map(|info| {
            format!(
                "{} = {} ({}, {})",
                info.index, info.name, info.backend, info.kind
            )
        })
        .collect();
    names.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::adapter::AdapterKind;
    use crate::gpu::adapter::tests::fake;

    #[test]
    fn choices_parse_and_print() {
        for text in ["auto", "gpu", "cpu", "0", "12"] {
            let choice: DeviceChoice = text.parse().expect("valid choice");
            assert_eq!(choice.to_string(), text);
        }
        for text in ["", "GPU", "-1", "1.5", "cuda"] {
            let error = text.parse::<DeviceChoice>().expect_err("invalid choice");
            assert!(error.to_string().contains(&format!("`{text}`")), "{error}");
        }
    }

    #[test]
    fn decisions_follow_the_rules() {
        let both = [
            fake(0, "Card", AdapterKind::Discrete),
            fake(1, "Raster", AdapterKind::Software),
        ];
        let software = [fake(0, "Raster", AdapterKind::Software)];
        let decide = |choice, adapters: &[_]| decide(choice, adapters).map(|(index, _)| index);

        assert_eq!(decide(DeviceChoice::Auto, &both), Ok(Some(0)));
        assert_eq!(decide(DeviceChoice::Gpu, &both), Ok(Some(0)));
        assert_eq!(decide(DeviceChoice::Index(1), &both), Ok(Some(1)));
        assert_eq!(decide(DeviceChoice::Cpu, &both), Ok(None));
        assert_eq!(decide(DeviceChoice::Auto, &software), Ok(None));
        assert_eq!(decide(DeviceChoice::Gpu, &software), Ok(Some(0)));
        assert_eq!(decide(DeviceChoice::Auto, &[]), Ok(None));

        let error = decide(DeviceChoice::Index(2), &both).expect_err("out of range");
        assert!(error.to_string().contains("1 = Raster"), "{error}");
        let error = decide(DeviceChoice::Gpu, &[]).expect_err("no adapter");
        assert!(error.to_string().contains("mesa-vulkan-drivers"), "{error}");
    }
}
