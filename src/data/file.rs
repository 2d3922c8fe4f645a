//! Reading no more than was promised, and writing all or nothing.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::DataError;

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

/// Writes a file under a temporary name beside `path`, syncs it and renames it into place.
pub(crate) fn write_atomically<F>(path: &Path, write: F) -> Result<(), DataError>
where
    F: FnOnce(&mut BufWriter<File>) -> io::Result<()>,
{
    let temporary = temporary_name(path);
    let result = File::create_new(&temporary)
        .and_then(|file| {
            let mut out = BufWriter::new(file);
            write(&mut out)?;
            out.flush()?;
            out.get_ref().sync_all()
        })
        .and_then(|()| fs::rename(&temporary, path));
    result.map_err(|cause| {
        // The first error is the one worth reporting.
        let _ = fs::remove_file(&temporary);
        DataError::io(path, "write")(cause)
    })
}

fn temporary_name(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}-{count}.tmp", std::process::id()))
}
