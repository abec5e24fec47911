//! The `gateway` part.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use vocabulary::{DocumentError, PathStep, Span, Zone};

use super::{Findings, certificate};
use crate::settings::{Certificate, Gateway, Limits, Tls};
use crate::written::{GatewayDocument, LimitsDocument, MinVersion};

const METRICS: &str = "127.0.0.1:9464";
/// Longer limits than this limit nothing.
const LONGEST: Duration = Duration::from_secs(86_400);

/// Nothing comes out if `findings` got an error.
pub(super) fn resolve(written: &GatewayDocument, bound: Option<u16>, findings: &mut Findings<'_>) -> Option<Gateway> {
    let domain = host(&written.domain, "domain", findings);
    let login_host = match &written.login_domain {
        Some(login) => host(login, "login_domain", findings),
        None => domain.as_ref().map(|domain| format!("login.{domain}")),
    };
    if let (Some(login), Some(domain)) = (&login_host, &domain)
        && login == domain
    {
        wrong(findings, ["login_domain".into()], login, "is the domain itself; sign-in pages need a host of their own");
    }
    let time_zone = Zone::named(&written.time_zone)
        .map_err(|error| wrong(findings, ["time_zone".into()], &written.time_zone, &error.to_string()));
    let listen = listen(&written.listen, findings);
    let metrics_listen = metrics(written.metrics_listen.as_deref().unwrap_or(METRICS), findings);
    if written.data.as_os_str().is_empty() {
        wrong(findings, ["data".into()], "", "is empty; name a folder");
    }
    let certificates = certificates(written, findings);
    let tls = Tls { allow_tls12: written.tls.min_version == MinVersion::Tls12 };
    if tls.allow_tls12 {
        let path = ["gateway".into(), "tls".into(), "min_version".into()];
        findings.warning(DocumentError::new(path, "1.2", "lets clients in that are older than TLS 1.3"));
    }
    let limits = limits(&written.limits, findings);
    let below = |label: &str| domain.as_ref().map(|domain| format!("{label}.{domain}"));
    let (enroll_host, device_host) = (below("enroll"), below("device"));
    if let Some(login) = &login_host
        && [&enroll_host, &device_host].into_iter().flatten().any(|own| own == login)
    {
        wrong(findings, ["login_domain".into()], login, "is where devices are enrolled; choose another host");
    }
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let listen = listen?;
    let first = listen.first().map_or(0, SocketAddr::port);
    let port = if first == 0 { bound.unwrap_or(0) } else { first };
    Some(Gateway {
        domain: domain?,
        login_host: login_host?,
        enroll_host: enroll_host?,
        device_host: device_host?,
        time_zone: time_zone.ok()?,
        public_port: written.public_port.unwrap_or(port),
        listen,
        data: findings.file(&written.data),
        metrics_listen: metrics_listen?,
        workers: written.workers.map_or_else(cores, usize::from),
        certificates: certificates?,
        tls,
        limits: limits?,
    })
}

fn wrong(findings: &mut Findings<'_>, path: impl IntoIterator<Item = PathStep>, value: &str, problem: &str) {
    let path = [PathStep::from("gateway")].into_iter().chain(path);
    findings.error(DocumentError::new(path, value, problem));
}

/// A host name in lower case, without a final dot (RFC 1123, 2.1).
fn host(text: &str, key: &str, findings: &mut Findings<'_>) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let problem = if name.is_empty() {
        "is empty; write a domain such as gw.example.jp"
    } else if name.parse::<IpAddr>().is_ok() {
        "is an address; write a domain, because every app gets a host name below it"
    } else if name.contains("://") || name.contains('/') {
        "is an address of a page; write the domain alone"
    } else if name.contains(':') {
        "may not hold a port; ports belong to `listen` and `public_port`"
    } else if name.starts_with("*.") {
        "may not hold `*`; apps get their names below it without"
    } else if !is_host_name(&name) {
        "is not a domain; its parts hold a-z, 0-9 and `-` (others in their xn-- form) and are 1 to 63 characters long"
    } else {
        return Some(name);
    };
    wrong(findings, [key.into()], text, problem);
    None
}

fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

fn listen(written: &[String], findings: &mut Findings<'_>) -> Option<Vec<SocketAddr>> {
    let mut seen = HashSet::new();
    let mut addresses = Vec::new();
    for (index, text) in written.iter().enumerate() {
        let path = ["listen".into(), index.into()];
        match text.parse::<SocketAddr>() {
            Err(_) => wrong(findings, path, text, "is not an address with a port; write 0.0.0.0:443 or [::]:443"),
            Ok(address) if address.port() != 0 && !seen.insert(address) => {
                wrong(findings, path, text, "is there twice");
            }
            Ok(address) => addresses.push(address),
        }
    }
    (addresses.len() == written.len()).then_some(addresses)
}

/// Metrics name people's apps and numbers, and nobody signs in for them.
fn metrics(text: &str, findings: &mut Findings<'_>) -> Option<SocketAddr> {
    let problem = match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => return Some(address),
        Ok(_) => "is not a loopback address; whoever is to read metrics from elsewhere forwards them from here",
        Err(_) => "is not an address with a port; write 127.0.0.1:9464 or [::1]:9464",
    };
    wrong(findings, ["metrics_listen".into()], text, problem);
    None
}

fn certificates(written: &GatewayDocument, findings: &mut Findings<'_>) -> Option<Vec<Certificate>> {
    let shown = |path: &Path| path.display().to_string();
    let mut pairs = Vec::new();
    match (&written.certificate, &written.key) {
        (Some(chain), Some(_)) if !written.certificates.is_empty() => {
            wrong(findings, ["certificate".into()], &shown(chain), "and `certificates` exclude each other");
            return None;
        }
        (Some(chain), Some(key)) => pairs.push((vec!["gateway".into()], chain, key, &[][..])),
        (Some(chain), None) => {
            wrong(findings, ["certificate".into()], &shown(chain), "needs `key`, the file of its private key");
            return None;
        }
        (None, Some(key)) => {
            wrong(findings, ["key".into()], &shown(key), "needs `certificate`, the file of the chain it belongs to");
            return None;
        }
        (None, None) => {}
    }
    for (index, one) in written.certificates.iter().enumerate() {
        let at = vec!["gateway".into(), "certificates".into(), index.into()];
        pairs.push((at, &one.certificate, &one.key, one.hosts.as_slice()));
    }
    let mut certificates = Vec::new();
    let mut taken = HashSet::new();
    let mut whole = true;
    for (at, chain, key, hosts) in pairs {
        let Some(read) = certificate::read(chain, key, hosts, &at, findings) else {
            whole = false;
            continue;
        };
        for host in &read.hosts {
            if !taken.insert(host.clone()) {
                let path = at.iter().cloned().chain(["certificate".into()]);
                let problem = format!("is for {host}, which another certificate is for too; say which by `hosts`");
                findings.error(DocumentError::new(path, shown(chain), problem));
                whole = false;
            }
        }
        certificates.push(read);
    }
    whole.then_some(certificates)
}

fn limits(written: &LimitsDocument, findings: &mut Findings<'_>) -> Option<Limits> {
    let mut whole = true;
    for (key, span) in [
        ("handshake", written.handshake),
        ("head", written.head),
        ("idle", written.idle),
        ("body_stall", written.body_stall),
    ] {
        let problem = match span {
            Span(Duration::ZERO) => "is no time at all; every connection would be cut",
            Span(long) if long > LONGEST => "is longer than a day, which limits nothing",
            _ => continue,
        };
        wrong(findings, ["limits".into(), key.into()], &span.to_string(), problem);
        whole = false;
    }
    if written.per_source_connections > written.max_connections {
        let value = written.per_source_connections.to_string();
        let problem = "is more than `max_connections`, so one source could take them all";
        wrong(findings, ["limits".into(), "per_source_connections".into()], &value, problem);
        whole = false;
    }
    whole.then(|| Limits {
        handshake: written.handshake.0,
        head: written.head.0,
        idle: written.idle.0,
        body_stall: written.body_stall.0,
        max_connections: count(written.max_connections),
        per_source_connections: count(written.per_source_connections),
    })
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
