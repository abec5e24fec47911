//! Certificate revocation lists (RFC 5280 §5), for whoever checks our device certificates without being the gate. The
//! gate itself asks the inventory, where a revocation counts at once.

use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevocationReason, RevokedCertParams, SerialNumber};
use vocabulary::{RevocationCause, Timestamp};
use x509_parser::extensions::ParsedExtension;

use crate::authority::{Ca, parse};
use crate::profile::instant;
use crate::{CertAuthority, CertError, Result, Serial};

/// A certificate that was revoked before it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    pub serial: Serial,
    pub at: Timestamp,
    pub cause: RevocationCause,
}

impl CertAuthority {
    /// The lists of all device CAs that have not ended, in DER, that of the one that signs first; none revoked is a list
    /// too. Each lists all: the inventory does not keep which of them signed what, and serial numbers are random, so that
    /// one too many can hit nobody. `number` must grow from list to list (§5.2.3), and `next_update` is the latest time the
    /// next ones come.
    ///
    /// # Errors
    /// The device CA has ended, one of them may not sign lists (one that was imported), or `next_update` is not after
    /// `now`.
    pub fn crls(
        &self,
        revoked: impl IntoIterator<Item = Revoked>,
        number: u64,
        now: Timestamp,
        next_update: Timestamp,
    ) -> Result<Vec<Vec<u8>>> {
        if now >= self.devices.not_after {
            return Err(CertError::CaExpired { ca: "device CA" });
        }
        let list = list(revoked, number, now, next_update)?;
        self.device_cas().filter(|ca| now < ca.not_after).map(|ca| ca.crl(&list)).collect()
    }
}

impl Ca {
    fn crl(&self, list: &CertificateRevocationListParams) -> Result<Vec<u8>> {
        let mut list = list.clone();
        // The authority key identifier has to be what the CA calls its key itself, which for a CA from elsewhere need
        // not be a hash of our choice.
        if let Some(identifier) = subject_key_identifier(&self.der) {
            list.key_identifier_method = KeyIdMethod::PreSpecified(identifier);
        }
        Ok(list.signed_by(&self.issuer)?.der().to_vec())
    }
}

fn list(
    revoked: impl IntoIterator<Item = Revoked>,
    number: u64,
    now: Timestamp,
    next_update: Timestamp,
) -> Result<CertificateRevocationListParams> {
    let entry = |revoked: Revoked| {
        Ok(RevokedCertParams {
            serial_number: SerialNumber::from(revoked.serial.to_bytes().to_vec()),
            revocation_time: instant(revoked.at)?,
            reason_code: reason(revoked.cause),
            invalidity_date: None,
        })
    };
    Ok(CertificateRevocationListParams {
        this_update: instant(now)?,
        next_update: instant(next_update)?,
        crl_number: SerialNumber::from(number),
        issuing_distribution_point: None,
        revoked_certs: revoked.into_iter().map(entry).collect::<Result<_>>()?,
        key_identifier_method: KeyIdMethod::Sha256,
    })
}

/// RFC 5280 §5.3.1. A lost device counts as a stolen one: who finds it has the key in hand, and "compromised" there means
/// known *or suspected*. `unspecified` is said by saying nothing.
const fn reason(cause: RevocationCause) -> Option<RevocationReason> {
    match cause {
        RevocationCause::Lost | RevocationCause::Stolen | RevocationCause::Compromised => {
            Some(RevocationReason::KeyCompromise)
        }
        RevocationCause::Replaced => Some(RevocationReason::Superseded),
        RevocationCause::OwnerLeft => Some(RevocationReason::AffiliationChanged),
        RevocationCause::Other => None,
    }
}

fn subject_key_identifier(certificate: &[u8]) -> Option<Vec<u8>> {
    parse(certificate)?.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0.to_vec()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::authority::pem;
    use crate::house::{DAY, House, NOW, house, must, nurse, said};

    fn write(house: &House, revoked: &[Revoked]) -> String {
        let lists = house.authority.crls(revoked.iter().copied(), 7, NOW, NOW.plus_secs(7 * DAY)).unwrap();
        fs::write(house.dir.path().join("crl.der"), &lists[0]).unwrap();
        must(&house.openssl(&["crl", "-inform", "DER", "-in", "crl.der", "-out", "crl.pem"]));
        let read = ["crl", "-in", "crl.pem", "-noout", "-text", "-nameopt", "utf8", "-CAfile", "ca/device-ca.pem"];
        let text = must(&house.openssl(&read));
        assert!(text.contains("verify OK"), "{text}");
        text
    }

    fn verify(house: &House, certificate: &str) -> std::process::Output {
        let at = NOW.secs().to_string();
        let verify = ["verify", "-crl_check", "-attime", &at, "-CAfile", "ca/device-root.pem", "-untrusted"];
        house.openssl(&[&verify[..], &["ca/device-ca.pem", "-CRLfile", "crl.pem", certificate]].concat())
    }

    #[test]
    fn openssl_refuses_who_is_on_the_list_and_nobody_else() {
        let house = house();
        let mut pems = Vec::new();
        for name in ["good.pem", "bad.pem"] {
            let pending = house.authority.issue_device(&nurse()).unwrap();
            fs::write(house.dir.path().join(name), pem(&pending.certificate)).unwrap();
            pems.push(pending.device.serial);
        }
        let text = write(&house, &[]);
        assert!(text.contains("No Revoked Certificates"), "{text}");
        assert!(verify(&house, "bad.pem").status.success(), "{}", said(&verify(&house, "bad.pem")));

        let at = NOW.plus_secs(-3_600);
        write(&house, &[Revoked { serial: pems[1], at, cause: RevocationCause::Lost }]);
        assert!(verify(&house, "good.pem").status.success());
        assert!(said(&verify(&house, "bad.pem")).contains("certificate revoked"));
    }

    #[test]
    fn each_cause_has_its_reason_and_other_has_none() {
        let house = house();
        let revoked: Vec<_> = RevocationCause::ALL
            .iter()
            .zip(1u8..)
            .map(|(cause, number)| Revoked { serial: Serial::from_bytes(&[number]).unwrap(), at: NOW, cause: *cause })
            .collect();
        let text = write(&house, &revoked);
        for (reason, times) in
            [("Key Compromise", 3), ("Superseded", 1), ("Affiliation Changed", 1), ("Unspecified", 0)]
        {
            assert_eq!(text.matches(reason).count(), times, "{reason} in {text}");
        }
        for expected in [
            "Version 2",
            "X509v3 CRL Number: \n                7\n",
            "Authority Key Identifier",
            "Nov  8 00:00:00 2026",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
        assert_eq!(text.matches("Serial Number").count(), RevocationCause::ALL.len());
    }

    #[test]
    fn a_list_needs_a_living_ca_and_a_future() {
        let house = house();
        assert!(house.authority.crls([], 1, NOW, NOW).is_err());
        let last = house.authority.device_ca_not_after();
        assert!(matches!(house.authority.crls([], 1, last, last.plus_secs(1)), Err(CertError::CaExpired { .. })));
    }
}
