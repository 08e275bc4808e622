//! 4 · `ExecuteStatement` page by page until the statement, the limit or a budget is at its end.
//!
//! In: a client, a checked job, a checked statement. Out: a table whose every page is committed, the totals, and the position where a
//! later job goes on. It never decodes (the interceptor does) and waits for nothing but the SDK and the cluster's rate: deadline and cancel
//! end it from outside, by dropping it.

mod figures;
mod reader;
mod segments;
mod token;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::execute_statement::{ExecuteStatementError, ExecuteStatementOutput},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use dynamo_decode::{Stats, Table};
use plugin_api::{Error, ErrorCode, JobCtx, Level, Partial};

#[cfg(feature = "fuzzing")]
pub(crate) use self::token::fuzz as fuzz_token;
use self::{
    figures::{BudgetExceeded, Cost, Figures},
    reader::{Reader, decoding, is_validation},
    token::{Binding, PagePosition},
};
use crate::{
    codes,
    describe::{Attempts, Descriptions},
    interceptor::AnswerInterceptor,
    job::Job,
    page_size::PageSize,
    rate::Bucket,
    rows::RowsOut,
    scan::{self, ScanRequest},
    session::Session,
    statement::{Statement, analysis::Analysis},
};

/// The pages of one job: what was read, and how.
#[derive(Debug)]
pub(crate) struct Pages {
    table: Arc<Mutex<Table>>,
    rows_out: RowsOut,
    interceptor: AnswerInterceptor,
    figures: Figures,
    /// What the cluster's jobs may consume together, if that is bounded.
    bucket: Option<Arc<Bucket>>,
    /// Where the result goes on; `None`: it is whole.
    position: Option<PagePosition>,
    /// The last position before which a caller that takes rows as they come has got every row, and how many it had got there.
    handed_over: Option<(PagePosition, u64)>,
    /// What the token of that position is bound to, once the endpoint is known.
    binding: Option<Binding>,
    truncated: bool,
    /// Segments of which a page was asked for.
    segments: u32,
    /// The requests for the table's keys.
    described: Attempts,
}

impl Pages {
    pub(crate) fn new(
        job: &Job,
        statement: &Statement,
        bucket: Option<Arc<Bucket>>,
        rows_out: RowsOut,
    ) -> Self {
        let table = Arc::new(Mutex::new(rows_out.table(job, statement)));
        Self {
            interceptor: AnswerInterceptor::new(Arc::clone(&table)),
            table,
            rows_out,
            figures: Figures::new(),
            bucket,
            position: None,
            handed_over: None,
            binding: None,
            truncated: false,
            segments: 1,
            described: Attempts::default(),
        }
    }

    /// Reads on until there is no more, or the limit or a budget is reached. The same text goes out on every page: `NextToken` is bound
    /// to it.
    pub(crate) async fn read(
        &mut self,
        session: &Session,
        job: &Job,
        statement: &Statement,
        descriptions: &Descriptions,
        ctx: &JobCtx,
    ) -> Result<(), Error> {
        let reader = Reader {
            session,
            job,
            statement,
        };
        if let Some(scan) = self.as_scan(&reader, descriptions, ctx).await? {
            if self.read_segments(&reader, scan, ctx).await? {
                return Ok(());
            }
            one_segment(&reader, ctx, "DynamoDB refuses it as a Scan")?;
        }
        self.segments = 1;
        let mut position = self.start(&reader)?;
        let mut size = PageSize::new(job.limit, statement.selective);
        loop {
            if let Some(used_up) = self.figures.used_up(&job.budget, 0) {
                return self.end_by_budget(used_up, job.budget.truncate);
            }
            let limit = {
                let table = self.table();
                size.next(table.rows(), table.to_skip())
            };
            let (answer, limit) = self.page(&reader, &position, limit, &mut size, ctx).await?;
            let is_full = self.commit(answer, limit, &position)?;
            self.rows_out.hand_over(&self.table).await?;
            self.note_handed_over();
            ctx.progress(
                self.table().rows(),
                self.figures.pages,
                self.figures.wire_bytes,
            );
            self.figures.require_capacity(&job.budget)?;
            match self.position.clone() {
                Some(next) if !is_full => position = next,
                more => {
                    self.truncated = more.is_some();
                    return Ok(());
                }
            }
        }
    }

    /// The statement as a Scan, where it is to be read in more than one segment and can be.
    async fn as_scan(
        &mut self,
        reader: &Reader<'_>,
        descriptions: &Descriptions,
        ctx: &JobCtx,
    ) -> Result<Option<ScanRequest>, Error> {
        let job = reader.job;
        if job.total_segments == 1 && job.segment.is_none() {
            return Ok(None);
        }
        let analysis = Analysis::of(reader.statement);
        let request = match ScanRequest::of(job, reader.statement, &analysis) {
            Ok(request) => request,
            Err(reason) => return one_segment(reader, ctx, &reason).map(|()| None),
        };
        let keys = if analysis.is_scan_with_any_keys() {
            None
        } else {
            let (table, index) = (&reader.statement.table, reader.statement.index.as_deref());
            descriptions
                .keys(reader.session, job, table, index, &self.described)
                .await
        };
        match scan::refuse_query(&analysis, keys.as_ref()) {
            // The only segment is the whole, which ExecuteStatement reads.
            Ok(()) => Ok(Some(request).filter(|_| job.total_segments > 1)),
            Err(reason) => one_segment(reader, ctx, &reason).map(|()| None),
        }
    }

    /// The first page's position: where an earlier job ended, or the beginning.
    fn start(&mut self, reader: &Reader<'_>) -> Result<PagePosition, Error> {
        let binding = Binding::new(reader.job, reader.statement, reader.session);
        self.binding = Some(binding);
        self.handed_over = Some((PagePosition::default(), 0));
        let Some(token) = &reader.job.next_token else {
            return Ok(PagePosition::default());
        };
        let position = binding.read(token)?;
        self.table().skip(position.skip);
        // Until a page is read, the job is where the earlier one ended.
        self.position = Some(position.clone());
        self.handed_over = Some((position.clone(), 0));
        Ok(position)
    }

    /// Ends the job with a budget used up: with what there is, where the job wants that.
    fn end_by_budget(&mut self, used_up: BudgetExceeded, truncate: bool) -> Result<(), Error> {
        if truncate {
            self.truncated = true;
            return Ok(());
        }
        Err(self.figures.exceeded(used_up))
    }

    /// Asks for the page at a position; gives it with the `Limit` that it was asked with.
    ///
    /// A service may refuse a token that comes with another `Limit` than the one that it was given for. Then that one is asked with, and
    /// all further pages are.
    async fn page(
        &mut self,
        reader: &Reader<'_>,
        position: &PagePosition,
        limit: Option<i32>,
        size: &mut PageSize,
        ctx: &JobCtx,
    ) -> Result<(ExecuteStatementOutput, Option<i32>), Error> {
        let is_continued = self.figures.pages == 0 && reader.job.next_token.is_some();
        match self.request(reader, position, limit, ctx).await {
            Ok(answer) => Ok((answer, limit)),
            Err(error)
                if is_validation(&error) && position.token.is_some() && position.limit != limit =>
            {
                size.pin(position.limit);
                match self.request(reader, position, position.limit, ctx).await {
                    Ok(answer) => Ok((answer, position.limit)),
                    Err(error) => Err(reader.page_error(&error, position, is_continued)),
                }
            }
            Err(error) => Err(reader.page_error(&error, position, is_continued)),
        }
    }

    async fn request(
        &mut self,
        reader: &Reader<'_>,
        position: &PagePosition,
        limit: Option<i32>,
        ctx: &JobCtx,
    ) -> Result<ExecuteStatementOutput, SdkError<ExecuteStatementError, HttpResponse>> {
        let reserved = self.reserve().await;
        self.figures.begun += 1;
        let answer = reader
            .request(limit, position.token.clone())
            .customize()
            .interceptor(self.interceptor.clone())
            .send()
            .await?;
        self.report(reserved, capacity_units(&answer), ctx);
        Ok(answer)
    }

    /// Waits until the cluster's rate lets a further request begin; gives the units that it has taken for it.
    async fn reserve(&mut self) -> f64 {
        let units = self.figures.last_cost;
        if let Some(bucket) = &self.bucket {
            let asked = Instant::now();
            bucket.reserve(units).await;
            self.figures.waited += asked.elapsed();
        }
        units
    }

    fn report(&self, reserved: f64, units: Option<f64>, ctx: &JobCtx) {
        if let Some(bucket) = &self.bucket
            && bucket.report(reserved, units)
        {
            let line = "max_capacity_units_per_second is not applied: the endpoint does not report consumed capacity";
            ctx.log(Level::Warn, "dynamo::rate", line);
        }
    }

    /// Keeps an answered page, and notes where the result goes on; whether the limit is reached.
    fn commit(
        &mut self,
        answer: ExecuteStatementOutput,
        limit: Option<i32>,
        asked: &PagePosition,
    ) -> Result<bool, Error> {
        let wire_bytes = wire_bytes(&self.interceptor)?;
        let cost = Cost {
            capacity_units: capacity_units(&answer),
            items_evaluated: None,
        };
        let token = answer.next_token.filter(|token| !token.is_empty());
        if token.is_some() && token == asked.token {
            return Err(endless("a NextToken"));
        }
        self.figures.page(wire_bytes, cost);
        let mut table = self.table();
        table.commit_page();
        let position = if table.dropped_rows() {
            // The page holds more rows than the limit: it will be asked for again, without those that came before.
            Some(PagePosition {
                skip: asked.skip + table.page_rows(),
                ..asked.clone()
            })
        } else {
            let skip = table.to_skip();
            token.map(|token| PagePosition {
                token: Some(token),
                limit,
                skip,
            })
        };
        let is_full = table.is_full();
        drop(table);
        self.position = position;
        Ok(is_full)
    }

    /// Ends a caller's lines, when all pages are read.
    pub(crate) async fn end_rows(&self) -> Result<(), Error> {
        self.rows_out.end(&self.table).await
    }

    /// What became of the reading, once no row is on its way to the caller any more.
    pub(crate) async fn settle(&self, outcome: Result<(), Error>) -> Result<(), Error> {
        self.rows_out.settle(outcome).await
    }

    /// How far the job is, for an error document. Rows of an attempt under way do not count, nor do those that a caller who takes them as
    /// they come has not got.
    pub(crate) fn partial(&self) -> Partial {
        let mut table = self.table();
        table.begin_attempt();
        let mut partial = Partial::new(
            self.rows_out.rows().unwrap_or(table.rows()),
            self.figures.pages,
        );
        partial.next_token = match self.rows_out.rows() {
            None => self.token_of(self.position.as_ref()),
            Some(rows) => self.token_of(self.position_after(rows).as_ref()),
        };
        partial
    }

    /// Notes the position where the result goes on, if the caller has got all rows before it.
    fn note_handed_over(&mut self) {
        let rows = self.table().rows();
        if self.rows_out.rows() == Some(rows) {
            self.handed_over = self.position.clone().map(|position| (position, rows));
        }
    }

    /// The position after so many rows that were handed over; `None` at the beginning and at the end.
    fn position_after(&self, rows: u64) -> Option<PagePosition> {
        let (position, rows_before) = self.handed_over.clone()?;
        let skip = position.skip + (rows - rows_before);
        Some(PagePosition { skip, ..position })
            .filter(|position| *position != PagePosition::default())
    }

    /// The text that stands for a position.
    fn token_of(&self, position: Option<&PagePosition>) -> Option<String> {
        let (binding, position) = self.binding.as_ref().zip(position)?;
        binding.write(position)
    }

    /// The figures so far.
    pub(crate) fn stats(&self, ctx: &JobCtx) -> Stats {
        let requests = self.interceptor.attempts();
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Stats {
            rows: self.table().rows(),
            pages: self.figures.pages,
            items_evaluated: self
                .figures
                .items_evaluated
                .filter(|_| self.figures.pages > 0),
            requests: requests + self.described.sent(),
            retries: requests.saturating_sub(self.figures.begun) + self.described.retries(),
            consumed_capacity_units: self.figures.capacity_units(),
            wire_bytes: self.figures.wire_bytes,
            elapsed_ms: milliseconds(ctx.started().elapsed()),
            truncated: self.truncated,
            next_token: self
                .truncated
                .then(|| self.token_of(self.position.as_ref()))
                .flatten(),
            segments: self.segments,
            waited_ms: milliseconds(self.figures.waited),
        }
    }

    /// The result document of what was read. The table is empty afterwards.
    pub(crate) fn finish(&self, stats: &Stats) -> Result<Vec<u8>, Error> {
        let table = std::mem::replace(&mut *self.table(), Table::new(None, Some(0), 0));
        table.finish(stats).map_err(|error| decoding(&error))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says why a job that asked for segments is read in one.
///
/// # Errors
/// `INVALID_JOB` where it asked for one of them, since the whole is not that one.
fn one_segment(reader: &Reader<'_>, ctx: &JobCtx, reason: &str) -> Result<(), Error> {
    let Some(segment) = reader.job.segment else {
        let total = reader.job.total_segments;
        let line = format!("one segment is read instead of {total}: {reason}");
        ctx.log(Level::Info, "dynamo::segments", &line);
        return Ok(());
    };
    Err(Error::new(
        ErrorCode::INVALID_JOB,
        format!(
            "context.segment is {segment}, but the statement cannot be read in segments: {reason}"
        ),
    )
    .field("context.segment")
    .hint("leave out segment, or change the statement: EXPLAIN tells what is possible"))
}

fn capacity_units(answer: &ExecuteStatementOutput) -> Option<f64> {
    answer.consumed_capacity.as_ref()?.capacity_units
}

/// The bytes of the answer that the SDK has accepted.
fn wire_bytes(interceptor: &AnswerInterceptor) -> Result<u64, Error> {
    interceptor.wire_bytes().ok_or_else(|| {
        Error::new(
            ErrorCode::INTERNAL,
            "the SDK gave an answer without its body passing the decoder",
        )
        .hint("this is a bug in the plugin, with this version of the SDK")
    })
}

/// The error for a page that names itself as the one after it.
fn endless(what: &str) -> Error {
    Error::new(
        codes::BAD_RESPONSE,
        format!(
            "the answer cannot be understood: it has {what} equal to the one that it was asked with"
        ),
    )
    .hint("send the job again; if it stays, check what answers at the cluster's endpoint")
}
