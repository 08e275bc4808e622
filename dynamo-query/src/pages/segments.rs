//! A whole read in segments: DynamoDB's parallel Scan, up to 64 requests at once.
//!
//! In: a statement as a [`ScanRequest`]. Out: the rows of all segments in one table, page by page as they arrive. Each request decodes into
//! a page of its own, on whatever thread reads it; this function alone begins requests and adds pages to the table, so that budgets, the
//! cluster's rate and progress need no lock.

use std::{
    collections::HashMap,
    future::Future,
    ops::Range,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::scan::{ScanError, ScanOutput},
    types::{AttributeValue, ReturnConsumedCapacity},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use dynamo_decode::Table;
use plugin_api::{Error, JobCtx};
use tokio::task::JoinSet;

use super::{Cost, Pages, Reader, decoding, endless, is_validation, wire_bytes};
use crate::{failure::Action, interceptor::AnswerInterceptor, scan::ScanRequest};

/// The most requests of a job that are under way at once.
const MAX_UNDER_WAY: usize = 64;

type Key = HashMap<String, AttributeValue>;

/// What every request of a job's Scan has in common.
#[derive(Debug)]
struct Scan {
    client: Client,
    request: ScanRequest,
    consistent_read: bool,
    total_segments: i32,
}

/// A segment, and the key after which its next page begins.
#[derive(Debug)]
struct Segment {
    number: i32,
    after: Option<Key>,
}

/// Where one page at a time is decoded.
#[derive(Debug)]
struct Buffer {
    table: Arc<Mutex<Table>>,
    interceptor: AnswerInterceptor,
}

/// A request that is done.
struct Answered {
    segment: Segment,
    buffer: Buffer,
    reserved: f64,
    answer: Result<ScanOutput, SdkError<ScanError, HttpResponse>>,
}

/// What is still to be asked for.
struct RemainingSegments {
    /// Segments that have begun, with a further page.
    begun: Vec<Segment>,
    /// Numbers of those that have not.
    fresh: Range<i32>,
}

impl RemainingSegments {
    fn is_empty(&self) -> bool {
        self.begun.is_empty() && self.fresh.is_empty()
    }

    /// Segments that have begun go first, so that few are open at a time.
    fn next(&mut self) -> Option<Segment> {
        self.begun.pop().or_else(|| {
            let number = self.fresh.next()?;
            Some(Segment {
                number,
                after: None,
            })
        })
    }
}

impl Scan {
    /// Asks for the next page of a segment.
    async fn page(self: Arc<Self>, segment: Segment, buffer: Buffer, reserved: f64) -> Answered {
        let request = self.request.clone();
        let answer = self
            .client
            .scan()
            .table_name(request.table_name)
            .set_index_name(request.index_name)
            .set_filter_expression(request.filter_expression)
            .set_projection_expression(request.projection_expression)
            .set_expression_attribute_names(request.expression_attribute_names)
            .set_expression_attribute_values(request.expression_attribute_values)
            .set_consistent_read(self.consistent_read.then_some(true))
            .total_segments(self.total_segments)
            .segment(segment.number)
            .set_exclusive_start_key(segment.after.clone())
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .customize()
            .interceptor(buffer.interceptor.clone())
            .send()
            .await;
        Answered {
            segment,
            buffer,
            reserved,
            answer,
        }
    }
}

impl Pages {
    /// Reads the job's segments to their ends or until a budget is used up; false where DynamoDB refuses the Scan as such, so that nothing
    /// was read.
    pub(super) async fn read_segments(
        &mut self,
        reader: &Reader<'_>,
        request: ScanRequest,
        ctx: &JobCtx,
    ) -> Result<bool, Error> {
        self.ask_for_refusals(reader, ctx).await?;
        let total = i32::try_from(reader.job.total_segments).unwrap_or(i32::MAX);
        let only = reader.job.segment.and_then(|only| i32::try_from(only).ok());
        let mut todo = RemainingSegments {
            begun: Vec::new(),
            fresh: only.map_or(0..total, |only| only..only.saturating_add(1)),
        };
        let scan = Arc::new(Scan {
            client: reader.session.client.clone(),
            request,
            consistent_read: reader.job.consistent_read,
            total_segments: total,
        });
        self.segments = 0;
        // Dropped with this function, which ends the requests.
        let mut under_way = JoinSet::new();
        let mut idle = Vec::new();
        let mut reservation = None;
        loop {
            let used_up = self
                .figures
                .used_up(&reader.job.budget, under_way.len() as u64);
            let may_begin =
                used_up.is_none() && under_way.len() < MAX_UNDER_WAY && !todo.is_empty();
            if !may_begin && under_way.is_empty() {
                return match used_up.filter(|_| !todo.is_empty()) {
                    Some(used_up) => self.end_by_budget(used_up, reader.job.budget.truncate),
                    None => Ok(()),
                }
                .map(|()| true);
            }
            let next_reservation = reservation.get_or_insert_with(|| self.reservation());
            tokio::select! {
                biased;
                (reserved, asked) = next_reservation, if may_begin => {
                    reservation = None;
                    self.figures.waited += asked.map_or_else(Default::default, |asked| asked.elapsed());
                    if let Some(segment) = todo.next() {
                        self.segments += u32::from(segment.after.is_none());
                        self.figures.begun += 1;
                        let buffer = idle.pop().unwrap_or_else(|| self.buffer(reader, &scan.request));
                        under_way.spawn(Arc::clone(&scan).page(segment, buffer, reserved));
                    }
                }
                Some(answered) = under_way.join_next() => {
                    let answered = answered.unwrap_or_else(|error| match error.try_into_panic() {
                        Ok(panic) => std::panic::resume_unwind(panic),
                        Err(_) => unreachable!("no request is aborted while this function runs"),
                    });
                    match &answered.answer {
                        Err(error) if is_validation(error) && self.figures.pages == 0 => return Ok(false),
                        Err(error) => return Err(reader.error_of(error, Action::Scan, None)),
                        Ok(_) => {}
                    }
                    let (buffer, more) = self.commit_page_of(answered, reader, ctx)?;
                    self.rows_out.hand_over(&self.table).await?;
                    idle.push(buffer);
                    todo.begun.extend(more);
                }
            }
        }
    }

    /// Sends the statement itself for one item, whose row is not used: what ExecuteStatement refuses is refused before anything is read.
    async fn ask_for_refusals(&mut self, reader: &Reader<'_>, ctx: &JobCtx) -> Result<(), Error> {
        let reserved = self.reserve().await;
        self.figures.begun += 1;
        let unused = Arc::new(Mutex::new(Table::for_pages(None, u64::MAX)));
        let answer = reader
            .request(Some(1), None)
            .customize()
            .interceptor(self.interceptor.beside(unused))
            .send()
            .await
            .map_err(|error| reader.error_of(&error, Action::Select, None))?;
        let units = super::capacity_units(&answer);
        self.report(reserved, units, ctx);
        self.figures.consumed(units);
        Ok(())
    }

    /// The wait for the next request's units: what was reserved, and since when the job waited.
    fn reservation(&self) -> Pin<Box<dyn Future<Output = (f64, Option<Instant>)> + Send>> {
        let units = self.figures.last_cost;
        let bucket = self.bucket.clone();
        Box::pin(async move {
            let Some(bucket) = bucket else {
                return (units, None);
            };
            let asked = Instant::now();
            bucket.reserve(units).await;
            (units, Some(asked))
        })
    }

    fn buffer(&self, reader: &Reader<'_>, request: &ScanRequest) -> Buffer {
        let page = Table::for_pages(
            request.columns.as_deref(),
            self.rows_out.most_bytes(reader.job),
        );
        let table = Arc::new(Mutex::new(page));
        Buffer {
            interceptor: self.interceptor.beside(Arc::clone(&table)),
            table,
        }
    }

    /// Adds an answered page to the table; gives the buffer back, and the segment where it has a further page.
    fn commit_page_of(
        &mut self,
        answered: Answered,
        reader: &Reader<'_>,
        ctx: &JobCtx,
    ) -> Result<(Buffer, Option<Segment>), Error> {
        let Answered {
            segment,
            buffer,
            reserved,
            answer,
        } = answered;
        let Ok(answer) = answer else {
            return Ok((buffer, None));
        };
        let wire_bytes = wire_bytes(&buffer.interceptor)?;
        let capacity = answer.consumed_capacity.as_ref();
        let capacity_units = capacity.and_then(|capacity| capacity.capacity_units);
        self.report(reserved, capacity_units, ctx);
        let after = answer.last_evaluated_key.filter(|key| !key.is_empty());
        if after.is_some() && after == segment.after {
            return Err(endless("a LastEvaluatedKey"));
        }
        {
            let mut page = buffer.table.lock().unwrap_or_else(PoisonError::into_inner);
            let mut table = self.table();
            table.append(&mut page).map_err(|error| decoding(&error))?;
            table.commit_page();
        }
        self.figures.page(
            wire_bytes,
            Cost {
                capacity_units,
                items_evaluated: u64::try_from(answer.scanned_count).ok(),
            },
        );
        ctx.progress(
            self.table().rows(),
            self.figures.pages,
            self.figures.wire_bytes,
        );
        self.figures.require_capacity(&reader.job.budget)?;
        let more = after.map(|after| Segment {
            number: segment.number,
            after: Some(after),
        });
        Ok((buffer, more))
    }
}
