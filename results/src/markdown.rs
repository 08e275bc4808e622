//! A table in Markdown, as GitHub reads it.

use std::io::Write;

use crate::{Source, WriteError, cell, visible};

/// Writes the table: numbers at the right, null as nothing, an empty text as `""`. A result without columns gives nothing.
pub(crate) fn write(source: &Source<'_>, out: &mut dyn Write) -> Result<(), WriteError> {
    let columns = source.columns();
    if columns.is_empty() {
        return Ok(());
    }
    for column in columns {
        write!(
            out,
            "| {} ",
            escaped(&visible::visible((&*column.name).into()))
        )?;
    }
    out.write_all(b"|\n")?;
    for column in columns {
        let line = if column.kind.is_number() {
            "---:"
        } else {
            "---"
        };
        write!(out, "| {line} ")?;
    }
    out.write_all(b"|\n")?;
    source.for_each_row(|cells| {
        for cell in cells {
            match &*cell::shown(cell)? {
                "" => out.write_all(b"| ")?,
                shown => write!(out, "| {} ", escaped(shown))?,
            }
        }
        Ok(out.write_all(b"|\n")?)
    })
}

/// Takes their meaning from the characters that Markdown reads as marks; an underscore inside a word is none.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 4);
    let mut before = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let is_in_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let is_mark = match c {
            '_' => !is_in_word(before) || !is_in_word(rest.peek().copied()),
            _ => matches!(c, '\\' | '|' | '`' | '*' | '~' | '<' | '[' | '&'),
        };
        if is_mark {
            escaped.push('\\');
        }
        escaped.push(c);
        before = Some(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_lose_their_meaning_and_names_stay_readable() {
        assert_eq!(escaped("user_id"), "user_id");
        assert_eq!(escaped("_a_ *b* `c` a|b"), r"\_a\_ \*b\* \`c\` a\|b");
        assert_eq!(escaped("<b> &amp; [x](y) \\"), r"\<b> \&amp; \[x](y) \\");
    }
}
