//! Does cost grow in a straight line? Answers of 10 MB, 100 MB and 1 GB, and items that are unlike the usual ones.

use std::fmt::Write;

use super::{
    Cost, DATA_SETS, client_cost, library,
    peers::{Client, PLUGIN},
    release,
    report::{median, when_and_where},
    server::Server,
};

const MEGABYTES: [usize; 3] = [10, 100, 1000];
/// Data sets whose items are unlike the usual ones, how many megabytes are read, and what they are.
const UNUSUAL: [(&str, usize, &str); 3] = [
    ("tiny", 100, "items of 30 bytes"),
    ("wide", 100, "items of close to 400 KB"),
    (
        "columns",
        1,
        "10,000 items, each with an attribute of its own: 10,000 columns",
    ),
];

pub(super) fn sizes(rounds: usize) -> anyhow::Result<String> {
    let mut text = format!(
        "`cargo xtask bench --sizes --rounds {rounds}` on {}. The C entry points; medians (least – most) of {rounds} runs each.\n\n\
         | items | wire MB | result MB | CPU s per 100 MB of wire | CPU s per 100 MB of result | peak ÷ result |\n\
         |---|---|---|---|---|---|\n",
        when_and_where()
    );
    let usual = DATA_SETS
        .into_iter()
        .flat_map(|set| MEGABYTES.map(|megabytes| (set, megabytes, set)));
    for (data_set, megabytes, what) in usual.chain(UNUSUAL) {
        row(&mut text, what, &runs(rounds, data_set, megabytes)?);
    }
    Ok(text)
}

fn runs(rounds: usize, data_set: &str, megabytes: usize) -> anyhow::Result<Vec<Cost>> {
    let server = Server::start(data_set, megabytes)?;
    let client = Client {
        name: PLUGIN,
        before_url: vec![release("benches").into(), "plugin-c".into()],
        after_url: vec![library().into()],
    };
    (0..rounds).map(|_| client_cost(&client, &server)).collect()
}

fn row(text: &mut String, what: &str, costs: &[Cost]) {
    let (wire, result) = (costs[0].wire_bytes, costs[0].result_bytes);
    let per = |bytes: f64| {
        let mut cpu: Vec<f64> = costs.iter().map(|cost| cost.cpu_s * 1e8 / bytes).collect();
        cpu.sort_by(f64::total_cmp);
        let middle = median(cpu.iter().copied());
        format!("{middle:.3} ({:.3} – {:.3})", cpu[0], cpu[cpu.len() - 1])
    };
    let _ = writeln!(
        text,
        "| {what} | {:.1} | {:.1} | {} | {} | {:.2} |",
        wire / 1e6,
        result / 1e6,
        per(wire),
        per(result),
        median(costs.iter().map(|cost| cost.peak_bytes)) / result,
    );
}
