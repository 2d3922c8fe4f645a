//! The frame of a report page: one HTML file that needs nothing but itself.
//!
//! A page is a title, a line of facts, and sections with anchors. Style sheet and figures are
//! inside the file; its content policy forbids scripts and every request, so that neither a hostile
//! name in a user's file nor a reader's network can change what is shown. Links lead to the files
//! beside it: `figures/ID.svg`, `.png` and `.csv`, and `numbers.csv`.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::figures::Figure;
use super::table::NumberTable;

const STYLE: &str = include_str!("page/style.css");

/// Nothing is fetched and nothing runs; the style sheet is in the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// Over its natural width, to which a figure may grow where there is room: text of 11 px becomes 17 px.
const LARGEST_SCALE: f64 = 1.55;

/// Pixels of style sheets.
const PX_PER_MM: f64 = 96.0 / 25.4;

/// Natural width of a figure that does not say its own, px.
const USUAL_WIDTH_PX: f64 = 720.0;

/// A page to be.
#[derive(Debug, Default)]
pub struct Page {
    /// Title of the document.
    pub title: String,
    /// What stands small above the title.
    pub kind: String,
    /// Paragraphs below the title.
    pub lead: Vec<String>,
    /// Label and value.
    pub facts: Vec<(String, String)>,
    /// The sections, in their order.
    pub sections: Vec<Section>,
}

/// A part of the page with a heading and an entry in the table of contents.
#[derive(Debug)]
pub struct Section {
    /// Anchor.
    pub id: &'static str,
    /// Heading.
    pub title: String,
    /// What stands below it.
    pub body: Markup,
}

impl Section {
    /// A section.
    pub fn new(id: &'static str, title: impl Into<String>, body: Markup) -> Self {
        let title = title.into();
        Self { id, title, body }
    }

    /// A section of tables, each below the other, after a paragraph.
    pub fn of_tables(
        id: &'static str,
        title: impl Into<String>,
        intro: &str,
        tables: &[&NumberTable],
    ) -> Self {
        let body = html! {
            @if !intro.is_empty() { p { (intro) } }
            @for table in tables { (table.html()) }
        };
        Self::new(id, title, body)
    }
}

impl Page {
    /// The file.
    pub fn html(&self) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="generator" content=(concat!("dalenet ", env!("CARGO_PKG_VERSION")));
                    // Without it browsers look for a picture of the site.
                    link rel="icon" href="data:,";
                    title { (self.title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    a.skip href="#content" { "Skip to the content" }
                    header {
                        p.kind { (self.kind) }
                        h1 { (self.title) }
                        @for paragraph in &self.lead { p { (paragraph) } }
                        (facts(&self.facts))
                    }
                    nav aria-label="Contents" {
                        h2 { "Contents" }
                        ol {
                            @for section in &self.sections {
                                li { a href={ "#" (section.id) } { (section.title) } }
                            }
                        }
                    }
                    main #content {
                        @for section in &self.sections {
                            section aria-labelledby=(section.id) {
                                h2 id=(section.id) { (section.title) }
                                (section.body)
                            }
                        }
                    }
                    footer {
                        p {
                            "Written by dalenet " (env!("CARGO_PKG_VERSION")) " from the files of the "
                            "runs. Every number of the tables: " a href="numbers.csv" { "numbers.csv" } "."
                        }
                    }
                }
            }
        };
        page.into_string() + "\n"
    }
}

/// Labels and values, a list.
pub fn facts(facts: &[(String, String)]) -> Markup {
    html! {
        @if !facts.is_empty() {
            dl.facts {
                @for (label, value) in facts { div { dt { (label) } dd { (value) } } }
            }
        }
    }
}

/// Text as paragraphs, divided where lines are empty.
pub fn paragraphs(text: &str) -> Vec<String> {
    let blocks = text.split("\n\n").map(str::trim);
    blocks
        .filter(|block| !block.is_empty())
        .map(String::from)
        .collect()
}

/// Figures one after the other, numbered from `first`, with links to their files in `figures/`.
pub fn figures(figures: &[Figure], first: usize) -> Markup {
    html! {
        @for (number, figure) in (first..).zip(figures) {
            figure id={ "figure-" (figure.id) } {
                div.plot role="region" tabindex="0" aria-label={ "Figure " (number) } {
                    div.drawing role="img" aria-label=(figure.alt) style=(width_style(&figure.svg)) {
                        (PreEscaped(drawing(&figure.svg)))
                    }
                }
                figcaption {
                    p { strong { "Figure " (number) ". " (figure.title) "." } " " (figure.caption) }
                    p.files {
                        "Files: "
                        @for (i, (kind, name)) in KINDS.into_iter().enumerate() {
                            @if i > 0 { ", " }
                            a href={ "figures/" (figure.id) "." (kind) } { (name) }
                        }
                    }
                }
            }
        }
    }
}

const KINDS: [(&str, &str); 3] = [("svg", "SVG"), ("png", "PNG"), ("csv", "data (CSV)")];

/// The drawing without what only stands before it in a file.
fn drawing(svg: &str) -> &str {
    svg.find("<svg").map_or(svg, |start| &svg[start..])
}

/// Between which widths a drawing is scaled.
fn width_style(svg: &str) -> String {
    let natural = natural_width_px(svg).unwrap_or(USUAL_WIDTH_PX);
    let largest = (natural * LARGEST_SCALE).round();
    // Below its natural width its text could not be read: the box scrolls instead.
    format!("min-width:{natural}px;max-width:{largest}px")
}

/// Width that the drawing names, in millimetres or pixels, or that of its view box.
fn natural_width_px(svg: &str) -> Option<f64> {
    let head = drawing(svg).split('>').next()?;
    let attribute = |name: &str| {
        let value = head.split_once(&format!(" {name}=\""))?.1;
        value.split('"').next()
    };
    let width = attribute("width").and_then(|width| match width.strip_suffix("mm") {
        Some(millimetres) => Some(millimetres.parse::<f64>().ok()? * PX_PER_MM),
        None => width.trim_end_matches("px").parse().ok(),
    });
    let of_box = || {
        attribute("viewBox")?
            .split_whitespace()
            .nth(2)?
            .parse()
            .ok()
    };
    let width: Option<f64> = width.or_else(of_box);
    width
        .map(f64::round)
        .filter(|width| (1.0..1e5).contains(width))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_of_users_cannot_end_the_text() {
        let page = Page {
            title: "</title><script>alert(1)</script>".into(),
            sections: vec![Section::of_tables("a", "A & B", "1 < 2", &[])],
            ..Page::default()
        };
        let html = page.html();
        assert!(!html.contains("<script"), "{html}");
        assert!(html.contains("A &amp; B") && html.contains(r##"href="#a""##));
    }

    #[test]
    fn a_drawing_keeps_between_its_width_and_what_can_be_read() {
        let svg = "<?xml version=\"1.0\"?>\n<svg viewBox=\"0 0 800 300\"></svg>";
        assert_eq!(width_style(svg), "min-width:800px;max-width:1240px");
        let svg = "<svg viewBox=\"0 0 8000 3000\" width=\"211.7mm\">";
        assert_eq!(width_style(svg), "min-width:800px;max-width:1240px");
        assert_eq!(width_style("<svg/>"), "min-width:720px;max-width:1116px");
        assert!(drawing(svg).starts_with("<svg"));
    }

    #[test]
    fn a_text_becomes_its_paragraphs() {
        assert_eq!(paragraphs("a\nb\n\n\n c "), ["a\nb", "c"]);
        assert!(paragraphs(" \n\n").is_empty());
    }
}
