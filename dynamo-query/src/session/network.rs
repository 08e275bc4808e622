//! The way to AWS: proxies and trust store. Timeouts and retries are set per identity, on the SDK's config.
//!
//! The SDK's own default client reads neither proxy variables nor `AWS_CA_BUNDLE`, and keeps the system's certificates in a static
//! for the life of the process; here both are read like the AWS CLI does, and the trust store goes with its client.

use std::{
    fs,
    sync::{Arc, OnceLock},
};

use aws_smithy_async::rt::sleep::SharedAsyncSleep;
use aws_smithy_http_client::{
    Connector,
    proxy::ProxyConfig,
    tls::{self, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::{
    HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use plugin_api::{Error, ErrorCode};
use rustls_pki_types::{CertificateDer, pem::PemObject};

use super::{
    proxy::Proxies,
    settings::Settings,
    wire::{NetworkClients, Peer, PeerClient},
};
use crate::job::Cluster;

/// What makes two identities' traffic take the same way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Network {
    proxies: Proxies,
    /// The file, and the setting that names it.
    ca_bundle: Option<(String, String)>,
}

/// The HTTP clients of a network.
#[derive(Debug, Clone)]
pub(super) struct Clients {
    /// To DynamoDB.
    pub(super) dynamodb: SharedHttpClient,
    /// To STS and SSO.
    pub(super) credentials: SharedHttpClient,
    /// To a container's and an instance's agent.
    pub(super) agent: SharedHttpClient,
}

impl Network {
    pub(super) fn of(cluster: &Cluster, settings: &Settings<'_>) -> Result<Self, Error> {
        let of_cluster = cluster.ca_bundle.clone();
        let ca_bundle = of_cluster
            .map(|path| (path, "cluster.context.ca_bundle".to_owned()))
            .or_else(|| {
                let setting = settings.setting("AWS_CA_BUNDLE", "ca_bundle")?;
                Some((setting.value, setting.name))
            });
        Ok(Self {
            proxies: Proxies::of(cluster.proxy.as_deref(), settings.environment)?,
            ca_bundle,
        })
    }

    /// Makes the clients. Connections come with the first request.
    pub(super) fn clients(&self) -> Result<Clients, Error> {
        let trust = Arc::new(self.trust()?);
        let mut through: Vec<(String, Transport)> = Vec::new();
        for proxy in self.proxies.all() {
            if through.iter().all(|(url, _)| *url != proxy.url) {
                let config = ProxyConfig::all(proxy.url.as_str()).map_err(|_| {
                    // The URL may hold a password, so neither it nor the parser's words are shown.
                    Error::new(
                        ErrorCode::INVALID_JOB,
                        format!("the proxy {} cannot be used", proxy.host),
                    )
                })?;
                let way = Transport {
                    trust: Arc::clone(&trust),
                    is_always_tls: proxy.url.starts_with("https:"),
                    proxy: config,
                };
                through.push((proxy.url.clone(), way));
            }
        }
        let ways = Arc::new(NetworkClients {
            proxies: self.proxies.clone(),
            direct: Transport {
                trust,
                is_always_tls: false,
                proxy: ProxyConfig::disabled(),
            },
            through,
        });
        let to = |peer| SharedHttpClient::new(PeerClient::new(Arc::clone(&ways), peer));
        Ok(Clients {
            dynamodb: to(Peer::DynamoDb),
            credentials: to(Peer::Credentials),
            agent: to(Peer::Agent),
        })
    }

    fn trust(&self) -> Result<Trust, Error> {
        let trust = Trust::default();
        if let Some((path, setting)) = &self.ca_bundle {
            let bundle = read_bundle(path, setting)?;
            trust.context.get_or_init(|| context(bundle));
        }
        Ok(trust)
    }
}

/// Whom TLS trusts: a bundle, or what the system does, which is read when TLS is used for the first time. That takes longer than a job.
#[derive(Debug, Default)]
struct Trust {
    context: OnceLock<TlsContext>,
}

impl Trust {
    fn context(&self) -> TlsContext {
        let system = || context(system_certificates());
        self.context.get_or_init(system).clone()
    }
}

fn context(certificates: Vec<u8>) -> TlsContext {
    trusting(TrustStore::empty().with_pem_certificate(certificates))
}

fn trusting(store: TrustStore) -> TlsContext {
    let context = TlsContext::builder().with_trust_store(store).build();
    context.expect("a trust store alone is always taken")
}

/// A way to whatever is asked: directly, or through one proxy.
#[derive(Debug)]
pub(super) struct Transport {
    trust: Arc<Trust>,
    proxy: ProxyConfig,
    /// The proxy itself is asked over TLS.
    is_always_tls: bool,
}

impl Transport {
    /// Whether plain requests need TLS on this way.
    pub(super) fn is_always_tls(&self) -> bool {
        self.is_always_tls
    }

    /// Makes connections, with TLS or for plain HTTP alone.
    pub(super) fn connector(
        &self,
        with_tls: bool,
        settings: &HttpConnectorSettings,
        sleep: Option<SharedAsyncSleep>,
    ) -> SharedHttpConnector {
        // One without TLS would be another type and 150 KB of code; this one trusts nobody, and is never asked to.
        let trust = if with_tls {
            self.trust.context()
        } else {
            trusting(TrustStore::empty())
        };
        let mut connector = Connector::builder()
            .proxy_config(self.proxy.clone())
            .connector_settings(settings.clone())
            .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
            .tls_context(trust);
        connector.set_sleep_impl(sleep);
        SharedHttpConnector::new(connector.build())
    }
}

/// Reads a bundle and checks that every block in it is a certificate: the SDK's TLS would panic on one that is not.
fn read_bundle(path: &str, setting: &str) -> Result<Vec<u8>, Error> {
    let unusable = |what: String| {
        let error = Error::new(
            ErrorCode::INVALID_JOB,
            format!("the CA bundle '{path}' ({setting}) {what}"),
        )
        .hint(format!(
            "set {setting} to a file of PEM certificates that this process may read"
        ));
        if setting.starts_with("cluster.") {
            error.field(setting)
        } else {
            error
        }
    };
    let bundle = fs::read(path).map_err(|error| unusable(format!("cannot be read: {error}")))?;
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bundle) {
        let certificate = certificate.map_err(|_| unusable("is not PEM".to_owned()))?;
        roots
            .add(certificate)
            .map_err(|_| unusable("holds a block that is no certificate".to_owned()))?;
    }
    if roots.is_empty() {
        Err(unusable("holds no certificate".to_owned()))
    } else {
        Ok(bundle)
    }
}

/// The system's certificates as one bundle; those that TLS cannot use are left out, as every TLS client does.
///
/// One large block rather than hundreds of small ones: the allocator gives it back to the system.
fn system_certificates() -> Vec<u8> {
    let usable = |certificate: &CertificateDer<'static>| {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate.clone()).is_ok()
    };
    let certificates = rustls_native_certs::load_native_certs().certs;
    let mut bundle = String::with_capacity(certificates.iter().map(|der| der.len() * 2).sum());
    for certificate in certificates.iter().filter(|der| usable(der)) {
        bundle.push_str("-----BEGIN CERTIFICATE-----\n");
        BASE64_STANDARD.encode_string(certificate, &mut bundle);
        bundle.push_str("\n-----END CERTIFICATE-----\n");
    }
    bundle.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_certificates_are_read_when_tls_is_used_and_not_before() {
        let trust = Arc::new(Trust::default());
        let way = Transport {
            trust: Arc::clone(&trust),
            proxy: ProxyConfig::disabled(),
            is_always_tls: false,
        };
        let settings = HttpConnectorSettings::builder().build();
        way.connector(false, &settings, None);
        assert!(trust.context.get().is_none());
        way.connector(true, &settings, None);
        assert!(trust.context.get().is_some());
    }
}
