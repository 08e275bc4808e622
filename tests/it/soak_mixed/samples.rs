//! What a host and its workers use over time: taken, told in a table, drawn.

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use harness_tests::process;

/// What is sampled, with its unit.
pub(super) const FIGURES: [(&str, &str); 7] = [
    ("host, anonymous memory", "MB"),
    ("workers, anonymous memory", "MB"),
    ("worker processes", ""),
    ("threads of all", ""),
    ("open handles of all", ""),
    ("sockets among them", ""),
    ("disk: jobs and results", "MB"),
];

/// One look at the host and its children.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) at: Duration,
    pub(super) figures: [f64; FIGURES.len()],
}

/// Looks at a host whose files lie in `directory`.
pub(super) fn sample(host: u32, directory: &Path, began: Instant) -> Sample {
    let workers = children(host);
    let all: Vec<u32> = std::iter::once(host)
        .chain(workers.iter().copied())
        .collect();
    let sum = |of: &dyn Fn(u32) -> f64, processes: &[u32]| {
        processes.iter().map(|&id| of(id)).sum::<f64>()
    };
    let status = |name: &'static str| move |id: u32| process::status(id, name).unwrap_or(0) as f64;
    let handles = |id: u32| links(id).len() as f64;
    let sockets = |id: u32| {
        let links = links(id);
        links
            .iter()
            .filter(|link| link.starts_with("socket:"))
            .count() as f64
    };
    Sample {
        at: began.elapsed(),
        figures: [
            status("RssAnon")(host) / 1024.0,
            sum(&status("RssAnon"), &workers) / 1024.0,
            workers.len() as f64,
            sum(&status("Threads"), &all),
            sum(&handles, &all),
            sum(&sockets, &all),
            ["jobs", "results"]
                .map(|name| size(&directory.join(name)))
                .iter()
                .sum::<f64>()
                / 1e6,
        ],
    }
}

fn children(parent: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task"));
    let lists = tasks.into_iter().flatten().flatten().filter_map(|task| {
        let path = task.path().join("children");
        fs::read_to_string(path).ok()
    });
    let text: String = lists.collect();
    text.split_whitespace()
        .filter_map(|id| id.parse().ok())
        .collect()
}

fn links(id: u32) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{id}/fd"))
        .into_iter()
        .flatten()
        .flatten();
    let links = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
    links
        .map(|link| link.to_string_lossy().into_owned())
        .collect()
}

fn size(folder: &Path) -> f64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| {
        let about = entry.metadata();
        about.map_or(0.0, |about| {
            if about.is_dir() {
                size(&entry.path())
            } else {
                about.len() as f64
            }
        })
    });
    sizes.sum()
}

/// The median of a figure over a part of the time, from and to in quarters.
pub(super) fn median(samples: &[Sample], figure: usize, from: usize, to: usize) -> f64 {
    let index = |quarters: usize| samples.len() * quarters / 4;
    let mut values: Vec<f64> = samples[index(from)..index(to)]
        .iter()
        .map(|sample| sample.figures[figure])
        .collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// The table: medians of each quarter, and the most.
pub(super) fn table(samples: &[Sample]) -> String {
    let mut text = String::from(
        "| figure | 1st quarter | 2nd | 3rd | 4th | at most |\n|---|---|---|---|---|---|\n",
    );
    for (figure, (name, unit)) in FIGURES.iter().enumerate() {
        let quarter = |n| median(samples, figure, n, n + 1);
        let most = samples
            .iter()
            .map(|sample| sample.figures[figure])
            .fold(0.0, f64::max);
        let name = if unit.is_empty() {
            (*name).to_owned()
        } else {
            format!("{name}, {unit}")
        };
        let _ = writeln!(
            text,
            "| {name} | {:.0} | {:.0} | {:.0} | {:.0} | {most:.0} |",
            quarter(0),
            quarter(1),
            quarter(2),
            quarter(3)
        );
    }
    text
}

/// A line for each figure over time, each on a scale of its own from 0 to its most.
pub(super) fn svg(samples: &[Sample]) -> String {
    const WIDTH: f64 = 900.0;
    const HEIGHT: f64 = 70.0;
    const LEFT: f64 = 230.0;
    let end = samples
        .last()
        .map_or(1.0, |sample| sample.at.as_secs_f64())
        .max(1.0);
    let total = HEIGHT * FIGURES.len() as f64 + 30.0;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {total}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{total}\" fill=\"#fff\"/>\n"
    );
    for (figure, (name, unit)) in FIGURES.iter().enumerate() {
        let most = samples
            .iter()
            .map(|sample| sample.figures[figure])
            .fold(1.0, f64::max);
        let bottom = HEIGHT * (figure as f64 + 1.0);
        let points: String = samples
            .iter()
            .map(|sample| {
                let x = LEFT + (WIDTH - LEFT - 10.0) * sample.at.as_secs_f64() / end;
                let y = bottom - (HEIGHT - 20.0) * sample.figures[figure] / most;
                format!("{x:.1},{y:.1} ")
            })
            .collect();
        let _ = writeln!(
            text,
            "<text x=\"8\" y=\"{:.0}\">{name}</text><text x=\"8\" y=\"{:.0}\" fill=\"#666\">at most {most:.0} {unit}</text>\
             <path d=\"M{LEFT} {bottom}H{WIDTH}\" stroke=\"#ccc\"/><polyline points=\"{}\" fill=\"none\" stroke=\"#2563eb\" stroke-width=\"1.2\"/>",
            bottom - 30.0,
            bottom - 14.0,
            points.trim_end()
        );
    }
    let _ = writeln!(
        text,
        "<text x=\"{LEFT}\" y=\"{:.0}\" fill=\"#666\">0 to {:.0} minutes</text>\n</svg>",
        total - 8.0,
        end / 60.0
    );
    text
}
