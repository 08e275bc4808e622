//! 3 · An SDK client per identity, made once and shared by all its jobs.
//!
//! In: a checked [`Cluster`]. Out: a [`Session`] whose credentials the SDK caches and refreshes. Two clusters that differ in any
//! field never share one. Nothing is asked of AWS here: the first request does that, once for however many jobs wait for it.

mod environment;
mod identity;
mod network;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use plugin_api::Error;
use tokio::sync::OnceCell;

pub use environment::Environment;
use network::Network;

use crate::job::Cluster;

/// The most identities kept at a time; the least recently used goes first. `{user}` in a session name makes one per user.
const MAX_SESSIONS: usize = 1024;

/// A client with an identity.
#[derive(Debug, Clone)]
pub struct Session {
    /// The SDK's client.
    pub client: Client,
    /// The region that requests are signed for.
    pub region: String,
    /// The endpoint of the operator's own that requests go to; `None`: the region's.
    pub endpoint: Option<String>,
}

/// The clients of all identities.
#[derive(Debug)]
pub struct Sessions {
    environment: Environment,
    /// What is kept; the lock is never held while anything is awaited or built.
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    sessions: HashMap<Cluster, Used>,
    networks: HashMap<Network, SharedHttpClient>,
    clock: u64,
}

#[derive(Debug)]
struct Used {
    session: Arc<OnceCell<Session>>,
    at: u64,
}

impl Sessions {
    /// No clients yet; `environment` is what every identity of this plugin sees.
    #[must_use]
    pub fn new(environment: Environment) -> Self {
        Self {
            environment,
            kept: Mutex::default(),
        }
    }

    /// The client of an identity, made by whoever asks first.
    ///
    /// # Errors
    /// `INVALID_JOB` where the cluster names no region and the environment neither, or its CA bundle cannot be read.
    pub async fn get(&self, cluster: &Cluster) -> Result<Session, Error> {
        let cell = self.cell(cluster);
        // Boxed, because making one takes far more room than waiting jobs, which find theirs made, should carry.
        cell.get_or_try_init(|| {
            Box::pin(async {
                let http = self.http(Network::of(cluster, &self.environment))?;
                identity::session(cluster, &self.environment, http).await
            })
        })
        .await
        .cloned()
    }

    fn cell(&self, cluster: &Cluster) -> Arc<OnceCell<Session>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clock += 1;
        let at = kept.clock;
        if let Some(used) = kept.sessions.get_mut(cluster) {
            used.at = at;
            return Arc::clone(&used.session);
        }
        if kept.sessions.len() >= MAX_SESSIONS {
            let oldest = kept
                .sessions
                .iter()
                .min_by_key(|(_, used)| used.at)
                .map(|(cluster, _)| cluster.clone());
            oldest.map(|oldest| kept.sessions.remove(&oldest));
        }
        let session = Arc::default();
        kept.sessions.insert(
            cluster.clone(),
            Used {
                session: Arc::clone(&session),
                at,
            },
        );
        session
    }

    /// The HTTP client for a network; identities that reach AWS the same way share its connections' settings and trust store.
    fn http(&self, network: Network) -> Result<SharedHttpClient, Error> {
        let known = |kept: &Kept| kept.networks.get(&network).cloned();
        if let Some(http) = known(&self.kept.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(http);
        }
        let http = network.client(&self.environment)?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(kept.networks.entry(network).or_insert(http).clone())
    }
}
