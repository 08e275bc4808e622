//! The HTTP interface: Heimdall's paths and fields over the dispatcher and the store.
//!
//! In: requests. Out: answers. [`run`] is the whole life of a host: open what it needs, serve, drain, close.

mod admin;
mod answer;
mod auth;
mod body;
mod buffers;
mod concurrency;
mod connections;
mod fallback;
mod format;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod jobs;
mod links;
mod listen;
mod objects;
mod paced;
mod paths;
mod pipe;
mod query;
mod ready;
mod reload;
mod result;
mod routes;
mod site;
mod start;
mod stop;
mod tokens;
mod visible;

use std::{sync::Arc, time::Duration};

pub use self::{
    start::{ServeError, ServeOptions, run},
    tokens::TokenError,
};
use crate::{
    config::Limits, dispatch::Dispatch, health::Checker, log::Log, metrics::Metrics,
    plugins::Plugins, store::Store,
};

/// What every request shares.
struct App {
    dispatch: Arc<Dispatch>,
    store: Arc<Store>,
    plugins: Arc<Plugins>,
    metrics: Arc<Metrics>,
    log: Arc<Log>,
    checker: Checker,
    authenticator: auth::Authenticator,
    web_ui: Option<console::WebUi>,
    ready: ready::Readiness,
    buffers: buffers::Buffers,
    concurrency: concurrency::ConcurrencyLimits,
    links: links::Links,
    /// Results that are being made into a format.
    pipes: Arc<tokio::sync::Semaphore>,
    limits: Limits,
    read_timeout: Duration,
    /// Held while the definitions in force change.
    changing: tokio::sync::Mutex<()>,
}

type Shared = Arc<App>;

#[cfg(test)]
mod tests;
