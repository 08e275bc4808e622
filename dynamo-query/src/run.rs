//! One job from its document to its result: the function that a newcomer reads first.

use std::{
    future::Future,
    pin::pin,
    time::{Duration, Instant},
};

use plugin_api::{Error, ErrorCode, JobCtx, Level, Partial};
use tokio::runtime::Handle;

use crate::{
    audit::Audit,
    codes,
    describe::{Attempts, Descriptions},
    explain, failure,
    job::{Cluster, Job},
    pages::Pages,
    rate::Rates,
    rows::RowsOut,
    session::{Environment, Session, Sessions},
    statement::{Instruction, Statement},
};

/// How long a health check may take where the caller sets no time.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(30);

/// No account's table, in a form that every DynamoDB answers: "no such table" or "not allowed", both of which prove that endpoint,
/// region and credentials fit. It needs no permission, least of all `ListTables`.
const HEALTH_QUERY: &str = r#"SELECT * FROM "heimdall.health-check" WHERE id = 'health-check'"#;

/// The target of log lines that help the user understand a result; the command line shows them below it.
const NOTE: &str = "dynamo::note";

/// Runs jobs against DynamoDB; holds what they share.
#[derive(Debug)]
pub struct Queries {
    sessions: Sessions,
    descriptions: Descriptions,
    rates: Rates,
}

impl Queries {
    /// Nothing is asked of the network before the first job.
    #[must_use]
    pub fn new(environment: Environment) -> Self {
        Self {
            sessions: Sessions::new(environment),
            descriptions: Descriptions::default(),
            rates: Rates::default(),
        }
    }

    /// Runs one job: its document in, its result document out (contract, sections 1 and 2).
    ///
    /// `row_threads`: a runtime whose blocking threads hand rows over to a caller that takes them as they come (section 2, Rows as they
    /// come). Without, every caller gets a document.
    ///
    /// Must run inside a tokio runtime. Dropping the future stops its request at once.
    ///
    /// # Errors
    /// Every code of the contract's section 3 but `SHUTTING_DOWN`.
    pub async fn run_job(
        &self,
        document: &str,
        ctx: &JobCtx,
        row_threads: Option<&Handle>,
    ) -> Result<Vec<u8>, Error> {
        let mut audit = Audit::default();
        let rows_out = RowsOut::new(ctx, row_threads);
        let outcome = self.audited(document, ctx, rows_out, &mut audit).await;
        audit.write(ctx, outcome.as_ref().err());
        outcome
    }

    async fn audited(
        &self,
        document: &str,
        ctx: &JobCtx,
        rows_out: RowsOut,
        audit: &mut Audit,
    ) -> Result<Vec<u8>, Error> {
        let job = Job::parse(document)?;
        audit.job(&job);
        let instruction = checked_statement(&job)?;
        audit.statement(instruction.statement());
        match instruction {
            Instruction::Read(statement) => self.read(&job, &statement, ctx, rows_out, audit).await,
            Instruction::Explain(statement) => self.explain(&job, &statement, ctx, audit).await,
        }
    }

    async fn read(
        &self,
        job: &Job,
        statement: &Statement,
        ctx: &JobCtx,
        rows_out: RowsOut,
        audit: &mut Audit,
    ) -> Result<Vec<u8>, Error> {
        let mut pages = Pages::new(job, statement, self.rates.of(&job.cluster), rows_out);
        // Pinned here, because it is large and would be moved several times.
        let outcome = in_time(
            deadline(ctx, job.timeout),
            ctx,
            || self.sessions.fetching(&job.cluster),
            pin!(async {
                let session = self.sessions.get(&job.cluster).await?;
                audit.session(&session);
                pages
                    .read(&session, job, statement, &self.descriptions, ctx)
                    .await?;
                pages.end_rows().await
            }),
        )
        .await;
        let outcome = pages.settle(outcome).await;
        let stats = pages.stats(ctx);
        audit.stats(&stats);
        let partial = stats.cost(pages.partial());
        if outcome.is_ok()
            && stats.rows == 0
            && let Some(note) = statement.note_on_no_rows()
        {
            ctx.log(Level::Info, NOTE, &note);
        }
        match outcome {
            Ok(()) => pages.finish(&stats),
            Err(error) => Err(error),
        }
        .map_err(|error| error.partial(partial))
    }

    /// Says what the statement would read; asks for nothing but the table's description.
    async fn explain(
        &self,
        job: &Job,
        statement: &Statement,
        ctx: &JobCtx,
        audit: &mut Audit,
    ) -> Result<Vec<u8>, Error> {
        explain::refuse_fields(job)?;
        let attempts = Attempts::default();
        let outcome = in_time(
            deadline(ctx, job.timeout),
            ctx,
            || self.sessions.fetching(&job.cluster),
            pin!(async {
                let session = self.sessions.get(&job.cluster).await?;
                audit.session(&session);
                explain::properties(&session, job, statement, &self.descriptions, &attempts).await
            }),
        )
        .await;
        let stats = explain::stats(&attempts, ctx);
        audit.stats(&stats);
        match outcome {
            Ok(properties) => Ok(explain::document(&properties, &stats)),
            Err(error) => Err(error.partial(stats.cost(Partial::default()))),
        }
    }

    /// Asks DynamoDB one cheap question as a job on this cluster would: the document's `cluster` object in, status and latency out.
    ///
    /// # Errors
    /// What a job on that cluster would fail with: `CREDENTIALS`, `ASSUME_ROLE`, `UNAVAILABLE`, `INVALID_JOB`, `TIMEOUT` …
    pub async fn check_health(&self, cluster: &str, ctx: &JobCtx) -> Result<Vec<u8>, Error> {
        let cluster = Cluster::parse(cluster)?;
        let deadline = ctx.deadline().unwrap_or(ctx.started() + HEALTH_TIMEOUT);
        let probe = async {
            let session = self.sessions.get(&cluster).await?;
            let asked = Instant::now();
            probe(&session, &cluster).await?;
            Ok(format!(
                r#"{{"status":"ok","latency_ms":{}}}"#,
                asked.elapsed().as_millis()
            ))
        };
        let fetching = || self.sessions.fetching(&cluster);
        in_time(Some(deadline), ctx, fetching, pin!(probe))
            .await
            .map(String::into_bytes)
    }
}

fn checked_statement(job: &Job) -> Result<Instruction, Error> {
    let instruction = Instruction::parse(&job.query)?;
    let statement = instruction.statement();
    statement.check_parameters(job.parameters.len())?;
    if !job.allows_table(&statement.table) {
        return Err(Error::new(
            codes::TABLE_NOT_ALLOWED,
            format!("the command does not allow the table '{}'", statement.table),
        )
        .hint(match failure::quoted_apart(&statement.table) {
            Some(apart) => format!("a table and its index are quoted each: {apart}; else ask the operator to add the table to the command's"),
            None => "use a command whose tables include it, or ask the operator to add it".to_owned(),
        }));
    }
    Ok(instruction)
}

/// The earliest of the job's, the command's and the caller's time.
fn deadline(ctx: &JobCtx, timeout: Option<Duration>) -> Option<Instant> {
    // A time beyond what the clock can hold never comes.
    let own = timeout.and_then(|timeout| ctx.started().checked_add(timeout));
    [own, ctx.deadline()].into_iter().flatten().min()
}

/// Drives `work` until it is done, the deadline passes or the job is cancelled; the caller then drops it, and its request with it.
/// `fetching` tells where credentials are being fetched from at that time, if they are.
async fn in_time<T>(
    deadline: Option<Instant>,
    ctx: &JobCtx,
    fetching: impl Fn() -> Option<String>,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let passed = async {
        match deadline {
            // It may have passed while the document was read. Timers would only say so a millisecond later, with a request under way.
            Some(deadline) if deadline <= Instant::now() => {}
            Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = ctx.cancelled() => Err(Error::new(ErrorCode::CANCELLED, "the job was cancelled")),
        () = passed => {
            let after = deadline.unwrap_or_else(Instant::now).saturating_duration_since(ctx.started());
            Err(timed_out(after, fetching()))
        }
        outcome = work => outcome,
    }
}

fn timed_out(after: Duration, fetching: Option<String>) -> Error {
    let passed = format!("the deadline passed after {} seconds", after.as_secs_f64());
    match fetching {
        Some(source) => Error::new(ErrorCode::TIMEOUT, format!("{passed}, while AWS credentials were fetched from {source}"))
            .hint("check that this source answers and the way to it, or raise timeout_seconds"),
        None => Error::new(ErrorCode::TIMEOUT, passed)
            .hint("narrow the statement (a condition on the partition key, an index, a limit), or raise timeout_seconds"),
    }
}

async fn probe(session: &Session, cluster: &Cluster) -> Result<(), Error> {
    let Err(error) = session
        .client
        .execute_statement()
        .statement(HEALTH_QUERY)
        .limit(1)
        .send()
        .await
    else {
        return Ok(());
    };
    let mapped = failure::error_of(
        &error,
        failure::Request {
            query: HEALTH_QUERY,
            table: "heimdall.health-check",
            action: failure::Action::Select,
            secrets: &[],
            role: cluster.role.as_ref().map(|role| role.arn.as_str()),
            region: &session.region,
        },
    );
    // An answer about the statement, not about who asks or where.
    if [codes::NOT_FOUND, codes::ACCESS_DENIED, codes::VALIDATION].contains(&mapped.code) {
        Ok(())
    } else {
        Err(mapped)
    }
}
