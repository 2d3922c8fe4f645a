//! Kernels in the languages of all graphics APIs, as the program itself would hand them over there: for tests on
//! machines that have but one of them.

use naga::back::{hlsl, msl, spv};
use naga::front::wgsl;
use naga::valid::{Capabilities, ValidationFlags, Validator};

/// A kernel in another language.
pub(crate) struct Translation {
    /// `msl`, `hlsl` or `spv`.
    pub(crate) language: &'static str,
    /// Its file.
    pub(crate) bytes: Vec<u8>,
}

/// WGSL in the language of Metal, of DirectX 12 and of Vulkan.
///
/// # Errors
/// What a translator has to say.
pub(crate) fn translations(source: &str) -> Result<[Translation; 3], String> {
    let module = wgsl::parse_str(source).map_err(|e| e.to_string())?;
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
    let info = validator.validate(&module).map_err(|e| e.to_string())?;
    let options = msl::Options {
        lang_version: (2, 3),
        ..msl::Options::default()
    };
    let (metal, _) = msl::write_string(&module, &info, &options, &msl::PipelineOptions::default())
        .map_err(|e| format!("msl: {e}"))?;
    let mut direct = String::new();
    let options = hlsl::Options::default();
    let pipeline = hlsl::PipelineOptions::default();
    hlsl::Writer::new(&mut direct, &options, &pipeline)
        .write(&module, &info, None)
        .map_err(|e| format!("hlsl: {e}"))?;
    let vulkan = spv::write_vec(&module, &info, &spv::Options::default(), None)
        .map_err(|e| format!("spv: {e}"))?;
    let vulkan = vulkan.into_iter().flat_map(u32::to_le_bytes).collect();
    Ok([
        Translation {
            language: "msl",
            bytes: metal.into_bytes(),
        },
        Translation {
            language: "hlsl",
            bytes: direct.into_bytes(),
        },
        Translation {
            language: "spv",
            bytes: vulkan,
        },
    ])
}

/// Translates a kernel into all languages; where `DALENET_TRANSLATIONS` names a folder, they are written there, for
/// compilers that this machine has.
///
/// # Panics
/// A kernel that cannot be translated.
#[allow(clippy::panic, clippy::unwrap_used)] // it runs in tests alone
pub(crate) fn translate(name: &str, source: &str) {
    let translations = translations(source).unwrap_or_else(|error| panic!("{name}: {error}"));
    for Translation { language, bytes } in translations {
        assert!(bytes.len() > 200, "{name}: {language}");
        if let Ok(folder) = std::env::var("DALENET_TRANSLATIONS") {
            let file = name.replace('/', "_").replace(".wgsl", "");
            let path = std::path::Path::new(&folder)
                .join(file)
                .with_extension(language);
            std::fs::write(path, bytes).unwrap();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::translations;

    #[test]
    fn what_no_api_understands_is_said() {
        let kernel = |body: &str| format!("@compute @workgroup_size(1) fn main() {{ {body} }}");
        assert!(translations(&kernel("var x = 1u; x += 1u;")).is_ok());
        assert!(translations(&kernel("let x = y;")).is_err());
    }
}
