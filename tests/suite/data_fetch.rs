//! Fetching from local servers that answer rightly, wrongly, partly or not at all.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use dalenet::data::{DataError, FetchOptions, RemoteFile, fetch_files};
use sha2::{Digest, Sha256};

const NAME: &str = "file.gz";

fn content() -> Vec<u8> {
    (0..200_000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

#[derive(Clone, Copy)]
enum Behaviour {
    /// Sends what is asked for, by Range if given.
    Right,
    /// As `Right`, but with one byte changed.
    Wrong,
    /// As `Right`, but closes the connection after so many bytes of an answer.
    Truncated(usize),
    /// Always sends the whole file.
    IgnoresRange,
    /// Sends a page of another length.
    Portal,
    /// Sends more than the file, without announcing a length.
    Endless,
    NotFound,
    /// Accepts and stays silent.
    Silent,
}

/// A mirror on this machine and the `Range` headers it received ("" for none).
#[derive(Clone)]
struct Mirror {
    url: String,
    ranges: Arc<Mutex<Vec<String>>>,
}

fn serve(behaviour: Behaviour) -> Mirror {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mnist/", listener.local_addr().unwrap());
    let ranges = Arc::new(Mutex::new(Vec::new()));
    let log = ranges.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that hangs up early is part of the tests.
            let _ = answer(stream, behaviour, &log);
        }
    });
    Mirror { url, ranges }
}

fn answer(
    mut stream: TcpStream,
    behaviour: Behaviour,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut range = String::new();
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?.to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("range: bytes=") {
            range = value.to_string();
        } else if line.is_empty() {
            break;
        }
    }
    log.lock().unwrap().push(range.clone());
    let mut body = content();
    let total = body.len();
    let start: usize = range.trim_end_matches('-').parse().unwrap_or(0);
    let mut length = None;
    let mut sent = usize::MAX;
    match behaviour {
        Behaviour::Right | Behaviour::IgnoresRange => {}
        Behaviour::Wrong => body[total - 1] ^= 1,
        Behaviour::Truncated(bytes) => sent = bytes,
        Behaviour::Portal => body = b"<html>please log in</html>".to_vec(),
        Behaviour::Endless => {
            body.extend(content());
            length = Some(String::new());
        }
        Behaviour::NotFound => {
            return stream.write_all(
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            );
        }
        Behaviour::Silent => {
            thread::sleep(Duration::from_secs(5));
            return Ok(());
        }
    }
    let is_partial = start > 0
        && !matches!(
            behaviour,
            Behaviour::IgnoresRange | Behaviour::Portal | Behaviour::Endless
        );
    let body = if is_partial {
        &body[start..]
    } else {
        &body[..]
    };
    let status = if is_partial {
        format!(
            "206 Partial Content\r\nContent-Range: bytes {start}-{}/{total}",
            total - 1
        )
    } else {
        "200 OK".into()
    };
    let length = length.unwrap_or(format!("Content-Length: {}\r\n", body.len()));
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{length}Connection: close\r\n\r\n"
    )?;
    stream.write_all(&body[..body.len().min(sent)])
}

fn fetch(dest: &Path, mirrors: &[&Mirror]) -> Result<Vec<u64>, DataError> {
    let digest: String = Sha256::digest(content())
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let file = RemoteFile {
        name: NAME,
        bytes: content().len() as u64,
        sha256: &digest,
    };
    let options = FetchOptions {
        mirrors: mirrors.iter().map(|mirror| mirror.url.clone()).collect(),
        connect_timeout: Duration::from_secs(2),
        read_timeout: Duration::from_millis(300),
    };
    let mut seen = Vec::new();
    fetch_files(dest, &[file], &options, |_, done, _| seen.push(done))?;
    assert_eq!(fs::read(dest.join(NAME)).unwrap(), content());
    assert!(!dest.join("file.gz.part").exists());
    Ok(seen)
}

fn ranges(mirror: &Mirror) -> Vec<String> {
    mirror.ranges.lock().unwrap().clone()
}

#[test]
fn a_right_mirror_is_enough_and_asked_once() {
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("new/folder");
    let mirror = serve(Behaviour::Right);
    let seen = fetch(&dest, &[&mirror]).unwrap();
    assert!(seen.is_sorted() && seen.last() == Some(&200_000));
    fetch(&dest, &[&mirror]).unwrap();
    assert_eq!(
        ranges(&mirror),
        [""],
        "a file that is there is not fetched again"
    );
}

#[test]
fn a_truncated_answer_is_resumed() {
    let dir = tempfile::tempdir().unwrap();
    let mirror = serve(Behaviour::Truncated(90_000));
    fetch(dir.path(), &[&mirror]).unwrap();
    assert_eq!(ranges(&mirror), ["", "90000-", "180000-"]);
}

#[test]
fn an_earlier_call_is_resumed_at_the_next_mirror() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file.gz.part"), &content()[..50_000]).unwrap();
    let (portal, right) = (serve(Behaviour::Portal), serve(Behaviour::Right));
    fetch(dir.path(), &[&portal, &right]).unwrap();
    assert_eq!(
        (ranges(&portal).len(), ranges(&right)),
        (1, vec!["50000-".to_string()])
    );
}

#[test]
fn a_mirror_without_ranges_starts_again() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file.gz.part"), &content()[..50_000]).unwrap();
    fetch(dir.path(), &[&serve(Behaviour::IgnoresRange)]).unwrap();
}

#[test]
fn a_spoilt_beginning_is_thrown_away() {
    let dir = tempfile::tempdir().unwrap();
    for spoilt in [vec![7; 50_000], vec![7; 200_000], vec![7; 300_000]] {
        fs::write(dir.path().join("file.gz.part"), spoilt).unwrap();
        fetch(dir.path(), &[&serve(Behaviour::Right)]).unwrap();
        fs::remove_file(dir.path().join(NAME)).unwrap();
    }
}

#[test]
fn bad_mirrors_are_passed_over() {
    use Behaviour::*;
    let dir = tempfile::tempdir().unwrap();
    let mirrors = [
        Wrong,
        NotFound,
        Portal,
        Endless,
        Silent,
        Truncated(0),
        Right,
    ]
    .map(serve);
    let start = Instant::now();
    fetch(dir.path(), &mirrors.each_ref()).unwrap();
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "a silent mirror must not hold up"
    );
    assert!(mirrors.iter().all(|mirror| !ranges(mirror).is_empty()));
}

#[test]
fn without_a_mirror_the_error_says_what_to_do() {
    use Behaviour::*;
    let dir = tempfile::tempdir().unwrap();
    let mut mirrors = [Wrong, NotFound, Silent, Endless].map(serve).to_vec();
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    mirrors.push(Mirror {
        url: format!("http://{gone}"),
        ranges: Arc::default(),
    });
    let message = fetch(dir.path(), &mirrors.iter().collect::<Vec<_>>())
        .unwrap_err()
        .to_string();
    let folder = dir.path().display().to_string();
    let reasons = [
        "checksum differs",
        "404",
        "timeout",
        "more than 200000",
        &gone.to_string(),
    ];
    for part in reasons
        .into_iter()
        .chain(["file.gz (200000 bytes)", "by hand", &folder])
    {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
    assert!(
        !dir.path().join(NAME).exists(),
        "nothing unverified gets the file's name"
    );
}

#[test]
fn a_different_file_of_that_name_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(NAME), b"mine").unwrap();
    let mirror = serve(Behaviour::Right);
    let message = fetch(dir.path(), &[&mirror]).unwrap_err().to_string();
    assert!(message.contains("move it away"), "{message}");
    assert_eq!(fs::read(dir.path().join(NAME)).unwrap(), b"mine");
    assert!(ranges(&mirror).is_empty());
}
