//! Real signals, in a process of their own: this test starts itself again with [`ROLE`] set.

use crate::common::again;
use dalenet::train::interrupt::Interrupt;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::raise;

const ROLE: &str = "DALENET_TEST_SIGNALS";

/// Sends itself the named signals, with a check after the first; exit code 7 if it survives.
fn child(signals: &str) -> ! {
    let interrupt = Interrupt::install().unwrap();
    assert_eq!(interrupt.requested(), None);
    for (index, signal) in signals.split(',').enumerate() {
        let (signal, code) = if signal == "int" {
            (SIGINT, 130)
        } else {
            (SIGTERM, 143)
        };
        raise(signal).unwrap();
        if index == 0 {
            assert_eq!(interrupt.requested(), Some(code));
        }
    }
    std::process::exit(7);
}

#[test]
fn the_first_signal_asks_and_the_second_exits() {
    if let Ok(signals) = std::env::var(ROLE) {
        child(&signals);
    }
    for (signals, expected) in [
        ("int", 7),
        ("term", 7),
        ("int,int", 130),
        ("term,term", 143),
        ("int,term", 143),
    ] {
        let status = again(
            module_path!(),
            &["the_first_signal_asks_and_the_second_exits"],
        )
        .env(ROLE, signals)
        .output()
        .unwrap()
        .status;
        assert_eq!(status.code(), Some(expected), "{signals}");
    }
}
