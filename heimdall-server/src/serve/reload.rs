//! What a SIGHUP puts in force: commands, clusters and tokens of the configuration, all or nothing; and the plugin directory.

use std::{path::Path, sync::Arc};

use plugin_api::Level;
use sd_notify::NotifyState;
use serde_json::json;
use tokio::signal::unix::Signal;

use super::{
    Shared, stop,
    tokens::{TokenError, Tokens},
};
use crate::{
    catalog::Catalog,
    config::{Config, ConfigError},
    error::HostError,
    job::now,
    store::StoreError,
};

/// Why a configuration was rejected. Operator: the file, or what it names.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the reading of the files was broken off: {0}")]
    BrokenOff(#[from] tokio::task::JoinError),
}

/// SIGHUP: commands, clusters and tokens are read again, and the plugin directory is looked at again.
pub(super) async fn reload_on(mut hangup: Signal, started_with: Config, app: Shared) {
    while hangup.recv().await.is_some() {
        stop::tell_reloading();
        let outcome = reload(&started_with.path, &app).await;
        app.metrics.reloaded(outcome.is_ok());
        let mut isolation = None;
        match outcome {
            Ok(config) => {
                isolation = Some(config.isolation());
                let fields = [
                    ("commands", json!(config.commands.len())),
                    ("clusters", json!(config.clusters.len())),
                ];
                app.log.event(
                    Level::Info,
                    "configuration read again; its commands, clusters and tokens are in force",
                    &fields,
                );
                let fixed = config.fixed_settings_unlike(&started_with);
                if !fixed.is_empty() {
                    let message = "the configuration has changes that only a restart puts in force";
                    app.log
                        .event(Level::Warn, message, &[("settings", json!(fixed))]);
                }
                warn(&app, &config);
            }
            Err(error) => {
                let message = "configuration rejected; the commands, clusters and tokens before it stay in force";
                app.log.event(
                    Level::Error,
                    message,
                    &[("error", json!(error.to_string()))],
                );
            }
        }
        let plugins = Arc::clone(&app.plugins);
        let report = tokio::task::spawn_blocking(move || {
            if let Some(isolation) = isolation {
                plugins.isolate(&isolation)?;
            }
            plugins.reload()
        })
        .await;
        match report.unwrap_or_else(|_| Err(HostError::internal("the reload panicked"))) {
            Ok(report) => {
                let fields = [
                    ("loaded", json!(report.loaded)),
                    ("retired", json!(report.retired)),
                    ("refused", json!(report.refused)),
                ];
                app.log
                    .event(Level::Info, "plugins looked at again", &fields);
            }
            Err(error) => app.log.event(
                Level::Error,
                "plugins not looked at again",
                &[("error", json!(error.message))],
            ),
        }
        stop::tell_manager(&[NotifyState::Ready]);
    }
}

/// All of it is put in force, or nothing.
async fn reload(path: &Path, app: &Shared) -> Result<Config, ReloadError> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || -> Result<_, ReloadError> {
        let config = Config::load(&path)?;
        let tokens = Tokens::load(&config.auth)?;
        Ok((config, tokens))
    });
    let (config, tokens) = read.await??;
    app.authenticator.may_take(&tokens)?;
    let _guard = app.changing.lock().await;
    let now = now();
    let known = app.store.sync_objects(&config, now).await?;
    app.authenticator.take(tokens);
    app.dispatch.set_catalog(Catalog::new(&config, &known, now));
    Ok(config)
}

/// Says what will not work, before a job finds out.
pub(super) fn warn(app: &Shared, config: &Config) {
    for id in app.dispatch.commands_without_plugin().ids {
        let command = config
            .commands
            .iter()
            .find(|command| command.object.id == id);
        let version = command.and_then(|command| command.plugin_version.as_ref());
        let fields = [
            ("command", json!(id)),
            ("plugin", json!(command.map(|command| &command.plugin))),
            ("plugin_version", json!(version.map(ToString::to_string))),
        ];
        let message =
            "no loaded version of its plugin fits a command; its jobs fail with PLUGIN_UNAVAILABLE";
        app.log.event(Level::Warn, message, &fields);
    }
    match app.store.free_bytes() {
        Ok(free) if free < config.limits.min_free => {
            let fields = [
                ("free_bytes", json!(free)),
                ("min_free_bytes", json!(config.limits.min_free)),
            ];
            let message =
                "the disk of jobs or results is full; new jobs are refused until it has room";
            app.log.event(Level::Warn, message, &fields);
        }
        Ok(_) => {}
        Err(error) => {
            let fields = [("error", json!(error.to_string()))];
            let message = "the room on the disk of jobs or results is not known";
            app.log.event(Level::Warn, message, &fields);
        }
    }
}
