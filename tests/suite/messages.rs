//! Every sentence the program can say, in one list, held to the rules a reader expects:
//! `cargo test --test suite messages -- --nocapture` prints it.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Literal, TokenStream, TokenTree};

/// Wordings that a native reader stumbles over, with what is said instead.
const WORDINGS: [(&str, &str); 9] = [
    ("upright line", "vertical line"),
    ("stopped on the way", "interrupted"),
    ("drawn digits", "synthetic digits"),
    ("go on with", "continue with"),
    ("trials answered", "trials classified"),
    ("divided by varied", "the values, or that they differ"),
    ("beside its ceilings", "compared with its measured ceilings"),
    ("an vertical", "a vertical"),
    ("(s)", "`text::count`"),
];

/// Things that are counted: one of them needs another word, which `text::count` chooses.
const COUNTED: [&str; 19] = [
    "answers", "batches", "cells", "classes", "cycles", "epochs", "images", "inputs", "labels",
    "pairs", "points", "runs", "samples", "seeds", "spikes", "steps", "threads", "trials",
    "values",
];

/// A text of the program and the file it stands in.
struct Message {
    file: PathBuf,
    text: String,
}

/// The Rust files below `folder` that are part of the program: none that hold tests alone.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the sources are there") {
        let path = entry.expect("can be read").path();
        let name = path.file_stem().unwrap_or_default();
        if name == "tests" || name == "fixtures" {
            continue;
        }
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The texts among these tokens, but for modules of tests. Documentation counts where it is shown to
/// the user: as help, or in a schema.
fn texts(tokens: TokenStream, is_shown: bool, found: &mut Vec<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is_word =
        |at: usize, word: &str| matches!(tokens.get(at), Some(TokenTree::Ident(i)) if i == word);
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Group(attribute)
                if attribute.delimiter() == Delimiter::Bracket
                    && attribute.stream().to_string().replace(' ', "") == "cfg(test)"
                    && is_word(at + 1, "mod") =>
            {
                // `mod`, its name and its block.
                at += 3;
            }
            TokenTree::Group(group) => {
                let is_doc = |token: TokenTree| matches!(token, TokenTree::Ident(i) if i == "doc");
                if is_shown || !group.stream().into_iter().next().is_some_and(is_doc) {
                    texts(group.stream(), is_shown, found);
                }
            }
            TokenTree::Literal(literal) => found.extend(sentence(literal)),
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
        at += 1;
    }
}

/// What a literal says, if it is a text of two words or more.
fn sentence(literal: &Literal) -> Option<String> {
    let syn::Lit::Str(text) = syn::Lit::new(literal.clone()) else {
        return None;
    };
    let text = text.value();
    let is_word = |word: &&str| word.chars().filter(|c| c.is_alphabetic()).count() > 1;
    (text.split_whitespace().filter(is_word).count() > 1).then_some(text)
}

fn messages() -> Vec<Message> {
    let mut files = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    sources(&root.join("src"), &mut files);
    files.sort();
    let mut all = Vec::new();
    for path in files {
        let file = path.strip_prefix(root).expect("is below").to_owned();
        let is_shown = ["src/cli", "src/config", "src/study/spec.rs"]
            .iter()
            .any(|shown| file.starts_with(shown));
        let source = fs::read_to_string(&path).expect("is text");
        let mut found = Vec::new();
        texts(source.parse().expect("is Rust"), is_shown, &mut found);
        all.extend(found.into_iter().map(|text| Message {
            file: file.clone(),
            text,
        }));
    }
    all
}

/// Where a number stands before a fixed plural, as in `{} epochs`: for one it would be wrong. Names
/// (`{name} cells`), bars and constants (`{MOST} trials`) are no such numbers.
fn fixed_plural(text: &str) -> Option<&str> {
    COUNTED.into_iter().find_map(|noun| {
        text.match_indices(&format!("}} {noun}"))
            .find_map(|(end, found)| {
                let after = text[end + found.len()..].chars().next();
                let start = text[..end].rfind('{')?;
                let placeholder = text[start + 1..end].split(':').next().unwrap_or_default();
                let is_constant = placeholder.chars().any(char::is_alphabetic)
                    && placeholder == placeholder.to_uppercase();
                let is_number = !is_constant && !matches!(placeholder, "name" | "bar");
                let ends = after.is_none_or(|c| !c.is_alphanumeric() && c != '/');
                (is_number && ends).then(|| &text[start..end + found.len()])
            })
    })
}

#[test]
fn every_message_reads_well() {
    let messages = messages();
    let mut wrong = Vec::new();
    for Message { file, text } in &messages {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        println!("{}: {text}", file.display());
        for (wording, instead) in WORDINGS {
            if text.contains(wording) {
                wrong.push(format!("{}: say {instead:?}: {text}", file.display()));
            }
        }
        if let Some(plural) = fixed_plural(&text) {
            wrong.push(format!("{}: count {plural:?}: {text}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(messages.len() > 1000, "{} messages", messages.len());
    let has = |part: &str| messages.iter().any(|m| m.text.contains(part));
    assert!(has("MNIST was not found"), "an error's words");
    assert!(has("Passes over the training samples"), "a setting's words");
}

#[test]
fn a_number_before_a_plural_is_seen() {
    assert_eq!(fixed_plural("all {} epochs"), Some("{} epochs"));
    assert_eq!(fixed_plural("{left:.0} steps."), Some("{left:.0} steps"));
    for fine in ["{name} cells", "{MOST} trials", "{} samples/s", "epochs {}"] {
        assert_eq!(fixed_plural(fine), None);
    }
    let mut found = Vec::new();
    let source =
        r#"const A: &str = "is shown"; #[cfg(test)] mod tests { const B: &str = "is hidden"; }"#;
    texts(source.parse().unwrap(), false, &mut found);
    assert_eq!(found, ["is shown"]);
}
