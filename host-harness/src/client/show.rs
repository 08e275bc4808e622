//! `job ID` and `cancel ID`.

use results::Format;

use super::{
    args::{CancelArgs, JobArgs},
    fetch,
    host::{Host, escaped},
    interrupts::Interrupts,
    list::{List, print, timestamp},
    record::{Fields, Record},
    waiting::{RemoteJob, WaitOutcome},
};
use crate::{
    exit::Exit,
    run::{error::RunError, output::Output, report::Report},
    terminal::counted,
};

/// Shows one job: its record, its result or its log.
pub(super) async fn run(args: &JobArgs, report: &Report) -> Result<Exit, RunError> {
    let output = Output::open(&args.output, report).map_err(RunError::Usage)?;
    let host = Host::of(&args.host)?;
    let mut interrupts = Interrupts::catch()
        .map_err(|error| RunError::Usage(format!("cannot wait for interrupts: {error}")))?;
    let mut job = RemoteJob::watched(&host, report, &args.id);
    let record = if args.wait {
        match job.ended(&mut interrupts).await? {
            WaitOutcome::Left => return Ok(job.left_behind()),
            WaitOutcome::Ended(record) => record,
        }
    } else {
        Box::new(host.record(&args.id).await?)
    };
    report.clear();
    if args.log {
        return log(&host, &args.id, &output).await;
    }
    if args.result {
        if !record.is_final() {
            // The host says so in its own words.
            return fetch::fetch(&host, report, &args.id, output, &interrupts).await;
        }
        return job.written(&record, output, &interrupts).await;
    }
    show(&record, output)?;
    if args.wait && !record.has_succeeded() {
        return Err(RunError::Failed(fetch::error_of(&host, &record).await?));
    }
    Ok(Exit::Done)
}

async fn log(host: &Host, id: &str, output: &Output) -> Result<Exit, RunError> {
    let lines = host
        .text(&format!("/api/v1/job/{}/stderr", escaped(id)))
        .await?;
    let shown: String = if output.is_terminal {
        let visible = |line: &str| results::visible(line.into()).into_owned() + "\n";
        lines.lines().map(visible).collect()
    } else {
        lines
    };
    print(&shown)?;
    Ok(Exit::Done)
}

fn show(record: &Record, output: Output) -> Result<(), RunError> {
    let is_for_people = output.is_terminal && !output.is_chosen;
    if is_for_people {
        return print(&for_people(&record.fields));
    }
    if output.format == Format::Json {
        let mut raw = record.raw.to_vec();
        raw.push(b'\n');
        let written = output
            .writer()
            .and_then(|mut out| out.write_all(&raw).and_then(|()| out.flush()));
        written.map_err(|error| RunError::Usage(output.failed(&error)))?;
    } else {
        as_list(record, &output).map_err(|error| RunError::Usage(output.failed(&error)))?;
    }
    output.commit().map_err(RunError::Usage)
}

/// A list of this one job.
fn as_list(record: &Record, output: &Output) -> Result<(), results::WriteError> {
    let mut list = List::new(output)?;
    list.add(record)?;
    list.finish(output).map(drop)
}

fn for_people(fields: &Fields) -> String {
    let both = |name: &Option<String>, version: &Option<String>| {
        name.as_ref().map(|name| match version {
            Some(version) => format!("{name} {version}"),
            None => name.clone(),
        })
    };
    let progress = fields.progress.map(|progress| {
        format!(
            "{}, {}, {:.1} MB",
            counted(progress.rows, "row", "rows"),
            counted(progress.pages, "page", "pages"),
            progress.wire_bytes as f64 / 1e6
        )
    });
    let query = fields
        .context
        .as_ref()
        .map(|context| query_of(context.get()));
    let tags: Vec<&str> = fields
        .tags
        .iter()
        .map(String::as_str)
        .filter(|tag| !tag.starts_with('_'))
        .collect();
    let lines = [
        ("id", Some(fields.id.clone())),
        ("status", Some(fields.status.clone())),
        ("progress", progress),
        ("error", fields.error.clone()),
        ("cancelled by", fields.cancelled_by.clone()),
        ("name", both(&fields.name, &fields.version)),
        ("description", fields.description.clone()),
        ("user", fields.user.clone()),
        ("created", fields.created_at.and_then(timestamp)),
        ("updated", fields.updated_at.and_then(timestamp)),
        ("command", fields.command_name.clone()),
        ("cluster", fields.cluster_name.clone()),
        ("plugin", both(&fields.plugin, &fields.plugin_version)),
        ("tags", (!tags.is_empty()).then(|| tags.join(", "))),
        ("query", query),
    ];
    let mut text = String::new();
    for (name, value) in lines {
        let Some(value) = value.filter(|value| !value.trim().is_empty()) else {
            continue;
        };
        for (at, line) in value.lines().enumerate() {
            let name = if at == 0 { name } else { "" };
            text.push_str(&format!("{name:<14}{}\n", results::visible(line.into())));
        }
    }
    text
}

/// The statement of a job, else its context as it was sent.
fn query_of(context: &str) -> String {
    serde_json::from_str::<serde_json::Value>(context)
        .ok()
        .and_then(|context| context.get("query")?.as_str().map(str::to_owned))
        .unwrap_or_else(|| context.to_owned())
}

/// Asks a job to stop.
pub(super) async fn cancel(args: &CancelArgs) -> Result<Exit, RunError> {
    let host = Host::of(&args.host)?;
    host.cancel(&args.id).await?;
    print("CANCELING\n")?;
    Ok(Exit::Done)
}
