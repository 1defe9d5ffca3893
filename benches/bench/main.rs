//! What Pushbell costs, measured against the limit: `make bench`, or for a part `make bench ARGS="throughput idle"`.
//!
//! The limit is a bare hyper server that does the same work and nothing else ([`limit`]). Both run in turn, in the same
//! run, under the same load, which comes from a process of its own ([`load`]). Each figure is the median of the runs,
//! each ratio the median of the runs' ratios. Prints Markdown.

#![allow(clippy::expect_used, clippy::panic, reason = "a measurement that cannot be made ends with its reason")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it prints what it measures")]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "figures are rounded in the end")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a measurement looks for one thing among many")]
#![allow(clippy::cast_sign_loss, reason = "nothing measured is negative")]

mod floor;
mod limit;
mod load;
mod popups;
mod process;
mod servers;
mod size;
mod table;
mod throughput;

#[path = "../../tests/rig/mod.rs"]
mod rig;

/// How often each thing is measured.
const RUNS: usize = 5;

/// How often a load is: on a machine that is shared, CPU time differs by a half from one second to the next.
const LOADS: usize = 11;

/// A part of the measurements, its name and what it does.
const PARTS: [(&str, fn()); 8] = [
    ("throughput", throughput::rates),
    ("steady", throughput::steady),
    ("desktop", throughput::with_desktop),
    ("many", throughput::many),
    ("popups", popups::latency),
    ("badge", popups::badge),
    ("start", size::start),
    ("idle", size::idle),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["load", plan] => load::main(plan),
        ["limit", port, database] => limit::main(port, database),
        ["floor", port, bus] => floor::main(port, bus),
        wanted => {
            if let Some(unknown) = wanted.iter().find(|name| PARTS.iter().all(|(part, _)| part != *name)) {
                panic!("{unknown:?} is none of {:?}", PARTS.map(|(part, _)| part));
            }
            table::machine();
            for (part, measure) in PARTS {
                if wanted.is_empty() || wanted.contains(&part) {
                    measure();
                }
            }
        }
    }
}
