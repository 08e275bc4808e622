//! Statements that begin with a comment, which an option parser would take for an option.

use std::ffi::OsString;

use crate::run::statement::is_statement;

/// The arguments of a process, in which `run '-- all books⏎ SELECT …'` has become `run '--query=-- all books⏎ SELECT …'`.
pub(crate) fn lifted(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut lifted: Vec<OsString> = Vec::new();
    let mut options_ended = false;
    for (at, argument) in arguments.into_iter().enumerate() {
        // Only these two take such a statement.
        options_ended |= at == 1 && argument != "run" && argument != "submit";
        let is_value = lifted.last().is_some_and(|before| before == "--query");
        options_ended |= argument == "--";
        match argument.to_str() {
            Some(text)
                if text.starts_with("--") && is_statement(text) && !is_value && !options_ended =>
            {
                lifted.push(format!("--query={text}").into());
            }
            _ => lifted.push(argument),
        }
    }
    lifted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &[&str]) -> Vec<String> {
        lifted(arguments.iter().map(OsString::from))
            .into_iter()
            .map(|argument| argument.into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_statement_behind_a_comment_becomes_an_options_value() {
        let statement = "-- books\nSELECT * FROM t";
        let as_option = format!("--query={statement}");
        assert_eq!(of(&["h", "run", statement]), ["h", "run", &as_option]);
        assert_eq!(
            of(&["h", "run", "-q", statement, "-v"]),
            ["h", "run", "-q", &as_option, "-v"]
        );
        for unchanged in [
            &["h", "run", "--query", statement][..],
            &["h", "run", "--", statement],
            &["h", "run", "--limit", "5"],
            &["h", "run", "SELECT * FROM t -- x"],
        ] {
            assert_eq!(of(unchanged), unchanged);
        }
    }
}
