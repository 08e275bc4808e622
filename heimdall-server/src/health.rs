//! Whether clusters can be worked with.
//!
//! In: the definitions in force and the plugins. Out: one line a cluster, as Heimdall answers it. A few at a time, each within
//! the time that the configuration gives. An answer is kept for some seconds, so that asking the host often does not ask AWS often.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use plugin_host::CallOptions;
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::{
    catalog::{Catalog, LiveCluster, LiveCommand},
    plugins::Plugins,
};

/// How many checks run at once, in all requests together.
const AT_ONCE: usize = 10;

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(5);

/// What one cluster's check came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The cluster's id.
    pub cluster_id: String,
    /// The cluster's name.
    pub cluster_name: String,
    /// The plugin that checked it.
    pub plugin: String,
    /// `ok` or `error`.
    pub status: &'static str,
    /// How long it took, in milliseconds.
    pub latency_ms: u128,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// All checks, and whether each was fine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// No check failed.
    pub healthy: bool,
    /// One a cluster.
    pub checks: Vec<Check>,
}

/// The last check of a cluster, and what was checked. Its lock is held during a check, so that all who ask meanwhile get the one answer.
type LastCheck = Arc<tokio::sync::Mutex<Option<(Instant, Arc<LiveCluster>, Check)>>>;

/// Runs checks.
pub struct Checker {
    plugins: Arc<Plugins>,
    timeout: Duration,
    permits: Arc<Semaphore>,
    /// By the cluster's id.
    last_checks: Mutex<HashMap<String, LastCheck>>,
}

impl Checker {
    /// A checker that gives each cluster `timeout`.
    #[must_use]
    pub fn new(plugins: Arc<Plugins>, timeout: Duration) -> Self {
        Self {
            plugins,
            timeout,
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            last_checks: Mutex::default(),
        }
    }

    /// Checks clusters, each with the first active command that may run on it; those without one are left out.
    pub async fn check(
        &self,
        catalog: &Catalog,
        clusters: impl Iterator<Item = &Arc<LiveCluster>>,
    ) -> Health {
        let mut tasks = Vec::new();
        for cluster in
            clusters.filter(|cluster| cluster.is_active() && cluster.cluster.health_check)
        {
            if let Some(command) = command_for(catalog, cluster) {
                let last_check = self.last_check(catalog, &cluster.cluster.object.id);
                let check = self.one(Arc::clone(command), Arc::clone(cluster));
                let cluster = Arc::clone(cluster);
                // A task of its own: it comes to its end and is kept, also where who asked goes away.
                tasks.push(tokio::spawn(async move {
                    let mut last_check = last_check.lock().await;
                    if let Some((since, checked, check)) = &*last_check
                        && since.elapsed() < KEPT
                        && Arc::ptr_eq(checked, &cluster)
                    {
                        return check.clone();
                    }
                    let check = check.await;
                    *last_check = Some((Instant::now(), cluster, check.clone()));
                    check
                }));
            }
        }
        let mut checks = Vec::with_capacity(tasks.len());
        for task in tasks {
            // A check that panicked has no line; its absence must not read as health.
            match task.await {
                Ok(check) => checks.push(check),
                Err(_) => {
                    return Health {
                        healthy: false,
                        checks,
                    };
                }
            }
        }
        let healthy = checks.iter().all(|check| check.status == "ok");
        Health { healthy, checks }
    }

    /// What is kept of a cluster; clusters that are gone are forgotten.
    fn last_check(&self, catalog: &Catalog, id: &str) -> LastCheck {
        let mut last_checks = self
            .last_checks
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        last_checks.retain(|id, _| catalog.cluster(id).is_some());
        Arc::clone(last_checks.entry(id.to_owned()).or_default())
    }

    fn one(
        &self,
        command: Arc<LiveCommand>,
        cluster: Arc<LiveCluster>,
    ) -> impl Future<Output = Check> + Send + use<> {
        let (plugins, permits, timeout) = (
            Arc::clone(&self.plugins),
            Arc::clone(&self.permits),
            self.timeout,
        );
        async move {
            let began = Instant::now();
            let asked = Arc::clone(&command);
            let document = cluster.document.get().as_bytes().to_vec();
            // The permit is held by the call itself: a plugin that does not keep to its time keeps its thread.
            let call = async move {
                let permit = permits.acquire_owned().await;
                tokio::task::spawn_blocking(move || {
                    let _permit = permit;
                    let lease = plugins
                        .lease(asked.command.need())
                        .map_err(|unavailable| unavailable.to_string())?;
                    let call = CallOptions {
                        timeout: Some(timeout),
                        ..CallOptions::default()
                    };
                    lease
                        .check_health(&document, &call)
                        .map(drop)
                        .map_err(|error| format!("{}: {}", error.code, error.message))
                })
                .await
            };
            // A plugin that does not keep to its time still gets no more of ours.
            let error = match tokio::time::timeout(timeout + Duration::from_secs(1), call).await {
                Ok(Ok(outcome)) => outcome.err(),
                Ok(Err(_)) => Some("INTERNAL: the check panicked".to_owned()),
                Err(_) => Some(format!("TIMEOUT: no answer within {} s", timeout.as_secs())),
            };
            Check {
                cluster_id: cluster.cluster.object.id.clone(),
                cluster_name: cluster.cluster.object.name.clone(),
                plugin: command.command.plugin.clone(),
                status: if error.is_none() { "ok" } else { "error" },
                latency_ms: began.elapsed().as_millis(),
                error,
            }
        }
    }
}

/// The command that would run on a cluster.
#[must_use]
pub fn command_for<'a>(
    catalog: &'a Catalog,
    cluster: &LiveCluster,
) -> Option<&'a Arc<LiveCommand>> {
    catalog.commands().find(|command| {
        command.is_active()
            && command
                .command
                .cluster_tags
                .is_subset(&cluster.cluster.object.tags)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Config,
        testing::{COUNTED_CHECKS, plugins},
    };

    #[tokio::test]
    async fn however_often_a_host_is_asked_it_asks_a_cluster_once() {
        let text = "{commands: [{name: c, plugin: fake}], clusters: [{name: counted, health_check: true}]}";
        let config = Config::parse("c.yaml".as_ref(), text, &|_| None).unwrap();
        let catalog = Catalog::new(&config, &Default::default(), 0);
        let directory = tempfile::tempdir().unwrap();
        let checker = Checker::new(plugins(directory.path()), Duration::from_secs(5));
        let first = checker.check(&catalog, catalog.clusters());
        let again = checker.check(&catalog, catalog.clusters());
        let (first, again) = tokio::join!(first, again);
        assert_eq!(first, again);
        assert_eq!(checker.check(&catalog, catalog.clusters()).await, first);
        let asked = || COUNTED_CHECKS.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(asked(), 1);
        // Another definition is another question.
        let reread = Catalog::new(&config, &Default::default(), 0);
        checker.check(&reread, reread.clusters()).await;
        assert_eq!(asked(), 2);
    }

    #[tokio::test]
    async fn each_checked_cluster_has_a_line_and_one_bad_one_makes_all_unhealthy() {
        let text = "
commands: [{name: c, plugin: fake, cluster_tags: ['t:x']}, {name: g, plugin: gone, cluster_tags: ['t:gone']}]
clusters:
- {name: good, health_check: true, tags: ['t:x']}
- {name: unchecked, tags: ['t:x']}
- {name: asleep, health_check: true, status: inactive, tags: ['t:x']}
- {name: unrouted, health_check: true}
- {name: unhealthy, health_check: true, tags: ['t:x']}
- {name: without, health_check: true, tags: ['t:gone']}
";
        let config = Config::parse("c.yaml".as_ref(), text, &|_| None).unwrap();
        let catalog = Catalog::new(&config, &Default::default(), 0);
        let directory = tempfile::tempdir().unwrap();
        let checker = Checker::new(plugins(directory.path()), Duration::from_secs(5));
        let health = checker.check(&catalog, catalog.clusters()).await;
        let lines: Vec<_> = health
            .checks
            .iter()
            .map(|check| (check.cluster_id.as_str(), check.error.as_deref()))
            .collect();
        assert_eq!(
            lines,
            [
                ("good", None),
                ("unhealthy", Some("UNAVAILABLE: cannot connect")),
                ("without", Some("no plugin named 'gone' is loaded"))
            ],
        );
        assert!(!health.healthy);
        assert!(
            checker
                .check(&catalog, catalog.cluster("good").into_iter())
                .await
                .healthy
        );
    }
}
