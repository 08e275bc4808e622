//! A host's life: open, serve, drain, close.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use plugin_api::Level;
use sd_notify::NotifyState;
use serde_json::json;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;

use super::{
    App, Shared,
    auth::Authenticator,
    buffers::Buffers,
    concurrency::ConcurrencyLimits,
    links::Links,
    listen::{self, BindAddress, Bounds},
    pipe,
    ready::Readiness,
    reload, routes,
    stop::{self, End},
    tokens::{self, TokenError},
};
use crate::{
    catalog::Catalog,
    config::{Config, ConfigError, Limits},
    dispatch::{Dispatch, Parts},
    health::Checker,
    janitor,
    job::now,
    log::{Levels, Log, LogFormat},
    metrics::Metrics,
    plugins::{self, OpenError, PluginRequirement, Plugins},
    recover,
    store::{Store, StoreError},
};

/// How long answers under way may take once all jobs have ended.
const LINGER: Duration = Duration::from_secs(3);
/// The same where the operator does not want to wait.
const LINGER_HURRIED: Duration = Duration::from_millis(250);
/// How long plugins have to close.
const CLOSE: Duration = Duration::from_secs(2);

/// What `serve` is started with.
#[derive(Debug, Clone, clap::Args)]
pub struct ServeOptions {
    /// The configuration, in Heimdall's format
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Where plugin libraries lie; wins over the configuration
    #[arg(long, value_name = "DIR")]
    pub plugin_dir: Option<PathBuf>,
    /// How log lines are written to standard error
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// Which log lines are written: error, warn, info, debug, trace or off, also per target, as in `info,dynamo=debug`
    #[arg(long, value_name = "LEVELS", default_value = "info")]
    pub log_level: Levels,
    /// Listen for others without asking for a token: everyone who reaches the address may run jobs under any name
    #[arg(long)]
    pub allow_unauthenticated: bool,
}

/// Why a host does not start. Operator: the configuration, or what it names.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The token file cannot be used.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The address cannot be used.
    #[error("{0}")]
    Address(String),
    /// The job store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The plugins cannot be opened.
    #[error(transparent)]
    Plugins(#[from] OpenError),
    /// The system refuses threads or signals.
    #[error("the system refuses what a server needs: {0}")]
    System(#[from] std::io::Error),
}

/// Serves until SIGTERM or SIGINT. Where neither the options nor the configuration name a directory of plugins, those in
/// `default_plugin_dir` are opened.
///
/// # Errors
/// The host does not start; the exit status is then 2.
pub fn run(options: &ServeOptions, default_plugin_dir: &Path) -> Result<ExitCode, ServeError> {
    let config = Config::load(&options.config)?;
    plugin_host::raise_file_limit();
    let log = Arc::new(Log::batched(options.log_format, options.log_level.clone()));
    for (line, note) in &config.ignored {
        log.event(
            Level::Warn,
            note,
            &[("file", json!(config.path)), ("line", json!(line))],
        );
    }
    for directory in &config.trusted_directories {
        let note = "a trusted directory is taken as it is, whoever may write to it or above it";
        log.event(Level::Warn, note, &[("path", json!(directory))]);
    }
    let authenticator = Authenticator::new(&config.auth, &config.server)?;
    let told = config.auth.token_file.as_deref();
    if let Some(note) = told.and_then(tokens::readable_by_others) {
        log.event(Level::Warn, &note, &[]);
    }
    let address = listen::bind_address(
        &config.server.address,
        authenticator.has_tokens(),
        options.allow_unauthenticated,
    )
    .map_err(ServeError::Address)?;
    let store = Arc::new(Store::open(
        &config.jobs_directory,
        &config.result_directory,
        &config.trusted_directories,
    )?);
    for note in store.notes() {
        log.event(Level::Warn, note, &[]);
    }
    let registry = config.registry_options(
        options.plugin_dir.as_deref(),
        default_plugin_dir,
        log.sink(),
    );
    let plugins = plugins::open(registry, &config.isolation())?;
    restore_pins(&store, &plugins, &log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Each running job holds one, and questions to the store need some.
        .max_blocking_threads(config.limits.running + config.pool_size + 64)
        .build()?;
    let ended = runtime.block_on(live(
        config,
        authenticator,
        address,
        Arc::clone(&store),
        Arc::clone(&plugins),
        Arc::clone(&log),
    ));
    log.flush();
    let hurried = ended?;
    // A job that does not end must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    store.close();
    plugins.close(if hurried { Duration::ZERO } else { CLOSE });
    log.flush();
    Ok(ExitCode::SUCCESS)
}

/// Puts the versions that operators chose in earlier runs in force, and says so: a pin is easily forgotten.
fn restore_pins(store: &Store, plugins: &Arc<Plugins>, log: &Log) -> Result<(), StoreError> {
    let pins = store.pins()?;
    if pins.is_empty() {
        return Ok(());
    }
    let asked = pins
        .iter()
        .map(|pin| (pin.plugin.clone(), pin.version.clone()));
    plugins.restore_pins(asked.collect());
    for pin in pins {
        let exactly = semver::VersionReq {
            comparators: vec![semver::Comparator {
                op: semver::Op::Exact,
                major: pin.version.major,
                minor: Some(pin.version.minor),
                patch: Some(pin.version.patch),
                pre: pin.version.pre.clone(),
            }],
        };
        let there = [false, true].into_iter().any(|isolated| {
            let need = PluginRequirement {
                plugin: &pin.plugin,
                requirement: Some(&exactly),
                isolated,
            };
            plugins.available(need).is_ok()
        });
        let message = match there {
            true => "plugin is pinned",
            false => "plugin is pinned to a version that is not there; another one runs",
        };
        let fields = [
            ("plugin", json!(pin.plugin)),
            ("version", json!(pin.version)),
            ("user", json!(pin.set_by)),
            ("since", json!(pin.set_at)),
        ];
        log.event(Level::Warn, message, &fields);
    }
    Ok(())
}

/// Serves; whether it was asked to end at once.
async fn live(
    config: Config,
    authenticator: Authenticator,
    address: BindAddress,
    store: Arc<Store>,
    plugins: Arc<Plugins>,
    log: Arc<Log>,
) -> Result<bool, ServeError> {
    // Before anything else, so that no signal ends the host halfway.
    let end = End::listen()?;
    let hangup = signal(SignalKind::hangup())?;
    let listener = bind(&address.addresses).await?;
    let app = assemble(&config, authenticator, store, plugins, log).await?;
    let (log, dispatch) = (Arc::clone(&app.log), Arc::clone(&app.dispatch));
    tokio::spawn(stop::watchdog({
        let dispatch = Arc::clone(&dispatch);
        // A host whose jobs are locked up must not look alive.
        move || _ = dispatch.load()
    }));
    let recovered = recover::recover(&app.store, &dispatch).await?;
    if recovered != recover::Recovered::default() {
        let fields = [
            ("waiting", json!(recovered.waiting)),
            ("failed", json!(recovered.failed)),
            ("cancelled", json!(recovered.cancelled)),
        ];
        log.event(Level::Warn, "jobs of the last run are settled", &fields);
    }
    tokio::spawn(janitor::run(
        Arc::clone(&app.store),
        config.retention,
        Arc::clone(&log),
    ));
    reload::warn(&app, &config);
    tokio::spawn(reload::reload_on(hangup, config.clone(), Arc::clone(&app)));
    if let Some(note) = &address.note {
        log.event(Level::Warn, note, &[]);
    }
    log.event(
        Level::Info,
        "listening",
        &[(
            "address",
            json!(format!("http://{}", listener.local_addr()?)),
        )],
    );

    let bounds = Bounds {
        head: config.server.head_timeout,
        write: config.server.write_timeout,
        connections: connections(config.limits.connections, &log),
        of_client: config.limits.connections_per_client,
    };
    stop::tell_manager(&[NotifyState::Ready]);
    let drained = drain(&end, &app, config.limits);
    let (all_ended, hurry) = (CancellationToken::new(), end.clone());
    let served = listen::serve(
        listener,
        routes::router(Arc::clone(&app)),
        bounds,
        async {
            drained.await;
            all_ended.cancel();
        },
        LINGER,
    );
    tokio::select! {
        () = served => {}
        () = async {
            tokio::join!(all_ended.cancelled(), hurry.hurried());
            tokio::time::sleep(LINGER_HURRIED).await;
        } => {}
    }
    log.info("stopped");
    Ok(end.is_hurried())
}

/// Waits for the operator's word, and then until no job runs. Meanwhile statuses and results can still be asked for.
async fn drain(end: &End, app: &Shared, limits: Limits) {
    end.asked().await;
    app.ready.stop();
    stop::tell_manager(&[NotifyState::Stopping]);
    if !limits.shutdown_delay.is_zero() {
        let fields = [("delay_seconds", json!(limits.shutdown_delay.as_secs()))];
        let message = "stopping: /readyz says so, and jobs are still taken during the delay";
        app.log.event(Level::Info, message, &fields);
        end.patience(limits.shutdown_delay).await;
    }
    app.log.event(
        Level::Info,
        "shutting down: no new jobs",
        &[("grace_seconds", json!(limits.grace.as_secs()))],
    );
    let drained = app.dispatch.drain(end.patience(limits.grace)).await;
    let fields = [
        ("running", json!(drained.running)),
        ("stopped", json!(drained.stopped)),
        ("waiting", json!(drained.queued)),
    ];
    app.log.event(Level::Info, "jobs drained", &fields);
}

async fn bind(addresses: &[std::net::SocketAddr]) -> Result<TcpListener, ServeError> {
    let mut last = None;
    for address in addresses {
        match TcpListener::bind(address).await {
            Ok(listener) => return Ok(listener),
            Err(error) => last = Some(format!("cannot listen on {address}: {error}")),
        }
    }
    Err(ServeError::Address(last.unwrap_or_else(|| {
        "server.addr names no address".to_owned()
    })))
}

async fn assemble(
    config: &Config,
    authenticator: Authenticator,
    store: Arc<Store>,
    plugins: Arc<Plugins>,
    log: Arc<Log>,
) -> Result<Shared, StoreError> {
    let now = now();
    let known = store.sync_objects(config, now).await?;
    let metrics = Arc::new(Metrics::new(config.old_metric_names));
    let dispatch = Dispatch::new(Parts {
        store: Arc::clone(&store),
        plugins: Arc::clone(&plugins),
        metrics: Arc::clone(&metrics),
        log: Arc::clone(&log),
        catalog: Catalog::new(config, &known, now),
        limits: config.limits,
        workers: config.pool_size,
        sync_deadline: config.server.sync_deadline,
    });
    Ok(Arc::new(App {
        dispatch,
        store,
        checker: Checker::new(Arc::clone(&plugins), config.health_timeout),
        plugins,
        metrics,
        log,
        authenticator,
        web_ui: config.server.web_ui.clone(),
        ready: Readiness::default(),
        buffers: Buffers::new(config.limits.buffered_bytes),
        concurrency: concurrency(),
        links: Links::default(),
        pipes: Arc::new(Semaphore::new(pipe::AT_ONCE)),
        limits: config.limits,
        read_timeout: config.server.read_timeout,
        changing: tokio::sync::Mutex::new(()),
    }))
}

/// As many connections as the configuration says, and as the system has file handles for: one that cannot be accepted waits unseen,
/// while one too many can be told so.
fn connections(configured: usize, log: &Log) -> usize {
    /// For the store, plugins, results that are read, and requests to AWS.
    const OTHER_FILES: usize = 256;
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let files = files.map_or(usize::MAX, |files| {
        usize::try_from(files).unwrap_or(usize::MAX)
    });
    let room = files.saturating_sub(OTHER_FILES).max(files / 2);
    if room < configured {
        let fields = [
            ("max_connections", json!(room)),
            ("file_handles", json!(files)),
        ];
        let message = "the system gives fewer file handles than limits.max_connections needs; fewer connections are accepted";
        log.event(Level::Warn, message, &fields);
    }
    configured.min(room)
}

fn concurrency() -> ConcurrencyLimits {
    ConcurrencyLimits::new(std::thread::available_parallelism().map_or(1, usize::from))
}

#[cfg(any(test, feature = "fuzzing"))]
pub(super) async fn app_of(host: &crate::testing::Host) -> Shared {
    let authenticator = Authenticator::new(&host.config.auth, &host.config.server)
        .expect("the test's tokens are readable");
    host.store
        .sync_objects(&host.config, 1)
        .await
        .expect("the test's disk has room");
    Arc::new(App {
        dispatch: Arc::clone(&host.dispatch),
        store: Arc::clone(&host.store),
        checker: Checker::new(Arc::clone(&host.plugins), host.config.health_timeout),
        plugins: Arc::clone(&host.plugins),
        metrics: Arc::clone(&host.metrics),
        log: Arc::clone(&host.log),
        authenticator,
        web_ui: host.config.server.web_ui.clone(),
        ready: Readiness::default(),
        buffers: Buffers::new(host.config.limits.buffered_bytes),
        concurrency: concurrency(),
        links: Links::default(),
        pipes: Arc::new(Semaphore::new(pipe::AT_ONCE)),
        limits: host.config.limits,
        read_timeout: host.config.server.read_timeout,
        changing: tokio::sync::Mutex::new(()),
    })
}
