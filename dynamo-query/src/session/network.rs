//! The way to AWS: proxy and trust store. Timeouts and retries are set per identity, on the SDK's config.
//!
//! The SDK's own default client reads neither proxy variables nor `AWS_CA_BUNDLE`, and keeps the system's certificates in a static
//! for the life of the process; here both are read like the AWS CLI does, and the trust store goes with its client.

use std::fs;

use aws_smithy_http_client::{
    Builder, Connector,
    proxy::ProxyConfig,
    tls::{self, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use base64::{Engine, prelude::BASE64_STANDARD};
use plugin_api::{Error, ErrorCode};
use rustls_pki_types::{CertificateDer, pem::PemObject};

use super::Environment;
use crate::job::Cluster;

/// Where credentials of a machine or container come from; never through a proxy that a cluster names.
const METADATA_HOSTS: &str =
    "169.254.169.254,169.254.170.2,169.254.170.23,fd00:ec2::254,fd00:ec2::23";

/// What makes two identities' traffic take the same way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Network {
    proxy: Option<String>,
    ca_bundle: Option<String>,
}

impl Network {
    pub(super) fn of(cluster: &Cluster, environment: &Environment) -> Self {
        Self {
            proxy: cluster.proxy.clone(),
            ca_bundle: cluster
                .ca_bundle
                .clone()
                .or_else(|| environment.get("AWS_CA_BUNDLE").map(str::to_owned)),
        }
    }

    /// Makes the client. Connections come with the first request.
    pub(super) fn client(&self, environment: &Environment) -> Result<SharedHttpClient, Error> {
        let trust = TlsContext::builder()
            .with_trust_store(self.trust_store()?)
            .build()
            .map_err(|error| {
                Error::new(
                    ErrorCode::INTERNAL,
                    format!("the TLS settings do not fit: {error}"),
                )
            })?;
        let proxy = self.proxy(environment)?;
        Ok(
            Builder::new().build_with_connector_fn(move |settings, components| {
                let mut connector = Connector::builder()
                    .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
                    .tls_context(trust.clone())
                    .proxy_config(proxy.clone());
                if let Some(settings) = settings {
                    connector = connector.connector_settings(settings.clone());
                }
                connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
                connector.build()
            }),
        )
    }

    fn proxy(&self, environment: &Environment) -> Result<ProxyConfig, Error> {
        match &self.proxy {
            Some(url) => ProxyConfig::all(url.as_str())
                .map(|proxy| proxy.no_proxy(METADATA_HOSTS))
                // The URL may hold a password, so neither it nor the parser's words are shown.
                .map_err(|_| {
                    invalid("cluster.context.proxy is not a proxy's URL")
                        .hint("write it as http://HOST:PORT")
                }),
            None if environment.has_proxy() => Ok(ProxyConfig::from_env()),
            None => Ok(ProxyConfig::disabled()),
        }
    }

    fn trust_store(&self) -> Result<TrustStore, Error> {
        match &self.ca_bundle {
            Some(path) => Ok(TrustStore::empty().with_pem_certificate(read_bundle(path)?)),
            None => Ok(TrustStore::empty().with_pem_certificate(system_certificates())),
        }
    }
}

/// Reads a bundle and checks that every block in it is a certificate: the SDK's TLS would panic on one that is not.
fn read_bundle(path: &str) -> Result<Vec<u8>, Error> {
    let unusable = |what: String| {
        invalid(format!("the CA bundle '{path}' {what}"))
            .hint("set cluster.context.ca_bundle or AWS_CA_BUNDLE to a file of PEM certificates that this process may read")
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

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::INVALID_JOB, message)
}
