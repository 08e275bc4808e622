//! The keys and sizes of tables, as `DescribeTable` tells them, at most once a minute for each table and identity.
//!
//! In: a session and a table's name. Out: a [`Description`], or why there is none. A refusal is kept for the minute as an answer is,
//! so that a role without `dynamodb:DescribeTable` does not cost every job a request.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::types::{KeySchemaElement, KeyType, TableDescription};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept, context::BeforeTransmitInterceptorContextRef, dyn_dispatch_hint,
        },
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;
use plugin_api::Error;
use tokio::sync::OnceCell;

use crate::{
    codes, failure,
    job::{Cluster, Job},
    session::Session,
    statement::analysis::Keys,
};

/// How long an answer is kept.
const CACHED_FOR: Duration = Duration::from_secs(60);

/// The most answers kept at a time; the oldest goes first.
const MAX_CACHED: usize = 1024;

/// What AWS says of an operation that an endpoint does not have; emulators say it of `DescribeTable` as well.
const UNKNOWN_OPERATION: &str = "UnknownOperationException";

/// A table with its indexes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Description {
    table: Part,
    indexes: HashMap<String, Part>,
}

/// What can be read: a table or an index.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    pub(crate) keys: Keys,
    /// As DynamoDB last counted them, up to six hours ago.
    pub(crate) items: Option<u64>,
    pub(crate) bytes: Option<u64>,
    /// A global index: written after the table, and never strongly consistent.
    pub(crate) is_global_index: bool,
}

impl Description {
    /// The table, or one of its indexes; `None` for an index that it has not.
    pub(crate) fn part(&self, index: Option<&str>) -> Option<&Part> {
        match index {
            None => Some(&self.table),
            Some(index) => self.indexes.get(index),
        }
    }

    /// `None` where the answer lacks the table's keys.
    fn of(answer: &TableDescription) -> Option<Self> {
        let table = Part::of(
            answer.key_schema(),
            answer.item_count(),
            answer.table_size_bytes(),
            false,
        )?;
        let global = answer.global_secondary_indexes().iter().map(|index| {
            let part = Part::of(
                index.key_schema(),
                index.item_count(),
                index.index_size_bytes(),
                true,
            );
            (index.index_name(), part)
        });
        let local = answer.local_secondary_indexes().iter().map(|index| {
            let part = Part::of(
                index.key_schema(),
                index.item_count(),
                index.index_size_bytes(),
                false,
            );
            (index.index_name(), part)
        });
        let indexes = global
            .chain(local)
            .filter_map(|(name, part)| Some((name?.to_owned(), part?)));
        Some(Self {
            table,
            indexes: indexes.collect(),
        })
    }
}

impl Part {
    fn of(
        schema: &[KeySchemaElement],
        items: Option<i64>,
        bytes: Option<i64>,
        is_global_index: bool,
    ) -> Option<Self> {
        let key = |role: &KeyType| {
            let mut found = schema.iter().filter(|key| key.key_type() == role);
            found.next().map(|key| key.attribute_name().to_owned())
        };
        let count = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
        Some(Self {
            keys: Keys {
                partition: key(&KeyType::Hash)?,
                sort: key(&KeyType::Range),
            },
            items: count(items),
            bytes: count(bytes),
            is_global_index,
        })
    }
}

/// How `DescribeTable` was answered.
#[derive(Debug, Clone)]
enum Answer {
    Described(Arc<Description>),
    /// A policy denies it, or the endpoint has no such operation.
    Denied,
    /// Throttled, not reached, no such table …
    Failed(Box<Error>),
}

/// The answers of the last minute.
#[derive(Debug, Default)]
pub(crate) struct Descriptions {
    /// The lock is never held while anything is awaited.
    cached: Mutex<HashMap<(Cluster, String), CachedDescription>>,
}

#[derive(Debug, Clone)]
struct CachedDescription {
    since: Instant,
    answer: Arc<OnceCell<Answer>>,
}

impl Descriptions {
    /// What is known of `table`; `None` where `DescribeTable` is denied. Requests sent for it are counted in `attempts`.
    ///
    /// # Errors
    /// `NOT_FOUND`, or why the table could not be described: throttled, not reached, no credentials …
    pub(crate) async fn get(
        &self,
        session: &Session,
        job: &Job,
        table: &str,
        attempts: &Attempts,
    ) -> Result<Option<Arc<Description>>, Error> {
        let before = attempts.sent();
        let key = (job.cluster.clone(), table.to_owned());
        let mut answer = self.answer(&key, session, job, attempts).await;
        if let Answer::Failed(error) = &answer
            && error.code != codes::NOT_FOUND
            && attempts.sent() == before
        {
            // An earlier job's failure says nothing of now.
            self.forget(&key);
            answer = self.answer(&key, session, job, attempts).await;
        }
        match answer {
            Answer::Described(description) => Ok(Some(description)),
            Answer::Denied => Ok(None),
            Answer::Failed(error) => Err(*error),
        }
    }

    /// The keys of `table` or its index, for a reader that goes on without them: `None` where they cannot be had for any reason.
    pub(crate) async fn keys(
        &self,
        session: &Session,
        job: &Job,
        table: &str,
        index: Option<&str>,
        attempts: &Attempts,
    ) -> Option<Keys> {
        let key = (job.cluster.clone(), table.to_owned());
        match self.answer(&key, session, job, attempts).await {
            Answer::Described(description) => description.part(index).map(|part| part.keys.clone()),
            Answer::Denied | Answer::Failed(_) => None,
        }
    }

    async fn answer(
        &self,
        key: &(Cluster, String),
        session: &Session,
        job: &Job,
        attempts: &Attempts,
    ) -> Answer {
        let cell = self.cell(key, Instant::now());
        // Whoever asks first asks for all that wait; if its job ends meanwhile, the next one asks.
        cell.get_or_init(|| Box::pin(ask(session, job, &key.1, attempts)))
            .await
            .clone()
    }

    fn cell(&self, key: &(Cluster, String), now: Instant) -> Arc<OnceCell<Answer>> {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh =
            |cached: &CachedDescription| now.saturating_duration_since(cached.since) < CACHED_FOR;
        if let Some(found) = cached.get(key).filter(|found| is_fresh(found)) {
            return Arc::clone(&found.answer);
        }
        if cached.len() >= MAX_CACHED {
            cached.retain(|_, cached| is_fresh(cached));
        }
        if cached.len() >= MAX_CACHED {
            let oldest = cached.iter().min_by_key(|(_, cached)| cached.since);
            let oldest = oldest.map(|(key, _)| key.clone());
            oldest.map(|oldest| cached.remove(&oldest));
        }
        let answer = Arc::default();
        let new = CachedDescription {
            since: now,
            answer: Arc::clone(&answer),
        };
        cached.insert(key.clone(), new);
        answer
    }

    fn forget(&self, key: &(Cluster, String)) {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        cached.remove(key);
    }
}

async fn ask(session: &Session, job: &Job, table: &str, attempts: &Attempts) -> Answer {
    let answer = session
        .client
        .describe_table()
        .table_name(table)
        .customize()
        .interceptor(attempts.begin())
        .send()
        .await;
    match answer {
        Ok(answer) => match answer.table().and_then(Description::of) {
            Some(description) => Answer::Described(Arc::new(description)),
            None => Answer::Failed(Box::new(
                Error::new(
                    codes::BAD_RESPONSE,
                    "the answer to DescribeTable holds no table with keys",
                )
                .hint("check what answers at the cluster's endpoint"),
            )),
        },
        Err(error) => {
            let request = failure::Request {
                query: &job.query,
                table,
                action: failure::Action::Describe,
                secrets: &[],
                role: job.cluster.role.as_ref().map(|role| role.arn.as_str()),
                region: &session.region,
            };
            let error = failure::error_of(&error, request);
            if error.code == codes::ACCESS_DENIED
                || error.aws_code.as_deref() == Some(UNKNOWN_OPERATION)
            {
                Answer::Denied
            } else {
                Answer::Failed(Box::new(error))
            }
        }
    }
}

/// Counts the requests for one job's descriptions. Clones share the count.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attempts {
    sent: Arc<AtomicU64>,
    begun: Arc<AtomicU64>,
}

impl Attempts {
    /// For one `send()`.
    fn begin(&self) -> Self {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.clone()
    }

    /// Requests sent, retried ones included.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Retried requests.
    pub(crate) fn retries(&self) -> u64 {
        self.sent()
            .saturating_sub(self.begun.load(Ordering::Relaxed))
    }
}

#[dyn_dispatch_hint]
impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "Attempts"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.sent.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(table: &str, region: &str) -> (Cluster, String) {
        let cluster = format!(r#"{{"context": {{"region": "{region}"}}}}"#);
        (Cluster::parse(&cluster).unwrap(), table.to_owned())
    }

    #[test]
    fn an_answer_is_kept_for_a_minute_for_its_table_and_identity() {
        let descriptions = Descriptions::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let first = descriptions.cell(&key("t", "r1"), start);
        let again = descriptions.cell(&key("t", "r1"), after(59));
        assert!(Arc::ptr_eq(&first, &again));
        for other in [
            descriptions.cell(&key("u", "r1"), start),
            descriptions.cell(&key("t", "r2"), start),
            descriptions.cell(&key("t", "r1"), after(60)),
        ] {
            assert!(!Arc::ptr_eq(&first, &other));
        }
    }

    #[test]
    fn however_many_tables_are_asked_for_only_so_many_are_kept() {
        let descriptions = Descriptions::default();
        let start = Instant::now();
        for n in 0..MAX_CACHED as u64 + 10 {
            descriptions.cell(&key(&n.to_string(), "r"), start + Duration::from_millis(n));
        }
        let cached = descriptions.cached.lock().unwrap();
        assert_eq!(cached.len(), MAX_CACHED);
        assert!(!cached.contains_key(&key("0", "r")));
        assert!(cached.contains_key(&key("1033", "r")));
    }
}
