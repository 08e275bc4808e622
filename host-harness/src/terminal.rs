//! What the terminals behind standard output and standard error are capable of.

use std::io::{self, IsTerminal, Write, stderr, stdout};

use rustix::fd::AsFd;
use terminal_size::{Width, terminal_size_of};

/// Writes to standard output. Whoever has read enough, as in `… | head`, is no error.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn print(bytes: &[u8]) -> io::Result<()> {
    let mut out = stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// One of the two streams.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    /// How many columns it has; `None`: no terminal, or one that does not say.
    pub(crate) width: Option<usize>,
    /// Whether it is a terminal at all.
    pub(crate) is_terminal: bool,
    /// Whether colours are wanted: on a terminal that is not dumb, unless NO_COLOR is set.
    pub(crate) color: bool,
}

impl Terminal {
    /// What is behind standard output.
    pub(crate) fn stdout() -> Self {
        Self::of(stdout())
    }

    /// What is behind standard error.
    pub(crate) fn stderr() -> Self {
        Self::of(stderr())
    }

    fn of(stream: impl IsTerminal + AsFd) -> Self {
        let is_terminal = stream.is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self {
            width: is_terminal
                .then(|| terminal_size_of(&stream))
                .flatten()
                .map(|(Width(width), _)| usize::from(width))
                .filter(|&width| width > 0),
            is_terminal,
            color: is_terminal && !no_color && !is_dumb,
        }
    }
}

/// A number with its thousands apart, and the word for so many.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// Capacity units with their word.
pub(crate) fn capacity(units: f64) -> String {
    let word = if units == 1.0 { "unit" } else { "units" };
    format!("{units} capacity {word}")
}

/// A number with its thousands apart.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_their_plural_and_their_thousands_apart() {
        let rows = |count| counted(count, "row", "rows");
        assert_eq!(rows(0), "0 rows");
        assert_eq!(rows(1), "1 row");
        assert_eq!(rows(999), "999 rows");
        assert_eq!(rows(1_000), "1,000 rows");
        assert_eq!(rows(1_234_567), "1,234,567 rows");
    }
}
