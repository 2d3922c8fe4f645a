//! Which samples train, validate and test.

use serde::Deserialize;

use super::DataError;
use crate::random::{Purpose, Stream};

/// Number of samples the studies' indices refer to: the 60,000 of MNIST's training file, then the
/// 10,000 of its test file.
pub const STUDIES_SAMPLES: usize = 70_000;

const STUDIES_JSON: &str = include_str!("mnist_2000_split.json");

/// Indices of samples; no sample stands in two parts, or twice in one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Split {
    /// Samples to train on.
    pub train: Vec<usize>,
    /// Samples to choose settings by; may be empty.
    #[serde(default)]
    pub validation: Vec<usize>,
    /// Samples to report results on.
    pub test: Vec<usize>,
}

impl Split {
    /// Checks that every index is below `samples` and stands only once.
    ///
    /// # Errors
    /// The first index that does not.
    pub fn check(&self, samples: usize) -> Result<(), DataError> {
        let mut taken = vec![false; samples];
        for &index in self.train.iter().chain(&self.validation).chain(&self.test) {
            match taken.get_mut(index) {
                Some(taken) if !*taken => *taken = true,
                Some(_) => return Err(DataError::Split(format!("sample {index} is used twice"))),
                None => {
                    let problem = format!("sample {index} does not exist: there are {samples}");
                    return Err(DataError::Split(problem));
                }
            }
        }
        Ok(())
    }

    /// Moves a share (0 to below 1, rounded to whole samples) of the training part into the
    /// validation part, each class by its share of the training part.
    ///
    /// # Errors
    /// The share is out of range or leaves nothing to train on, or a label or an index does not fit.
    pub fn hold_out(
        self,
        labels: &[u16],
        classes: usize,
        share: f64,
        seed: u64,
    ) -> Result<Split, DataError> {
        let count = (share * self.train.len() as f64).round();
        if !(0.0..1.0).contains(&share) || (count > 0.0 && count >= self.train.len() as f64) {
            return Err(DataError::Setting {
                setting: "validation share",
                value: share.to_string(),
                problem: format!(
                    "must be at least 0 and leave some of {} training samples",
                    self.train.len()
                ),
            });
        }
        self.check(labels.len())?;
        if count == 0.0 {
            return Ok(self);
        }
        let own: Vec<u16> = self.train.iter().map(|&i| labels[i]).collect();
        let kept = own.len() - count as usize;
        // Drawn from other streams than `stratified` uses, lest the two draws be related.
        let [train, moved] = draw(&own, classes, [kept, count as usize], seed, HOLD_OUT)?;
        let named = |places: Vec<usize>| places.into_iter().map(|place| self.train[place]);
        Ok(Split {
            validation: self
                .validation
                .iter()
                .copied()
                .chain(named(moved))
                .collect(),
            train: named(train).collect(),
            test: self.test,
        })
    }
}

/// The 1600 training and 400 test samples of the studies, in their order; indices into the
/// [`STUDIES_SAMPLES`] of MNIST's training file followed by its test file.
///
/// # Errors
/// None in practice: the indices are part of the program.
pub fn studies_split() -> Result<Split, DataError> {
    serde_json::from_str(STUDIES_JSON).map_err(|error| DataError::Split(error.to_string()))
}

/// Draws `n_train` and `n_test` different samples at random, each part with the class shares of
/// the source, as near as whole samples allow. Both parts are in random order.
///
/// # Errors
/// More samples are asked for than there are, or a label is not below `classes`.
pub fn stratified(
    labels: &[u16],
    classes: usize,
    n_train: usize,
    n_test: usize,
    seed: u64,
) -> Result<Split, DataError> {
    let [train, test] = draw(labels, classes, [n_train, n_test], seed, DRAW)?;
    Ok(Split {
        train,
        validation: Vec::new(),
        test,
    })
}

/// First address word of the streams: what is drawn.
const DRAW: u64 = 0;
const HOLD_OUT: u64 = 1;

/// Two disjoint stratified draws of the given sizes.
fn draw(
    labels: &[u16],
    classes: usize,
    sizes: [usize; 2],
    seed: u64,
    what: u64,
) -> Result<[Vec<usize>; 2], DataError> {
    if sizes[0].saturating_add(sizes[1]) > labels.len() {
        let problem = format!(
            "data.train_samples and data.test_samples ask for {} + {}, but the data set has {}; lower one of them",
            sizes[0],
            sizes[1],
            labels.len()
        );
        return Err(DataError::Split(problem));
    }
    let mut members = vec![Vec::new(); classes];
    for (index, &label) in labels.iter().enumerate() {
        let Some(class) = members.get_mut(usize::from(label)) else {
            let problem = format!(
                "sample {index} has label {label}, which is not below {classes}, the number of classes"
            );
            return Err(DataError::Split(problem));
        };
        class.push(index);
    }
    let present: Vec<usize> = members.iter().map(Vec::len).collect();
    let first = apportion(sizes[0], &present, &present);
    let left: Vec<usize> = present
        .iter()
        .zip(&first)
        .map(|(all, taken)| all - taken)
        .collect();
    let second = apportion(sizes[1], &present, &left);

    let mut parts = [Vec::with_capacity(sizes[0]), Vec::with_capacity(sizes[1])];
    for (class, members) in members.iter_mut().enumerate() {
        Stream::new(Purpose::Split, seed, what, class as u64).shuffle(members);
        let (train, rest) = members.split_at(first[class]);
        parts[0].extend(train);
        parts[1].extend(&rest[..second[class]]);
    }
    for (part, order) in parts.iter_mut().zip([u64::MAX, u64::MAX - 1]) {
        Stream::new(Purpose::Split, seed, what, order).shuffle(part);
    }
    Ok(parts)
}

/// Deals `seats` out in proportion to `weights` by largest remainders, to none more than its cap.
/// Whole numbers throughout; ties go to the lower class. The caps must hold all seats.
fn apportion(seats: usize, weights: &[usize], caps: &[usize]) -> Vec<usize> {
    let total: u128 = weights.iter().map(|&weight| weight as u128).sum();
    if total == 0 {
        return vec![0; weights.len()];
    }
    let share = |weight: usize| seats as u128 * weight as u128;
    let mut dealt: Vec<usize> = weights
        .iter()
        .zip(caps)
        .map(|(&weight, &cap)| ((share(weight) / total) as usize).min(cap))
        .collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|&class| std::cmp::Reverse(share(weights[class]) % total));
    let mut left = seats - dealt.iter().sum::<usize>();
    while left > 0 {
        let before = left;
        for &class in &order {
            if left > 0 && dealt[class] < caps[class] {
                dealt[class] += 1;
                left -= 1;
            }
        }
        if left == before {
            break;
        }
    }
    dealt
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Classes of sizes 10, 20, 30 and 1, mixed.
    fn labels() -> Vec<u16> {
        let mut labels: Vec<u16> = [(0, 10), (1, 20), (2, 30), (3, 1)]
            .iter()
            .flat_map(|&(label, count)| std::iter::repeat_n(label, count))
            .collect();
        Stream::new(Purpose::Shuffle, 1, 0, 0).shuffle(&mut labels);
        labels
    }

    fn counts(labels: &[u16], part: &[usize]) -> [usize; 4] {
        let mut counts = [0; 4];
        part.iter()
            .for_each(|&i| counts[usize::from(labels[i])] += 1);
        counts
    }

    #[test]
    fn the_studies_split_is_the_published_one() {
        let split = studies_split().unwrap();
        assert_eq!(
            (split.train.len(), split.validation.len(), split.test.len()),
            (1600, 0, 400)
        );
        assert_eq!(split.train[..3], [19721, 35870, 34282]);
        split.check(STUDIES_SAMPLES).unwrap();
        assert!(
            split.check(60_000).is_err(),
            "it reaches into the test file"
        );
    }

    #[test]
    fn classes_keep_their_shares_within_one_sample() {
        let labels = labels();
        for (n_train, n_test) in [(0, 0), (30, 15), (31, 30), (61, 0), (7, 5), (1, 1)] {
            let split = stratified(&labels, 4, n_train, n_test, 9).unwrap();
            split.check(labels.len()).unwrap();
            assert_eq!((split.train.len(), split.test.len()), (n_train, n_test));
            for part in [&split.train, &split.test] {
                for (class, count) in counts(&labels, part).into_iter().enumerate() {
                    let share = part.len() as f64 * [10.0, 20.0, 30.0, 1.0][class] / 61.0;
                    assert!(
                        (count as f64 - share).abs() < 1.0,
                        "class {class}: {count} for {share}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_seed_alone_decides() {
        let labels = labels();
        let split = |seed| stratified(&labels, 4, 30, 20, seed).unwrap();
        assert_eq!(split(1), split(1));
        assert_ne!(split(1), split(2));
        // Made by this implementation: a change here changes every published split.
        assert_eq!(split(1).train[..6], [29, 10, 56, 25, 5, 17]);
    }

    #[test]
    fn validation_comes_out_of_training_alone() {
        let labels = labels();
        let before = stratified(&labels, 4, 40, 20, 3).unwrap();
        let after = before.clone().hold_out(&labels, 4, 0.25, 3).unwrap();
        after.check(labels.len()).unwrap();
        assert_eq!((after.train.len(), after.validation.len()), (30, 10));
        assert_eq!(after.test, before.test);
        assert!(after.validation.iter().all(|i| before.train.contains(i)));
        let [a, b] = [&before.train, &after.validation].map(|part| counts(&labels, part));
        assert!((0..4).all(|class| (a[class] as f64 / 4.0 - b[class] as f64).abs() < 1.0));
        assert_eq!(before.clone().hold_out(&labels, 4, 0.0, 3).unwrap(), before);
        for share in [-0.1, 1.0, 0.999, f64::NAN] {
            assert!(
                before.clone().hold_out(&labels, 4, share, 3).is_err(),
                "{share}"
            );
        }
    }

    #[test]
    fn impossible_requests_are_refused() {
        let message = stratified(&labels(), 4, 60, 2, 0).unwrap_err().to_string();
        assert!(
            message.contains("60 + 2") && message.contains("61"),
            "{message}"
        );
        assert!(stratified(&labels(), 4, usize::MAX, 2, 0).is_err());
        assert!(
            stratified(&labels(), 3, 1, 1, 0)
                .unwrap_err()
                .to_string()
                .contains("label 3")
        );
        let twice = Split {
            train: vec![1],
            validation: vec![],
            test: vec![1],
        };
        assert!(twice.check(5).is_err());
        assert!(twice.hold_out(&[0; 5], 1, 0.0, 0).is_err());
    }
}
