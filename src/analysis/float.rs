//! NaN in memory, `null` in JSON, which has no NaN.

/// One number; made for `#[serde(with)]`.
pub mod nan_number {
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes a number, or `null` where it is not finite.
    ///
    /// # Errors
    /// Those of the serialiser.
    pub fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        if number.is_finite() {
            serializer.serialize_f64(*number)
        } else {
            serializer.serialize_none()
        }
    }

    /// Reads a number; `null` is NaN.
    ///
    /// # Errors
    /// What is there is neither.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
    }
}

/// A list of numbers; made for `#[serde(with)]`.
pub mod nan_list {
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes numbers, and `null` for those that are not finite.
    ///
    /// # Errors
    /// Those of the serialiser.
    pub fn serialize<S: Serializer>(numbers: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(numbers.iter().map(|x| x.is_finite().then_some(*x)))
    }

    /// Reads numbers; `null` is NaN.
    ///
    /// # Errors
    /// What is there is no list of either.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        let numbers = Vec::<Option<f64>>::deserialize(deserializer)?;
        Ok(numbers.into_iter().map(|x| x.unwrap_or(f64::NAN)).collect())
    }
}

/// A fixed number of numbers; made for `#[serde(with)]`.
pub mod nan_array {
    use serde::{Deserialize, Deserializer, de::Error};

    pub use super::nan_list::serialize;

    /// Reads `N` numbers; `null` is NaN.
    ///
    /// # Errors
    /// What is there is no list of `N` of either.
    pub fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        deserializer: D,
    ) -> Result<[f64; N], D::Error> {
        let numbers = Vec::<Option<f64>>::deserialize(deserializer)?;
        let found = numbers.len();
        let numbers: Vec<f64> = numbers.into_iter().map(|x| x.unwrap_or(f64::NAN)).collect();
        let wrong = |_| D::Error::invalid_length(found, &format!("{N} numbers").as_str());
        numbers.try_into().map_err(wrong)
    }
}

/// Numbers by name; made for `#[serde(with)]`.
pub mod nan_map {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes numbers by name, and `null` for those that are not finite.
    ///
    /// # Errors
    /// Those of the serialiser.
    pub fn serialize<S: Serializer>(
        numbers: &BTreeMap<String, f64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let finite = numbers
            .iter()
            .map(|(name, x)| (name, x.is_finite().then_some(*x)));
        serializer.collect_map(finite)
    }

    /// Reads numbers by name; `null` is NaN.
    ///
    /// # Errors
    /// What is there is no object of either.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, f64>, D::Error> {
        let numbers = BTreeMap::<String, Option<f64>>::deserialize(deserializer)?;
        let or_nan = |(name, x): (String, Option<f64>)| (name, x.unwrap_or(f64::NAN));
        Ok(numbers.into_iter().map(or_nan).collect())
    }
}
