//! One page of a list of jobs, found by an index, in bounded time and memory.
//!
//! In: a checked query. Out: the jobs of one page, and the position after it where there may be more. Three ways lead to a page:
//! - a filter that fits few jobs: they are gathered and sorted, unless that takes too long (each may be on a page of the disk that is
//!   not in memory; what was read is then in memory for the next question);
//! - the order of acceptance and a filter with few values: its index has the jobs of each value in that order, and these lists are merged;
//! - else the jobs are walked through in the order that is asked for, up to a number and a time: the page then ends early, and its
//!   cursor goes on from there.
//!
//! Column names come from this file alone; everything that a client wrote is a bound value.

use std::{
    cmp::Ordering,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OptionalExtension, Row, Statement, params_from_iter, types::Value};

use super::{
    Pattern, Recorded, StoreError,
    list::{Cursor, Direction, JobQuery, JobsPage, OrderBy},
    rows,
};

/// The most jobs that are gathered and sorted for a page: those that fit one of its filters.
const FEW: i64 = 5_000;
/// The most values of a column whose lists of jobs are merged.
const MERGED_LISTS: usize = 64;
/// The most different values of a column that are compared with a filter.
const DISTINCT: usize = 1_000;
/// The most jobs that are looked at for one page.
const VISITS: usize = 5_000;
/// So many are looked at however long it takes, so that pages get on also where this thread waits for a processor.
const AT_LEAST: usize = 64;
/// After that, how many jobs are looked at between two looks at the clock. Each may be a read of the disk.
const BETWEEN_LOOKS: usize = 8;
/// The most bytes of records on one page; its first job is there however large it is.
const PAGE_BYTES: usize = 4 << 20;

/// When the parts of a page end at the latest, from its beginning on.
pub(super) struct Times {
    /// Looking for the values of a column that a pattern fits; after that the pattern is compared job by job.
    pub(super) values: Duration,
    /// Gathering the jobs of a filter that few fit; after that jobs are walked through.
    pub(super) gather: Duration,
    /// Walking through jobs; the page then ends early.
    pub(super) walk: Duration,
}

/// With the reading of its records a page takes 50 ms at most where the disk gives them at once. Gathering gets most of the time, since it
/// ends with a whole page; a walk may find a single job.
pub(super) const TIMES: Times = Times {
    values: Duration::from_millis(10),
    gather: Duration::from_millis(30),
    walk: Duration::from_millis(38),
};

/// What a client asks in terms of SQL.
struct Search<'a> {
    connection: &'a Connection,
    query: &'a JobQuery,
    times: &'a Times,
    began: Instant,
    filters: Vec<Filter>,
    /// Conditions on a column that jobs may be ordered by: a walk in that order begins and ends where they do.
    bounds: Vec<(OrderBy, String)>,
    values: Vec<Value>,
}

/// One filter.
struct Filter {
    /// The condition on a row of `jobs`.
    condition: String,
    /// The jobs that fit it, found by an index.
    source: Option<Source>,
    /// The same jobs as one list for each value, each in the order of acceptance; empty where there would be too many lists, or where
    /// no index has them in this order.
    lists: Vec<Source>,
}

/// Rows in the order of an index.
#[derive(Clone)]
struct Source {
    /// What is read in that order; it has all columns of the condition.
    from: String,
    condition: String,
    /// What leads from there to the jobs' own columns.
    join: &'static str,
}

impl Source {
    /// Whose columns its condition names.
    fn table(&self) -> &'static str {
        if self.join.is_empty() {
            "jobs"
        } else {
            "job_tags"
        }
    }
}

/// A job's position: the value that it is ordered by, and its number.
#[derive(Clone, PartialEq)]
struct JobPosition {
    value: Value,
    seq: i64,
}

impl JobPosition {
    fn compare(&self, other: &Self) -> Ordering {
        in_sql(&self.value, &other.value).then(self.seq.cmp(&other.seq))
    }
}

/// The order of two values in SQLite: a damaged record may have one of another type than its column's.
pub(super) fn in_sql(one: &Value, two: &Value) -> Ordering {
    let class = |value: &Value| match value {
        Value::Null => 0,
        Value::Integer(_) | Value::Real(_) => 1,
        Value::Text(_) => 2,
        Value::Blob(_) => 3,
    };
    match (one, two) {
        (Value::Integer(one), Value::Integer(two)) => one.cmp(two),
        (Value::Real(one), Value::Real(two)) => one.total_cmp(two),
        (Value::Integer(one), Value::Real(two)) => (*one as f64).total_cmp(two),
        (Value::Real(one), Value::Integer(two)) => one.total_cmp(&(*two as f64)),
        (Value::Text(one), Value::Text(two)) => one.cmp(two),
        (Value::Blob(one), Value::Blob(two)) => one.cmp(two),
        _ => class(one).cmp(&class(two)),
    }
}

/// The positions of a page's jobs, and the position after which the next page begins.
struct PagePositions {
    positions: Vec<JobPosition>,
    next: Option<JobPosition>,
}

pub(super) fn page(
    connection: &Connection,
    query: &JobQuery,
    times: &Times,
) -> Result<JobsPage, StoreError> {
    // All questions see the store as it is at this moment.
    let _snapshot = connection.unchecked_transaction()?;
    let mut search = Search {
        connection,
        query,
        times,
        began: Instant::now(),
        filters: Vec::new(),
        bounds: Vec::new(),
        values: Vec::new(),
    };
    search.read()?;
    let found = search.find()?;
    search.fetch(found)
}

impl Search<'_> {
    /// A value as a parameter of the statements to come.
    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    fn read(&mut self) -> Result<(), StoreError> {
        for (column, pattern) in &self.query.patterns {
            let filter = self.text(column, pattern)?;
            self.filters.push(filter);
        }
        if !self.query.statuses.is_empty() {
            let numbers = self.query.statuses.iter();
            let values = numbers.map(|status| status.number().into()).collect();
            let filter = self.one_of("status", values);
            self.filters.push(filter);
        }
        for tag in &self.query.tags {
            let filter = self.tag(tag)?;
            self.filters.push(filter);
        }
        let times = [
            (">=", self.query.created_after),
            ("<", self.query.created_before),
        ];
        let mut conditions = Vec::new();
        for (operator, time) in times {
            if let Some(time) = time {
                conditions.push(format!("jobs.created_at {operator} {}", self.bind(time)));
            }
        }
        if !conditions.is_empty() {
            self.bounds
                .push((OrderBy::CreatedAt, conditions.join(" AND ")));
            let source = Source {
                from: "jobs INDEXED BY jobs_by_created_at".to_owned(),
                condition: conditions.join(" AND "),
                join: "",
            };
            self.filters.push(Filter {
                condition: source.condition.clone(),
                lists: vec![source.clone()],
                source: Some(source),
            });
        }
        Ok(())
    }

    /// A filter on a column of texts.
    fn text(&mut self, column: &str, pattern: &Pattern) -> Result<Filter, StoreError> {
        match pattern {
            Pattern::Exact(text) => Ok(self.one_of(column, vec![text.clone().into()])),
            Pattern::Wild { glob, prefix, .. } => {
                // Ids are all different.
                if column != "id"
                    && let Some(values) = self.values_that_fit(column, pattern, prefix)?
                {
                    return Ok(self.one_of(column, values));
                }
                let glob = self.bind(glob.clone());
                let condition = format!("jobs.{column} GLOB {glob}");
                let source = if prefix.is_empty() {
                    None
                } else {
                    let (from, to) = (
                        self.bind(prefix.clone()),
                        self.bind(format!("{prefix}{}", char::MAX)),
                    );
                    let range = format!("jobs.{column} >= {from} AND jobs.{column} < {to}");
                    if column == "id" {
                        self.bounds.push((OrderBy::Id, range.clone()));
                    }
                    Some(Source {
                        from: format!("jobs INDEXED BY jobs_by_{column}"),
                        // Without the pattern: those that it does not fit would all be looked at until enough are counted.
                        condition: range,
                        join: "",
                    })
                };
                Ok(Filter {
                    condition,
                    source,
                    lists: Vec::new(),
                })
            }
        }
    }

    fn one_of(&mut self, column: &str, values: Vec<Value>) -> Filter {
        let from = format!("jobs INDEXED BY jobs_by_{column}");
        let names: Vec<_> = values.into_iter().map(|value| self.bind(value)).collect();
        let condition = format!("jobs.{column} IN ({})", names.join(", "));
        let list = |name: &String| Source {
            from: from.clone(),
            condition: format!("jobs.{column} = {name}"),
            join: "",
        };
        let lists = if column == "id" || names.len() > MERGED_LISTS {
            Vec::new()
        } else {
            names.iter().map(list).collect()
        };
        Filter {
            source: Some(Source {
                from: from.clone(),
                condition: condition.clone(),
                join: "",
            }),
            condition,
            lists,
        }
    }

    /// A filter by tag. The system's own tags say what columns say.
    fn tag(&mut self, tag: &str) -> Result<Filter, StoreError> {
        for (prefix, column) in [("_id:", "id"), ("_name:", "name"), ("_version:", "version")] {
            if let Some(text) = tag.strip_prefix(prefix) {
                return self.text(column, &Pattern::Exact(text.to_owned()));
            }
        }
        let tag = self.bind(tag.to_owned());
        let source = Source {
            from: "job_tags".to_owned(),
            condition: format!("job_tags.tag = {tag}"),
            join: " CROSS JOIN jobs ON jobs.seq = job_tags.seq",
        };
        Ok(Filter {
            condition: format!(
                "EXISTS (SELECT 1 FROM job_tags WHERE tag = {tag} AND created_at = jobs.created_at AND seq = jobs.seq)"
            ),
            source: Some(source.clone()),
            lists: vec![source],
        })
    }

    /// The values of a column that fit a filter; `None` where there are too many values, or it takes too long, to look at them all.
    fn values_that_fit(
        &self,
        column: &str,
        pattern: &Pattern,
        prefix: &str,
    ) -> Result<Option<Vec<Value>>, StoreError> {
        let next = |operator: &str| {
            format!(
                "SELECT {column} FROM jobs INDEXED BY jobs_by_{column} WHERE {column} {operator} ? ORDER BY {column} LIMIT 1"
            )
        };
        let mut first = self.prepare(&next(">="))?;
        let mut later = self.prepare(&next(">"))?;
        let mut fitting = Vec::new();
        let mut value: Option<String> = one(&mut first, prefix)?;
        for _ in 0..DISTINCT {
            if self.began.elapsed() > self.times.values {
                break;
            }
            match value.take().filter(|value| value.starts_with(prefix)) {
                None => return Ok(Some(fitting)),
                Some(found) => {
                    value = one(&mut later, &found)?;
                    if pattern.matches(&found) {
                        fitting.push(found.into());
                    }
                }
            }
        }
        Ok(None)
    }

    fn find(&mut self) -> Result<PagePositions, StoreError> {
        if let Some(at) = self.few()?
            && let Some(gathered) = self.gather(at)?
        {
            return Ok(gathered);
        }
        let lists = self
            .filters
            .iter()
            .position(|filter| !filter.lists.is_empty())
            .filter(|_| self.query.order == OrderBy::CreatedAt);
        match lists {
            Some(at) => {
                let lists = std::mem::take(&mut self.filters[at].lists);
                self.walk(&lists, Some(at))
            }
            None => {
                let all = Source {
                    from: format!("jobs INDEXED BY jobs_by_{}", column(self.query.order)),
                    condition: "1".to_owned(),
                    join: "",
                };
                self.walk(&[all], None)
            }
        }
    }

    /// The filter that fits the fewest jobs, where these are few.
    fn few(&self) -> Result<Option<usize>, StoreError> {
        let mut least: Option<(i64, usize)> = None;
        for (at, filter) in self.filters.iter().enumerate() {
            let Some(source) = &filter.source else {
                continue;
            };
            let sql = format!(
                "SELECT count(*) FROM (SELECT 1 FROM {} WHERE {} LIMIT {})",
                source.from,
                source.condition,
                FEW + 1
            );
            let count: i64 = self.one(&sql, |row| row.get(0))?;
            if count <= FEW && least.is_none_or(|(fewest, _)| count < fewest) {
                least = Some((count, at));
            }
        }
        Ok(least.map(|(_, at)| at))
    }

    /// The jobs of one filter that pass the others too, sorted; `None` where that takes too long.
    fn gather(&mut self, at: usize) -> Result<Option<PagePositions>, StoreError> {
        let Some(source) = self.filters[at].source.clone() else {
            return Ok(None);
        };
        let sql = self.gather_statement(at, &source);
        let mut positions = Vec::new();
        let mut statement = self.prepare(&sql)?;
        let mut rows = statement.query(self.parameters(&sql))?;
        for visited in 0.. {
            let Some((position, passes)) = head(&mut rows)? else {
                break;
            };
            if self.is_late(visited, self.times.gather) {
                return Ok(None);
            }
            if passes {
                positions.push(position);
            }
        }
        positions.sort_unstable_by(|one, two| self.compare(one, two));
        let (limit, all) = (self.limit(), positions.len());
        positions.truncate(limit);
        let next = positions.last().filter(|_| all > limit).cloned();
        Ok(Some(PagePositions { positions, next }))
    }

    /// The statement that reads the jobs of one filter. Whether a job passes the others is a column rather than a condition, so that the
    /// clock is looked at between jobs that don't; only what the filter's own index answers is a condition.
    fn gather_statement(&mut self, at: usize, source: &Source) -> String {
        let after = self
            .after()
            .map(|position| (self.bind(position.value), self.bind(position.seq)));
        let order = column(self.query.order);
        let (_, beyond) = words(self.query.direction);
        let mut fails = String::new();
        if let Some((value, seq)) = after {
            fails = format!(
                " WHEN (jobs.{order}, jobs.seq) {beyond} ({value}, {seq}) IS NOT TRUE THEN 0"
            );
        }
        for filter in &self.filters {
            fails += &format!(" WHEN ({}) IS NOT TRUE THEN 0", filter.condition);
        }
        // An index that has lists has them in the order of acceptance.
        let times = self
            .bounds
            .iter()
            .filter(|(of, _)| *of == OrderBy::CreatedAt && !self.filters[at].lists.is_empty());
        let times: String = times
            .map(|(_, bound)| {
                format!(
                    " AND {}",
                    bound.replace("jobs.", &format!("{}.", source.table()))
                )
            })
            .collect();
        format!(
            "SELECT jobs.{order}, jobs.seq, CASE{fails} ELSE 1 END AS passes FROM {}{} WHERE {}{times}",
            source.from, source.join, source.condition,
        )
    }

    /// Whether a part of the page is to end, with so many jobs looked at.
    fn is_late(&self, visited: usize, end: Duration) -> bool {
        visited >= AT_LEAST && visited.is_multiple_of(BETWEEN_LOOKS) && self.began.elapsed() > end
    }

    /// Which of two jobs comes first in the order asked for.
    fn compare(&self, one: &JobPosition, two: &JobPosition) -> Ordering {
        let order = one.compare(two);
        match self.query.direction {
            Direction::Ascending => order,
            Direction::Descending => order.reverse(),
        }
    }

    /// Goes through lists of jobs in the order asked for; `done` is the filter that all of their jobs fit.
    fn walk(&mut self, lists: &[Source], done: Option<usize>) -> Result<PagePositions, StoreError> {
        let others = self.filters.iter().enumerate();
        let others: Vec<_> = others
            .filter(|(at, _)| Some(*at) != done)
            .map(|(_, filter)| format!("({})", filter.condition))
            .collect();
        let hit = if others.is_empty() {
            "1".to_owned()
        } else {
            others.join(" AND ")
        };
        let after = self
            .after()
            .map(|position| (self.bind(position.value), self.bind(position.seq)));
        let sqls: Vec<_> = lists
            .iter()
            .map(|list| self.list_statement(list, &hit, after.as_ref()))
            .collect();
        let mut statements = Vec::with_capacity(sqls.len());
        for sql in &sqls {
            statements.push(self.prepare(sql)?);
        }
        let mut lists = Vec::with_capacity(sqls.len());
        for (statement, sql) in statements.iter_mut().zip(&sqls) {
            let mut rows = statement.query(self.parameters(sql))?;
            if let Some(head) = head(&mut rows)? {
                lists.push((head, rows));
            }
        }
        let limit = self.limit();
        let mut positions: Vec<JobPosition> = Vec::new();
        for visit in 1.. {
            let first = (0..lists.len())
                .min_by(|&one, &two| self.compare(&lists[one].0.0, &lists[two].0.0));
            let Some(first) = first else { break };
            let (ref here, hit) = lists[first].0;
            let here = here.clone();
            if hit && positions.len() == limit {
                let next = positions.last().cloned();
                return Ok(PagePositions { positions, next });
            }
            if hit {
                positions.push(here.clone());
            }
            match head(&mut lists[first].1)? {
                Some(head) => lists[first].0 = head,
                None => drop(lists.swap_remove(first)),
            }
            let is_over = visit >= VISITS || self.is_late(visit, self.times.walk);
            if is_over && !lists.is_empty() {
                return Ok(PagePositions {
                    positions,
                    next: Some(here),
                });
            }
        }
        Ok(PagePositions {
            positions,
            next: None,
        })
    }

    /// The statement that reads one list. Jobs with the cursor's own value come first, so that both parts are found by the index.
    fn list_statement(&self, list: &Source, hit: &str, after: Option<&(String, String)>) -> String {
        let order = column(self.query.order);
        let table = list.table();
        // A job's own row is not asked for where nothing of it is needed.
        let join = if hit == "1" { "" } else { list.join };
        let (word, beyond) = words(self.query.direction);
        let bounds = self.bounds.iter();
        let bounds: String = bounds
            .filter(|(of, _)| *of == self.query.order)
            .map(|(_, bound)| format!(" AND {}", bound.replace("jobs.", &format!("{table}."))))
            .collect();
        let part = |after: &str| {
            format!(
                "SELECT {table}.{order} AS value, {table}.seq AS seq, {hit} AS hit FROM {}{} WHERE {}{bounds}{after}",
                list.from, join, list.condition
            )
        };
        let parts = match after {
            None => part(""),
            Some((value, seq)) => format!(
                "{} UNION ALL {}",
                part(&format!(
                    " AND {table}.{order} = {value} AND {table}.seq {beyond} {seq}"
                )),
                part(&format!(" AND {table}.{order} {beyond} {value}"))
            ),
        };
        format!("{parts} ORDER BY value {word}, seq {word}")
    }

    /// The records of a page's jobs, as many as fit.
    fn fetch(&self, found: PagePositions) -> Result<JobsPage, StoreError> {
        let sql = format!("SELECT {} FROM jobs WHERE seq = ?", rows::COLUMNS);
        let mut statement = self.connection.prepare_cached(&sql)?;
        let (mut jobs, mut bytes, mut next) = (Vec::new(), 0, found.next);
        let mut last = None;
        for position in found.positions {
            // One damaged record does not hide the others: what can be read of it is shown. Of one whose tags could not be read when it
            // was deleted these are left, and no job.
            let recorded = statement
                .query_row([position.seq], rows::recorded)
                .optional()?;
            let Some(Recorded::Whole(job) | Recorded::Unreadable(job, _)) = recorded else {
                last = Some(position);
                continue;
            };
            bytes += job.bytes();
            if bytes > PAGE_BYTES && !jobs.is_empty() {
                next = last;
                break;
            }
            jobs.push(job);
            last = Some(position);
        }
        let next = next.map(|position| {
            let value = match position.value {
                Value::Text(text) => text.into(),
                Value::Integer(number) => number.into(),
                _ => serde_json::Value::Null,
            };
            Cursor::at(self.query, value, position.seq)
        });
        Ok(JobsPage { jobs, next })
    }

    /// The position of the query's cursor.
    fn after(&self) -> Option<JobPosition> {
        let cursor = self.query.cursor.as_ref()?;
        Some(JobPosition {
            value: match &cursor.value {
                serde_json::Value::String(text) => text.clone().into(),
                number => number.as_i64().unwrap_or_default().into(),
            },
            seq: cursor.seq,
        })
    }

    fn limit(&self) -> usize {
        usize::try_from(self.query.limit).unwrap_or(usize::MAX - 1)
    }

    /// The bound values as far as a statement names them.
    fn parameters(&self, sql: &str) -> impl rusqlite::Params {
        let named = (1..=self.values.len())
            .rev()
            .find(|number| sql.contains(&format!("?{number}")))
            .unwrap_or(0);
        params_from_iter(self.values[..named].to_vec())
    }

    /// Makes a statement of a text. What a client wrote is in none of them: a test looks at each.
    fn prepare(&self, sql: &str) -> Result<Statement<'_>, StoreError> {
        #[cfg(test)]
        TEXTS.with_borrow_mut(|texts| texts.push(sql.to_owned()));
        Ok(self.connection.prepare(sql)?)
    }

    fn one<T>(
        &self,
        sql: &str,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut statement = self.prepare(sql)?;
        Ok(statement.query_row(self.parameters(sql), read)?)
    }
}

fn column(order: OrderBy) -> &'static str {
    match order {
        OrderBy::Id => "id",
        OrderBy::CreatedAt => "created_at",
        OrderBy::UpdatedAt => "updated_at",
    }
}

fn words(direction: Direction) -> (&'static str, &'static str) {
    match direction {
        Direction::Ascending => ("ASC", ">"),
        Direction::Descending => ("DESC", "<"),
    }
}

fn position(row: &Row<'_>) -> rusqlite::Result<JobPosition> {
    Ok(JobPosition {
        value: row.get(0)?,
        seq: row.get(1)?,
    })
}

/// The next job of a list, and whether it passes the other filters.
fn head(rows: &mut rusqlite::Rows<'_>) -> Result<Option<(JobPosition, bool)>, StoreError> {
    let row = rows.next()?;
    Ok(row
        .map(|row| {
            let hit: Option<bool> = row.get(2)?;
            Ok::<_, rusqlite::Error>((position(row)?, hit.unwrap_or(false)))
        })
        .transpose()?)
}

fn one(statement: &mut Statement<'_>, text: &str) -> Result<Option<String>, StoreError> {
    let mut rows = statement.query([text])?;
    let row = rows.next()?;
    Ok(row.map(|row| row.get(0)).transpose()?)
}

#[cfg(test)]
thread_local! {
    /// The texts that this thread has made statements of.
    pub(super) static TEXTS: std::cell::RefCell<Vec<String>> = const { std::cell::RefCell::new(Vec::new()) };
}
