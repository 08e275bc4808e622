//! The figures as Markdown: medians, and the ratios that the targets are set in.

use std::{fmt::Write, fs, path::Path, process::Command};

use anyhow::Context;

use super::{
    Cost, Costs, DATA_SETS,
    drawing::{self, Bars},
    peers::{Client, GO, PLUGIN, TYPED_VALUE, UNDECODED},
};

pub(super) struct Report<'a> {
    pub(super) rounds: usize,
    pub(super) megabytes: usize,
    pub(super) clients: &'a [Client],
    pub(super) costs: &'a Costs,
    pub(super) library_bytes: u64,
    pub(super) load_ms: Vec<(f64, f64)>,
    pub(super) load_average: String,
}

impl Report<'_> {
    pub(super) fn markdown(&self) -> String {
        let mut text = format!(
            "`cargo xtask bench --rounds {} --mb {}` on {}.\n\
             Load average: {}. Medians of {} rounds; CPU seconds are user and system of the client's process, \
             from its first request to its finished result.\n",
            self.rounds,
            self.megabytes,
            when_and_where(),
            self.load_average,
            self.rounds,
        );
        for data_set in DATA_SETS {
            self.table(&mut text, data_set);
        }
        self.ratios(&mut text);
        let _ = writeln!(
            text,
            "\nThe release library is {} bytes ({:.2} MB; target: at most 6.5). From nothing to a library that has answered its first \
             job (a refused one), {} times in fresh processes: median {:.2} ms on the clock, {:.2} ms of processor time \
             (target: at most 5).",
            self.library_bytes,
            bytes(self.library_bytes) / 1e6,
            self.load_ms.len(),
            median(self.load_ms.iter().map(|(wall, _)| *wall)),
            median(self.load_ms.iter().map(|(_, cpu)| *cpu)),
        );
        text
    }

    /// The same costs as bars.
    pub(super) fn drawing(&self) -> String {
        let costs = |name| {
            DATA_SETS.map(|data_set| {
                let scale = 1e8 / self.wire_bytes(data_set);
                scale * self.median(data_set, name, |cost| cost.cpu_s)
            })
        };
        let clients = self.clients.iter();
        let bars: Vec<Bars> = clients
            .map(|client| (client.name, costs(client.name)))
            .collect();
        drawing::svg("CPU seconds for 100 MB of answers, medians", &bars)
    }

    fn table(&self, text: &mut String, data_set: &'static str) {
        let _ = writeln!(
            text,
            "\n**{data_set} items**, {:.1} MB of page bodies\n\n\
             | client | CPU s per 100 MB | least – most | wall s per 100 MB | peak memory | peak ÷ result |\n|---|---|---|---|---|---|",
            self.wire_bytes(data_set) / 1e6
        );
        let scale = 1e8 / self.wire_bytes(data_set);
        for client in self.clients {
            let costs = &self.costs[&(data_set, client.name)];
            let cpu = costs.iter().map(|cost| cost.cpu_s * scale);
            let peak = self.median(data_set, client.name, |cost| cost.peak_bytes);
            let result = self.median(data_set, client.name, |cost| cost.result_bytes);
            let share = match result > 0.0 {
                true => format!("{:.2}", peak / result),
                false => "–".to_owned(),
            };
            let _ = writeln!(
                text,
                "| {} | {:.3} | {:.3} – {:.3} | {:.3} | {:.0} MB | {share} |",
                client.name,
                median(cpu.clone()),
                cpu.clone().fold(f64::INFINITY, f64::min),
                cpu.fold(0.0, f64::max),
                self.median(data_set, client.name, |cost| cost.wall_s) * scale,
                peak / 1e6,
            );
        }
    }

    fn ratios(&self, text: &mut String) {
        text.push_str("\n| CPU seconds, medians | target | flat | nested |\n|---|---|---|---|\n");
        let ratio = |upper: &'static str, lower: &'static str, data_set| {
            let of = |name| match self.costs.contains_key(&(data_set, name)) {
                true => Some(self.median(data_set, name, |cost| cost.cpu_s)),
                false => None,
            };
            of(upper)
                .zip(of(lower))
                .map_or("left out".to_owned(), |(upper, lower)| {
                    format!("{:.1}", upper / lower)
                })
        };
        for (what, goal, upper, lower) in [
            (
                "plugin ÷ SDK without decoding",
                "at most 3, aim 2",
                PLUGIN,
                UNDECODED,
            ),
            (
                "typed items + Value ÷ plugin",
                "at least 25",
                TYPED_VALUE,
                PLUGIN,
            ),
            ("Go loop ÷ plugin", "at least 30", GO, PLUGIN),
        ] {
            let [flat, nested] = DATA_SETS.map(|data_set| ratio(upper, lower, data_set));
            let _ = writeln!(text, "| {what} | {goal} | {flat} | {nested} |");
        }
    }

    fn wire_bytes(&self, data_set: &'static str) -> f64 {
        self.median(data_set, UNDECODED, |cost| cost.wire_bytes)
    }

    fn median(&self, data_set: &'static str, client: &'static str, of: fn(&Cost) -> f64) -> f64 {
        median(self.costs[&(data_set, client)].iter().map(of))
    }
}

pub(super) fn median(of: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = of.collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        0 => (sorted[middle - 1] + sorted[middle]) / 2.0,
        _ => sorted[middle],
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "no library has so many bytes that a float cannot count them"
)]
fn bytes(n: u64) -> f64 {
    n as f64
}

/// Date, machine and compiler.
pub(super) fn when_and_where() -> String {
    format!(
        "{}, {}, {}",
        said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        machine(),
        said("rustc", &["--version"]),
    )
}

/// What the machine is, without its name.
fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<&str> = cpu
        .lines()
        .filter_map(|line| line.strip_prefix("model name"))
        .map(|rest| rest.trim_start_matches([' ', '\t', ':']))
        .collect();
    let model = models.first().copied().unwrap_or("an unknown processor");
    format!(
        "{model}, {} cores, Linux {}",
        models.len(),
        said("uname", &["-rm"])
    )
}

fn said(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    output.map_or_else(
        |_| format!("{program}: unknown"),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// Puts figures between their two marks in the page; what stands around them stays.
pub(super) fn write(page: &Path, part: &str, figures: &str) -> anyhow::Result<()> {
    let text =
        fs::read_to_string(page).with_context(|| format!("cannot read {}", page.display()))?;
    let (begin, end) = (
        format!("<!-- {part}: begin -->"),
        format!("<!-- {part}: end -->"),
    );
    let (before, rest) = text
        .split_once(&begin)
        .with_context(|| format!("the page lacks '{begin}'"))?;
    let (_, after) = rest
        .split_once(&end)
        .with_context(|| format!("the page lacks '{end}'"))?;
    fs::write(page, format!("{before}{begin}\n{figures}{end}{after}"))?;
    Ok(())
}
