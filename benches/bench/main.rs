//! What Pushbell costs, row by row, against its targets: `make bench`, or for a part `make bench ARGS="pushes idle"`.
//! With `quick` each thing is measured once: that shows that the measurement works, and little more.
//!
//! Ratios are against a bare hyper server that does the same work and nothing else ([`limit`]). Both run in turn, under
//! the same load, which comes from a process of its own ([`load`]). Prints Markdown.

#![allow(clippy::expect_used, clippy::panic, reason = "a measurement that cannot be made ends with its reason")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it prints what it measures")]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "figures are rounded in the end")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a measurement looks for one thing among many")]

mod desktop;
#[cfg(feature = "encryption")]
mod encrypted;
mod limit;
#[cfg(feature = "encryption")]
mod listen;
mod load;
mod pushes;
mod servers;
mod strangers;
mod table;

#[cfg(feature = "encryption")]
#[path = "../../tests/ntfy/relay.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "a part of it is used here, and tests fail by panicking")]
mod relay;
#[path = "../../tests/rig/mod.rs"]
mod rig;

/// How often each thing is measured. On a shared machine CPU time differs by a half from one second to the next.
const RUNS: usize = 11;

/// Measures something this often.
type Measure = fn(usize);

/// The parts of the measurement, by name.
const PARTS: &[(&str, Measure)] = &[
    ("pushes", pushes::against_the_limit),
    ("kept", pushes::with_many_kept),
    ("idle", desktop::idle),
    ("popup", desktop::popup),
    #[cfg(feature = "encryption")]
    ("encrypted", encrypted::encrypted),
    #[cfg(feature = "encryption")]
    ("listen", listen::listen),
    ("start", desktop::starting),
    ("strangers", strangers::strangers),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let mut words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["load", order] => return load::main(order),
        ["limit", port, database] => return limit::main(port, database),
        ["flood", port] => return strangers::main(port),
        _ => {}
    }
    let runs = if words.contains(&"quick") { 1 } else { RUNS };
    words.retain(|word| *word != "quick");
    if let Some(unknown) = words.iter().find(|name| PARTS.iter().all(|(part, _)| part != *name)) {
        panic!("{unknown:?} is neither quick nor one of {:?}", PARTS.iter().map(|(part, _)| part).collect::<Vec<_>>());
    }
    table::begin(runs);
    for (part, measure) in PARTS {
        if words.is_empty() || words.contains(part) {
            measure(runs);
        }
    }
}
