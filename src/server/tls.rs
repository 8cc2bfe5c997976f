//! TLS as this server speaks it: 1.2 and 1.3, one certificate, tickets instead of a session table.

use crate::auth::scram::end_point;
use crate::contract::TlsFacts;
use crate::types::ChannelBindings;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ProtocolVersion, ServerConfig, ServerConnection};
use std::sync::Arc;

/// Why there can be no TLS: one sentence with what is wrong and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfigError(pub String);

impl std::fmt::Display for TlsConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsConfigError {}

/// How handshakes are made.
#[derive(Debug)]
pub struct Tls {
    /// What rustls needs.
    pub config: Arc<ServerConfig>,
    /// The data of `tls-server-end-point`, if the certificate has one.
    end_point: Option<Vec<u8>>,
}

/// Makes what all handshakes share.
///
/// # Errors
/// When a PEM text does not hold what it should, or key and certificate do not belong together.
pub fn server_config(certificate_pem: &str, key_pem: &str) -> Result<Arc<Tls>, TlsConfigError> {
    let chain = CertificateDer::pem_slice_iter(certificate_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsConfigError(format!("the TLS certificate file is not valid PEM: {error}")))?;
    if chain.is_empty() {
        return Err(TlsConfigError(
            "the TLS certificate file has no \"BEGIN CERTIFICATE\" block; give the full chain, leaf first"
                .into(),
        ));
    }
    let end_point = chain.first().and_then(|leaf| end_point::of_certificate(leaf));
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|error| {
        TlsConfigError(format!(
            "the TLS key file holds no private key in PEM (PKCS #8, SEC1 or PKCS #1): {error}"
        ))
    })?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| TlsConfigError(format!("TLS cannot be set up: {error}")))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| {
            TlsConfigError(format!("the TLS key and certificate cannot be used together: {error}"))
        })?;
    // A table of sessions would be memory that strangers fill; a ticket is kept by the peer.
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.ticketer = aws_lc_rs::Ticketer::new()
        .map_err(|error| TlsConfigError(format!("TLS tickets cannot be set up: {error}")))?;
    config.send_tls13_tickets = 1;
    config.max_early_data_size = 0;
    Ok(Arc::new(Tls { config: Arc::new(config), end_point }))
}

/// What is worth knowing of a finished handshake.
#[must_use]
pub fn facts(tls: &ServerConnection, shared: &Tls) -> TlsFacts {
    let is_tls13 = tls.protocol_version() == Some(ProtocolVersion::TLSv1_3);
    // RFC 9266 section 2. With TLS 1.2 it is sound only with an extension whose use rustls does not tell.
    let exporter = is_tls13
        .then(|| tls.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).ok())
        .flatten();
    let bindings = ChannelBindings { exporter, end_point: shared.end_point.clone() };
    let version = match tls.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        // Nothing else is configured, so nothing else was negotiated.
        Some(_) | None => "TLS",
    };
    let name = tls.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or("unknown");
    // rustls marks its own names for TLS 1.3 suites; IANA's begin with TLS_ alone.
    let cipher = name.strip_prefix("TLS13_").map_or_else(|| name.to_owned(), |rest| format!("TLS_{rest}"));
    TlsFacts { version, cipher, bindings }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_pair_that_belongs_together_is_taken() {
        let (certificate, key) = pair();
        let config = &server_config(&certificate, &key).unwrap().config;
        assert_eq!(config.send_tls13_tickets, 1);
        assert_eq!(config.max_early_data_size, 0);
        assert!(config.ticketer.enabled());
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let error = server_config(&pair().0, &pair().1).unwrap_err();
        assert!(error.0.contains("cannot be used together"), "{error}");
    }

    #[test]
    fn files_that_hold_something_else_are_named() {
        let (certificate, key) = pair();
        let error = server_config("", &key).unwrap_err();
        assert!(error.0.contains("certificate file has no"), "{error}");
        let error = server_config(&certificate, "no key").unwrap_err();
        assert!(error.0.contains("key file holds no private key"), "{error}");
        let error = server_config(&certificate.replace('M', "!"), &key).unwrap_err();
        assert!(error.0.contains("certificate"), "{error}");
    }
}
