//! Whether what a job gave is the truth: the clean result, or an error that one of its faults explains.

use std::collections::HashMap;

use engines::faults::Fault;
use plugin_api::Error;
use serde_json::{Value, json};

use super::{
    job::{READ_TIMEOUT, Ran, Seen},
    plan::{ATTEMPTS, Ending, PAGES, Plan, SEGMENTS, is_retried},
    table::{Column, Given, Row, given, number, read_lines},
};

/// The same job without anything in its way.
pub(super) struct Clean {
    /// A document's text up to its figures.
    pub(super) text: String,
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Row>,
    /// Rows on each page of the read in one segment.
    pub(super) page_sizes: Vec<usize>,
}

/// How a job ended, and where a further job goes on; `None`: there is nothing to go on with.
pub(super) struct Verdict {
    pub(super) end: String,
    pub(super) goes_on: Option<PagePosition>,
}

/// Rows that the caller has, and the token of what comes after them; `None`: the beginning.
pub(super) struct PagePosition {
    pub(super) rows: usize,
    pub(super) token: Option<String>,
}

pub(super) fn judge(plan: &Plan, ran: &Ran, clean: &Clean) -> Result<Verdict, String> {
    // On a machine that is too busy a client stops waiting for an honest answer.
    let given_up = ran.seen.iter().filter(|seen| seen.given_up).count();
    let waited = READ_TIMEOUT * u32::try_from(given_up).unwrap_or(u32::MAX);
    demand(plan.segmented || ran.elapsed >= waited, || {
        format!("{given_up} pages were asked for again for no reason")
    })?;
    match &ran.outcome {
        Ok(answer) => succeeded(plan, ran, answer, clean),
        Err(error) => failed(plan, ran, error, clean)
            .map_err(|wrong| format!("{wrong}; its error: {error:?}")),
    }
}

fn demand(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// The rows are the first of the clean result, of each segment in its order, each once.
fn rows_are_right(plan: &Plan, rows: &[Row], clean: &Clean) -> Result<(), String> {
    // One segment is a read in segments of which there is one.
    let n_segments = if plan.segmented { SEGMENTS } else { 1 };
    let mut next: Vec<usize> = (0..n_segments).collect();
    for row in rows {
        let number = number(row)?;
        let due = &mut next[number % n_segments];
        demand(number == *due, || {
            format!("row {number} where {due} was due")
        })?;
        demand(clean.rows.get(number) == Some(row), || {
            format!("row {number} differs: {row:?}")
        })?;
        *due += n_segments;
    }
    Ok(())
}

fn succeeded(plan: &Plan, ran: &Ran, answer: &[u8], clean: &Clean) -> Result<Verdict, String> {
    let Given {
        columns,
        rows,
        stats,
    } = given(answer, &ran.lines)?;
    rows_are_right(plan, &rows, clean)?;
    let is_whole = stats["truncated"] == json!(false);
    let most = most_rows(plan, clean);
    if is_whole {
        demand(rows.len() == clean.rows.len(), || {
            format!("{} rows of {}", rows.len(), clean.rows.len())
        })?;
        demand(columns == clean.columns, || {
            format!("other columns: {columns:?}")
        })?;
        if !plan.segmented && ran.lines.is_empty() {
            let text = String::from_utf8_lossy(answer);
            demand(text.starts_with(&clean.text), || "other bytes".to_owned())?;
        }
    } else {
        demand(most.is_some(), || "truncated for no reason".to_owned())?;
    }
    if let Some(most) = most.filter(|_| !plan.segmented) {
        demand(rows.len() == most, || {
            format!("{} rows instead of {most}", rows.len())
        })?;
    }
    figures_are_right(plan, ran, rows.len(), &stats)?;
    let token = stats["next_token"].as_str().map(str::to_owned);
    // Of several segments no more than one may have been begun, and the rest is then not to be said with a token.
    let fits = match (is_whole, plan.segmented) {
        (true, _) => token.is_none(),
        (false, false) => token.is_some(),
        (false, true) => token.is_none() || stats["segments"] == json!(1),
    };
    demand(fits, || {
        format!("next_token and truncated do not fit: {stats}")
    })?;
    Ok(Verdict {
        end: if is_whole {
            "whole"
        } else {
            "truncated, as asked"
        }
        .to_owned(),
        goes_on: token.filter(|_| !plan.segmented).map(|token| PagePosition {
            rows: rows.len(),
            token: Some(token),
        }),
    })
}

/// The rows of one segment where a limit or a budget cuts.
fn most_rows(plan: &Plan, clean: &Clean) -> Option<usize> {
    let field = |name: &str| {
        plan.fields[name]
            .as_u64()
            .and_then(|n| usize::try_from(n).ok())
    };
    let limit = field("limit").map(|limit| limit.min(clean.rows.len()));
    let pages = field("max_pages").map(|pages| clean.page_sizes[..pages.min(PAGES)].iter().sum());
    limit.or(pages)
}

fn figures_are_right(plan: &Plan, ran: &Ran, n_rows: usize, stats: &Value) -> Result<(), String> {
    let figure = |name: &str| stats[name].as_u64();
    demand(figure("rows") == Some(n_rows as u64), || {
        format!("{n_rows} rows, {stats}")
    })?;
    demand(figure("requests") == Some(ran.seen.len() as u64), || {
        format!("{} requests came, {stats}", ran.seen.len())
    })?;
    let refused = |seen: &Seen| matches!(seen.fault, Fault::Validation(_));
    if ran.seen.iter().any(refused) {
        // The same page asked for otherwise is no retry.
        return Ok(());
    }
    let faulty = ran.seen.iter().filter(|seen| !seen.codes().is_empty());
    demand(figure("retries") == Some(faulty.count() as u64), || {
        format!("other retries than faults: {stats}")
    })?;
    let honest = ran.seen.iter().filter(|seen| seen.codes().is_empty());
    // The statement itself is sent before segments are read.
    let pages = honest.count() - usize::from(plan.segmented);
    demand(figure("pages") == Some(pages as u64), || {
        format!("{pages} pages answered, {stats}")
    })
}

fn failed(plan: &Plan, ran: &Ran, error: &Error, clean: &Clean) -> Result<Verdict, String> {
    let code = error.code.as_str();
    match code {
        "CANCELLED" => demand(ran.cancel_took.is_some(), || {
            "nobody cancelled it".to_owned()
        })?,
        "TIMEOUT" => demand(matches!(plan.ending, Ending::Deadline(..)), || {
            "it had no deadline".to_owned()
        })?,
        _ => demand(explains(plan, &ran.seen, code), || {
            let end = ran.seen.len().saturating_sub(6);
            format!(
                "the last requests do not explain {code}: {:?}",
                &ran.seen[end..]
            )
        })?,
    }
    let retryable = ["THROTTLED", "UNAVAILABLE", "BAD_RESPONSE", "TIMEOUT"].contains(&code);
    demand(error.retryable == retryable, || {
        "retryable is wrong".to_owned()
    })?;
    demand(error.hint.is_some() || code == "CANCELLED", || {
        "no hint".to_owned()
    })?;

    let (_, rows) = read_lines(&ran.lines)?;
    rows_are_right(plan, &rows, clean)?;
    let told = usize::try_from(error.partial.rows).unwrap_or(usize::MAX);
    let pages = usize::try_from(error.partial.pages).unwrap_or(usize::MAX);
    let honest = ran.seen.iter().filter(|seen| seen.codes().is_empty());
    demand(pages <= honest.count(), || {
        "pages that nobody sent".to_owned()
    })?;
    // The line of columns may have come alone.
    if plan.rows_after.is_some() {
        demand(rows.len() == told, || {
            format!("{} rows were handed over", rows.len())
        })?;
    }
    if plan.segmented {
        return Ok(Verdict {
            end: code.to_owned(),
            goes_on: None,
        });
    }
    let mut on_pages: usize = clean.page_sizes.iter().take(pages).sum();
    if let Some(most) = most_rows(plan, clean) {
        on_pages = on_pages.min(most);
    }
    let fits = match plan.rows_after {
        None => told == on_pages,
        Some(_) => told <= on_pages,
    };
    demand(fits, || format!("{on_pages} rows are on these pages"))?;
    let token = error.partial.next_token.clone();
    demand(
        token.is_some() || [0, clean.rows.len()].contains(&told),
        || "it does not say where it goes on".to_owned(),
    )?;
    Ok(Verdict {
        end: code.to_owned(),
        goes_on: Some(PagePosition { rows: told, token }),
    })
}

/// Whether some page's last answer was a fault of this code, and was asked for as often as it is to be.
fn explains(plan: &Plan, seen: &[Seen], code: &str) -> bool {
    let mut streams: HashMap<Option<u64>, Vec<&Seen>> = HashMap::new();
    for one in seen {
        streams.entry(one.segment).or_default().push(one);
    }
    streams.values().any(|stream| {
        let last = stream[stream.len() - 1];
        let of_page = stream
            .iter()
            .rev()
            .take_while(|one| one.start == last.start);
        let attempts = of_page.take_while(|one| !one.codes().is_empty()).count();
        let enough = !is_retried(last.fault) || attempts >= ATTEMPTS;
        // Segments whose request was under way when another ended the job may have had a fault too.
        last.codes().contains(&code) && (enough || plan.segmented && attempts == 0)
    })
}
