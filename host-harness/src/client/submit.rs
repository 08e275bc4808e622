//! `submit`: a job for a running host, waited for, cancelled with Ctrl-C; and its rows.

use std::{pin::pin, time::Duration};

use bytes::Bytes;
use http::{Method, Response, header::CONTENT_LENGTH};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    args::SubmitArgs,
    failure::Failure,
    fetch::{self, DOCUMENT_BYTES},
    host::{Host, escaped},
    interrupts::Interrupts,
    list,
    waiting::{FIRST_PAUSE, RemoteJob, RetryDeadline, WaitOutcome},
};
use crate::{
    exit::Exit,
    run::{
        error::RunError,
        output::Output,
        report::Report,
        scan,
        submission::{self, Submission},
    },
};

/// How often a sync job is asked for while its answer is awaited.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// The most bytes of an answer around a result: a job's context may have 512 KiB.
const BYTES_AROUND_RESULT: usize = 2 << 20;

/// Submits the job.
pub(super) async fn run(args: &SubmitArgs, report: &Report) -> Result<Exit, RunError> {
    let output = match args.labels.no_wait {
        true => None,
        false => Some(Output::open(&args.output, report).map_err(RunError::Usage)?),
    };
    let mut submission = submission(args)?;
    let host = Host::of(&args.host)?;
    let mut interrupts = Interrupts::catch()
        .map_err(|error| RunError::Usage(format!("cannot wait for interrupts: {error}")))?;
    if report.is_interactive()
        && !warn_of_scan(&host, report, submission.clone(), &mut interrupts).await
    {
        return Ok(Exit::Interrupted);
    }
    let mark = mark(&mut submission);
    let body = submission.body.into();
    let mut job = RemoteJob::new(&host, report, mark);
    let outcome = match send_job(&mut job, body, &mut interrupts).await? {
        Some(outcome) => outcome,
        None => return Ok(job.left_behind()),
    };
    let Some(output) = output else {
        list::print(&format!("{}\n", job.known_id()))?;
        return Ok(Exit::Done);
    };
    match outcome {
        SubmitOutcome::Ended(result) if !job.is_interrupted() => {
            job.tell_log().await;
            fetch::write_result(report, output, &interrupts, result)
        }
        SubmitOutcome::Ended(_) => Ok(job.had_finished()),
        SubmitOutcome::Queued => match job.ended(&mut interrupts).await? {
            WaitOutcome::Left => Ok(job.left_behind()),
            WaitOutcome::Ended(record) => job.written(&record, output, &interrupts).await,
        },
    }
}

/// What the host is sent.
fn submission(args: &SubmitArgs) -> Result<Submission, RunError> {
    let mut submission = Submission::of(&args.source, &args.fields, &args.criteria)?;
    submission::check_is_routed(&submission.body, "host")?;
    if !submission.names_criteria {
        return Err(RunError::Usage(
            "a statement names no criteria; say with --command-tag and --cluster-tag which command and cluster of the host run it (a job \
             file says it as command_criteria and cluster_criteria)"
                .to_owned(),
        ));
    }
    if let Some(name) = &args.labels.name {
        submission.set("name", name);
    }
    let mut tags = submission.texts("tags");
    tags.extend(args.labels.tags.iter().cloned());
    submission.set("tags", &tags);
    Ok(submission)
}

/// Gives the job a tag that no other has, by which it is found again where an answer is late or lost.
fn mark(submission: &mut Submission) -> String {
    let mark = format!("submission:{}", heimdall_server::job::new_id());
    let mut tags = submission.texts("tags");
    tags.push(mark.clone());
    submission.set("tags", &tags);
    mark
}

/// Tells a person who is about to read a whole table; `false`: the user left. Where EXPLAIN fails, the job itself will say why.
async fn warn_of_scan(
    host: &Host,
    report: &Report,
    job: Submission,
    interrupts: &mut Interrupts,
) -> bool {
    tokio::select! {
        warning = tokio::time::timeout(scan::WITHIN, scan_warning(host, job)) => {
            if let Ok(Ok(Some(warning))) = warning {
                report.note(&warning);
            }
            true
        }
        () = interrupts.next() => {
            report.said("interrupted; the job was not submitted");
            false
        }
    }
}

/// What to tell whoever submits the job. EXPLAIN is asked as a job of its own, which reads no item.
async fn scan_warning(host: &Host, mut job: Submission) -> Result<Option<String>, Failure> {
    let Some(explaining) = scan::explaining(&job.body) else {
        return Ok(None);
    };
    let id = host.submit(explaining.into()).await?.fields.id;
    let record = loop {
        let record = host.record(&id).await?;
        if record.is_final() {
            break record;
        }
        tokio::time::sleep(FIRST_PAUSE).await;
    };
    let command = record.fields.command_id.unwrap_or_default();
    let command = host.command(&command).await?;
    job.set("command", &command);
    // The command may have a limit of its own.
    if scan::explaining(&job.body).is_none() {
        return Ok(None);
    }
    let path = format!("/api/v1/job/{}/result", escaped(&id));
    let explained = host.whole(host.get(&path).await?, DOCUMENT_BYTES).await?;
    Ok(scan::warning(&explained))
}

/// How the host answered the submission.
enum SubmitOutcome {
    /// An async job, or one whose answer is too large to be kept in memory.
    Queued,
    /// A sync job, with its result.
    Ended(Bytes),
}

/// Sends the job and waits for the host's answer, which for a sync command comes when the job has ended. `None`: the user left.
async fn send_job(
    job: &mut RemoteJob<'_>,
    body: Bytes,
    interrupts: &mut Interrupts,
) -> Result<Option<SubmitOutcome>, RunError> {
    let host = job.host;
    // A sync job may take as long as it may.
    let mut sent = pin!(host.ask(Method::POST, "/api/v1/job", body, None));
    let answer = loop {
        tokio::select! {
            answer = &mut sent => break answer,
            () = interrupts.next() => {
                if !job.interrupt().await? {
                    return Ok(None);
                }
            }
            () = tokio::time::sleep(POLL_INTERVAL), if job.should_poll() => match job.poll().await {
                // The answer itself is still to come, and counts.
                Err(refused) if !refused.is_gone() => return Err(refused.into()),
                _ => {}
            },
        }
    };
    let outcome = match answer {
        Ok(answer) => read(job, answer).await,
        Err(failure) => Err(failure),
    };
    match outcome {
        Ok(outcome) => Ok(Some(outcome)),
        // The host may have the job all the same.
        Err(failure @ Failure::Lost(_)) => {
            job.find(failure, RetryDeadline::of(host)).await?;
            Ok(Some(SubmitOutcome::Queued))
        }
        Err(Failure::Refused {
            id: Some(id),
            error,
            ..
        }) => {
            job.is_known_as(&id);
            // The job has ended, and only its answer had no room: the result is asked for like that of any other job.
            if error.code == "BUSY" {
                return Ok(Some(SubmitOutcome::Queued));
            }
            job.tell_log().await;
            Err(job.failed(error))
        }
        Err(failure) => Err(failure.into()),
    }
}

/// Reads the answer to a submission. One that is too large for memory is left: its result is asked for in the format that is wanted.
async fn read(
    job: &mut RemoteJob<'_>,
    answer: Response<Incoming>,
) -> Result<SubmitOutcome, Failure> {
    #[derive(Deserialize)]
    struct Submitted<'a> {
        id: String,
        #[serde(borrow, default)]
        result: Option<&'a RawValue>,
    }
    if is_large(&answer) {
        drop(answer);
        job.poll().await?;
        return Ok(SubmitOutcome::Queued);
    }
    let bytes = job
        .host
        .whole(answer, DOCUMENT_BYTES + BYTES_AROUND_RESULT)
        .await?;
    let submitted: Submitted<'_> =
        serde_json::from_slice(&bytes).map_err(|error| job.host.not_understood(&error))?;
    job.is_known_as(&submitted.id);
    match submitted.result {
        Some(result) => Ok(SubmitOutcome::Ended(
            bytes.slice_ref(result.get().as_bytes()),
        )),
        // Not ended yet, or ended without one: its record says which.
        None => Ok(SubmitOutcome::Queued),
    }
}

fn is_large(answer: &Response<Incoming>) -> bool {
    answer
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok())
        .is_none_or(|length| length > DOCUMENT_BYTES + BYTES_AROUND_RESULT)
}
