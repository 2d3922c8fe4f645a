//! Which figures a study asks for, of those that its family has.

use super::groups::{Group, Groups};
use super::sheet::{Missing, Sheet};

/// A figure of a study.
pub struct StudyFigure {
    /// Its name in a study file, and of its files; those of a card go on with `_` and the condition.
    pub name: &'static str,
    /// How it is made.
    pub make: Make,
}

/// How a figure is made.
pub enum Make {
    /// Of the whole study, knowing which cards stand beside it.
    Whole(fn(&Groups, Cards) -> Result<Sheet, Missing>),
    /// Of the whole study, where an axis gives numbers to one key.
    Parameter(fn(&Groups) -> Result<Sheet, Missing>),
    /// A card of each condition: what it is called without its condition, and how it is made.
    Card(&'static str, fn(&Group) -> Result<Sheet, Missing>),
}

/// Names of the cards beside a figure.
pub type Cards<'a> = &'a [&'static str];

impl StudyFigure {
    /// A figure of the whole study.
    pub const fn of_study(
        name: &'static str,
        make: fn(&Groups, Cards) -> Result<Sheet, Missing>,
    ) -> Self {
        let make = Make::Whole(make);
        Self { name, make }
    }

    /// A figure of the study's numeric parameter.
    pub const fn of_parameter(
        name: &'static str,
        make: fn(&Groups) -> Result<Sheet, Missing>,
    ) -> Self {
        let make = Make::Parameter(make);
        Self { name, make }
    }

    /// A card of each condition.
    pub const fn of_condition(
        name: &'static str,
        title: &'static str,
        make: fn(&Group) -> Result<Sheet, Missing>,
    ) -> Self {
        let make = Make::Card(title, make);
        Self { name, make }
    }

    fn is_card(&self) -> bool {
        matches!(self.make, Make::Card(..))
    }

    /// The figure, or its card of every condition that is wanted.
    fn sheets(
        &self,
        groups: &Groups,
        cards: Cards,
        condition: Option<&str>,
    ) -> Vec<Result<Sheet, Missing>> {
        let (title, make) = match self.make {
            Make::Whole(make) => return vec![make(groups, cards)],
            Make::Parameter(make) => return vec![make(groups)],
            Make::Card(title, make) => (title, make),
        };
        let chosen = groups.groups.iter().filter(|group| is_of(condition, group));
        let made: Vec<_> = chosen.map(make).collect();
        if !made.is_empty() {
            return made;
        }
        let missing = match condition {
            Some(condition) => Missing::new(
                format!("{}_{condition}", self.name),
                format!("{title}: {condition}"),
                "no run of this condition has started yet",
            ),
            None => Missing::new(self.name, title, "no run of this condition has started yet"),
        };
        vec![Err(missing)]
    }
}

/// Whether a condition is the wanted one, or has further axes than that.
fn is_of(wanted: Option<&str>, group: &Group) -> bool {
    wanted.is_none_or(|wanted| {
        let rest = group.id.strip_prefix(wanted);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    })
}

/// The figure of this name and the condition that it asks for: a card's name may go on with its condition, with or
/// without the values of further axes.
fn find<'a, 'n>(
    figures: &'a [StudyFigure],
    name: &'n str,
) -> Option<(&'a StudyFigure, Option<&'n str>)> {
    if let Some(figure) = figures.iter().find(|figure| figure.name == name) {
        return Some((figure, None));
    }
    figures
        .iter()
        .filter(|figure| figure.is_card())
        .find_map(|figure| match name.strip_prefix(figure.name)? {
            "_CONDITION" => Some((figure, None)),
            rest => Some((figure, Some(rest.strip_prefix('_')?))),
        })
}

/// The figures of these names, in their order; all of them where there are no names.
pub fn sheets(
    figures: &[StudyFigure],
    groups: &Groups,
    names: &[String],
) -> Vec<Result<Sheet, Missing>> {
    if names.is_empty() {
        return all(figures, groups);
    }
    let chosen: Vec<_> = names.iter().map(|name| find(figures, name)).collect();
    let cards = chosen
        .iter()
        .flatten()
        .filter(|(figure, _)| figure.is_card());
    let cards: Vec<_> = cards.map(|(figure, _)| figure.name).collect();
    let of = |(name, found): (&String, Option<(&StudyFigure, Option<&str>)>)| match found {
        Some((figure, condition)) => figure.sheets(groups, &cards, condition),
        None => {
            let reason = "no figure of this name; see the list of figures in the documentation";
            vec![Err(Missing::new(name, name, reason))]
        }
    };
    names.iter().zip(chosen).flat_map(of).collect()
}

fn all(figures: &[StudyFigure], groups: &Groups) -> Vec<Result<Sheet, Missing>> {
    let cards = figures.iter().filter(|figure| figure.is_card());
    let cards: Vec<_> = cards.map(|figure| figure.name).collect();
    // Nobody misses a figure of a parameter where there is none.
    let has_parameter = groups.parameter().is_some();
    let whole = figures.iter().filter(|figure| match figure.make {
        Make::Whole(_) => true,
        Make::Parameter(_) => has_parameter,
        Make::Card(..) => false,
    });
    let mut sheets: Vec<_> = whole
        .flat_map(|figure| figure.sheets(groups, &cards, None))
        .collect();
    for group in &groups.groups {
        sheets.extend(figures.iter().filter_map(|figure| match figure.make {
            Make::Card(_, make) => Some(make(group)),
            _ => None,
        }));
    }
    sheets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> Result<Sheet, Missing> {
        Err(Missing::new("", "", ""))
    }

    #[test]
    fn names_are_those_of_figures_and_of_the_conditions_of_cards() {
        let figures = [
            StudyFigure::of_study("norms", |_, _| none()),
            StudyFigure::of_condition("diagnostic", "Diagnostics", |_| none()),
            StudyFigure::of_condition("weights", "Weights", |_| none()),
        ];
        for (name, expected) in [
            ("norms", Some(("norms", None))),
            ("weights", Some(("weights", None))),
            ("weights_CONDITION", Some(("weights", None))),
            ("weights_ping_init", Some(("weights", Some("ping_init")))),
            ("diagnostic_coba", Some(("diagnostic", Some("coba")))),
            ("weightsping", None),
            ("norms_ping", None),
            ("nothing", None),
        ] {
            let found = find(&figures, name).map(|(figure, condition)| (figure.name, condition));
            assert_eq!(found, expected, "{name}");
        }
    }
}
