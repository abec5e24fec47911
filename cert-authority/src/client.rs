//! Reading the certificate a client presented.

use serde::Serialize;
use vocabulary::Timestamp;

use crate::authority::{parse, validity};
use crate::{CertError, Fingerprint, Result, Serial};

/// What the gate needs to know of a client's certificate. That our device CA signed it is for the TLS
/// handshake to prove; here it is only read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientCertificate {
    pub serial: Serial,
    pub fingerprint: Fingerprint,
    /// The common name, for the eye only; control characters are replaced.
    pub name: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

impl ClientCertificate {
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now > self.not_after
    }

    pub fn is_not_yet_valid(&self, now: Timestamp) -> bool {
        now < self.not_before
    }
}

/// Longer ones than any device of ours has are not looked at.
const LONGEST: usize = 16 * 1024;

/// Reads one DER certificate. Never panics, whatever the bytes.
///
/// # Errors
/// It is no X.509 certificate, has bytes behind it, or a serial number that can't be ours.
pub fn parse_client_certificate(der: &[u8]) -> Result<ClientCertificate> {
    if der.len() > LONGEST {
        return Err(CertError::NotAClientCertificate("it is too long"));
    }
    // The parser takes any tag for the outermost one.
    let certificate = Some(der).filter(|der| der.first() == Some(&0x30)).and_then(parse);
    let certificate = certificate.ok_or(CertError::NotAClientCertificate("it is not an X.509 certificate"))?;
    let serial = Serial::from_bytes(certificate.raw_serial())
        .ok_or(CertError::NotAClientCertificate("its serial number is not one of ours"))?;
    let name = certificate.subject().iter_common_name().find_map(|cn| cn.as_str().ok()).unwrap_or_default();
    let (not_before, not_after) = validity(&certificate);
    Ok(ClientCertificate {
        serial,
        fingerprint: Fingerprint::of(der),
        name: name.chars().take(64).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect(),
        not_before,
        not_after,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::profile;

    fn certificate() -> Vec<u8> {
        let key = profile::new_key().unwrap();
        let now = Timestamp::from_secs(1_793_491_200);
        let id = vocabulary::DeviceId::new("d-1").unwrap();
        let params = profile::device("さくら会", "tablet", &id, now, now.plus_secs(86_400)).unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            prop_assert!(parse_client_certificate(&bytes).is_err());
        }

        #[test]
        fn a_garbled_certificate_is_read_or_refused_without_a_panic(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            cut in any::<prop::sample::Index>(),
        ) {
            let whole = certificate();
            let mut garbled = whole.clone();
            for (place, byte) in changes {
                let place = place.index(garbled.len());
                garbled[place] = byte;
            }
            if let Ok(read) = parse_client_certificate(&garbled) {
                prop_assert!(!read.name.chars().any(char::is_control));
            }
            prop_assert!(parse_client_certificate(&whole[..cut.index(whole.len())]).is_err());
        }
    }
}
