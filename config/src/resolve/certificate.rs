//! Certificates and keys in PEM files.

use std::path::Path;

use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use vocabulary::{DocumentError, PathStep, Timestamp};
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use super::Findings;
use crate::settings::{Certificate, covers};

/// Reads `certificate` and `key` of the mapping at `at`. Without `hosts` it is for the names in the certificate.
pub(super) fn read(
    certificate: &Path,
    key: &Path,
    hosts: &[String],
    at: &[PathStep],
    findings: &mut Findings<'_>,
) -> Option<Certificate> {
    let below = |step: &str| at.iter().cloned().chain([step.into()]).collect::<Vec<PathStep>>();
    let chain = chain(certificate, below("certificate"), findings);
    let private = private_key(key, below("key"), findings);
    let (chain, private) = (chain?, private?);
    let mut wrong = |path: Vec<PathStep>, value: &str, problem: &str| {
        findings.error(DocumentError::new(path, value, problem));
    };
    let own = chain.first()?;
    let Ok((_, parsed)) = parse_x509_certificate(own) else {
        wrong(below("certificate"), &shown(certificate), "does not begin with a certificate that can be read");
        return None;
    };
    let provider = rustls::crypto::ring::default_provider();
    match CertifiedKey::from_der(chain.clone(), private.clone_key(), &provider) {
        Ok(_) => {}
        Err(rustls::Error::InconsistentKeys(_)) => {
            wrong(below("key"), &shown(key), "is not the key of the certificate");
            return None;
        }
        Err(_) => {
            wrong(below("key"), &shown(key), "is a kind of key that is not known; use P-256, P-384, Ed25519 or RSA");
            return None;
        }
    }
    let names = names(&parsed);
    if names.is_empty() {
        wrong(below("certificate"), &shown(certificate), "names no host (a subject alternative name)");
        return None;
    }
    let mut whole = true;
    let mut chosen = Vec::new();
    for (index, written) in hosts.iter().enumerate() {
        let host = written.to_ascii_lowercase();
        if !names.iter().any(|name| *name == host || covers(name, &host)) {
            let path = below("hosts").into_iter().chain([index.into()]);
            let error = DocumentError::new(path, written.as_str(), "is not a name of the certificate");
            findings.error(error.candidates(names.iter().cloned()));
            whole = false;
        }
        chosen.push(host);
    }
    let ends =
        |der: &CertificateDer<'_>| parse_x509_certificate(der).ok().map(|(_, c)| c.validity().not_after.timestamp());
    let not_after = Timestamp::from_secs(chain.iter().filter_map(ends).min()?);
    let file = findings.file(certificate);
    whole.then_some(Certificate {
        hosts: if chosen.is_empty() { names } else { chosen },
        chain,
        key: private,
        not_after,
        file,
    })
}

/// All certificates of a PEM file; at least one.
pub(super) fn chain(
    file: &Path,
    path: Vec<PathStep>,
    findings: &mut Findings<'_>,
) -> Option<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(findings.file(file)).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let problem = match read {
        Ok(chain) if !chain.is_empty() => return Some(chain),
        Ok(_) => "holds no certificate in PEM form".to_owned(),
        Err(error) => unreadable(&error, "certificate"),
    };
    findings.error(DocumentError::new(path, shown(file), problem));
    None
}

fn private_key(file: &Path, path: Vec<PathStep>, findings: &mut Findings<'_>) -> Option<PrivateKeyDer<'static>> {
    match PrivateKeyDer::from_pem_file(findings.file(file)) {
        Ok(key) => {
            warn_if_open(file, path, findings);
            Some(key)
        }
        Err(error) => {
            findings.error(DocumentError::new(
                path,
                shown(file),
                unreadable(&error, "private key (without passphrase)"),
            ));
            None
        }
    }
}

fn unreadable(error: &pem::Error, wanted: &str) -> String {
    match error {
        pem::Error::Io(cause) => format!("can't be read: {cause}"),
        pem::Error::NoItemsFound => format!("holds no {wanted} in PEM form"),
        // The parser's own words may repeat lines of the file.
        _ => format!("holds no well-formed {wanted} in PEM form"),
    }
}

#[cfg(unix)]
fn warn_if_open(file: &Path, path: Vec<PathStep>, findings: &mut Findings<'_>) {
    use std::os::unix::fs::PermissionsExt;
    let open = std::fs::metadata(findings.file(file)).is_ok_and(|meta| meta.permissions().mode() & 0o007 != 0);
    if open {
        findings.warning(DocumentError::new(
            path,
            shown(file),
            "is a private key that every user of this machine can open",
        ));
    }
}

#[cfg(not(unix))]
fn warn_if_open(_: &Path, _: Vec<PathStep>, _: &mut Findings<'_>) {}

/// The DNS names of a certificate, in lower case. Its common name says nothing to a browser.
fn names(certificate: &x509_parser::certificate::X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let names = extension.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    names.collect()
}

fn shown(file: &Path) -> String {
    file.display().to_string()
}
