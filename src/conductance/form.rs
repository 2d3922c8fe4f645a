//! Which form of the backward pass a run takes on a GPU: the one that was asked for, the one that it began with, the one
//! that is known to be fastest there, or the one that is timed to be. All forms give the same bits where the driver
//! rounds as it is written; where it does not, the manifest of the run decides.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::device::{BackwardChoice, BackwardForm};
use crate::files::write_atomic;
use crate::text::number;

/// Times of the forms instead of measured ones, as `persistent=5,per-step=3`, in milliseconds, a form that is not named
/// fails: for tests.
const FAKE_MS: &str = "DALENET_FAKE_FORM_MS";

/// A form and why it was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The form.
    pub form: BackwardForm,
    /// Why, for the user and the manifest.
    pub why: String,
}

/// Which device computes which network, as the cache of a user knows it: what else is equal, another program or driver
/// may be faster in another way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormKey(pub String);

/// Chooses a form. `recorded` is the one that the run began with on this device; `time` measures a batch, ms; a device
/// that is not to be timed gets the form that suits it by rule.
///
/// # Errors
/// What `time` fails with, if it does for every form.
pub fn choose<E: std::fmt::Display>(
    asked: BackwardChoice,
    recorded: Option<BackwardForm>,
    is_software: bool,
    key: &FormKey,
    cache: &FormCache,
    time: &mut dyn FnMut(BackwardForm) -> Result<f64, E>,
) -> Result<Chosen, E> {
    let chosen = |form, why: &str| {
        Ok(Chosen {
            form,
            why: why.to_owned(),
        })
    };
    if let BackwardChoice::Form(form) = asked {
        return chosen(form, "as asked for");
    }
    if let Some(form) = recorded {
        return chosen(form, "as the run began");
    }
    let fake = fake_times();
    if is_software && fake.is_none() {
        return chosen(asked.untimed(is_software), "not timed on a software device");
    }
    let (known, problem) = cache.get(key);
    if let Some(form) = known {
        return chosen(form, "fastest here in an earlier run");
    }
    let mut fastest: Option<(BackwardForm, f64)> = None;
    let mut said = Vec::new();
    let mut failure = None;
    for form in BackwardForm::ALL {
        let ms = match &fake {
            Some(fake) => Ok(fake.get(form.name()).copied()),
            None => time(form).map(Some),
        };
        match ms {
            Ok(Some(ms)) => {
                said.push(format!("{} {} ms", form.name(), number(ms)));
                if fastest.is_none_or(|(_, least)| ms < least) {
                    fastest = Some((form, ms));
                }
            }
            Ok(None) => said.push(format!("{} fails", form.name())),
            Err(error) => {
                said.push(format!("{} fails: {error}", form.name()));
                failure.get_or_insert(error);
            }
        }
    }
    let form = match (fastest, failure) {
        (Some((form, _)), _) => form,
        (None, Some(failure)) => return Err(failure),
        (None, None) => BackwardForm::default(),
    };
    let mut why = format!("timed with a batch: {}", said.join(", "));
    for problem in problem.into_iter().chain(cache.put(key, form).err()) {
        why += &format!("; {problem}");
    }
    Ok(Chosen { form, why })
}

fn fake_times() -> Option<BTreeMap<String, f64>> {
    let text = std::env::var(FAKE_MS).ok()?;
    let pairs = text.split(',').filter_map(|pair| {
        let (name, ms) = pair.split_once('=')?;
        Some((name.to_owned(), ms.parse().ok()?))
    });
    Some(pairs.collect())
}

/// What is known of the devices of a user, in a file of the user's cache.
#[derive(Clone, Debug)]
pub struct FormCache {
    /// The file; none where the system names no home folder.
    path: Option<PathBuf>,
}

/// The file's content: the name of a form by key.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Known(BTreeMap<String, String>);

impl FormCache {
    /// That of this user: `dalenet/backward_forms.json` in the cache folder (`XDG_CACHE_HOME`, by default `~/.cache`).
    pub fn of_user() -> Self {
        use etcetera::BaseStrategy;
        let strategy = etcetera::choose_base_strategy().ok();
        let path = strategy.map(|s| s.cache_dir().join("dalenet/backward_forms.json"));
        Self { path }
    }

    /// One in a file.
    pub fn at(path: PathBuf) -> Self {
        Self { path: Some(path) }
    }

    /// The form that was fastest under this key, and what is wrong with the file.
    fn get(&self, key: &FormKey) -> (Option<BackwardForm>, Option<String>) {
        match self.read() {
            Ok(known) => {
                let form = known.0.get(&key.0);
                (form.and_then(|name| name.parse().ok()), None)
            }
            Err(problem) => (None, Some(problem)),
        }
    }

    fn read(&self) -> Result<Known, String> {
        let Some(path) = &self.path else {
            return Ok(Known::default());
        };
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Known::default());
            }
            Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
        };
        let ignored = |error| format!("{} is damaged and was ignored: {error}", path.display());
        serde_json::from_slice(&bytes).map_err(ignored)
    }

    /// Remembers a form.
    fn put(&self, key: &FormKey, form: BackwardForm) -> Result<(), String> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let mut known = self.read().unwrap_or_default();
        known.0.insert(key.0.clone(), form.name().to_owned());
        let failed = |error: &dyn std::fmt::Display| {
            format!("{} cannot be written: {error}", path.display())
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| failed(&error))?;
        }
        let json = serde_json::to_string_pretty(&known).map_err(|error| failed(&error))?;
        write_atomic(path, json.as_bytes()).map_err(|error| failed(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times of the forms where one is the fastest.
    fn fastest(form: BackwardForm) -> [f64; 5] {
        BackwardForm::ALL.map(|other| if other == form { 1.0 } else { 2.0 })
    }

    /// Chooses by these times, of which one that is not finite fails; and how many were asked for.
    fn choose_by(
        asked: BackwardChoice,
        recorded: Option<BackwardForm>,
        cache: &FormCache,
        ms: [f64; 5],
    ) -> (Result<Chosen, String>, usize) {
        let mut timed = 0;
        let mut time = |form: BackwardForm| {
            timed += 1;
            let ms = Some(ms[form as usize]).filter(|ms| ms.is_finite());
            ms.ok_or_else(|| format!("no {}", form.name()))
        };
        let key = FormKey("a card, its driver".into());
        let chosen = choose(asked, recorded, false, &key, cache, &mut time);
        (chosen, timed)
    }

    #[test]
    fn the_fastest_form_is_kept_and_known_the_next_time() {
        let folder = tempfile::tempdir().unwrap();
        for (place, expected) in BackwardForm::ALL.into_iter().enumerate() {
            let cache = FormCache::at(folder.path().join(format!("new/{place}.json")));
            let by = |asked, recorded, ms| {
                let (chosen, timed) = choose_by(asked, recorded, &cache, ms);
                (chosen.unwrap(), timed)
            };
            let (chosen, timed) = by(BackwardChoice::Auto, None, fastest(expected));
            assert_eq!((chosen.form, timed), (expected, 5));
            assert!(chosen.why.contains("timed"), "{}", chosen.why);
            // Other times are not asked for any more.
            let other = BackwardForm::ALL[(place + 1) % 5];
            let (chosen, timed) = by(BackwardChoice::Auto, None, fastest(other));
            assert_eq!((chosen.form, timed), (expected, 0));
            // What the run began with, and what the user asks for, go before that.
            let (chosen, timed) = by(BackwardChoice::Auto, Some(other), fastest(expected));
            assert_eq!((chosen.form, timed), (other, 0));
            let asked = BackwardChoice::Form(other);
            let (chosen, timed) = by(asked, Some(expected), fastest(expected));
            assert_eq!((chosen.form, timed), (other, 0));
        }
    }

    #[test]
    fn a_form_that_fails_loses_and_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let cache = FormCache::at(folder.path().join("forms.json"));
        let (chosen, timed) = choose_by(
            BackwardChoice::Auto,
            None,
            &cache,
            [f64::INFINITY, 4.0, 3.0, 2.0, f64::NAN],
        );
        let chosen = chosen.unwrap();
        assert_eq!((chosen.form, timed), (BackwardForm::PerStep8x4, 5));
        for part in [
            "persistent fails: no persistent",
            "per-step-8x8 fails",
            "per-step 3",
        ] {
            assert!(chosen.why.contains(part), "{}", chosen.why);
        }
        let cache = FormCache::at(folder.path().join("others.json"));
        let (none, timed) = choose_by(BackwardChoice::Auto, None, &cache, [f64::NAN; 5]);
        assert_eq!((none, timed), (Err("no persistent".to_owned()), 5));
    }

    #[test]
    fn a_cache_that_is_damaged_or_cannot_be_written_is_said_and_does_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("forms.json");
        let per_step = fastest(BackwardForm::PerStep);
        let auto = |cache: &FormCache| {
            let (chosen, timed) = choose_by(BackwardChoice::Auto, None, cache, per_step);
            (chosen.unwrap(), timed)
        };
        for text in ["{", "[1]", "{\"a card, its driver\": 3}"] {
            std::fs::write(&path, text).unwrap();
            let cache = FormCache::at(path.clone());
            let (chosen, timed) = auto(&cache);
            assert_eq!((chosen.form, timed), (BackwardForm::PerStep, 5), "{text}");
            assert!(chosen.why.contains("damaged"), "{}", chosen.why);
            assert_eq!(auto(&cache).1, 0);
        }
        // A form of another version is none of this one.
        std::fs::write(&path, "{\"a card, its driver\": \"sideways\"}").unwrap();
        assert_eq!(auto(&FormCache::at(path.clone())).1, 5);
        // A file where a folder should be.
        let (chosen, _) = auto(&FormCache::at(path.join("x")));
        assert!(chosen.why.contains("cannot be"), "{}", chosen.why);
    }
}
