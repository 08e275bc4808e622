//! `docs/CORPUS.md`: the corpus' answers as a table.

use std::fmt::Write;

use serde_json::Value;

use super::{Answer, Row};

/// Longer answers are cut: the page is to be looked through, and the test compares them whole.
const MAX_CELL: usize = 110;

/// The whole page.
pub(crate) fn render(rows: &[Row]) -> String {
    let mut page = String::from(
        "# Statement corpus\n\n\
         Each statement as a job of ours and as a raw request to Amazon's DynamoDB Local and to the embedded engine.\n\
         Written by the test `corpus` (`BLESS=1 cargo test -p harness-tests corpus`) from `tests/corpus/`; long answers are\n\
         cut here and compared whole there. Nulls are left out of rows, and `same` stands for DynamoDB Local's answer.\n\n",
    );
    summary(&mut page, rows);
    let mut section = "";
    for row in rows {
        if row.case.section != section {
            section = &row.case.section;
            let head =
                "| statement | ours | DynamoDB Local | embedded | note |\n|---|---|---|---|---|";
            writeln!(page, "\n## {section}\n\n{head}").expect("a string takes everything");
        }
        writeln!(
            page,
            "| {} | {} | {} | {} | {} |",
            statement(row),
            cell(&row.ours.to_string()),
            cell(&row.local.to_string()),
            embedded(row),
            escape(&row.note),
        )
        .expect("a string takes everything");
    }
    page
}

fn summary(page: &mut String, rows: &[Row]) {
    let count = |holds: &dyn Fn(&Row) -> bool| rows.iter().filter(|row| holds(row)).count();
    let starts = |text: &'static str| move |row: &Row| row.note.starts_with(text);
    let lines = [
        ("statements", rows.len()),
        ("same rows", count(&starts("same rows"))),
        ("refused by both", count(&starts("both refuse"))),
        (
            "of these, ours tells line and column",
            count(&starts("both refuse; ours")),
        ),
        (
            "writes that DynamoDB carries out and ours refuses",
            count(&starts("a write")),
        ),
        (
            "refused by ours alone, with a reason",
            count(&starts("refused:")),
        ),
        (
            "answered otherwise by the embedded engine",
            count(&|row| !agrees(row)),
        ),
    ];
    page.push_str("| what | how many |\n|---|---|\n");
    for (what, how_many) in lines {
        writeln!(page, "| {what} | {how_many} |").expect("a string takes everything");
    }
}

fn statement(row: &Row) -> String {
    let mut text = format!("`` {} ``", escape(&row.case.statement));
    if let Some(parameters) = &row.case.parameters {
        write!(text, " with `{}`", escape(&parameters.to_string()))
            .expect("a string takes everything");
    }
    text
}

/// The embedded engine is asked for the same rows, in any order where the statement asks for none, and for a refusal in
/// any words.
fn agrees(row: &Row) -> bool {
    match (&row.local, &row.embedded) {
        (Answer::Rows(one), Answer::Rows(other)) if ordered(row) => one == other,
        (Answer::Rows(one), Answer::Rows(other)) => in_text_order(one) == in_text_order(other),
        (Answer::Refused(_), Answer::Refused(_)) => true,
        _ => false,
    }
}

fn ordered(row: &Row) -> bool {
    row.case.statement.contains("ORDER BY")
}

fn in_text_order(rows: &[Value]) -> Vec<Value> {
    let mut rows = rows.to_vec();
    rows.sort_by_cached_key(Value::to_string);
    rows
}

fn embedded(row: &Row) -> String {
    let answer = match &row.embedded {
        Answer::Rows(_) if agrees(row) => return "same".to_owned(),
        Answer::Rows(rows) if ordered(row) => cell(&Answer::Rows(rows.clone()).to_string()),
        // Its order of rows is not the same from run to run.
        Answer::Rows(rows) => cell(&Answer::Rows(in_text_order(rows)).to_string()),
        Answer::Refused(_) => cell(&row.embedded.to_string()),
    };
    if agrees(row) {
        answer
    } else {
        format!("**differs**: {answer}")
    }
}

fn cell(text: &str) -> String {
    let cut: String = text.chars().take(MAX_CELL).collect();
    let dots = if cut.len() < text.len() { "…" } else { "" };
    format!("`` {}{dots} ``", escape(&cut))
}

/// What would end a cell or cannot be seen, made visible.
fn escape(text: &str) -> String {
    let mut visible = String::new();
    for character in text.chars() {
        match character {
            '|' => visible.push_str("\\|"),
            '\n' => visible.push_str("\\n"),
            '\r' => visible.push_str("\\r"),
            '\t' => visible.push_str("\\t"),
            seen if seen == ' '
                || !(seen.is_control() || seen.is_whitespace() || seen == '\u{feff}') =>
            {
                visible.push(seen);
            }
            hidden => visible.extend(hidden.escape_unicode()),
        }
    }
    visible
}
