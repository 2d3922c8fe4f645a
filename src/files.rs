//! Writing files so that a power cut or `kill -9` leaves either the old or the new content, and lines one
//! after the other.

use crate::fault::always;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Makes temporary names distinct within this process; the process id does the rest.
static NEXT_TEMPORARY: AtomicU64 = AtomicU64::new(0);

/// A file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused an operation.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb phrase ("write", "rename to").
        action: &'static str,
        /// The file or folder concerned.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The path names no file (it is empty, or ends in `..`).
    #[error("{} names no file; give a path that ends in a file name", path.display())]
    NotAFile {
        /// The path given.
        path: PathBuf,
    },
    /// A line to append held a line break, which would make two lines of it.
    #[error("the line to append to {} holds a line break", path.display())]
    LineBreak {
        /// The file it was meant for.
        path: PathBuf,
    },
}

always!(FileError => Program);

impl FileError {
    /// Wraps an I/O error with what was tried on which path; made for `map_err`.
    pub fn io<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> Self + use<'a> {
        move |source| Self::Io {
            action,
            path: path.to_path_buf(),
            source,
        }
    }
}

/// `folder/NAME` with this ending, or the first of `NAME-2`, `NAME-3` ... that is not taken.
pub fn free_path(folder: &Path, name: &str, ending: &str) -> PathBuf {
    let mut path = folder.join(format!("{name}{ending}"));
    let mut serial = 2_u64;
    while path.exists() {
        path = folder.join(format!("{name}-{serial}{ending}"));
        serial += 1;
    }
    path
}

/// Replaces the content of `path` by `bytes`, all or nothing.
///
/// # Errors
/// As [`write_atomic_with`].
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_atomic_with(path, |out| out.write_all(bytes))
}

/// Replaces the content of `path` by what `write` writes, all or nothing.
///
/// The bytes go to a temporary file in the same folder, are synced and renamed over `path`; then
/// the folder is synced, so that the new name survives a power cut too.
///
/// # Errors
/// [`FileError`] where the folder is missing or not writable or the disk is full, or `write` fails.
/// The old content is then untouched and no temporary file is left.
pub fn write_atomic_with(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), FileError> {
    let Some(name) = path.file_name() else {
        return Err(FileError::NotAFile {
            path: path.to_path_buf(),
        });
    };
    let serial = NEXT_TEMPORARY.fetch_add(1, Ordering::Relaxed);
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}-{serial}.tmp", std::process::id()));
    let temporary = path.with_file_name(hidden);

    let written = write_new(&temporary, path, write).and_then(|()| {
        fs::rename(&temporary, path).map_err(FileError::io("rename a new file to", path))
    });
    if let Err(error) = written {
        // The first error is the one worth telling; the file may also never have been made.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_folder(folder_of(path))
}

/// Writes the new file `temporary`; errors name `path`, which the user knows.
fn write_new(
    temporary: &Path,
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), FileError> {
    let file = File::create_new(temporary).map_err(FileError::io("create", path))?;
    let mut out = BufWriter::new(file);
    write(&mut out)
        .and_then(|()| out.flush())
        .map_err(FileError::io("write", path))?;
    out.get_ref()
        .sync_all()
        .map_err(FileError::io("sync", path))
}

/// Appends `line` and a line break to `path` (made if absent), synced; returns the new length in
/// bytes.
///
/// # Errors
/// [`FileError`] where the line holds a line break or the file cannot be written.
pub fn append_line_synced(path: &Path, line: &str) -> Result<u64, FileError> {
    let mut file = LineFile::open(path)?;
    let bytes = file.append(line)?;
    file.sync()?;
    Ok(bytes)
}

/// A file of lines that is kept open and synced when asked, for lines that are many.
#[derive(Debug)]
pub struct LineFile {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl LineFile {
    /// Opens `path`, made if absent, to append to it.
    ///
    /// # Errors
    /// [`FileError`] where the file cannot be made or opened.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .map_err(FileError::io("open", path))?;
        sync_folder(folder_of(path))?;
        let metadata = file
            .metadata()
            .map_err(FileError::io("read the size of", path))?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
            bytes: metadata.len(),
        })
    }

    /// Appends `line` and a line break; returns the new length in bytes.
    ///
    /// # Errors
    /// [`FileError`] where the line holds a line break or cannot be written.
    pub fn append(&mut self, line: &str) -> Result<u64, FileError> {
        let path = &self.path;
        if line.contains(['\n', '\r']) {
            return Err(FileError::LineBreak { path: path.clone() });
        }
        // One write, so that a reader following the file sees whole lines.
        self.file
            .write_all(format!("{line}\n").as_bytes())
            .map_err(FileError::io("append to", path))?;
        self.bytes += line.len() as u64 + 1;
        Ok(self.bytes)
    }

    /// Syncs what was appended.
    ///
    /// # Errors
    /// [`FileError`] where the operating system cannot.
    pub fn sync(&self) -> Result<(), FileError> {
        self.file
            .sync_all()
            .map_err(FileError::io("sync", &self.path))
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Syncs the names in a folder. Only Unix lets a folder be opened for that.
fn sync_folder(folder: &Path) -> Result<(), FileError> {
    if cfg!(unix) {
        let handle = File::open(folder).map_err(FileError::io("open folder", folder))?;
        handle
            .sync_all()
            .map_err(FileError::io("sync folder", folder))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn writing_replaces_and_leaves_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        write_atomic(&path, b"first, and longer").unwrap();
        write_atomic(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(names(folder.path()), ["config.json"]);
    }

    #[test]
    fn a_failed_write_leaves_no_temporary_file_and_names_the_path() {
        let folder = tempfile::tempdir().unwrap();
        // A folder that is not empty cannot be replaced by a file.
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("content"), b"x").unwrap();
        let error = write_atomic(&path, b"bytes").unwrap_err();
        assert!(error.to_string().contains("taken"), "{error}");
        assert_eq!(names(folder.path()), ["taken"]);

        assert!(write_atomic(&folder.path().join("absent/file"), b"bytes").is_err());
        assert!(matches!(
            write_atomic(Path::new(".."), b""),
            Err(FileError::NotAFile { .. })
        ));
    }

    #[test]
    fn appended_lines_count_their_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        assert_eq!(append_line_synced(&path, "{}").unwrap(), 3);
        assert_eq!(append_line_synced(&path, "né").unwrap(), 7);
        assert_eq!(fs::read(&path).unwrap(), "{}\nné\n".as_bytes());
        assert!(matches!(
            append_line_synced(&path, "a\nb"),
            Err(FileError::LineBreak { .. })
        ));
    }
}
