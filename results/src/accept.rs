//! Content negotiation: which format a client's `Accept` header asks for (RFC 9110, section 12.5.1).

use crate::Format;

/// A media range of the header: `text/csv;q=0.5`.
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    has_parameters: bool,
    /// From 0 (never this one) to 1.
    quality: f32,
}

/// The format to send for these `Accept` headers, among those that a host sends; `None` is 406.
///
/// The highest quality wins, then the more specific range, then the order of [`Format::SERVED`]. A quality of 0 excludes. Without the
/// header, or where it is empty, everything is acceptable, and so the answer is JSON. A range that cannot be understood counts for nothing.
#[must_use]
pub fn negotiate<'a>(headers: impl IntoIterator<Item = &'a str>) -> Option<Format> {
    let mut is_empty = true;
    let mut ranges = Vec::new();
    for member in headers.into_iter().flat_map(|header| split(header, ',')) {
        if !member.trim().is_empty() {
            is_empty = false;
            ranges.extend(Range::parse(member));
        }
    }
    if is_empty {
        return Some(Format::Json);
    }
    let mut best: Option<(f32, u8, Format)> = None;
    for format in Format::SERVED {
        let Some((specificity, quality)) = quality_of(format, &ranges) else {
            continue;
        };
        let is_better = best.is_none_or(|(best_quality, best_specificity, _)| {
            (quality, specificity) > (best_quality, best_specificity)
        });
        if quality > 0.0 && is_better {
            best = Some((quality, specificity, format));
        }
    }
    best.map(|(_, _, format)| format)
}

/// What the most specific range that matches `format` says: how specific it is, and its quality. Of equals, the first one counts.
fn quality_of(format: Format, ranges: &[Range<'_>]) -> Option<(u8, f32)> {
    let mut most: Option<(u8, f32)> = None;
    for range in ranges {
        if let Some(specificity) = range.matches(format.content_type())
            && most.is_none_or(|(before, _)| specificity > before)
        {
            most = Some((specificity, range.quality));
        }
    }
    most
}

impl<'a> Range<'a> {
    fn parse(member: &'a str) -> Option<Self> {
        let mut parts = split(member, ';').into_iter().map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        if kind.is_empty() || subtype.is_empty() || (kind == "*" && subtype != "*") {
            return None;
        }
        let mut range = Range {
            kind,
            subtype,
            has_parameters: false,
            quality: 1.0,
        };
        for parameter in parts.filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=')?;
            if name.eq_ignore_ascii_case("q") {
                range.quality = quality(value)?;
                // What comes behind the quality is no part of the media type.
                break;
            }
            range.has_parameters = true;
        }
        Some(range)
    }

    /// How specific the range is, where it covers the media type: 0 for `*/*` up to 3 for one with parameters, which our types lack, so
    /// that a charset excludes nothing.
    fn matches(&self, content_type: &str) -> Option<u8> {
        let (kind, subtype) = content_type.split_once('/')?;
        match (self.kind, self.subtype) {
            ("*", _) => Some(0),
            (asked, "*") => asked.eq_ignore_ascii_case(kind).then_some(1),
            (asked, asked_subtype) => (asked.eq_ignore_ascii_case(kind)
                && asked_subtype.eq_ignore_ascii_case(subtype))
            .then_some(2 + u8::from(self.has_parameters)),
        }
    }
}

/// A quality as the RFC writes it: 0 to 1 with up to three digits behind the point.
fn quality(text: &str) -> Option<f32> {
    let is_number = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse()
        .ok()
        .filter(|quality| is_number && (0.0..=1.0).contains(quality))
}

/// Splits at a separator that stands outside quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut in_quotes, mut escaped) = (false, false);
    text.split(|c| {
        let is_separator = c == separator && !in_quotes;
        match c {
            _ if escaped => escaped = false,
            '\\' if in_quotes => escaped = true,
            '"' => in_quotes = !in_quotes,
            _ => {}
        }
        is_separator
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_format_is_chosen() {
        use Format::{Arrow, Csv, Json, Ndjson, Parquet};
        let cases = [
            ("", Some(Json)),
            (" , ", Some(Json)),
            ("*/*", Some(Json)),
            ("application/*", Some(Json)),
            ("text/*", Some(Csv)),
            ("text/csv", Some(Csv)),
            ("TEXT/CSV; Q=1", Some(Csv)),
            ("application/x-ndjson", Some(Ndjson)),
            ("application/vnd.apache.parquet", Some(Parquet)),
            ("application/vnd.apache.arrow.stream", Some(Arrow)),
            ("text/html", None),
            ("text/html, */*;q=0.1", Some(Json)),
            // The highest quality.
            ("application/json;q=0.5, text/csv;q=0.9", Some(Csv)),
            ("text/csv;q=0.9, application/json", Some(Json)),
            // Of equal qualities the more specific range, then the order of the list.
            ("*/*, text/csv", Some(Csv)),
            ("application/*, text/csv", Some(Csv)),
            ("text/csv, application/json", Some(Json)),
            (
                "application/vnd.apache.arrow.stream, application/vnd.apache.parquet",
                Some(Parquet),
            ),
            // The most specific range decides about a type, wherever it stands.
            ("application/json;q=0, */*", Some(Ndjson)),
            ("*/*, application/json;q=0", Some(Ndjson)),
            ("application/*;q=0, */*", Some(Csv)),
            (
                "text/csv;q=0.1, text/*;q=0.9, application/json;q=0.5",
                Some(Json),
            ),
            // Excluded is excluded.
            ("application/json;q=0", None),
            ("*/*;q=0", None),
            ("text/csv;q=0.000, text/*;q=0", None),
            // Parameters, quotes, and what cannot be understood.
            ("application/json;charset=utf-8", Some(Json)),
            ("text/csv;x=\"a,b;q=0\", text/html", Some(Csv)),
            ("text/csv;q=2, application/json;q=0.1", Some(Json)),
            ("text/csv;q=nan, application/json;q=inf", None),
            ("csv, */csv", None),
        ];
        for (header, format) in cases {
            assert_eq!(negotiate([header]), format, "{header}");
        }
        assert_eq!(negotiate([]), Some(Json), "no header at all");
        assert_eq!(negotiate(["application/json;q=0.1", "text/csv"]), Some(Csv));
    }
}
