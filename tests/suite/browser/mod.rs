//! A real browser for the test of the pages: Chromium without a window, one for all pages.

use std::ffi::OsStr;
use std::fmt::Debug;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use headless_chrome::protocol::cdp::types::Event;
use headless_chrome::protocol::cdp::types::Method;
use headless_chrome::protocol::cdp::{Emulation, Log, Network, Page};
use headless_chrome::{Browser, LaunchOptions, Tab, browser};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const CHECKS: &str = include_str!("checks.js");
/// Phone, tablet, desktop.
pub const WIDTHS_PX: [u32; 3] = [360, 768, 1440];
/// What a reader may prefer.
pub const SCHEMES: [&str; 2] = ["light", "dark"];
const WINDOW_HEIGHT_PX: u64 = 800;
const FLAGS: [&str; 3] = [
    "--disable-quic",
    "--disable-component-update",
    "--no-default-browser-check",
];

/// The browser and what it has complained about and asked the network for.
pub struct Reader {
    tab: Arc<Tab>,
    complaints: Arc<Mutex<Vec<String>>>,
    // Closed with its last handle.
    _browser: Browser,
}

/// A started browser, or none where none is installed; then that must be allowed.
pub fn start() -> Option<Reader> {
    let Ok(path) = browser::default_executable() else {
        let required = std::env::var_os("DALENET_REQUIRE_BROWSER").is_some_and(|v| v == "1");
        assert!(
            !required,
            "DALENET_REQUIRE_BROWSER=1, but no Chromium was found; install it (Debian: apt-get \
             install chromium) or name it in CHROME"
        );
        return None;
    };
    let options = LaunchOptions::default_builder()
        .path(Some(path))
        .sandbox(false)
        .args(FLAGS.map(OsStr::new).to_vec())
        .idle_browser_timeout(Duration::from_secs(120))
        .build()
        .unwrap();
    let browser = Browser::new(options).unwrap();
    let tab = browser.new_tab().unwrap();
    let complaints = Arc::new(Mutex::new(Vec::new()));
    listen(&tab, &complaints);
    Some(Reader {
        tab,
        complaints,
        _browser: browser,
    })
}

/// Calls a method of the browser; most of its parameters may be left out in JSON only.
fn call<M: Method + DeserializeOwned + Serialize + Debug>(tab: &Tab, parameters: Value) {
    let method: M = serde_json::from_value(parameters).unwrap();
    tab.call_method(method).unwrap();
}

/// Gathers errors, warnings and requests.
fn listen(tab: &Tab, complaints: &Arc<Mutex<Vec<String>>>) {
    tab.enable_log().unwrap();
    tab.enable_runtime().unwrap();
    call::<Network::Enable>(tab, json!({}));
    let complaints = Arc::clone(complaints);
    let listener = move |event: &Event| {
        let complaint = match event {
            Event::RuntimeExceptionThrown(event) => {
                Some(format!("script: {}", event.params.exception_details.text))
            }
            Event::RuntimeConsoleAPICalled(event) => {
                Some(format!("console: {:?}", event.params.Type))
            }
            Event::LogEntryAdded(event) => {
                let entry = &event.params.entry;
                let is_bad = matches!(
                    entry.level,
                    Log::LogEntryLevel::Error | Log::LogEntryLevel::Warning
                );
                is_bad.then(|| format!("log: {}", entry.text))
            }
            Event::NetworkRequestWillBeSent(event) => {
                let url = &event.params.request.url;
                let is_page = url.starts_with("file:") && url.ends_with(".html");
                (!is_page && !url.starts_with("data:")).then(|| format!("request: {url}"))
            }
            _ => None,
        };
        if let Some(complaint) = complaint {
            complaints.lock().unwrap().push(complaint);
        }
    };
    tab.add_event_listener(Arc::new(listener)).unwrap();
}

impl Reader {
    /// Opens a file and looks at it in every width, light and dark. What is wrong, a line each.
    pub fn problems(&self, page: &Path) -> Vec<String> {
        self.problems_at(page, &WIDTHS_PX, &SCHEMES)
    }

    /// Opens a file and looks at it in some widths and schemes only.
    pub fn problems_at(&self, page: &Path, widths_px: &[u32], schemes: &[&str]) -> Vec<String> {
        self.complaints.lock().unwrap().clear();
        let url = format!("file://{}", page.canonicalize().unwrap().display());
        self.open(&url);
        // Folded parts are looked at, too.
        let unfold = "document.querySelectorAll('details').forEach((d) => { d.open = true; })";
        self.tab.evaluate(unfold, false).unwrap();
        let mut problems = Vec::new();
        let mut colours = Vec::new();
        for scheme in schemes {
            self.scheme(scheme);
            for &width_px in widths_px {
                self.size(width_px, WINDOW_HEIGHT_PX);
                let found = self.tab.evaluate(CHECKS, false).unwrap().value.unwrap();
                let found: Value = serde_json::from_str(found.as_str().unwrap()).unwrap();
                let list = found["problems"].as_array().unwrap().iter();
                problems.extend(
                    list.map(|p| format!("{width_px} px, {scheme}: {}", p.as_str().unwrap())),
                );
                colours.push([found["ink"].clone(), found["paper"].clone()]);
            }
        }
        let (light, dark) = (&colours[0], &colours[colours.len() - 1]);
        if schemes.len() > 1 && (light[0] == dark[0] || light[1] == dark[1]) {
            problems.push(format!(
                "scheme: {light:?} whether light or dark is preferred"
            ));
        }
        // What the page has complained about may still be on its way.
        std::thread::sleep(Duration::from_millis(100));
        problems.extend(self.complaints.lock().unwrap().drain(..));
        problems
    }

    /// Opens an address and waits until the page is there. The crate's own way waits for a quiet
    /// network, half a second and more for each page.
    fn open(&self, url: &str) {
        let fresh = "window.left = true";
        self.tab.evaluate(fresh, false).unwrap();
        self.tab.navigate_to(url).unwrap();
        let ready = "!window.left && document.readyState === 'complete'";
        let deadline = Instant::now() + Duration::from_secs(20);
        let is_ready = || {
            let answer = self.tab.evaluate(ready, false);
            answer.is_ok_and(|answer| answer.value == Some(Value::Bool(true)))
        };
        while !is_ready() {
            assert!(Instant::now() < deadline, "{url} does not open");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// How many elements match.
    pub fn count(&self, selector: &str) -> u64 {
        let script = format!("document.querySelectorAll({selector:?}).length");
        self.tab
            .evaluate(&script, false)
            .unwrap()
            .value
            .unwrap()
            .as_u64()
            .unwrap()
    }

    fn scheme(&self, scheme: &str) {
        let preferred = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        call::<Emulation::SetEmulatedMedia>(&self.tab, json!({ "features": preferred }));
    }

    fn size(&self, width_px: u32, height_px: u64) {
        let metrics = json!({
            "width": width_px, "height": height_px, "deviceScaleFactor": 1, "mobile": false,
        });
        call::<Emulation::SetDeviceMetricsOverride>(&self.tab, metrics);
    }

    /// A picture of the page from top to end, for people.
    pub fn picture(&self, width_px: u32, scheme: &str) -> Vec<u8> {
        self.scheme(scheme);
        self.size(width_px, WINDOW_HEIGHT_PX);
        let height = self
            .tab
            .evaluate("document.documentElement.scrollHeight", false);
        self.size(width_px, height.unwrap().value.unwrap().as_u64().unwrap());
        let format = Page::CaptureScreenshotFormatOption::Png;
        self.tab
            .capture_screenshot(format, None, None, true)
            .unwrap()
    }
}
