//! 3 · An SDK client per identity, made once and shared by all its jobs.
//!
//! In: a checked [`Cluster`]. Out: a [`Session`] whose credentials the SDK caches and refreshes. Two clusters that differ in any
//! field never share one. Nothing is asked of AWS here: the first request does that, once for however many jobs wait for it.

mod environment;
mod identity;
pub(crate) mod instance;
mod network;
mod process;
mod profiles;
mod provider;
mod proxy;
mod secrets;
mod settings;
pub(crate) mod source;
pub(crate) mod wire;
mod written;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use aws_sdk_dynamodb::Client;
use plugin_api::Error;
use tokio::sync::OnceCell;

pub use self::environment::Environment;
use self::{
    network::{Clients, Network},
    provider::Fetching,
    settings::Settings,
};
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
    /// The source of credentials that is being asked now, if any.
    fetching: Fetching,
}

/// The clients of all identities.
#[derive(Debug)]
pub struct Sessions {
    environment: Environment,
    /// What is kept; the lock is never held while anything is awaited or built.
    cache: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    sessions: HashMap<Cluster, CachedSession>,
    networks: HashMap<Network, Clients>,
    clock: u64,
}

#[derive(Debug)]
struct CachedSession {
    session: Arc<OnceCell<Session>>,
    at: u64,
}

impl Sessions {
    /// No clients yet; `environment` is what every identity of this plugin sees.
    #[must_use]
    pub fn new(environment: Environment) -> Self {
        Self {
            environment,
            cache: Mutex::default(),
        }
    }

    /// The client of an identity, made by whoever asks first.
    ///
    /// # Errors
    /// `INVALID_JOB` where there is no region, or a setting from outside cannot be used; `CREDENTIALS` where the profile or the keys
    /// that are named are missing or incomplete.
    pub async fn get(&self, cluster: &Cluster) -> Result<Session, Error> {
        let cell = self.cell(cluster);
        // Boxed, because making one takes far more room than waiting jobs, which find theirs made, should carry.
        cell.get_or_try_init(|| {
            Box::pin(async {
                let settings = Settings::read(cluster, &self.environment).await?;
                let http = self.http(Network::of(cluster, &settings)?)?;
                identity::session(cluster, &settings, &http).await
            })
        })
        .await
        .cloned()
    }

    /// What an identity's jobs are waiting for where they wait for credentials, in words.
    #[must_use]
    pub(crate) fn fetching(&self, cluster: &Cluster) -> Option<String> {
        let session = self.cell(cluster);
        session.get()?.fetching.now()
    }

    fn cell(&self, cluster: &Cluster) -> Arc<OnceCell<Session>> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.clock += 1;
        let at = cache.clock;
        if let Some(cached) = cache.sessions.get_mut(cluster) {
            cached.at = at;
            return Arc::clone(&cached.session);
        }
        if cache.sessions.len() >= MAX_SESSIONS {
            let oldest = cache
                .sessions
                .iter()
                .min_by_key(|(_, cached)| cached.at)
                .map(|(cluster, _)| cluster.clone());
            oldest.map(|oldest| cache.sessions.remove(&oldest));
        }
        let session = Arc::default();
        cache.sessions.insert(
            cluster.clone(),
            CachedSession {
                session: Arc::clone(&session),
                at,
            },
        );
        session
    }

    /// The HTTP client for a network; identities that reach AWS the same way share its connections' settings and trust store.
    fn http(&self, network: Network) -> Result<Clients, Error> {
        let known = |cache: &Cache| cache.networks.get(&network).cloned();
        if let Some(http) = known(&self.cache.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(http);
        }
        let http = network.clients()?;
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(cache.networks.entry(network).or_insert(http).clone())
    }
}
