//! `jobs`: a list, page after page, in any format.

use std::{
    fmt::Display,
    io::{BufWriter, Write},
};

use bytes::Bytes;
use results::{Answer, Format, Source, Spool, WriteError, Written};
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    args::{FilterArgs, JobsArgs},
    failure::Failure,
    host::{Host, escaped},
    record::Record,
};
use crate::{
    exit::Exit,
    run::{error::RunError, output::Output, report::Report, rows},
    terminal::{self, counted},
};

/// The most jobs that a host puts on a page.
const PAGE: u64 = 101;

/// Lists the jobs.
pub(super) async fn run(args: &JobsArgs, report: &Report) -> Result<Exit, RunError> {
    let output = Output::open(&args.output, report).map_err(RunError::Usage)?;
    let host = Host::of(&args.host)?;
    let mut list = List::new(&output).map_err(|error| RunError::Usage(output.failed(&error)))?;
    let pages = Pages {
        path: path(args),
        cursor: args.page.cursor.clone(),
        left: args.page.limit,
        is_bounded: args.page.limit > 0,
    };
    match pages.all(&host, &mut list).await {
        Ok(()) => {}
        Err(ListError::Host(failure)) => return Err((*failure).into()),
        Err(ListError::Output(error)) => return ended(&output, &error),
    }
    let (jobs, more) = (list.jobs, list.next_cursor.clone());
    if let Err(error) = list.finish(&output) {
        return ended(&output, &error);
    }
    output.commit().map_err(RunError::Usage)?;
    let more = more.map_or(String::new(), |cursor| {
        format!("; there are more: -n 0 lists all, --cursor {cursor} goes on")
    });
    report.figures(&format!("{}{more}", counted(jobs, "job", "jobs")));
    Ok(Exit::Done)
}

fn ended(output: &Output, error: &WriteError) -> Result<Exit, RunError> {
    if rows::is_reader_gone(error) {
        return Ok(Exit::Done);
    }
    Err(RunError::Usage(output.failed(error)))
}

/// Everything of the request but the page.
fn path(args: &JobsArgs) -> String {
    let mut path = "/api/v1/jobs?".to_owned();
    let mut add = |name: &str, value: &dyn Display| {
        path.push_str(&format!("{name}={}&", escaped(&value.to_string())));
    };
    let FilterArgs {
        status,
        tags,
        name,
        username,
        command,
        cluster,
        id,
        created_after,
        created_before,
    } = &args.filters;
    for (name, list) in [("status", status), ("tags", tags)] {
        if !list.is_empty() {
            add(name, &list.join(","));
        }
    }
    for (name, pattern) in [
        ("name", name),
        ("username", username),
        ("command", command),
        ("cluster", cluster),
        ("id", id),
        ("order_by", &args.page.order_by),
    ] {
        if let Some(pattern) = pattern {
            add(name, pattern);
        }
    }
    for (name, second) in [
        ("created_after", created_after),
        ("created_before", created_before),
    ] {
        if let Some(second) = second {
            add(name, second);
        }
    }
    if args.page.ascending {
        add("direction", &"asc");
    }
    path
}

struct Pages {
    path: String,
    cursor: Option<String>,
    left: u64,
    is_bounded: bool,
}

enum ListError {
    Host(Box<Failure>),
    Output(WriteError),
}

impl From<Failure> for ListError {
    fn from(failure: Failure) -> Self {
        Self::Host(Box::new(failure))
    }
}

impl Pages {
    async fn all(mut self, host: &Host, list: &mut List) -> Result<(), ListError> {
        #[derive(Deserialize)]
        struct Page<'a> {
            #[serde(borrow)]
            data: Vec<&'a RawValue>,
            #[serde(default)]
            next_cursor: Option<String>,
        }
        loop {
            let limit = if self.is_bounded {
                self.left.min(PAGE)
            } else {
                PAGE
            };
            let mut path = format!("{}limit={limit}", self.path);
            if let Some(cursor) = &self.cursor {
                path.push_str(&format!("&cursor={}", escaped(cursor)));
            }
            let answer = host.get(&path).await?;
            let body = host.whole(answer, 64 << 20).await?;
            let not_understood = |error| ListError::from(host.not_understood(&error));
            let page: Page<'_> = serde_json::from_slice(&body).map_err(not_understood)?;
            for record in &page.data {
                let raw = Bytes::copy_from_slice(record.get().as_bytes());
                let record = Record::parse(raw).map_err(not_understood)?;
                list.add(&record).map_err(ListError::Output)?;
            }
            self.left = self.left.saturating_sub(page.data.len() as u64);
            list.next_cursor.clone_from(&page.next_cursor);
            if page.next_cursor.is_none() || (self.is_bounded && self.left == 0) {
                return Ok(());
            }
            self.cursor = page.next_cursor;
        }
    }
}

/// Jobs on their way to the output.
pub(super) struct List {
    jobs: u64,
    next_cursor: Option<String>,
    kind: Kind,
}

enum Kind {
    /// Records as the host wrote them; a list, or a line each.
    Records {
        out: BufWriter<Box<dyn Write + Send>>,
        is_list: bool,
        is_pretty: bool,
    },
    /// A row for each.
    Rows { spool: Spool, is_short: bool },
}

impl List {
    pub(super) fn new(output: &Output) -> Result<Self, WriteError> {
        let records = matches!(output.format, Format::Json | Format::Ndjson);
        let kind = if records {
            Kind::Records {
                out: BufWriter::new(output.writer()?),
                is_list: output.format == Format::Json,
                is_pretty: output.options.pretty,
            }
        } else {
            let is_short = output.format == Format::Table;
            let mut spool = Spool::unlinked_in(&output.spool_folder())?;
            let names: Vec<&str> = columns(is_short).map(|(name, _)| name).collect();
            spool.push(format!("{}\n", json!({"columns": names})).as_bytes())?;
            Kind::Rows { spool, is_short }
        };
        Ok(Self {
            jobs: 0,
            next_cursor: None,
            kind,
        })
    }

    pub(super) fn add(&mut self, record: &Record) -> Result<(), WriteError> {
        match &mut self.kind {
            Kind::Records {
                out,
                is_list: true,
                is_pretty,
            } => {
                // Nothing is written before there is something to write: a refusal leaves standard output empty.
                out.write_all(if self.jobs == 0 { LIST } else { b"," })?;
                if *is_pretty {
                    out.write_all(b"\n  ")?;
                }
                out.write_all(&record.raw)?;
            }
            Kind::Records { out, .. } => {
                out.write_all(&record.raw)?;
                out.write_all(b"\n")?;
            }
            Kind::Rows { spool, is_short } => spool.push(row(record, *is_short).as_bytes())?,
        }
        self.jobs += 1;
        Ok(())
    }

    pub(super) fn finish(self, output: &Output) -> Result<Written, WriteError> {
        match self.kind {
            Kind::Records {
                mut out,
                is_list,
                is_pretty,
            } => {
                if is_list {
                    if self.jobs == 0 {
                        out.write_all(LIST)?;
                    }
                    let end = match (is_pretty, self.jobs) {
                        (true, 1..) => "\n]",
                        _ => "]",
                    };
                    out.write_all(end.as_bytes())?;
                    if let Some(cursor) = &self.next_cursor {
                        let cursor = json!(cursor);
                        write!(out, ",\"has_more\":true,\"next_cursor\":{cursor}")?;
                    }
                    out.write_all(b"}\n")?;
                }
                out.flush()?;
                Ok(Written::default())
            }
            Kind::Rows { spool, is_short } => {
                let (file, notes) = spool.finish();
                let columns: Vec<_> = columns(is_short)
                    .map(|(name, kind)| json!({"name": name, "type": kind}))
                    .collect();
                let order: Vec<usize> = (0..columns.len()).collect();
                let answer = json!({"columns": columns, "order": order, "stats": {}});
                let answer = Answer::parse(answer.to_string().as_bytes())?;
                let source = Source::lines(&file, &answer, &notes);
                results::write(
                    output.format,
                    &source,
                    &output.options,
                    &mut *output.writer()?,
                )
            }
        }
    }
}

/// How a list of records begins.
const LIST: &[u8] = b"{\"data\":[";

/// What a row tells: a table the first of these, so that it fits a terminal.
const COLUMNS: [(&str, &str); 14] = [
    ("id", "string"),
    ("status", "string"),
    ("created_at", "string"),
    ("user", "string"),
    ("command", "string"),
    ("cluster", "string"),
    ("name", "string"),
    ("version", "string"),
    ("updated_at", "string"),
    ("plugin", "string"),
    ("plugin_version", "string"),
    ("canceled_by", "string"),
    ("error", "string"),
    ("tags", "array"),
];

fn columns(is_short: bool) -> impl Iterator<Item = (&'static str, &'static str)> {
    // A table shortens texts and never numbers, and an id is of use only whole.
    let id = ("id", if is_short { "long" } else { "string" });
    let others = COLUMNS.into_iter().take(if is_short { 7 } else { 14 });
    std::iter::once(id).chain(others.skip(1))
}

fn row(record: &Record, is_short: bool) -> String {
    let fields = &record.fields;
    let mut cells = vec![
        json!(fields.id),
        json!(fields.status),
        json!(fields.created_at.and_then(timestamp)),
        json!(fields.user),
        json!(fields.command_name),
        json!(fields.cluster_name),
        json!(fields.name),
    ];
    if !is_short {
        cells.extend([
            json!(fields.version),
            json!(fields.updated_at.and_then(timestamp)),
            json!(fields.plugin),
            json!(fields.plugin_version),
            json!(fields.cancelled_by),
            json!(fields.error),
            json!(fields.tags),
        ]);
    }
    format!("{}\n", serde_json::Value::from(cells))
}

/// A second since 1970 as RFC 3339 writes it, in UTC.
pub(super) fn timestamp(second: i64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(second)
        .ok()?
        .format(&Rfc3339)
        .ok()
}

/// Writes to standard output; a reader that is gone is no error.
pub(super) fn print(text: &str) -> Result<(), RunError> {
    terminal::print(text.as_bytes())
        .map_err(|error| RunError::Usage(format!("cannot write to standard output: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_written_as_a_date_in_utc() {
        assert_eq!(timestamp(0).unwrap(), "1970-01-01T00:00:00Z");
        assert_eq!(timestamp(1_795_672_800).unwrap(), "2026-11-26T06:00:00Z");
        assert_eq!(timestamp(i64::MAX), None);
    }
}
