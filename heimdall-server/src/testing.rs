//! A whole host in a test: a store in a temporary directory and a plugin that is linked in and does what its query says.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use plugin_api::{Done, Error, ErrorCode, JobCtx, Level, NotStarted, Plugin};
use plugin_host::{Library, LogSink, RegistryOptions, testing::registry_of_linked};
use serde_json::{Value, json};

use crate::{
    catalog::Catalog,
    config::Config,
    dispatch::{Dispatch, Parts, Submitted},
    error::HostError,
    job::{JobRecord, JobStatus, Submission},
    log::{Log, LogFormat},
    metrics::Metrics,
    plugins::Plugins,
    store::{Recorded, Store},
};

/// How often clusters with `counted` in their definition were checked.
pub(crate) static COUNTED_CHECKS: AtomicUsize = AtomicUsize::new(0);

struct Fake;

impl Plugin for Fake {
    const NAME: &'static str = "fake";
    const FEATURES: &'static str = "start";

    /// A fake may have a thread for each job.
    fn start_job(&self, job: String, ctx: JobCtx, done: Done) -> Result<(), NotStarted> {
        std::thread::spawn(move || {
            plugin_api::quiet_panics_on_this_thread();
            done.finish(Self.run_job(&job, &ctx));
        });
        Ok(())
    }

    fn open(host: plugin_api::Host, _config: &str) -> Result<Self, Error> {
        host.log(Level::Debug, "fake", "open");
        Ok(Self)
    }

    /// `rows`, `large N`, `wait` (until cancelled), `deaf SECONDS` (hears no cancel), `fail CODE`, `log TEXT`, `panic`, `echo`,
    /// `lines N` (rows as they come), `half` (fails after some), `progress` (then waits), `table`, `nothing`.
    fn run_job(&self, job: &str, ctx: &JobCtx) -> Result<Vec<u8>, Error> {
        let document: Value = serde_json::from_str(job)
            .map_err(|error| Error::new(ErrorCode::INVALID_JOB, error.to_string()))?;
        for (part, wrong) in [("command", "limt"), ("cluster", "regoin")] {
            if !document[part]["context"][wrong].is_null() {
                let message = format!("unknown field '{wrong}'");
                return Err(Error::new(ErrorCode::INVALID_JOB, message)
                    .hint("did you mean 'limit'?")
                    .field(format!("{part}.context.{wrong}")));
            }
        }
        let query = document["context"]["query"].as_str().unwrap_or_default();
        let (verb, rest) = query.split_once(' ').unwrap_or((query, ""));
        match verb {
            "wait" => {
                if ctx.wait_cancelled(
                    ctx.deadline()
                        .unwrap_or(Instant::now() + Duration::from_secs(60)),
                ) {
                    return Err(Error::new(ErrorCode::CANCELLED, "the job was cancelled"));
                }
                Err(Error::new(ErrorCode::TIMEOUT, "the deadline passed"))
            }
            "deaf" => {
                std::thread::sleep(Duration::from_secs(rest.parse().unwrap_or(0)));
                Ok(rows("late"))
            }
            "fail" => {
                let code = ErrorCode::from(rest.to_owned());
                Err(Error::new(code, "it failed").hint("fix it"))
            }
            "log" => {
                ctx.log(Level::Info, "fake", rest);
                Ok(rows("x"))
            }
            "panic" => panic!("a bug of the plugin"),
            "lines" => lines(ctx, rest.parse().unwrap_or(0)),
            "half" => {
                lines(ctx, 1000)?;
                Err(Error::new(ErrorCode::UNAVAILABLE, "it failed half way"))
            }
            "progress" => {
                ctx.progress(3, 2, 100);
                let _ = ctx.wait_cancelled(Instant::now() + Duration::from_secs(60));
                Err(Error::new(ErrorCode::CANCELLED, "the job was cancelled"))
            }
            "table" => Ok(TABLE.as_bytes().to_vec()),
            "nothing" => Ok(br#"{"columns":[],"data":[],"stats":{"rows":0}}"#.to_vec()),
            "large" => Ok(rows(&"x".repeat(rest.parse().unwrap_or(0)))),
            "echo" => Ok(job.as_bytes().to_vec()),
            _ => Ok(rows("123")),
        }
    }

    fn check_health(&self, cluster: &str, _ctx: &JobCtx) -> Result<Vec<u8>, Error> {
        if cluster.contains("counted") {
            COUNTED_CHECKS.fetch_add(1, Ordering::Relaxed);
        }
        if cluster.contains("unhealthy") {
            return Err(Error::new(ErrorCode::UNAVAILABLE, "cannot connect"));
        }
        Ok(br#"{"status":"ok","latency_ms":1}"#.to_vec())
    }

    fn close(self, _within: Duration) -> Result<(), Error> {
        Ok(())
    }
}

plugin_api::export_plugin!(Fake);

/// A column of each kind that formats treat in their own way.
pub(crate) const TABLE: &str = r#"{"columns":[{"name":"id","type":"string"},{"name":"n","type":"long"}],"data":[["a",1],["=b",null]],"stats":{"rows":2}}"#;

/// Hands over so many rows, as a plugin does whose result is large: the first column comes last in the document, and a third one
/// shows up late.
fn lines(ctx: &JobCtx, n_rows: usize) -> Result<Vec<u8>, Error> {
    ctx.hand_over(b"{\"columns\":[\"z\",\"a\"]}\n")?;
    for n in 0..n_rows {
        ctx.hand_over(format!("[{n},\"text {n}\"]\n").as_bytes())?;
    }
    ctx.hand_over(b"{\"columns\":[\"late\"]}\n[null,null,1.5]\n")?;
    let answer = json!({"columns": [{"name": "z", "type": "long"}, {"name": "a", "type": "string"}, {"name": "late", "type": "float"}],
                        "order": [1, 2, 0], "stats": {"rows": n_rows + 1, "requests": 1}});
    Ok(answer.to_string().into_bytes())
}

fn rows(id: &str) -> Vec<u8> {
    json!({"columns": [{"name": "id", "type": "string"}], "data": [[id]], "stats": {"rows": 1, "wire_bytes": 5}})
        .to_string()
        .into_bytes()
}

/// All tests share the one linked instance; its lines go to every log, which keeps those of its own jobs.
static LOGS: Mutex<Vec<LogSink>> = Mutex::new(Vec::new());

fn library() -> Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    let open = || {
        let sink: LogSink = Arc::new(|level, target, message| {
            let logs = LOGS.lock().unwrap().clone();
            logs.iter().for_each(|log| log(level, target, message));
        });
        let library = Library::linked(root_module(), Some(sink))
            .unwrap()
            .starting_with(START_JOB);
        library.open("{}").unwrap();
        library
    };
    LIBRARY.get_or_init(open).clone()
}

/// The linked plugin in a registry, beside a plugin directory.
pub(crate) fn plugins(plugin_dir: &Path) -> Arc<Plugins> {
    let options = RegistryOptions {
        watch: false,
        ..RegistryOptions::new(plugin_dir, Arc::new(|_, _: &str, _: &str| {}))
    };
    let registry = registry_of_linked(library(), options.clone()).unwrap();
    Arc::new(Plugins::new(registry, options))
}

/// Commands of every kind on clusters of every kind.
pub(crate) const CONFIG: &str = "
pool: {size: 2}
limits: {max_running_jobs: 3, max_running_jobs_per_user: 2, max_queued_jobs: 3, max_body_bytes: 65536}
commands:
- {name: sync, plugin: fake, version: 0.0.1, is_sync: true, description: Waits, tags: ['type:sync'], cluster_tags: ['type:fake']}
- {name: async, plugin: fake, version: 0.0.1, tags: ['type:async'], cluster_tags: ['type:fake']}
- {name: ops, plugin: fake, is_sync: true, allowed_callers: ['ops-.*'], tags: ['type:ops'], cluster_tags: ['type:fake']}
- {name: gone, plugin: gone, is_sync: true, tags: ['type:gone'], cluster_tags: ['type:fake']}
clusters:
- {name: main, version: 0.0.1, health_check: true, tags: ['type:fake', 'data:prod'], context: {role_arn: r, external_id: hush}}
- {name: quiet, tags: ['type:quiet']}
";

/// A store, a dispatcher and what they need.
pub(crate) struct Host {
    pub(crate) config: Config,
    pub(crate) store: Arc<Store>,
    pub(crate) dispatch: Arc<Dispatch>,
    pub(crate) plugins: Arc<Plugins>,
    pub(crate) log: Arc<Log>,
    pub(crate) metrics: Arc<Metrics>,
    directory: Arc<tempfile::TempDir>,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self::with(CONFIG)
    }

    pub(crate) fn with(config: &str) -> Self {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        Self::open(
            Config::parse("host.yaml".as_ref(), config, &|_| None).unwrap(),
            directory,
        )
    }

    fn open(config: Config, directory: Arc<tempfile::TempDir>) -> Self {
        let store = Arc::new(
            Store::open(
                &directory.path().join("jobs"),
                &directory.path().join("results"),
                &[],
            )
            .unwrap(),
        );
        let log = Arc::new(Log::new(LogFormat::Text, Box::new(std::io::sink())));
        LOGS.lock().unwrap().push(log.sink());
        let metrics = Arc::new(Metrics::new(config.old_metric_names));
        let plugins = plugins(directory.path());
        let dispatch = Dispatch::new(Parts {
            store: Arc::clone(&store),
            plugins: Arc::clone(&plugins),
            metrics: Arc::clone(&metrics),
            log: Arc::clone(&log),
            catalog: Catalog::new(&config, &Default::default(), 1),
            limits: config.limits,
            workers: config.pool_size,
            sync_deadline: config.server.sync_deadline,
        });
        Self {
            config,
            store,
            dispatch,
            plugins,
            log,
            metrics,
            directory,
        }
    }

    /// Where large results lie.
    pub(crate) fn results(&self) -> std::path::PathBuf {
        self.directory.path().join("results")
    }

    /// The store's tables, for a test that damages them.
    pub(crate) fn tables(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.directory.path().join("jobs/jobs.sqlite")).unwrap()
    }

    /// The same store under a new host, as after a crash.
    pub(crate) fn restart(&mut self) {
        let (config, directory) = (self.config.clone(), Arc::clone(&self.directory));
        // The old store must be closed before the lock is free.
        let elsewhere = Arc::new(tempfile::tempdir().unwrap());
        drop(std::mem::replace(
            self,
            Self::open(config.clone(), elsewhere),
        ));
        *self = Self::open(config, directory);
    }

    /// Submits a query to a command as a user.
    pub(crate) async fn submit(
        &self,
        command: &str,
        query: &str,
        user: &str,
    ) -> Result<Submitted, HostError> {
        self.dispatch
            .submit(submission(command, query), user, None)
            .await
    }

    /// A job once it has ended.
    pub(crate) async fn ended(&self, id: &str) -> JobRecord {
        self.reaches(id, |job| job.status.is_final()).await
    }

    /// A job once it is as asked for; fails after a while.
    pub(crate) async fn reaches(&self, id: &str, asked: impl Fn(&JobRecord) -> bool) -> JobRecord {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(job) = self.store.job(id).unwrap().filter(&asked) {
                return job;
            }
            assert!(Instant::now() < deadline, "{:?}", self.store.job(id));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// A job once its damaged record has been replaced; fails after a while.
    pub(crate) async fn replaced(&self, id: &str) -> JobRecord {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match self.store.job(id) {
                Ok(Some(job)) => return job,
                other => assert!(Instant::now() < deadline, "{other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The id of the only job that runs, once it is in the store as running.
    pub(crate) async fn running(&self) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let running = self
                .store
                .unfinished()
                .unwrap()
                .into_iter()
                .find_map(|recorded| match recorded {
                    Recorded::Whole(job) if job.status == JobStatus::Running => Some(job),
                    _ => None,
                });
            if let Some(job) = running {
                return job.id;
            }
            assert!(Instant::now() < deadline, "no job runs");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// A job as a client submits it.
pub(crate) fn submitted(command: &str, query: &str) -> String {
    json!({"name": "a-job", "version": "0.0.1", "command_criteria": [format!("_name:{command}")],
           "cluster_criteria": ["data:prod"], "context": {"query": query}})
    .to_string()
}

pub(crate) fn submission(command: &str, query: &str) -> Submission {
    Submission::parse(submitted(command, query).as_bytes()).unwrap()
}

/// A record as the host would make it.
pub(crate) fn job_for(store: &Store, command: &str, query: &str) -> JobRecord {
    let seq = store.next_seq();
    let id = crate::job::new_id().to_string();
    let submission = submission(command, query);
    JobRecord {
        seq,
        name: "a-job".into(),
        version: "0.0.1".into(),
        description: None,
        user: "alice".into(),
        tags: crate::job::raw(&submission.tags_with_system(&id)),
        context: submission.context,
        command_criteria: crate::job::raw(&submission.command_criteria),
        cluster_criteria: crate::job::raw(&submission.cluster_criteria),
        is_sync: false,
        route: crate::job::Route {
            command_id: command.into(),
            command_name: command.into(),
            cluster_id: "main".into(),
            cluster_name: "main".into(),
            plugin: "fake".into(),
        },
        status: JobStatus::New,
        error: None,
        error_document: None,
        plugin_version: None,
        cancelled_by: None,
        created_at: 1,
        updated_at: 1,
        attempts: 0,
        traceparent: None,
        rows: None,
        id,
    }
}
