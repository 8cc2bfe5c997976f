//! TLS of a client that tests a server.

use crate::contract::TlsFacts;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme, SupportedCipherSuite,
    SupportedProtocolVersion, version,
};
use std::path::Path;
use std::sync::Arc;

/// Whose certificate is taken.
#[derive(Debug, Clone, Copy)]
pub enum Trust<'w> {
    /// Anybody's: whoever tests a server wants to know what it does, not who it is. Nothing secret is sent.
    Anyone,
    /// That of this file alone.
    File(&'w Path),
}

/// What a handshake is to come to.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'w> {
    /// Exactly this version and cipher suite; whatever both have, if not given.
    pub facts: Option<&'w TlsFacts>,
    /// Whose certificate is taken.
    pub trust: Trust<'w>,
}

impl Wanted<'_> {
    /// Anything with anybody.
    pub const ANY: Self = Self { facts: None, trust: Trust::Anyone };

    /// Whether it came to what was wanted.
    ///
    /// # Errors
    /// What it came to instead.
    pub(super) fn is_met(&self, suite: Option<SupportedCipherSuite>) -> Result<(), String> {
        let suite = suite.map(name_of).unwrap_or_default();
        match self.facts {
            Some(facts) if facts.cipher != suite => Err(format!("it came to {suite}")),
            Some(_) | None => Ok(()),
        }
    }
}

/// The name IANA gives a cipher suite; rustls marks those of TLS 1.3.
fn name_of(suite: SupportedCipherSuite) -> String {
    format!("{:?}", suite.suite()).replace("TLS13_", "TLS_")
}

/// A client that can do what is wanted and nothing else.
pub(in crate::cli) fn client_config(wanted: &Wanted<'_>) -> Result<Arc<ClientConfig>, String> {
    let mut provider = aws_lc_rs::default_provider();
    let mut versions: Vec<&'static SupportedProtocolVersion> = vec![&version::TLS12, &version::TLS13];
    if let Some(facts) = wanted.facts {
        provider.cipher_suites.retain(|suite| name_of(*suite) == facts.cipher);
        if provider.cipher_suites.is_empty() {
            return Err(format!("no client here has {}", facts.cipher));
        }
        versions = match facts.version {
            "TLSv1.2" => vec![&version::TLS12],
            "TLSv1.3" => vec![&version::TLS13],
            other => return Err(format!("no client here has {other}")),
        };
    }
    let algorithms = provider.signature_verification_algorithms;
    let provider: Arc<CryptoProvider> = Arc::new(provider);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|error| error.to_string())?;
    let config = match wanted.trust {
        Trust::Anyone => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone(algorithms)))
            .with_no_client_auth(),
        Trust::File(path) => {
            let mut roots = RootCertStore::empty();
            let certificate = CertificateDer::from_pem_file(path).map_err(|error| error.to_string())?;
            roots.add(certificate).map_err(|error| error.to_string())?;
            builder.with_root_certificates(roots).with_no_client_auth()
        }
    };
    Ok(Arc::new(config))
}

/// Takes every certificate; that its owner has its key is still looked at.
#[derive(Debug)]
struct Anyone(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
