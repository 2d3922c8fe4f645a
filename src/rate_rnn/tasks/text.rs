//! Text by words or characters: what comes next, at every step.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Inputs, Sequences, hash};
use crate::data::{DataError, Split};
use crate::random::{Purpose, Stream};
use crate::rate_rnn::batch::Targets;
use crate::rate_rnn::settings::{Text, TextUnit};
use crate::text::count;

/// Largest text, bytes.
const MOST_BYTES: u64 = 1 << 30;

/// What words and characters that are seldom met count as.
const UNKNOWN: &str = "<unk>";

/// Sentences that the built-in grammar makes.
const SENTENCES: usize = 6000;

/// Reads or makes a text and cuts it into pieces; `place` is the folder or file where the user's text is now.
pub(super) fn load(
    settings: &Text,
    seed: u64,
    place: Option<&Path>,
) -> Result<Sequences, DataError> {
    let (train, name, origin) = match &settings.path {
        Some(path) => {
            let path = found(path, place);
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            (read(&path)?, stem.into_owned(), path.display().to_string())
        }
        None => (grammar(seed), "sentences".to_owned(), "built-in".to_owned()),
    };
    let mut train = tokens(&train, settings.unit);
    let test = match &settings.test_path {
        Some(path) => tokens(&read(&found(path, place))?, settings.unit),
        None => train.split_off(train.len() - train.len() / 10),
    };
    let vocabulary = vocabulary(&train, settings.vocabulary);
    let unknown = vocabulary.get(UNKNOWN).copied();
    let numbers = |tokens: &[String]| -> Vec<u32> {
        let number = |token: &String| vocabulary.get(token).copied().or(unknown);
        tokens.iter().filter_map(number).collect()
    };
    let test_steps = test.len();
    let (train, test) = (numbers(&train), numbers(&test));
    let left_out = test_steps - test.len();
    let warnings = match left_out {
        0 => Vec::new(),
        _ => vec![format!(
            "{} of the text to test on left out, which the text to train on does not know",
            count(left_out, "step", "steps")
        )],
    };
    let steps = settings.steps;
    let pieces = |tokens: &[u32]| tokens.len().saturating_sub(1) / steps;
    if pieces(&train) == 0 || pieces(&test) == 0 {
        return Err(DataError::Setting {
            setting: "data.text.steps",
            value: steps.to_string(),
            problem: format!(
                "a piece is longer than the text, which has {} to train on and {} to test on",
                count(train.len(), "step", "steps"),
                test.len()
            ),
        });
    }
    let (mut inputs, mut targets) = (Vec::new(), Vec::new());
    for tokens in [&train, &test] {
        let used = pieces(tokens) * steps;
        inputs.extend_from_slice(&tokens[..used]);
        targets.extend_from_slice(&tokens[1..=used]);
    }
    let (first, all) = (pieces(&train), pieces(&train) + pieces(&test));
    let split = Split {
        train: (0..first).collect(),
        validation: Vec::new(),
        test: (first..all).collect(),
    };
    let (inputs, targets) = (Inputs::OneOf(Arc::new(inputs)), Targets::Classes(targets));
    Ok(Sequences {
        name,
        origin,
        warnings,
        sha256: hash(&inputs, &targets, &split),
        steps,
        n_in: vocabulary.len(),
        n_out: vocabulary.len(),
        split,
        inputs,
        targets,
        per_sample: steps,
    })
}

/// Where a file of the configuration is: where it says, or of its name in the folder named now.
fn found(path: &str, place: Option<&Path>) -> PathBuf {
    let path = PathBuf::from(path);
    match (place, path.file_name()) {
        (Some(folder), Some(name)) if folder.is_dir() => folder.join(name),
        (Some(file), _) if file.is_file() && file.file_name() == path.file_name() => {
            file.to_path_buf()
        }
        _ => path,
    }
}

fn read(path: &Path) -> Result<String, DataError> {
    let io = |action| {
        move |cause| DataError::Io {
            path: path.to_path_buf(),
            action,
            cause,
        }
    };
    let malformed = |problem: String| DataError::Malformed {
        path: path.to_path_buf(),
        problem,
    };
    let bytes = std::fs::metadata(path).map_err(io("open"))?.len();
    if bytes > MOST_BYTES {
        return Err(malformed(format!(
            "{bytes} bytes are more than the {MOST_BYTES} allowed"
        )));
    }
    let content = std::fs::read(path).map_err(io("read"))?;
    String::from_utf8(content).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        malformed(format!("byte {at} is no UTF-8 text"))
    })
}

fn tokens(text: &str, unit: TextUnit) -> Vec<String> {
    match unit {
        TextUnit::Characters => text.chars().map(String::from).collect(),
        TextUnit::Words => {
            let of_line = |line: &str| {
                let words = line.split_whitespace().map(str::to_owned);
                words.chain(["<eos>".to_owned()]).collect::<Vec<_>>()
            };
            text.lines().flat_map(of_line).collect()
        }
    }
}

/// A number for each of the `most` tokens met most often, in alphabetical order; one of them is the unknown token where
/// there are more.
fn vocabulary(tokens: &[String], most: usize) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::<&String, usize>::new();
    for token in tokens {
        *counts.entry(token).or_default() += 1;
    }
    let mut ranked: Vec<(&String, usize)> = counts.into_iter().collect();
    ranked.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let mut kept: Vec<String> = Vec::new();
    if ranked.len() > most {
        ranked.truncate(most - 1);
        kept.push(UNKNOWN.to_owned());
    }
    kept.extend(ranked.into_iter().map(|(token, _)| token.clone()));
    kept.sort();
    kept.dedup();
    (0u32..)
        .zip(kept)
        .map(|(number, token)| (token, number))
        .collect()
}

/// Sentences of a small grammar, a line each, drawn by `seed`: a subject, perhaps with a clause about it, agrees with
/// its verb in number, however many words stand between.
fn grammar(seed: u64) -> String {
    const NOUNS: [[&str; 2]; 5] = [
        ["cell", "cells"],
        ["axon", "axons"],
        ["spike", "spikes"],
        ["synapse", "synapses"],
        ["circuit", "circuits"],
    ];
    const VERBS: [[&str; 2]; 4] = [
        ["excites", "excite"],
        ["inhibits", "inhibit"],
        ["drives", "drive"],
        ["follows", "follow"],
    ];
    const ADVERBS: [&str; 4] = ["often", "slowly", "strongly", "never"];
    let mut text = String::new();
    for sentence in 0..SENTENCES {
        let mut stream = Stream::new(Purpose::Sequences, seed, sentence as u64, 1);
        let mut pick = |n: usize| stream.below(n as u64) as usize;
        let number = pick(2);
        let mut words = vec!["the", NOUNS[pick(5)][number]];
        if pick(2) == 0 {
            let other = pick(2);
            words.extend(["that", "the", NOUNS[pick(5)][other], VERBS[pick(4)][other]]);
        }
        words.push(VERBS[pick(4)][number]);
        words.extend(["the", NOUNS[pick(5)][pick(2)]]);
        if pick(3) == 0 {
            words.push(ADVERBS[pick(4)]);
        }
        text += &words.join(" ");
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_of_a_step_is_the_token_of_the_next() {
        let settings = Text {
            steps: 7,
            ..Text::default()
        };
        let text = load(&settings, 3, None).unwrap();
        assert!(text.n_in == text.n_out && text.n_in < 30 && text.has_classes());
        let batch = text.batch(&[4, 9]);
        let Targets::Classes(classes) = &batch.targets else {
            panic!("classes")
        };
        for step in 0..6 {
            for trial in 0..2 {
                let next = &batch.x[((step + 1) * 2 + trial) * text.n_in..][..text.n_in];
                let class = next.iter().position(|&x| x == 1.0).unwrap();
                assert_eq!(classes[step * 2 + trial] as usize, class);
                assert_eq!(next.iter().sum::<f32>(), 1.0);
            }
        }
    }

    #[test]
    fn seldom_words_are_one_and_ends_of_lines_are_words() {
        let all = tokens("a a b\nc a b", TextUnit::Words);
        assert_eq!(all, ["a", "a", "b", "<eos>", "c", "a", "b", "<eos>"]);
        let kept: Vec<_> = vocabulary(&all, 3).into_keys().collect();
        assert_eq!(
            kept,
            [UNKNOWN, "<eos>", "a"]
                .map(str::to_owned)
                .into_iter()
                .collect::<std::collections::BTreeSet<_>>()
                .into_iter()
                .collect::<Vec<_>>()
        );
        assert_eq!(vocabulary(&all, 9).len(), 4);
        assert_eq!(tokens("ab\n", TextUnit::Characters), ["a", "b", "\n"]);
    }

    #[test]
    fn a_text_too_short_or_of_other_bytes_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("short.txt");
        let settings = Text {
            path: Some(path.display().to_string()),
            ..Text::default()
        };
        std::fs::write(&path, "too short").unwrap();
        let message = load(&settings, 1, None).unwrap_err().to_string();
        assert!(message.contains("data.text.steps = 35"), "{message}");
        std::fs::write(&path, [b'a', 0xff]).unwrap();
        let message = load(&settings, 1, None).unwrap_err().to_string();
        assert!(
            message.contains("short.txt") && message.contains("byte 1"),
            "{message}"
        );
    }
}
