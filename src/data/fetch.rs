//! Fetching MNIST from public mirrors: resumable, verified, and never half there.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use ureq::Agent;
use ureq::http::header::{CONTENT_RANGE, RANGE};

use super::DataError;
use super::samples::hex;

/// A file whose content is known beforehand.
#[derive(Clone, Copy, Debug)]
pub struct RemoteFile<'a> {
    /// Its name on the mirrors and on disk.
    pub name: &'a str,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256 in lower-case hexadecimal.
    pub sha256: &'a str,
}

/// The four files of the original MNIST.
pub const MNIST_FILES: [RemoteFile<'static>; 4] = [
    RemoteFile {
        name: "train-images-idx3-ubyte.gz",
        bytes: 9_630_634,
        sha256: "db8f937d487057fb14a9f0fbe97f0bc8d311ab41b750d41e1ff37c43b9e55e19",
    },
    RemoteFile {
        name: "train-labels-idx1-ubyte.gz",
        bytes: 28_881,
        sha256: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    },
    RemoteFile {
        name: "t10k-images-idx3-ubyte.gz",
        bytes: 1_648_877,
        sha256: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    },
    RemoteFile {
        name: "t10k-labels-idx1-ubyte.gz",
        bytes: 4_542,
        sha256: "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
];

/// Where to fetch from, and how patiently.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// Folders on the web that hold the files, tried in order.
    pub mirrors: Vec<String>,
    /// How long finding and connecting to a mirror may take.
    pub connect_timeout: Duration,
    /// How long a mirror may stay silent.
    pub read_timeout: Duration,
}

impl Default for FetchOptions {
    /// Two public mirrors; 10 s to connect, 20 s of silence.
    fn default() -> FetchOptions {
        let mirrors = [
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
        ];
        FetchOptions {
            mirrors: mirrors.map(String::from).into(),
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(20),
        }
    }
}

/// Fetches the four MNIST files into the folder `dest`, see [`fetch_files`].
///
/// # Errors
/// As for [`fetch_files`].
pub fn fetch_mnist(
    dest: &Path,
    options: &FetchOptions,
    progress: impl FnMut(&str, u64, u64),
) -> Result<(), DataError> {
    fetch_files(dest, &MNIST_FILES, options, progress)
}

/// Fetches files into the folder `dest`, which is made if need be. Files that are already there
/// are kept.
///
/// A file grows as `NAME.part`, which a later call resumes, and gets its name only once its
/// checksum is right. What a mirror sends wrong, short, too slowly or not at all is asked of the
/// next one. `progress` is called with the file's name, the bytes done and their total.
///
/// # Errors
/// No mirror gave a file (the error says what happened at each, and how to get the files by hand),
/// a different file of that name is already there, or writing fails.
pub fn fetch_files(
    dest: &Path,
    files: &[RemoteFile<'_>],
    options: &FetchOptions,
    mut progress: impl FnMut(&str, u64, u64),
) -> Result<(), DataError> {
    fs::create_dir_all(dest).map_err(DataError::io(dest, "make the folder"))?;
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_resolve(Some(options.connect_timeout))
        .timeout_connect(Some(options.connect_timeout))
        .timeout_recv_response(Some(options.read_timeout))
        .timeout_per_read(Some(options.read_timeout))
        .build()
        .into();

    for file in files {
        let target = dest.join(file.name);
        if target.exists() {
            if sha256(&target)? != file.sha256 {
                let problem = "is already there with other content than expected; move it away to fetch the original";
                return Err(DataError::malformed(&target, problem));
            }
            progress(file.name, file.bytes, file.bytes);
            continue;
        }
        let fetch = Fetch {
            agent: &agent,
            file,
            part: dest.join(format!("{}.part", file.name)),
        };
        let mut attempts = Vec::new();
        let mut is_complete = false;
        for mirror in &options.mirrors {
            match fetch.try_mirror(mirror, &mut progress)? {
                Fetched::Complete => {
                    is_complete = true;
                    break;
                }
                Fetched::Failed(reason) => attempts.push(format!("{mirror}: {reason}")),
            }
        }
        if !is_complete {
            let by_hand = by_hand(dest, files);
            return Err(DataError::Fetch {
                file: file.name.into(),
                folder: dest.into(),
                attempts,
                by_hand,
            });
        }
        fs::rename(&fetch.part, &target).map_err(DataError::io(&target, "write"))?;
    }
    Ok(())
}

/// What a mirror made of a request; errors of this machine are reported apart.
enum Fetched {
    Complete,
    Failed(String),
}

/// A file being fetched.
struct Fetch<'a> {
    agent: &'a Agent,
    file: &'a RemoteFile<'a>,
    part: PathBuf,
}

impl Fetch<'_> {
    /// Asks one mirror, again for as long as each answer brings the file forward.
    fn try_mirror(
        &self,
        mirror: &str,
        progress: &mut impl FnMut(&str, u64, u64),
    ) -> Result<Fetched, DataError> {
        let url = format!("{}/{}", mirror.trim_end_matches('/'), self.file.name);
        let mut may_start_over = true;
        loop {
            let before = self.done();
            match self.request(&url, progress)? {
                Fetched::Failed(_) if self.done() > before => continue,
                Fetched::Failed(reason) => return Ok(Fetched::Failed(reason)),
                Fetched::Complete => {}
            }
            if sha256(&self.part)? == self.file.sha256 {
                return Ok(Fetched::Complete);
            }
            self.discard()?;
            // The wrong bytes may have come from an earlier mirror or an earlier call.
            if before == 0 || !may_start_over {
                return Ok(Fetched::Failed(
                    "sent wrong bytes (the checksum differs)".into(),
                ));
            }
            may_start_over = false;
        }
    }

    /// Makes one request for what is missing and appends the answer.
    fn request(
        &self,
        url: &str,
        progress: &mut impl FnMut(&str, u64, u64),
    ) -> Result<Fetched, DataError> {
        if self.done() > self.file.bytes {
            self.discard()?;
        }
        let mut done = self.done();
        if done == self.file.bytes {
            return Ok(Fetched::Complete);
        }
        let mut request = self.agent.get(url);
        if done > 0 {
            request = request.header(RANGE, format!("bytes={done}-"));
        }
        let response = match request.call() {
            Ok(response) => response,
            Err(error) => return Ok(Fetched::Failed(error.to_string())),
        };
        let is_continued = response.status().as_u16() == 206 && {
            let range = response
                .headers()
                .get(CONTENT_RANGE)
                .and_then(|value| value.to_str().ok());
            range.is_some_and(|range| range.starts_with(&format!("bytes {done}-")))
        };
        if !is_continued {
            if response.status().as_u16() != 200 {
                return Ok(Fetched::Failed(format!("answered {}", response.status())));
            }
            // The mirror sends the whole file, whatever was asked for. A page of another length,
            // as a login portal sends, must not cost what has been fetched.
            if let Some(length) = response
                .body()
                .content_length()
                .filter(|&n| n != self.file.bytes)
            {
                return Ok(Fetched::Failed(format!(
                    "has {length} bytes instead of {}",
                    self.file.bytes
                )));
            }
            done = 0;
        }

        let local = |cause| DataError::io(&self.part, "write")(cause);
        let mut part = File::options()
            .create(true)
            .append(is_continued)
            .write(true)
            .truncate(!is_continued)
            .open(&self.part)
            .map_err(local)?;
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; 1 << 16];
        let outcome = loop {
            let count = match body.read(&mut buffer) {
                Ok(0) if done == self.file.bytes => break Fetched::Complete,
                Ok(0) => {
                    break Fetched::Failed(format!(
                        "ended after {done} of {} bytes",
                        self.file.bytes
                    ));
                }
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    break Fetched::Failed(format!("broke off after {done} bytes: {error}"));
                }
            };
            done += count as u64;
            if done > self.file.bytes {
                self.discard()?;
                return Ok(Fetched::Failed(format!(
                    "sent more than {} bytes",
                    self.file.bytes
                )));
            }
            part.write_all(&buffer[..count]).map_err(local)?;
            progress(self.file.name, done, self.file.bytes);
        };
        part.sync_all().map_err(local)?;
        Ok(outcome)
    }

    /// Bytes fetched so far.
    fn done(&self) -> u64 {
        fs::metadata(&self.part).map_or(0, |metadata| metadata.len())
    }

    fn discard(&self) -> Result<(), DataError> {
        match fs::remove_file(&self.part) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                Err(DataError::io(&self.part, "remove")(cause))
            }
            _ => Ok(()),
        }
    }
}

fn sha256(path: &Path) -> Result<String, DataError> {
    let mut hash = Sha256::new();
    let mut file = File::open(path).map_err(DataError::io(path, "open"))?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file
            .read(&mut buffer)
            .map_err(DataError::io(path, "read"))?
        {
            0 => return Ok(hex(&hash.finalize())),
            count => hash.update(&buffer[..count]),
        }
    }
}

fn by_hand(dest: &Path, files: &[RemoteFile<'_>]) -> String {
    let list: String = files
        .iter()
        .map(|file| format!("\n  {} ({} bytes)", file.name, file.bytes))
        .collect();
    format!(
        "Without a connection, put these files into {} by hand (fetch them on another machine):{list}",
        dest.display()
    )
}
