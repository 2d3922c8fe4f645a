//! The figures of a study, and which of them it asks for.

use super::groups::{Group, Groups};
use super::sheet::{Missing, Sheet};
use super::{cell_rates, comparison, diagnostic, loops, participation, sweep, training, weights};
use crate::families::Family;

/// A figure of a study.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StudyFigure {
    /// Accuracy, loss, rates, activity and gradient against the epoch.
    TrainingCurves,
    /// The sum of both rates and its parts.
    SpikeBudget,
    /// Rates over the grid of loop multipliers.
    LoopGrid,
    /// Both multipliers alike.
    LoopDiagonal,
    /// Norms and relative gradients.
    Norms,
    /// Weights before and after training.
    WeightHistograms,
    /// Paths of the cells.
    AccuracyAgainstRate,
    /// Rates of the E cells.
    CellRates,
    /// Spikes by cycle.
    Participation,
    /// Conditions side by side.
    Comparison,
    /// Measures along a parameter.
    AgainstParameter,
    /// I rate at every optimiser step.
    ISilencing,
    /// Input weight of the I cells.
    IInput,
    /// Slopes of the loss along the loop's gains.
    LoopSlopes,
    /// A card of each condition.
    Diagnostic,
    /// The loop's weights of each condition.
    Weights,
}

use StudyFigure::{
    AccuracyAgainstRate, AgainstParameter, CellRates, Comparison, Diagnostic, IInput, ISilencing,
    LoopDiagonal, LoopGrid, LoopSlopes, Norms, Participation, SpikeBudget, TrainingCurves,
    WeightHistograms, Weights,
};

impl StudyFigure {
    /// Figures of the whole study, in the order of a page.
    const OF_STUDY: [Self; 14] = [
        TrainingCurves,
        SpikeBudget,
        LoopGrid,
        LoopDiagonal,
        Norms,
        WeightHistograms,
        AccuracyAgainstRate,
        CellRates,
        Participation,
        Comparison,
        AgainstParameter,
        ISilencing,
        IInput,
        LoopSlopes,
    ];

    /// Cards, one for each condition.
    const OF_CONDITION: [Self; 2] = [Diagnostic, Weights];

    /// Its name in a study file, and of its files; those of a card go on with `_` and the condition.
    fn name(self) -> &'static str {
        match self {
            TrainingCurves => "training_curves",
            SpikeBudget => "spike_budget",
            LoopGrid => "loop_grid",
            LoopDiagonal => "loop_diagonal",
            Norms => "norms",
            WeightHistograms => "weight_histograms",
            AccuracyAgainstRate => "accuracy_against_rate",
            CellRates => "cell_rates",
            Participation => "participation",
            Comparison => "comparison",
            AgainstParameter => "against_parameter",
            ISilencing => "i_silencing",
            IInput => "i_input",
            LoopSlopes => "loop_slopes",
            Diagnostic => "diagnostic",
            Weights => "weights",
        }
    }

    /// What a card is called, without its condition.
    fn title(self) -> &'static str {
        match self {
            Weights => "Loop weights",
            _ => "Diagnostics",
        }
    }

    fn of_study(self, groups: &Groups, has_weight_cards: bool) -> Result<Sheet, Missing> {
        match self {
            TrainingCurves => training::curves(groups),
            SpikeBudget => training::spike_budget(groups),
            LoopGrid => sweep::grid(groups),
            LoopDiagonal => sweep::diagonal(groups),
            Norms => training::norms(groups),
            WeightHistograms => weights::histograms(groups, has_weight_cards),
            AccuracyAgainstRate => training::accuracy_against_rate(groups),
            CellRates => cell_rates::cell_rates(groups),
            Participation => participation::participation(groups),
            Comparison => comparison::comparison(groups),
            AgainstParameter => comparison::against_parameter(groups),
            ISilencing => loops::i_silencing(groups),
            IInput => loops::i_input(groups),
            LoopSlopes => loops::slopes(groups),
            Diagnostic | Weights => Err(Missing::new(
                self.name(),
                self.title(),
                "no run has started yet",
            )),
        }
    }

    fn of_condition(self, group: &Group) -> Result<Sheet, Missing> {
        match self {
            Weights => weights::card(group),
            _ => diagnostic::diagnostic(group),
        }
    }
}

/// What a study asks for by a name.
#[derive(Debug, PartialEq, Eq)]
struct Choice<'a> {
    figure: StudyFigure,
    /// The condition of a card; none: all of them.
    condition: Option<&'a str>,
}

impl<'a> Choice<'a> {
    /// The figure of this name. A card's may name its condition, with or without the values of further axes.
    fn parse(name: &'a str) -> Option<Self> {
        let known = |figure: &StudyFigure| figure.name() == name;
        if let Some(figure) = StudyFigure::OF_STUDY.into_iter().find(known) {
            let condition = None;
            return Some(Self { figure, condition });
        }
        StudyFigure::OF_CONDITION.into_iter().find_map(|figure| {
            let condition = match name.strip_prefix(figure.name())? {
                "" | "_CONDITION" => None,
                rest => Some(rest.strip_prefix('_')?),
            };
            Some(Self { figure, condition })
        })
    }

    /// Whether it is of this condition, or of one that has further axes.
    fn is_of(&self, group: &Group) -> bool {
        self.condition.is_none_or(|wanted| {
            let rest = group.id.strip_prefix(wanted);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        })
    }

    fn sheets(&self, groups: &Groups, has_weight_cards: bool) -> Vec<Result<Sheet, Missing>> {
        let figure = self.figure;
        if !StudyFigure::OF_CONDITION.contains(&figure) {
            return vec![figure.of_study(groups, has_weight_cards)];
        }
        let chosen = groups.groups.iter().filter(|group| self.is_of(group));
        let cards: Vec<_> = chosen.map(|group| figure.of_condition(group)).collect();
        if !cards.is_empty() {
            return cards;
        }
        let (name, title) = match self.condition {
            Some(condition) => (
                format!("{}_{condition}", figure.name()),
                format!("{}: {condition}", figure.title()),
            ),
            None => (figure.name().to_owned(), figure.title().to_owned()),
        };
        vec![Err(Missing::new(
            name,
            title,
            "no run of this condition has started yet",
        ))]
    }
}

/// The figures of these names, in their order; all of them where there are no names.
pub fn sheets(groups: &Groups, names: &[String]) -> Vec<Result<Sheet, Missing>> {
    if names.is_empty() {
        return all(groups);
    }
    let choices: Vec<_> = names
        .iter()
        .map(|name| (name, Choice::parse(name)))
        .collect();
    let is_weights = |choice: &Option<Choice>| {
        choice
            .as_ref()
            .is_some_and(|choice| choice.figure == Weights)
    };
    let has_weight_cards = choices.iter().any(|(_, choice)| is_weights(choice));
    let of = |(name, choice): (&String, Option<Choice>)| match choice {
        Some(choice) => choice.sheets(groups, has_weight_cards),
        None => {
            let reason = "no figure of this name; see the list of figures in the documentation";
            vec![Err(Missing::new(name, name, reason))]
        }
    };
    choices.into_iter().flat_map(of).collect()
}

fn all(groups: &Groups) -> Vec<Result<Sheet, Missing>> {
    if groups.family() == Family::RateRnn {
        return vec![training::curves(groups)];
    }
    let figures = StudyFigure::OF_STUDY.into_iter();
    // Nobody misses a figure of a parameter where there is none.
    let has_parameter = groups.parameter().is_some();
    let figures = figures.filter(|figure| has_parameter || *figure != AgainstParameter);
    let mut sheets: Vec<_> = figures
        .map(|figure| figure.of_study(groups, true))
        .collect();
    for group in &groups.groups {
        sheets.extend(StudyFigure::OF_CONDITION.map(|figure| figure.of_condition(group)));
    }
    sheets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_figures_and_of_the_conditions_of_cards() {
        let choice = |figure, condition| Some(Choice { figure, condition });
        for figure in StudyFigure::OF_STUDY
            .into_iter()
            .chain(StudyFigure::OF_CONDITION)
        {
            assert_eq!(Choice::parse(figure.name()), choice(figure, None));
        }
        for (name, expected) in [
            ("weights_CONDITION", choice(Weights, None)),
            ("weights_ping_init", choice(Weights, Some("ping_init"))),
            ("diagnostic_coba", choice(Diagnostic, Some("coba"))),
            ("weightsping", None),
            ("norms_ping", None),
            ("nothing", None),
        ] {
            assert_eq!(Choice::parse(name), expected, "{name}");
        }
    }
}
