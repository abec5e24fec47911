//! Which client certificates pass the handshake, and what a connection then knows of its own.
//!
//! A certificate passes if our device authority signed it, for client authentication. One that has expired
//! passes too, so that its owner sees a page that says how to renew and not a browser's error; whether a
//! certificate is worth anything is decided for each request, from the inventory.

use std::sync::Arc;

use cert_authority::{Fingerprint, Serial, parse_client_certificate};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::time::Duration;
use vocabulary::Timestamp;

/// The certificate a connection's client proved to hold the key of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Presented {
    pub(crate) serial: Serial,
    /// The same in hex, as records write it.
    pub(crate) serial_hex: String,
    pub(crate) not_after: Timestamp,
    /// SHA-256 of the certificate, to which sign-ins are bound.
    pub(crate) fingerprint: Fingerprint,
}

impl Presented {
    pub(super) fn from_chain(chain: Option<&[CertificateDer<'_>]>) -> Option<Self> {
        let leaf = chain?.first()?;
        let parsed = parse_client_certificate(leaf).ok()?;
        Some(Self {
            serial: parsed.serial,
            serial_hex: parsed.serial.to_string(),
            not_after: parsed.not_after,
            fingerprint: parsed.fingerprint,
        })
    }
}

#[derive(Debug)]
pub(super) struct DeviceVerifier {
    inner: Arc<dyn ClientCertVerifier>,
}

impl DeviceVerifier {
    /// `anchors`: the device authority's certificates, the issuing one among them, because clients often send
    /// their own certificate only.
    pub(super) fn new(
        anchors: &[CertificateDer<'static>],
        provider: Arc<rustls::crypto::CryptoProvider>,
    ) -> Result<Self, super::TlsError> {
        let mut roots = RootCertStore::empty();
        for anchor in anchors {
            roots.add(anchor.clone()).map_err(super::TlsError::Anchor)?;
        }
        let inner = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .allow_unauthenticated()
            .build()
            .map_err(|e| super::TlsError::Verifier(e.to_string()))?;
        Ok(Self { inner })
    }
}

impl ClientCertVerifier for DeviceVerifier {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let expired = match self.inner.verify_client_cert(end_entity, intermediates, now) {
            // One that could not be read afterwards would pass for no certificate at all.
            Ok(verified) => {
                let unreadable = |_| Error::InvalidCertificate(CertificateError::BadEncoding);
                return parse_client_certificate(end_entity).map(|_| verified).map_err(unreadable);
            }
            Err(
                error @ Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }),
            ) => error,
            Err(error) => return Err(error),
        };
        // Everything but its age must hold: verify once more as of its last second.
        let parsed = parse_client_certificate(end_entity).map_err(|_| expired)?;
        let last = u64::try_from(parsed.not_after.secs()).unwrap_or(0);
        self.inner.verify_client_cert(end_entity, intermediates, UnixTime::since_unix_epoch(Duration::from_secs(last)))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
