//! What a dispatch is told: the host side of a kernel's `Step` uniform, and of its switches.

use bytemuck::Pod;

/// The host's copy of a kernel's `Step` structure.
pub trait Uniform: Pod {
    /// Padded to the size of the largest of a program.
    fn words<const WORDS: usize>(&self) -> [u32; WORDS] {
        let mut words = [0; WORDS];
        let own: &[u32] = bytemuck::cast_slice(std::slice::from_ref(self));
        words[..own.len()].copy_from_slice(own);
        words
    }

    /// Name and offset of every field, in their order.
    fn fields() -> Vec<(&'static str, usize)>;
}

/// A structure of 32-bit words that is a [`Uniform`].
macro_rules! uniform {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, bytemuck::Pod, bytemuck::Zeroable)]
        pub(crate) struct $name {
            $(pub(crate) $field: $type),*
        }

        impl $crate::gpu::Uniform for $name {
            fn fields() -> Vec<(&'static str, usize)> {
                vec![$((stringify!($field), std::mem::offset_of!($name, $field))),*]
            }
        }
    };
}

/// A module of switches, each a bit, with the list of all for the shaders.
macro_rules! flags {
    ($(#[$doc:meta])* $module:ident { $($(#[$flag_doc:meta])* $flag:ident = $bit:literal),* $(,)? }) => {
        $(#[$doc])*
        pub(crate) mod $module {
            $($(#[$flag_doc])* pub(crate) const $flag: u32 = 1 << $bit;)*

            /// Name and value of every flag, for the shaders.
            pub(crate) const ALL: &[(&str, u32)] = &[$((stringify!($flag), $flag)),*];
        }
    };
}

pub(crate) use {flags, uniform};

/// Whether the host's `fields` of a kernel's `Step` lie as the shader reads them.
#[cfg(test)]
pub(crate) fn agrees<T: Pod>(fields: &[(&str, usize)], shader: &str) -> Result<(), String> {
    // The struct stands alone: constants and imports of the shader are not needed to lay it out.
    let begin = shader.find("struct Step {").ok_or("has no Step")?;
    let end = begin + shader[begin..].find('}').ok_or("is not closed")? + 1;
    let layout = super::struct_layout(&shader[begin..end], "Step").map_err(|e| e.to_string())?;
    let theirs: Vec<(&str, usize)> = (layout.fields.iter())
        .map(|(name, offset, _)| (name.as_str(), *offset as usize))
        .collect();
    if theirs != fields || layout.size_bytes as usize != size_of::<T>() {
        return Err(format!("{theirs:?} but the host has {fields:?}"));
    }
    Ok(())
}
