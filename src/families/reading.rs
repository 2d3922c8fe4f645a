//! What is read out of stored runs, by the family of their networks: measures, figures, words.

use super::Family;
use crate::record::RunRecord;
use crate::report::figures::choice;
use crate::report::figures::groups::Groups;
use crate::report::figures::sheet::Sheet;
use crate::report::figures::{Figure, Missing};
use crate::report::finished::Finished;
use crate::report::method::Method;
use crate::report::page::Part;
use crate::study::CellRecord;
use crate::study::measures::{Measure, Measures};
use crate::study::spec::StudySpec;

macro_rules! reading {
    ($($variant:ident $module:ident),* $(,)?) => {
        impl Family {
            /// What is collected of every cell of a study.
            pub fn measures(self) -> &'static Measures {
                match self {
                    $(Self::$variant => &crate::$module::measures::MEASURES),*
                }
            }

            /// Every figure of one run, in the order of a page.
            pub fn figures_of_run(self, run: &RunRecord) -> Vec<Result<Figure, Missing>> {
                drawn(match self {
                    $(Self::$variant => crate::$module::figures::of_run(run)),*
                })
            }

            /// Figures of a study, not yet drawn.
            fn sheets_of_study(
                self,
                spec: &StudySpec,
                cells: &[CellRecord],
            ) -> Vec<Result<Sheet, Missing>> {
                let figures = match self {
                    $(Self::$variant => crate::$module::figures::OF_STUDY),*
                };
                choice::sheets(figures, &Groups::new(spec, cells), &spec.figures)
            }

            /// Network, data and training of a page's runs, in paragraphs.
            pub fn method(self, method: &Method) -> Vec<String> {
                match self {
                    $(Self::$variant => crate::$module::method::paragraphs(method)),*
                }
            }

            /// What the words of the sentences below mean.
            pub fn words_of_sentences(self) -> &'static str {
                match self {
                    $(Self::$variant => crate::$module::sentences::WORDS),*
                }
            }

            /// What all conditions of a study do, or which do what.
            pub fn sentences_over(self, finished: &[Finished<'_>]) -> Vec<String> {
                match self {
                    $(Self::$variant => crate::$module::sentences::over(finished)),*
                }
            }

            /// What a condition does beside its accuracy.
            pub fn sentences_of_condition(self, condition: &Finished<'_>) -> Vec<String> {
                match self {
                    $(Self::$variant => crate::$module::sentences::of_condition(condition)),*
                }
            }

            /// What came out of one run beside its accuracy, in paragraphs.
            pub fn sentences_of_run(self, run: &RunRecord) -> Vec<String> {
                match self {
                    $(Self::$variant => crate::$module::sentences::of_run(run)),*
                }
            }

            /// What the page of a run has more than those of every family.
            pub fn parts_of_run(self, run: &RunRecord) -> Vec<Part> {
                match self {
                    $(Self::$variant => crate::$module::pages::of_run(run)),*
                }
            }

            /// What the page of a study has more than those of every family; its runs by name.
            pub fn parts_of_study(self, runs: &[(String, &RunRecord)]) -> Vec<Part> {
                match self {
                    $(Self::$variant => crate::$module::pages::of_study(runs)),*
                }
            }
        }
    };
}

for_each_family!(reading);

impl Family {
    /// Every figure of a study, or those that the study names, in its order. A name is that of a figure; that of a card
    /// means those of all conditions, and goes on with `_` and the name of a condition to mean its own, with all values
    /// of further axes.
    pub fn figures_of_study(
        self,
        spec: &StudySpec,
        cells: &[CellRecord],
    ) -> Vec<Result<Figure, Missing>> {
        drawn(self.sheets_of_study(spec, cells))
    }

    /// The measures of all families, each name once.
    pub fn all_measures() -> Vec<&'static Measure> {
        let mut all: Vec<&Measure> = Vec::new();
        for measure in Self::ALL
            .iter()
            .flat_map(|family| (family.measures().all)())
        {
            if !all.iter().any(|known| known.name == measure.name) {
                all.push(measure);
            }
        }
        all
    }
}

fn drawn(sheets: Vec<Result<Sheet, Missing>>) -> Vec<Result<Figure, Missing>> {
    let sheets = sheets.into_iter();
    sheets.map(|sheet| sheet.map(Sheet::drawn)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_measure_has_a_name_a_label_and_a_heading() {
        for family in Family::ALL {
            let measures = family.measures();
            let all = (measures.all)();
            for field in [|m: &Measure| m.name.clone(), |m: &Measure| m.label.clone()] {
                let distinct: BTreeSet<_> = all.iter().map(field).collect();
                assert_eq!(distinct.len(), all.len());
            }
            for measure in all {
                assert!(measures.groups.contains(&measure.group), "{}", measure.name);
                assert!(measure.meaning.ends_with('.'), "{}", measure.meaning);
            }
            let by_group = measures.by_group();
            assert_eq!(
                by_group.first().map(|m| m.group),
                measures.groups.first().copied()
            );
            assert_eq!(
                by_group.last().map(|m| m.group),
                measures.groups.last().copied()
            );
            let shown = [
                measures.key,
                measures.only_reported,
                measures.by_cell,
                measures.compared.measures,
            ];
            for name in shown.concat() {
                assert!(measures.find(name).is_some(), "{}: {name}", family.name());
            }
        }
    }

    #[test]
    fn a_name_means_one_measure_in_all_families() {
        let mut measures = 0;
        for measure in Family::all_measures() {
            for family in Family::ALL {
                let Some(other) = family.measures().find(&measure.name) else {
                    continue;
                };
                measures += 1;
                assert_eq!(
                    (&other.label, other.unit, &other.meaning),
                    (&measure.label, measure.unit, &measure.meaning),
                    "{} of {} is another measure than elsewhere",
                    measure.name,
                    family.name()
                );
            }
        }
        assert!(measures > Family::all_measures().len());
    }
}
