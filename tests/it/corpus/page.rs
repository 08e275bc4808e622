//! `docs/CORPUS.md`: the corpus' answers as a table.

use std::fmt::Write;

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
    let count = |wanted: &dyn Fn(&Row) -> bool| rows.iter().filter(|row| wanted(row)).count();
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

/// The embedded engine is asked for the same rows in any order, and for a refusal in any words.
fn agrees(row: &Row) -> bool {
    match (&row.local, &row.embedded) {
        (Answer::Rows(one), Answer::Rows(other)) => {
            one.len() == other.len() && one.iter().all(|row| other.contains(row))
        }
        (Answer::Refused(_), Answer::Refused(_)) => true,
        _ => false,
    }
}

fn embedded(row: &Row) -> String {
    match &row.embedded {
        Answer::Rows(_) if agrees(row) => "same".to_owned(),
        // Its order of rows is not the same from run to run.
        Answer::Rows(rows) => {
            let mut texts: Vec<String> = rows.iter().map(ToString::to_string).collect();
            texts.sort();
            let answer = format!("{} rows: [{}]", rows.len(), texts.join(","));
            format!("**differs**: {}", cell(&answer))
        }
        Answer::Refused(_) if agrees(row) => cell(&row.embedded.to_string()),
        Answer::Refused(_) => format!("**differs**: {}", cell(&row.embedded.to_string())),
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
