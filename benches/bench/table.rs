//! Figures as Markdown.

use std::fs;

/// The middle of the samples.
pub(crate) fn median(samples: impl IntoIterator<Item = f64>) -> f64 {
    let mut samples: Vec<f64> = samples.into_iter().collect();
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// What ours is of theirs: the median of the runs' ratios.
pub(crate) fn ratio<T>(runs: &[(T, T)], figure: impl Fn(&T) -> f64) -> f64 {
    median(runs.iter().map(|(ours, theirs)| figure(ours) / figure(theirs)))
}

/// A table's heading.
pub(crate) fn head(title: &str, columns: &[&str]) {
    println!("\n### {title}\n\n| {} |", columns.join(" | "));
    println!("|---|{}", "---:|".repeat(columns.len() - 1));
}

/// One line of a table.
pub(crate) fn row(cells: &[String]) {
    println!("| {} |", cells.join(" | "));
}

/// A number with about three digits that count.
pub(crate) fn number(value: f64) -> String {
    if value < 10.0 {
        return format!("{value:.2}");
    }
    if value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A ratio and the target that it should keep to.
pub(crate) fn judged(ratio: f64, target: Target) -> String {
    let (is_met, sign) = match target {
        Target::AtLeast(least) => (ratio >= least, "✓"),
        Target::AtMost(most) => (ratio <= most, "✓"),
    };
    format!("{ratio:.2} {}", if is_met { sign } else { "✗" })
}

#[derive(Clone, Copy)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

/// Says what all of it runs on.
pub(crate) fn machine() {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = read("/proc/meminfo");
    let kilobytes = memory.split_whitespace().nth(1).and_then(|number| number.parse::<f64>().ok()).unwrap_or(0.0);
    let mounts = read("/proc/mounts");
    let disk = ["/tmp", "/"].iter().find_map(|place| {
        mounts.lines().rev().map(|line| line.split(' ').collect::<Vec<_>>()).find(|fields| fields.get(1) == Some(place))
    });
    println!(
        "Machine: {cores} cores ({}), {:.0} GB of memory, Linux {}, files on {}. Medians of {} runs, of loads {}; ✓ or ✗: within the target.",
        model.trim_start_matches([' ', '\t', ':']),
        kilobytes / 1e6,
        read("/proc/sys/kernel/osrelease").trim(),
        disk.and_then(|fields| fields.get(2).copied()).unwrap_or("?"),
        crate::RUNS,
        crate::LOADS,
    );
}
