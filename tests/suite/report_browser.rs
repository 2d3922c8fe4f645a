//! The pages in a real browser: nothing sticks out, everything can be read, nothing is fetched.
//!
//! Chromium is started once. Where there is none the test says so and passes, unless
//! `DALENET_REQUIRE_BROWSER=1`. With `DALENET_PICTURES=FOLDER` it leaves pictures of the pages there.

use crate::browser;
use std::fs;
use std::path::Path;

use crate::browser::{Reader, SCHEMES, WIDTHS_PX};
use crate::program::Place;
use serde_json::{Value, json};

/// Users' words that would change the page if they were not escaped.
const HOSTILE: &str = "<script>console.error('ran')</script> & \"quoted\" <b>bold</b>";

#[test]
fn pages_can_be_read_in_a_browser_and_planted_faults_are_seen() {
    let Some(reader) = browser::start() else {
        eprintln!(
            "pages_can_be_read_in_a_browser_and_planted_faults_are_seen did not run: no Chromium \
             was found (Debian: apt-get install chromium)"
        );
        return;
    };
    let place = Place::new();
    let study = study(&place);
    place.ok("report study");
    let run = place.path("study/cells/plain-seed1");
    place.ok("report study/cells/plain-seed1");
    for (folder, figures) in [(&study, 2), (&run, 1)] {
        let page = folder.join("report.html");
        let problems = reader.problems(&page);
        assert_eq!(
            problems,
            [""; 0],
            "{}:\n{}",
            page.display(),
            problems.join("\n")
        );
        let drawn = reader.count("figure svg");
        assert!(drawn >= figures, "{} figures in {}", drawn, page.display());
        assert_eq!(drawn, reader.count("figure"));
        assert!(reader.count("table") > 3 && reader.count("nav a") > 3);
        assert_files_are_there(folder, &page);
        take_pictures(&reader, folder);
    }
    planted_faults_are_seen(&reader, &run.join("report.html"));
}

/// Every link to a file leads to one.
fn assert_files_are_there(folder: &Path, page: &Path) {
    let html = fs::read_to_string(page).unwrap();
    let links: Vec<&str> = html
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|link| !link.starts_with(['#', 'd']))
        .collect();
    assert!(links.len() > 3, "{links:?}");
    for link in links {
        let bytes = fs::read(folder.join(link)).unwrap_or_else(|e| panic!("{link}: {e}"));
        assert!(!bytes.is_empty(), "{link} is empty");
    }
}

/// A study of four cells: two conditions and two seeds, one cell failed, one not begun.
fn study(place: &Place) -> std::path::PathBuf {
    let folder = place.path("study");
    let small: Value =
        serde_json::from_slice(&fs::read(place.path("small.json")).unwrap()).unwrap();
    let claim = |measure| {
        json!({
            "cells": { "condition": "plain" }, "measure": measure, "value": 50.5, "note": HOSTILE
        })
    };
    let spec = json!({
        "name": "small", "title": format!("Does it hold? {HOSTILE}"), "question": HOSTILE,
        "source": HOSTILE, "base": small,
        "axes": [
            { "name": "condition", "values": [
                { "name": "plain", "label": HOSTILE, "set": {} },
                { "name": "clamped", "set": { "training.dale": "clamp" } },
            ] },
            { "name": "seed", "key": "seeds.weights", "values": [1, 2] },
        ],
        "reported": [claim("test_accuracy_percent"), claim("e_rate_hz")],
        "contradictions": [{
            "claim": HOSTILE, "resolution": HOSTILE,
            "evidence": [{ "cells": { "condition": "plain" }, "measure": "e_rate_hz" }],
        }],
        "not_measured": [HOSTILE],
    });
    fs::create_dir_all(folder.join("cells/clamped-seed1")).unwrap();
    fs::write(folder.join("study.json"), spec.to_string()).unwrap();
    for seed in [1, 2] {
        let cell = format!("study/cells/plain-seed{seed}");
        place.train(&cell, &format!(" --set seeds.weights={seed}"));
    }
    fs::write(folder.join("cells/clamped-seed1/failure.txt"), HOSTILE).unwrap();
    folder
}

/// Each check fails on a page on which it must.
fn planted_faults_are_seen(reader: &Reader, good: &Path) {
    let page = fs::read_to_string(good).unwrap();
    let path = good.with_file_name("planted.html");
    let end = "</main>";
    let policy_start = page.find("<meta http-equiv").unwrap();
    let policy_end = policy_start + page[policy_start..].find('>').unwrap() + 1;
    let free = format!("{}{}", &page[..policy_start], &page[policy_end..]);
    let svg_start = page.find("<svg").unwrap();
    let svg_end = page.find("</svg>").unwrap() + "</svg>".len();
    let without_drawing = format!("{}{}", &page[..svg_start], &page[svg_end..]);
    let add = |page: &str, what: &str| page.replacen(end, &format!("{what}{end}"), 1);
    let text = |attributes: &str| {
        page.replacen(
            "</svg>",
            &format!("<text {attributes} fill=\"currentColor\">planted</text></svg>"),
            1,
        )
    };
    let faults = [
        (
            "script:",
            add(&free, "<script>throw new Error('planted')</script>"),
        ),
        (
            "console:",
            add(&free, "<script>console.warn('planted')</script>"),
        ),
        (
            "request:",
            add(&free, "<img alt='x' src='http://127.0.0.1:9/planted.png'>"),
        ),
        // The policy of the page stops even what got into it, and the browser says so.
        (
            "log:",
            add(&page, "<script>console.warn('planted')</script>"),
        ),
        (
            "overflow:",
            add(&page, "<div style='width:1500px'>wide</div>"),
        ),
        ("figure:", without_drawing),
        (
            "alt:",
            page.replacen("role=\"img\" aria-label=\"", "role=\"img\" title=\"", 1),
        ),
        (
            "caption:",
            add(
                &page,
                "<figure><svg viewBox='0 0 9 9' width='99'><g/></svg></figure>",
            ),
        ),
        ("small:", text("x=\"99\" y=\"99\" font-size=\"3\"")),
        ("cut:", text("x=\"-300\" y=\"99\" font-size=\"12\"")),
        (
            "cell:",
            add(
                &page,
                "<table><tr><td style='min-width:0;max-width:9px;display:block'>unbreakablywide</td></tr></table>",
            ),
        ),
        (
            "scope:",
            add(&page, "<table><tr><th>head</th></tr></table>"),
        ),
        (
            "contrast:",
            add(&page, "<p style='color:#888;background:#999'>pale</p>"),
        ),
        (
            "scheme:",
            add(&page, "<style>body{color:#000;background:#fff}</style>"),
        ),
        ("id:", add(&page, "<p id='content'>twice</p>")),
        ("link:", add(&page, "<a href='#nowhere'>link</a>")),
    ];
    for (kind, fault) in faults {
        assert!(fault != page && fault != free, "{kind} was not planted");
        fs::write(&path, fault).unwrap();
        // One look is enough, but for what only two can show.
        let schemes = if kind == "scheme:" { 2 } else { 1 };
        let problems = reader.problems_at(&path, &WIDTHS_PX[..1], &SCHEMES[..schemes]);
        let is_seen = problems.iter().any(|problem| {
            let what = problem.split_once(": ").map_or("", |(_, what)| what);
            problem.starts_with(kind) || what.starts_with(kind)
        });
        assert!(is_seen, "`{kind}` was not seen: {problems:?}");
    }
}

fn take_pictures(reader: &Reader, folder: &Path) {
    let Some(pictures) = std::env::var_os("DALENET_PICTURES") else {
        return;
    };
    let name = folder.file_name().unwrap().to_string_lossy();
    for scheme in SCHEMES {
        for width_px in WIDTHS_PX {
            let file = Path::new(&pictures).join(format!("{name}-{width_px}-{scheme}.png"));
            fs::write(file, reader.picture(width_px, scheme)).unwrap();
        }
    }
}
