//! Host names the server CA may sign.

use crate::{CertError, Result};

/// A lower-case DNS name of one or more labels (RFC 1123 §2.1), at most 253 bytes; not an address.
pub(crate) fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A last label of digits only would read as an IPv4 address.
    let numeric = |name: &str| name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    name.len() <= 253 && name.split('.').all(label) && !numeric(name)
}

/// Checks every host (`*` may stand for its first label) against the subtrees the CA is constrained to.
pub(crate) fn check_all(hosts: &[String], domains: &[String]) -> Result<()> {
    if hosts.is_empty() {
        return Err(CertError::invalid("the list of hosts", "is empty"));
    }
    for host in hosts {
        let bare = host.strip_prefix("*.").unwrap_or(host);
        if !is_dns_name(bare) {
            return Err(CertError::invalid("a host", format!("is not a DNS name in lower case: `{host}`")));
        }
        if !domains.iter().any(|domain| within(bare, domain)) {
            let allowed = domains.iter().map(|d| format!("{d} and *.{d}")).collect::<Vec<_>>().join(", ");
            return Err(CertError::HostNotAllowed { host: host.clone(), allowed });
        }
    }
    Ok(())
}

/// RFC 5280 §4.2.1.10: a name is in the subtree of every name made by removing labels from its left.
fn within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lower_case_dns_names_are_hosts() {
        for right in ["localhost", "a.gw.example", "xn--n8j6ds53l.example", "1a.example"] {
            assert!(is_dns_name(right), "{right}");
        }
        for wrong in ["", "A.example", "a..b", "a.", ".a", "a_b", "-a.b", "127.0.0.1", "::1", "a b", "日本.example"] {
            assert!(!is_dns_name(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_neighbour_that_ends_alike_is_outside() {
        let domains = ["gw.example".to_owned()];
        for inside in ["gw.example", "a.gw.example", "*.gw.example", "*.a.gw.example"] {
            assert!(check_all(&[inside.to_owned()], &domains).is_ok(), "{inside}");
        }
        for outside in ["xgw.example", "example", "gw.example.org", "*.example"] {
            let refused = check_all(&[outside.to_owned()], &domains);
            assert!(matches!(refused, Err(CertError::HostNotAllowed { .. })), "{outside}");
        }
        assert!(check_all(&[], &domains).is_err());
    }
}
