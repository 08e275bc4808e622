//! The costs as bars, for `docs/bench.svg`.
//!
//! In: for each client what 100 MB of answers cost it, by data set. Out: a drawing that reads in light and in dark. The scale is
//! logarithmic, since the costs lie three powers of ten apart.

use std::fmt::Write;

use super::DATA_SETS;

/// A client's name, and its processor seconds by data set.
pub(super) type Bars = (&'static str, [f64; DATA_SETS.len()]);

/// Of so many seconds a bar has no length…
const LEAST: f64 = 0.01;
/// …and for each power of ten beyond it so much.
const DECADE: f64 = 120.0;
const DECADES: u32 = 4;
const LEFT: f64 = 330.0;
const TOP: f64 = 46.0;
const BAR: f64 = 11.0;
const CLIENT: f64 = 34.0;
const COLOURS: [&str; DATA_SETS.len()] = ["#1f6feb", "#d9730d"];

pub(super) fn svg(title: &str, clients: &[Bars]) -> String {
    let bottom = TOP + CLIENT * f64::from(u32::try_from(clients.len()).unwrap_or(u32::MAX));
    let (width, height) = (LEFT + DECADE * f64::from(DECADES) + 70.0, bottom + 34.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"11\" role=\"img\">\n\
         <title>{title}</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"10\" y=\"18\" font-size=\"13\">{title}</text>\n"
    );
    for (data_set, colour) in DATA_SETS.iter().zip(COLOURS) {
        let x = if *data_set == DATA_SETS[0] {
            10.0
        } else {
            110.0
        };
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"26\" width=\"10\" height=\"10\" fill=\"{colour}\"/><text x=\"{}\" y=\"35\">{data_set} items</text>",
            x + 14.0
        );
    }
    for decade in 0..=DECADES {
        let x = LEFT + DECADE * f64::from(decade);
        let seconds = LEAST * 10f64.powi(decade.cast_signed());
        let _ = writeln!(
            svg,
            "<path d=\"M{x} {TOP}V{bottom}\" stroke=\"#ccc\"/><text x=\"{x}\" y=\"{}\" text-anchor=\"middle\" fill=\"#555\">{seconds} s</text>",
            bottom + 16.0
        );
    }
    let mut y = TOP + 4.0;
    for (name, costs) in clients {
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            y + BAR + 4.0,
            escaped(name)
        );
        for ((cost, colour), n) in costs.iter().zip(COLOURS).zip(0u32..) {
            let length = DECADE * (cost / LEAST).log10().max(0.0);
            let y = y + f64::from(n) * (BAR + 1.0);
            let _ = writeln!(
                svg,
                "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{length:.1}\" height=\"{BAR}\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{}\">{cost:.3}</text>",
                LEFT + length + 4.0,
                y + BAR - 2.0
            );
        }
        y += CLIENT;
    }
    svg.push_str("</svg>\n");
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_ten_times_as_high_is_a_bar_longer_by_one_decade() {
        let svg = svg("costs", &[("a <b>", [0.1, 1.0])]);
        assert!(svg.contains("width=\"120.0\"") && svg.contains("width=\"240.0\""));
        assert!(svg.contains("a &lt;b>") && svg.ends_with("</svg>\n"));
    }
}
