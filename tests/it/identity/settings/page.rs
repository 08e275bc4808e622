//! `docs/CREDENTIALS.md`: every row of the settings with what it gives, word for word.

use std::{env, fmt::Write as _, fs, path::Path};

use serde_json::Value;

use super::{Around, Boto3, Row};

const INTRODUCTION: &str = "\
# Credentials and settings

Where an identity's credentials come from, what each setting of the environment and of the AWS files gives, and the exact text that a
user sees where one fails. A test writes this page and compares it; each row ran in a process of its own on a machine whose instance
role was at hand, so a row that gives `ASIAINST…` fell through to that role, and no row that fails did.

**One source, and no other.** In this order, which is boto3's: the cluster's `profile` alone, where it names one; keys in the
environment; a role that the profile assumes; a web identity in the environment; the rest of the profile (web identity, SSO, keys,
`credential_process`); a container's agent; an instance's metadata service. The profile is `AWS_PROFILE`, else `AWS_DEFAULT_PROFILE`,
else `default`. A profile that is *named* is the end of the way: missing, incomplete or without credentials it is `CREDENTIALS`, never
the container's or instance's identity. The chosen source is asked alone; if it fails, no other is tried.

**Settings.** One that is set and empty is the same as absent. One that cannot be used is an error that names the setting, never its
secret. The environment is read when the plugin is opened, the AWS files when an identity is first used. Proxies: lower-case names win;
`NO_PROXY` is `*` alone, or names, addresses and suffixes with or without a port (no CIDR, no `*.`), as Python's `urllib` reads it for the
AWS CLI; `ALL_PROXY` means nothing. A container's and an instance's agent are never asked through a proxy.

In the tables *boto3* says whether boto3 gives rows or an error too (that is compared in a test) or differs, on purpose.
";

/// The whole page.
pub(super) fn render(groups: &[(&str, Vec<Row>)], answers: &[Value], around: &Around) -> String {
    let mut page = INTRODUCTION.to_owned();
    let mut answers = answers.iter();
    for (title, rows) in groups {
        let _ = write!(
            page,
            "\n## {title}\n\n| variables | config file | cluster | gives | message | hint | boto3 |\n|---|---|---|---|---|---|---|\n"
        );
        for (row, answer) in rows.iter().zip(answers.by_ref()) {
            let (gives, message, hint) = outcome(row, answer, around);
            let boto3 = if row.4 == Boto3::Same {
                "same"
            } else {
                "differs"
            };
            let _ = writeln!(
                page,
                "| {} | {} | {} | {gives} | {message} | {hint} | {boto3} |",
                code(row.0),
                code(row.1),
                code(if row.2 == "{}" { "" } else { row.2 }),
            );
        }
    }
    page
}

fn outcome(row: &Row, answer: &Value, around: &Around) -> (String, String, String) {
    let error = &answer["error"];
    match &row.3 {
        super::Gives::Key(key) => (
            format!("rows, signed by `{key}…`"),
            String::new(),
            String::new(),
        ),
        super::Gives::Error(code, _) => {
            let text = |field: &str| {
                cell(&around.without_ports(error[field].as_str().unwrap_or_default()))
            };
            (format!("`{code}`"), text("message"), text("hint"))
        }
    }
}

/// Lines of settings as code.
fn code(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.is_empty());
    let lines: Vec<String> = lines
        .map(|line| format!("`{}`", cell(&line.replace('\r', "␍").replace('\u{1}', "␁"))))
        .collect();
    lines.join("<br>")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', "<br>")
}

/// Compares the page with the one that is kept, or keeps it.
pub(super) fn compare(page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/CREDENTIALS.md");
    if env::var_os("BLESS").is_some() {
        return fs::write(path, page).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == page,
        "docs/CREDENTIALS.md is not what settings give now; BLESS=1 rewrites it:\n{page}"
    );
}
