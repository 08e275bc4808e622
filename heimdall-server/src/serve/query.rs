//! Query parameters of lists: everything that cannot be meant is refused with the nearest thing that can.

use axum::{
    extract::{FromRequestParts, Path, Query},
    http::request::Parts,
};
use plugin_api::near;
use results::Format;

use crate::{
    error::{Code, HostError},
    job::JobStatus,
    store::{Cursor, Direction, JobQuery, OrderBy, Pattern},
};

/// The most rows of a page, and the number without a limit, as in Heimdall.
const PAGE: u32 = 101;

const JOB_PARAMETERS: [&str; 14] = [
    "id",
    "name",
    "version",
    "username",
    "command",
    "cluster",
    "status",
    "tags",
    "limit",
    "order_by",
    "direction",
    "cursor",
    "created_after",
    "created_before",
];

/// The parameters of a request, each at most once. An empty value is the same as none.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = HostError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, HostError> {
        let Query(pairs) =
            Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).map_err(|_| {
                invalid("the query string cannot be read")
                    .hint("write name=value pairs joined by '&'")
            })?;
        for (index, (name, _)) in pairs.iter().enumerate() {
            if pairs[..index].iter().any(|(other, _)| other == name) {
                return Err(invalid(format!("the parameter '{name}' is given twice"))
                    .hint("keep one of them"));
            }
        }
        Ok(Self(pairs))
    }
}

/// The `{id}` of a path.
#[derive(Debug)]
pub(super) struct Id(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = HostError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HostError> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(id)),
            Err(_) => Err(HostError::new(
                Code::NotFound,
                "the id in the path is not UTF-8",
            )),
        }
    }
}

fn invalid(message: impl Into<String>) -> HostError {
    HostError::new(Code::InvalidRequest, message)
}

impl Parameters {
    /// Refuses parameters that are not among the known ones: a misspelt filter must not list everything.
    fn known(&self, known: &[&'static str]) -> Result<(), HostError> {
        for (name, _) in &self.0 {
            if !known.contains(&name.as_str()) {
                let hint = near(name, known.iter().copied());
                let hint = hint.map_or_else(
                    || format!("known here: {}", known.join(", ")),
                    |near| format!("did you mean '{near}'?"),
                );
                return Err(invalid(format!("unknown parameter '{name}'")).hint(hint));
            }
        }
        Ok(())
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(other, _)| other == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    fn pattern(&self, name: &str) -> Result<Option<Pattern>, HostError> {
        let pattern = self.get(name).map(Pattern::new).transpose();
        pattern.map_err(|error| invalid(format!("the parameter '{name}': {error}")))
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, HostError> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let wrong = |_| {
            invalid(format!(
                "the parameter '{name}' must be an integer, not '{text}'"
            ))
        };
        text.parse().map(Some).map_err(wrong)
    }

    fn word<T>(&self, name: &str, words: &[(&str, T)]) -> Result<T, HostError>
    where
        T: Copy + Default,
    {
        let Some(text) = self.get(name) else {
            return Ok(T::default());
        };
        let found = words
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(text));
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            invalid(format!("the parameter '{name}' cannot be '{text}'"))
                .hint(format!("one of {}", words.join(", ")))
        })
    }

    /// The values of a comma list.
    fn list<T>(
        &self,
        name: &str,
        read: impl Fn(&str) -> Result<T, HostError>,
    ) -> Result<Vec<T>, HostError> {
        let items = self.get(name).into_iter().flat_map(|text| text.split(','));
        items
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(read)
            .collect()
    }

    /// The format that a result is asked for in, where one is named, and whether CSV is to be safe for spreadsheets.
    pub(super) fn format(&self) -> Result<(Option<Format>, bool), HostError> {
        self.known(&["format", "safe"])?;
        let format = self.get("format").map(super::format::format_named);
        let safe = match self.get("safe") {
            None | Some("0" | "false") => false,
            Some("1" | "true") => true,
            Some(other) => {
                return Err(invalid(format!("the parameter 'safe' is '{other}'"))
                    .hint("write safe=1, or leave it out"));
            }
        };
        Ok((format.transpose()?, safe))
    }

    /// The question that a list of jobs answers.
    pub(super) fn jobs(&self) -> Result<JobQuery, HostError> {
        self.known(&JOB_PARAMETERS)?;
        let columns = [
            ("id", "id"),
            ("name", "name"),
            ("version", "version"),
            ("username", "user"),
            ("command", "command_name"),
            ("cluster", "cluster_name"),
        ];
        let mut patterns = Vec::new();
        for (name, column) in columns {
            patterns.extend(self.pattern(name)?.map(|pattern| (column, pattern)));
        }
        let order = [
            ("id", OrderBy::Id),
            ("created_at", OrderBy::CreatedAt),
            ("updated_at", OrderBy::UpdatedAt),
        ];
        let order = self.word("order_by", &order)?;
        let direction = self.word(
            "direction",
            &[
                ("asc", Direction::Ascending),
                ("desc", Direction::Descending),
            ],
        )?;
        let cursor = self.get("cursor").map(|text| {
            let wrong = || {
                invalid("invalid pagination cursor").hint(
                    "send next_cursor of the page before, with the same order_by and direction",
                )
            };
            Cursor::decode(text, order, direction).ok_or_else(wrong)
        });
        let tags = self.list("tags", |tag| Ok(tag.to_owned()))?;
        if tags.len() > 20 {
            return Err(
                invalid(format!("{} tags are more than a filter takes", tags.len()))
                    .hint("20 at most"),
            );
        }
        Ok(JobQuery {
            patterns,
            statuses: self.list("status", |word| {
                JobStatus::from_word(word)
                    .ok_or_else(|| unknown_status(word, &JobStatus::ALL.map(JobStatus::as_str)))
            })?,
            tags,
            created_after: self.number("created_after")?,
            created_before: self.number("created_before")?,
            order,
            direction,
            cursor: cursor.transpose()?,
            limit: self.limit()?,
        })
    }

    fn limit(&self) -> Result<u32, HostError> {
        match self.number::<u64>("limit")? {
            None => Ok(PAGE),
            Some(0) => Err(invalid("the parameter 'limit' must be 1 or more")
                .hint(format!("at most {PAGE} rows are on a page"))),
            Some(limit) => Ok(u32::try_from(limit).unwrap_or(PAGE).min(PAGE)),
        }
    }

    /// Filters of a list of commands or clusters: by name, what each says to an object's texts.
    pub(super) fn objects(&self, names: &[&'static str]) -> Result<ObjectFilter, HostError> {
        self.known(names)?;
        let mut patterns = Vec::new();
        for name in names.iter().filter(|name| **name != "status") {
            patterns.extend(self.pattern(name)?.map(|pattern| (*name, pattern)));
        }
        let status = |word: &str| {
            crate::config::Status::from_word(word)
                .ok_or_else(|| unknown_status(word, &["ACTIVE", "DELETED", "INACTIVE"]))
        };
        Ok(ObjectFilter {
            patterns,
            statuses: self.list("status", status)?,
        })
    }
}

/// The refusal of a status that does not exist.
pub(super) fn unknown_status(word: &str, known: &[&'static str]) -> HostError {
    let error = invalid(format!("unknown status: {word}"));
    match near(word, known.iter().copied()) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint(format!("one of {}", known.join(", "))),
    }
}

/// Filters of commands and clusters.
pub(super) struct ObjectFilter {
    patterns: Vec<(&'static str, Pattern)>,
    statuses: Vec<crate::config::Status>,
}

impl ObjectFilter {
    /// Whether an object passes; `text` gives its value under a filter's name.
    pub(super) fn passes<'a>(
        &self,
        status: crate::config::Status,
        text: impl Fn(&str) -> &'a str,
    ) -> bool {
        (self.statuses.is_empty() || self.statuses.contains(&status))
            && self
                .patterns
                .iter()
                .all(|(name, pattern)| pattern.matches(text(name)))
    }
}
