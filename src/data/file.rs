//! Reading no more than was promised.

use std::io::Read;

/// The most bytes one array may hold (4 GiB): a small compressed file can promise any amount.
pub(crate) const MAX_ARRAY_BYTES: u64 = 1 << 32;

/// Reads exactly `promised` bytes and then the end of the stream.
///
/// The buffer grows with what arrives, never with what a header says; of anything more than
/// promised one byte is read. The error says what was found.
pub(crate) fn read_promised(reader: &mut impl Read, promised: u64) -> Result<Vec<u8>, String> {
    if promised > MAX_ARRAY_BYTES {
        return Err(format!(
            "its header promises {promised} bytes of data; at most {MAX_ARRAY_BYTES} are read"
        ));
    }
    let mut bytes = Vec::new();
    reader
        .take(promised + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| {
            format!(
                "broken after {} of {promised} bytes of data: {error}",
                bytes.len()
            )
        })?;
    match bytes.len() as u64 {
        found if found < promised => Err(format!(
            "cut short: {found} bytes of data, but the header promises {promised}"
        )),
        found if found > promised => Err(format!(
            "more data than the {promised} bytes the header promises"
        )),
        _ => Ok(bytes),
    }
}
