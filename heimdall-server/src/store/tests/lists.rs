//! Pages of a list against the plain truth: every filter, order and direction finds what a look at each job finds.

use std::time::Duration;

use super::{
    super::page::{TEXTS, TIMES, Times, in_sql, page},
    *,
};

/// Some hundred jobs with few and many values in each column, and clocks that went back once.
async fn filled(store: &Store) -> Vec<Arc<JobRecord>> {
    let (mut jobs, mut stored) = (Vec::new(), Vec::new());
    let mut users = ["alice", "bob", "böb"].into_iter().cycle();
    for n in 0..400_i64 {
        let status = match n % 7 {
            0 => JobStatus::Failed,
            1 => JobStatus::Running,
            _ => JobStatus::Succeeded,
        };
        let mut made = (*job(store, users.next().unwrap(), status)).clone();
        made.name = format!("job-{}", n % 150);
        made.route.command_name = format!("c-{}", n % 2);
        made.created_at = if n < 200 {
            5_000 + n / 20
        } else {
            4_000 + n / 20
        };
        made.updated_at = 9_000 - n / 3;
        let mut tags = BTreeSet::from([
            format!("_id:{}", made.id),
            format!("_name:{}", made.name),
            format!("_version:{}", made.version),
        ]);
        tags.insert(format!("group:{}", n % 5));
        if n % 90 == 0 {
            tags.insert("rare".into());
        }
        made.tags = raw(&tags);
        let made = Arc::new(made);
        stored.push(store.put(Put::record(Arc::clone(&made))));
        jobs.push(made);
    }
    for stored in stored {
        stored.await.unwrap();
    }
    jobs
}

fn fits(job: &JobRecord, query: &JobQuery) -> bool {
    let tags: Vec<String> = serde_json::from_str(job.tags.get()).unwrap();
    query.patterns.iter().all(|(column, pattern)| {
        pattern.matches(match *column {
            "id" => &job.id,
            "name" => &job.name,
            "version" => &job.version,
            "user" => &job.user,
            "command_name" => &job.route.command_name,
            _ => &job.route.cluster_name,
        })
    }) && (query.statuses.is_empty() || query.statuses.contains(&job.status))
        && query.tags.iter().all(|tag| tags.contains(tag))
        && query
            .created_after
            .is_none_or(|time| job.created_at >= time)
        && query
            .created_before
            .is_none_or(|time| job.created_at < time)
}

fn expected(jobs: &[Arc<JobRecord>], query: &JobQuery) -> Vec<i64> {
    let mut found: Vec<_> = jobs.iter().filter(|job| fits(job, query)).collect();
    found.sort_by(|one, two| match query.order {
        OrderBy::Id => one.id.cmp(&two.id),
        OrderBy::CreatedAt => (one.created_at, one.seq).cmp(&(two.created_at, two.seq)),
        OrderBy::UpdatedAt => (one.updated_at, one.seq).cmp(&(two.updated_at, two.seq)),
    });
    if query.direction == Direction::Descending {
        found.reverse();
    }
    found.into_iter().map(|job| job.seq).collect()
}

/// The jobs of all pages, one after the other.
fn all_pages(store: &Store, query: &JobQuery) -> Vec<i64> {
    pages(query, |query| store.jobs(query))
}

/// The same where reading is so slow that nothing is ready in time.
fn all_pages_of_a_slow_disk(connection: &rusqlite::Connection, query: &JobQuery) -> Vec<i64> {
    let times = Times {
        values: Duration::ZERO,
        gather: Duration::ZERO,
        walk: Duration::ZERO,
    };
    pages(query, |query| page(connection, query, &times))
}

fn pages(query: &JobQuery, page: impl Fn(&JobQuery) -> Result<JobsPage, StoreError>) -> Vec<i64> {
    let (mut query, mut seen) = (query.clone(), Vec::new());
    loop {
        let page = page(&query).unwrap();
        assert!(page.jobs.len() <= query.limit as usize);
        seen.extend(ids(&page));
        let Some(next) = page.next else { return seen };
        query.cursor = Cursor::decode(&next.encode(), query.order, query.direction);
    }
}

#[tokio::test]
async fn every_filter_finds_what_a_look_at_each_job_finds() {
    let directory = test_directory();
    let store = open(&directory);
    let jobs = filled(&store).await;
    let connection = rusqlite::Connection::open(directory.jobs.join("jobs.sqlite")).unwrap();
    let text = |column, pattern: &str| JobQuery {
        patterns: vec![(column, Pattern::new(pattern).unwrap())],
        ..JobQuery::default()
    };
    let tags = |tags: &[&str]| JobQuery {
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        ..JobQuery::default()
    };
    let mut queries = vec![
        JobQuery::default(),
        text("name", "job-7"),
        text("name", "job-1%"),
        text("name", "%-14_"),
        text("name", "none%"),
        text("id", "id-7"),
        text("id", "id-1%"),
        text("id", "%9"),
        text("user", "b_b"),
        text("version", "0.0.1"),
        text("command_name", "c-%"),
        text("cluster_name", "l"),
        tags(&["rare"]),
        tags(&["group:1"]),
        tags(&["group:1", "rare"]),
        tags(&["_name:job-3", "_version:0.0.1"]),
        tags(&["_id:id-5"]),
        tags(&["nowhere"]),
        JobQuery {
            statuses: vec![JobStatus::Failed, JobStatus::Running],
            ..JobQuery::default()
        },
        JobQuery {
            created_after: Some(4_012),
            created_before: Some(5_003),
            ..JobQuery::default()
        },
    ];
    queries.push(JobQuery {
        statuses: vec![JobStatus::Succeeded],
        tags: vec!["group:2".into()],
        created_before: Some(5_006),
        ..text("user", "alice")
    });
    for query in queries {
        for order in [OrderBy::Id, OrderBy::CreatedAt, OrderBy::UpdatedAt] {
            for direction in [Direction::Ascending, Direction::Descending] {
                for limit in [7, 101] {
                    let query = JobQuery {
                        order,
                        direction,
                        limit,
                        ..query.clone()
                    };
                    let expected = expected(&jobs, &query);
                    assert_eq!(all_pages(&store, &query), expected, "{query:?}");
                    let slowly = all_pages_of_a_slow_disk(&connection, &query);
                    assert_eq!(slowly, expected, "{query:?} in many short pages");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_page_of_large_records_is_shorter_and_leads_on() {
    let directory = test_directory();
    let store = open(&directory);
    for _ in 0..12 {
        let mut large = (*job(&store, "alice", JobStatus::Failed)).clone();
        large.context = Some(raw(&serde_json::json!({"query": "x".repeat(1 << 20)})));
        store.put(Put::record(Arc::new(large))).await.unwrap();
    }
    let query = JobQuery {
        direction: Direction::Ascending,
        limit: 101,
        ..JobQuery::default()
    };
    let page = store.jobs(&query).unwrap();
    assert_eq!(ids(&page), [1, 2, 3], "as many as 4 MiB hold");
    assert!(page.next.is_some());
    assert_eq!(all_pages(&store, &query), (1..=12).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_filter_that_few_of_many_jobs_fit_ends_its_page_early_and_leads_on() {
    let directory = test_directory();
    let store = open(&directory);
    let first = job(&store, "alice", JobStatus::Succeeded);
    store.put(Put::record(Arc::clone(&first))).await.unwrap();
    // Made in the store's own tables: it is how they look after months.
    let connection = rusqlite::Connection::open(directory.jobs.join("jobs.sqlite")).unwrap();
    connection
        .execute_batch(
            "WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 25000)
             INSERT INTO jobs SELECT i, 'id-' || i, 'n' || i, version, user, is_sync, command_id, command_name, cluster_id, cluster_name,
                plugin, status, plugin_version, canceled_by, created_at + i, updated_at, attempts, result_bytes, result_rows, command_criteria,
                cluster_criteria, '[]', traceparent, description, error, error_document, context FROM n, jobs WHERE seq = 1",
        )
        .unwrap();
    let query = JobQuery {
        patterns: vec![("name", Pattern::new("%-items-%").unwrap())],
        limit: 101,
        ..JobQuery::default()
    };
    let page = store.jobs(&query).unwrap();
    assert_eq!((page.jobs.len(), page.next.is_some()), (0, true));
    assert_eq!(all_pages(&store, &query), [1]);
}

#[tokio::test]
async fn a_deleted_job_is_in_no_index() {
    let directory = test_directory();
    let store = open(&directory);
    let one = job(&store, "alice", JobStatus::Succeeded);
    store.put(Put::record(Arc::clone(&one))).await.unwrap();
    store.delete(vec![(one.seq, false)]).await.unwrap();
    let query = JobQuery {
        tags: vec!["team:a".into()],
        limit: 10,
        ..JobQuery::default()
    };
    assert!(store.jobs(&query).unwrap().jobs.is_empty());
    let connection = rusqlite::Connection::open(directory.jobs.join("jobs.sqlite")).unwrap();
    let left: i64 = connection
        .query_row("SELECT count(*) FROM job_tags", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
}

/// SQLite sees what a client wrote as values only: its own faults with hostile texts of statements are out of a client's reach.
#[tokio::test]
async fn nothing_that_a_client_wrote_is_in_a_statements_text() {
    const HOSTILE: &str = "zq' OR 1=1; SELECT sum(sum(1)), \"zq\" --";
    let directory = test_directory();
    let store = open(&directory);
    let put = |n: i64| {
        let mut made = (*job(&store, HOSTILE, JobStatus::Succeeded)).clone();
        made.name = format!("{HOSTILE}{}", n % 3);
        made.version = HOSTILE.to_owned();
        made.route.command_name = HOSTILE.to_owned();
        made.route.cluster_name = HOSTILE.to_owned();
        made.tags = raw(&BTreeSet::from([HOSTILE.to_owned()]));
        store.put(Put::record(Arc::new(made)))
    };
    // More than are gathered and sorted, so that the jobs are walked through as well.
    let puts: Vec<_> = (0..5_100).map(put).collect();
    for put in puts {
        put.await.unwrap();
    }
    let tagged = |tag: String| JobQuery {
        tags: vec![tag],
        ..JobQuery::default()
    };
    let mut queries = vec![
        tagged(HOSTILE.to_owned()),
        tagged(format!("_name:{HOSTILE}1")),
        tagged(format!("_id:{HOSTILE}")),
        tagged(format!("_version:{HOSTILE}")),
    ];
    for column in [
        "name",
        "id",
        "user",
        "version",
        "command_name",
        "cluster_name",
    ] {
        for pattern in [
            HOSTILE.to_owned(),
            format!("{HOSTILE}%"),
            format!("%{HOSTILE}_"),
        ] {
            queries.push(JobQuery {
                patterns: vec![(column, Pattern::new(&pattern).unwrap())],
                ..JobQuery::default()
            });
        }
    }
    for query in &mut queries {
        for order in [OrderBy::CreatedAt, OrderBy::Id, OrderBy::UpdatedAt] {
            (query.order, query.limit) = (order, 2);
            query.cursor = None;
            query.cursor = store.jobs(query).unwrap().next;
            store.jobs(query).unwrap();
            if order == OrderBy::Id {
                query.cursor = Some(Cursor::at(query, HOSTILE.into(), 1));
                store.jobs(query).unwrap();
            }
        }
    }
    let texts = TEXTS.take();
    let walked = |text: &&String| text.contains("AS hit");
    assert!(texts.iter().filter(walked).count() > 10);
    assert!(texts.len() > 200, "{} statements", texts.len());
    let hostile: Vec<_> = texts.iter().filter(|text| text.contains("zq")).collect();
    assert!(hostile.is_empty(), "{hostile:#?}");
}

/// What is counted ends at a number only if everything that is looked at counts.
#[tokio::test]
async fn jobs_are_counted_in_the_order_of_an_index_and_nothing_else_is_looked_at_for_it() {
    let directory = test_directory();
    let store = open(&directory);
    filled(&store).await;
    TEXTS.take();
    let wild = |column, pattern| JobQuery {
        patterns: vec![(column, Pattern::new(pattern).unwrap())],
        ..JobQuery::default()
    };
    let tagged = JobQuery {
        tags: vec!["team:a".to_owned()],
        ..JobQuery::default()
    };
    for query in [wild("id", "0%f"), wild("name", "job-%1"), tagged] {
        store.jobs(&query).unwrap();
    }
    let texts = TEXTS.take();
    let counts: Vec<_> = texts
        .iter()
        .filter(|text| text.contains("count(*)"))
        .collect();
    assert_eq!(counts.len(), 3, "{texts:#?}");
    for text in counts {
        assert!(!text.contains("GLOB") && !text.contains("JOIN"), "{text}");
    }
}

/// A filter that few jobs fit is found by gathering them; where that would hold up others, the page is short and leads on.
#[tokio::test]
async fn a_page_ends_in_time_however_slow_the_disk_is() {
    let directory = test_directory();
    let store = open(&directory);
    let jobs = filled(&store).await;
    let connection = rusqlite::Connection::open(directory.jobs.join("jobs.sqlite")).unwrap();
    let query = JobQuery {
        patterns: vec![("user", Pattern::new("alice").unwrap())],
        order: OrderBy::UpdatedAt,
        limit: 101,
        ..JobQuery::default()
    };
    let times = |gather| Times {
        gather,
        walk: Duration::ZERO,
        ..TIMES
    };
    let gathered = page(&connection, &query, &times(Duration::MAX)).unwrap();
    assert_eq!(ids(&gathered), expected(&jobs, &query)[..101]);
    let walked = page(&connection, &query, &times(Duration::ZERO)).unwrap();
    assert!(walked.next.is_some());
    assert_eq!(ids(&walked), expected(&jobs, &query)[..walked.jobs.len()]);
    assert!((1..101).contains(&walked.jobs.len()));
}

/// A damaged record's tags cannot all be found when it is deleted.
#[tokio::test]
async fn a_tag_that_is_left_of_a_deleted_job_hides_no_other() {
    let directory = test_directory();
    let store = open(&directory);
    let jobs = filled(&store).await;
    let connection = rusqlite::Connection::open(directory.jobs.join("jobs.sqlite")).unwrap();
    connection
        .execute_batch("UPDATE jobs SET tags = 'no list' WHERE seq IN (7, 390)")
        .unwrap();
    store.delete(vec![(7, false), (390, false)]).await.unwrap();
    let query = JobQuery {
        tags: vec!["group:1".into(), "group:1".into()],
        limit: 30,
        ..JobQuery::default()
    };
    let one_tag = JobQuery {
        tags: vec!["group:1".into()],
        ..query.clone()
    };
    for query in [query, one_tag] {
        let mut expected = expected(&jobs, &query);
        expected.retain(|seq| ![7, 390].contains(seq));
        assert_eq!(all_pages(&store, &query), expected);
        assert_eq!(all_pages_of_a_slow_disk(&connection, &query), expected);
    }
}

#[test]
fn values_of_any_type_are_in_the_order_that_sqlite_has_them_in() {
    let connection = rusqlite::Connection::open_in_memory().unwrap();
    let mut statement = connection
        .prepare(
            "SELECT column1 FROM (VALUES ('x'), (5), (x'00'), (3), (NULL), (2.5), ('X'), (-1), (3.5), (x'ff')) ORDER BY column1",
        )
        .unwrap();
    let values: Vec<rusqlite::types::Value> = statement
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(values.len(), 10);
    assert!(values.is_sorted_by(|one, two| in_sql(one, two).is_lt()));
}

/// A record whose time is no number, as a damaged disk leaves it, stands where SQLite puts it.
#[tokio::test]
async fn a_page_with_a_damaged_record_is_sorted_and_whole() {
    let directory = test_directory();
    let store = open(&directory);
    let jobs = filled(&store).await;
    let connection = rusqlite::Connection::open(directory.jobs.join("jobs.sqlite")).unwrap();
    connection
        .execute_batch("UPDATE jobs SET updated_at = 'x' WHERE seq = 31")
        .unwrap();
    let query = JobQuery {
        patterns: vec![("user", Pattern::new("alice").unwrap())],
        order: OrderBy::UpdatedAt,
        direction: Direction::Ascending,
        limit: 200,
        ..JobQuery::default()
    };
    let mut expected = expected(&jobs, &query);
    let damaged = expected.iter().position(|seq| *seq == 31).unwrap();
    let damaged = expected.remove(damaged);
    expected.push(damaged);
    assert_eq!(ids(&store.jobs(&query).unwrap()), expected);
}
