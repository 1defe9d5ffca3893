//! The table of costs, as Markdown.

use std::fs;

/// The bound that a figure, or a ratio of two, has to keep to.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Target {
    fn cells(self, value: f64) -> String {
        let (sign, bound, is_met) = match self {
            Self::AtLeast(least) => ('≥', least, value >= least),
            Self::AtMost(most) => ('≤', most, value <= most),
        };
        format!("{sign} {bound} | {}", if is_met { "met" } else { "**missed**" })
    }
}

/// The middle of the samples.
pub(crate) fn median(samples: impl IntoIterator<Item = f64>) -> f64 {
    let mut samples: Vec<f64> = samples.into_iter().collect();
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// Says what the figures were measured on, and begins the table.
pub(crate) fn begin(runs: usize) {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "{cores} cores ({}), Linux {}. Medians of {runs} runs.\n",
        model.trim_start_matches([' ', '\t', ':']),
        read("/proc/sys/kernel/osrelease").trim(),
    );
    println!("| | Pushbell | compared with | ratio | target | |\n|---|---:|---:|---:|---|---|");
}

/// A row with a target for the figure itself.
pub(crate) fn figure(what: &str, value: f64, target: Target) {
    println!("| {what} | {} | | | {} |", number(value), target.cells(value));
}

/// A row that explains the one before it and has no target of its own.
pub(crate) fn note(what: &str, value: f64) {
    println!("| {what} | {} | | | | |", number(value));
}

/// A row with a target for the ratio: the median of the runs' ratios.
pub(crate) fn compared(what: &str, runs: &[(f64, f64)], target: Target) {
    let (ours, theirs) = (median(runs.iter().map(|run| run.0)), median(runs.iter().map(|run| run.1)));
    let ratio = median(runs.iter().map(|(ours, theirs)| ours / theirs));
    println!("| {what} | {} | {} | {ratio:.2} | {} |", number(ours), number(theirs), target.cells(ratio));
}

/// A row of the contract that this program does not measure.
pub(crate) fn not_measured(what: &str, target: &str, why: &str) {
    println!("| {what} | | | | {target} | not measured here: {why} |");
}

/// Three significant digits.
fn number(value: f64) -> String {
    match value {
        _ if value < 10.0 => format!("{value:.2}"),
        _ if value < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
