//! Host names, authorities (`host[:port]`) and https origins, as text.

/// Why a text is not `https://host[:port]`, as a clause.
pub(crate) type Problem = &'static str;

/// The default port of https and wss.
pub(crate) const HTTPS: u16 = 443;

/// Reads `https://host` or `https://host:port`, with or without one `/` at the end. The host comes back in lower case.
pub(crate) fn parse_https(text: &str) -> Result<(String, u16), Problem> {
    let Some(rest) = strip_prefix_ignore_case(text, "https://") else {
        return Err(if strip_prefix_ignore_case(text, "http://").is_some() {
            "must begin with https://: the connection to a SaaS is always encrypted and verified"
        } else {
            "must be https://host or https://host:port"
        });
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '?', '#', '@']) {
        return Err("must be https://host or https://host:port, without a path, query or user");
    }
    let (host, port) = match rest.rsplit_once(':') {
        None => (rest, HTTPS),
        Some((host, port)) => match port.parse::<u16>() {
            Ok(number) if number > 0 && port.bytes().all(|b| b.is_ascii_digit()) => (host, number),
            _ => return Err("has a port that is not a number from 1 to 65535"),
        },
    };
    let host = host.to_ascii_lowercase();
    check_host(&host)?;
    Ok((host, port))
}

/// A DNS name of letters, digits and `-`, in lower case, without a trailing dot. Never empty and never an IP
/// address: either would leave TLS without a name to verify.
pub(crate) fn check_host(host: &str) -> Result<(), Problem> {
    if host.is_empty() || host.len() > 253 {
        return Err("needs a host name of 1 to 253 characters");
    }
    if !host.split('.').all(is_label) {
        return Err("needs a host name of letters, digits and `-` (international names in their xn-- form)");
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|b| b.is_ascii_digit()) {
        return Err("needs a host name, not an IP address: the certificate is verified for the name");
    }
    Ok(())
}

/// One DNS label, lower case. `_` is let through in none: browsers and certificates disagree about it.
pub(crate) fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// `host`, or `host:port` where the port isn't https's own.
pub(crate) fn write(host: &str, port: u16) -> String {
    if port == HTTPS { host.to_owned() } else { format!("{host}:{port}") }
}

/// Splits `host[:port]`; an empty or unreadable port gives `None`.
pub(crate) fn split(authority: &str) -> Option<(&str, Option<u16>)> {
    // A port takes five digits at most, so most names are told by their last six bytes.
    let bytes = authority.as_bytes();
    let tail = bytes.len().saturating_sub(6);
    let Some(colon) = bytes[tail..].iter().rposition(|b| *b == b':').map(|at| tail + at) else {
        return Some((authority, None));
    };
    let digits = &authority[colon + 1..];
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((&authority[..colon], Some(digits.parse().ok()?)))
}

/// Whether `host` is `domain` or lies below it; both in any case.
pub(crate) fn is_within(host: &str, domain: &str) -> bool {
    let Some(start) = host.len().checked_sub(domain.len()) else { return false };
    host.as_bytes()[start..].eq_ignore_ascii_case(domain.as_bytes())
        && (start == 0 || host.as_bytes()[start - 1] == b'.')
}

pub(crate) fn strip_prefix_ignore_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn upstreams_read_as_written_and_others_are_refused() {
        assert_eq!(parse_https("https://Records.Example.jp/"), Ok(("records.example.jp".into(), 443)));
        assert_eq!(parse_https("https://localhost:8443"), Ok(("localhost".into(), 8443)));
        for wrong in [
            "",
            "http://a.example",
            "https://",
            "https://a.example/path",
            "https://u@a.example",
            "https://a.example:",
            "https://a.example:0",
            "https://a.example:99999",
            "https://a.example:+1",
            "https://192.0.2.1",
            "https://[2001:db8::1]",
            "https://a..example",
            "https://a_b.example",
            "https://例え.jp",
            "ｈttps://a",
        ] {
            assert!(parse_https(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_domain_holds_itself_and_its_names_only() {
        assert!(is_within("A.example.jp", "example.jp"));
        assert!(is_within("example.jp", "example.jp"));
        assert!(!is_within("badexample.jp", "example.jp"));
        assert!(!is_within("jp", "example.jp"));
    }

    proptest! {
        #[test]
        fn nothing_panics(text in ".*") {
            let _ = parse_https(&text);
            let _ = split(&text);
            let _ = is_within(&text, "example.jp");
        }
    }
}
