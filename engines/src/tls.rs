//! A private certificate authority, and TLS in front of any engine under it.
//!
//! Clients that are given the authority's PEM file trust the front, others do not. What passes is not looked at.

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::Context;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tempfile::NamedTempFile;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::worker::{self, Worker};

/// An authority that exists for one test; its PEM file is deleted with it.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    bundle: NamedTempFile,
}

impl Authority {
    /// Makes a new authority.
    ///
    /// # Errors
    /// No key could be made or no temporary file written.
    pub fn new() -> anyhow::Result<Authority> {
        let mut parameters = CertificateParams::new(Vec::new())?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        parameters
            .distinguished_name
            .push(DnType::CommonName, "engines' private authority");
        let key = KeyPair::generate()?;
        let certificate = parameters.self_signed(&key)?;
        let mut bundle = NamedTempFile::with_suffix(".pem")?;
        bundle.write_all(certificate.pem().as_bytes())?;
        Ok(Authority {
            issuer: Issuer::new(parameters, key),
            bundle,
        })
    }

    /// The PEM file to give as `ca_bundle`.
    pub fn bundle(&self) -> &Path {
        self.bundle.path()
    }

    /// Puts TLS in front of `backend`, with a certificate for 127.0.0.1, localhost and `names` (also wildcards).
    ///
    /// # Errors
    /// A name that no certificate can hold, or no port or thread was to be had.
    pub fn front(&self, backend: SocketAddr, names: &[&str]) -> anyhow::Result<Front> {
        let acceptor = TlsAcceptor::from(Arc::new(self.config(names)?));
        let (listener, address) = worker::listen()?;
        let refused = Arc::new(AtomicUsize::new(0));
        let counted = refused.clone();
        let worker = Worker::spawn("engine-tls", move || {
            worker::accept(listener, move |stream| {
                let (acceptor, counted) = (acceptor.clone(), counted.clone());
                async move {
                    // A connection that breaks is the client's or the backend's business.
                    let _ = pass(stream, &acceptor, backend, &counted).await;
                }
            })
        })?;
        Ok(Front {
            address,
            refused,
            _worker: worker,
        })
    }

    fn config(&self, names: &[&str]) -> anyhow::Result<ServerConfig> {
        let mut all: Vec<String> = vec!["127.0.0.1".into(), "localhost".into()];
        all.extend(names.iter().map(|name| (*name).to_owned()));
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(all)?.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .context("the certificate and its key do not fit")
    }
}

/// TLS under way in front of an engine; it stops when dropped.
#[derive(Debug)]
pub struct Front {
    address: SocketAddr,
    refused: Arc<AtomicUsize>,
    _worker: Worker,
}

impl Front {
    /// `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many handshakes failed, for one because the client does not trust the authority.
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }
}

async fn pass(
    stream: TcpStream,
    acceptor: &TlsAcceptor,
    backend: SocketAddr,
    refused: &AtomicUsize,
) -> io::Result<()> {
    let mut client = acceptor.accept(stream).await.inspect_err(|_| {
        refused.fetch_add(1, Ordering::Relaxed);
    })?;
    let mut server = TcpStream::connect(backend).await?;
    server.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read,
        time::{Duration, Instant},
    };

    use rustls::{
        ClientConfig, ClientConnection, RootCertStore, StreamOwned,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    };

    use super::*;
    use crate::faults::{Fault, Faults};

    /// What a client that trusts `authority` reads from `front` under `name`.
    fn read(front: &Front, name: &'static str, authority: &Authority) -> io::Result<String> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(authority.bundle()).unwrap())
            .unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name).unwrap();
        let client = ClientConnection::new(Arc::new(config), name).unwrap();
        let socket = std::net::TcpStream::connect(front.address())?;
        let mut stream = StreamOwned::new(client, socket);
        stream.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")?;
        let mut bytes = vec![0; 4096];
        let length = stream.read(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
    }

    #[test]
    fn clients_with_the_bundle_get_through_under_every_name() {
        let backend = Faults::always(Vec::new(), Fault::NotFound).unwrap();
        let authority = Authority::new().unwrap();
        let names = ["*.us-east-1.amazonaws.com"];
        let front = authority.front(backend.server().address(), &names).unwrap();
        for name in ["127.0.0.1", "localhost", "dynamodb.us-east-1.amazonaws.com"] {
            let answer = read(&front, name, &authority).unwrap();
            assert!(answer.starts_with("HTTP/1.1 400"), "{name}: {answer}");
        }
        assert!(read(&front, "other.example", &authority).is_err());
    }

    #[test]
    fn clients_of_another_authority_do_not() {
        let backend = Faults::always(Vec::new(), Fault::NotFound).unwrap();
        let front = Authority::new()
            .unwrap()
            .front(backend.server().address(), &[])
            .unwrap();
        let other = Authority::new().unwrap();
        assert!(read(&front, "localhost", &other).is_err());
        let deadline = Instant::now() + Duration::from_secs(5);
        while front.refused() == 0 {
            assert!(
                Instant::now() < deadline,
                "the failed handshake is not counted"
            );
            std::thread::yield_now();
        }
        assert_eq!(backend.requests(), 0);
        assert!(front.url().starts_with("https://127.0.0.1:"));
    }
}
