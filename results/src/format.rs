//! The formats' names, endings and media types.

use std::path::Path;

/// A format that a result can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// The result document, `{"columns","data","stats"}`.
    Json,
    /// One JSON object a row, each ended by a newline; null cells are left out.
    Ndjson,
    /// Comma-separated values (RFC 4180, lines end in LF): null is nothing, an empty string is `""`, lists and maps are JSON.
    Csv,
    /// The same with tabs between the cells; a cell with a tab in it is quoted.
    Tsv,
    /// Apache Parquet.
    Parquet,
    /// Apache Arrow's IPC stream.
    Arrow,
    /// Apache Arrow's IPC file.
    ArrowFile,
    /// Aligned columns, for people.
    Table,
    /// One line a cell, for people and for rows with many columns.
    Vertical,
    /// A table in Markdown.
    Markdown,
}

impl Format {
    /// The formats that a host sends over HTTP, in the order in which it prefers them.
    pub const SERVED: [Self; 5] = [
        Self::Json,
        Self::Ndjson,
        Self::Csv,
        Self::Parquet,
        Self::Arrow,
    ];

    /// The formats that the command line offers by name.
    pub const NAMED: [Self; 9] = [
        Self::Table,
        Self::Vertical,
        Self::Json,
        Self::Ndjson,
        Self::Csv,
        Self::Tsv,
        Self::Markdown,
        Self::Parquet,
        Self::Arrow,
    ];

    /// The format that the command line calls `name`; none is called like the IPC file, which only an ending chooses.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMED.into_iter().find(|format| format.name() == name)
    }

    /// The format that `?format=NAME` asks a host for.
    #[must_use]
    pub fn served(name: &str) -> Option<Self> {
        Self::SERVED
            .into_iter()
            .find(|format| format.name() == name)
    }

    /// The format that a file's ending stands for, in either case.
    #[must_use]
    pub fn of_path(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match ending.as_str() {
            "parquet" => Self::Parquet,
            "csv" => Self::Csv,
            "tsv" => Self::Tsv,
            "ndjson" | "jsonl" => Self::Ndjson,
            "json" => Self::Json,
            "md" => Self::Markdown,
            "arrows" => Self::Arrow,
            "arrow" | "feather" => Self::ArrowFile,
            _ => return None,
        })
    }

    /// Its name on the command line and in `?format=`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Parquet => "parquet",
            Self::Arrow | Self::ArrowFile => "arrow",
            Self::Table => "table",
            Self::Vertical => "vertical",
            Self::Markdown => "markdown",
        }
    }

    /// The ending of a file in this format, without the dot.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Self::Arrow => "arrows",
            Self::ArrowFile => "arrow",
            Self::Markdown => "md",
            Self::Table | Self::Vertical => "txt",
            _ => self.name(),
        }
    }

    /// Its media type.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv",
            Self::Tsv => "text/tab-separated-values",
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::ArrowFile => "application/vnd.apache.arrow.file",
            Self::Table | Self::Vertical => "text/plain",
            Self::Markdown => "text/markdown",
        }
    }

    /// Whether its bytes are not text, and so no output for a terminal.
    #[must_use]
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Parquet | Self::Arrow | Self::ArrowFile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_choose_the_format() {
        let endings = [
            ("x.parquet", Some(Format::Parquet)),
            ("x.csv", Some(Format::Csv)),
            ("x.CSV", Some(Format::Csv)),
            ("x.tsv", Some(Format::Tsv)),
            ("x.ndjson", Some(Format::Ndjson)),
            ("x.jsonl", Some(Format::Ndjson)),
            ("x.json", Some(Format::Json)),
            ("x.md", Some(Format::Markdown)),
            ("x.arrows", Some(Format::Arrow)),
            ("x.arrow", Some(Format::ArrowFile)),
            ("x.feather", Some(Format::ArrowFile)),
            ("x.csv.gz", None),
            ("csv", None),
            (".csv", None),
        ];
        for (path, format) in endings {
            assert_eq!(Format::of_path(Path::new(path)), format, "{path}");
        }
    }

    #[test]
    fn names_are_read_back() {
        for format in Format::NAMED {
            assert_eq!(Format::named(format.name()), Some(format));
        }
        for format in Format::SERVED {
            assert_eq!(Format::served(format.name()), Some(format));
        }
        for unknown in ["table", "tsv", "JSON", "", "xml"] {
            assert_eq!(Format::served(unknown), None, "{unknown}");
        }
    }
}
