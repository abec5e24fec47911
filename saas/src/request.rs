//! The request's shape: one path that rules match, one that the record keeps, or no single reading at all.
//!
//! Rules are only as good as the agreement of gate and SaaS on what was asked for. Whatever two servers may read
//! in two ways is refused here (RFC 9112 §11.2, RFC 9110 §17), unless the app's configuration tolerates the shape.

use http::{HeaderMap, HeaderName, Method, header};

use crate::document::Shape;
use crate::method::{self, OverrideSet};
use crate::{authority, canonical, field, mask};

/// What was asked for, as it came over the wire.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    pub method: &'a Method,
    /// The target of the request line, or `:path`: origin form, absolute form, or `*`.
    pub raw: &'a [u8],
    /// `:authority` of HTTP/2, if there is one; `None` on HTTP/1.1.
    pub authority: Option<&'a str>,
}

/// Without the target, which may carry secrets.
impl std::fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("method", self.method).finish_non_exhaustive()
    }
}

/// A request that reads in one way only.
#[derive(Clone, PartialEq, Eq)]
pub struct Shaped {
    /// Percent-decoded once, without query and path parameters: what rules match. Begins with `/`, or is `*`.
    pub path: String,
    /// What the record keeps: query values, path parameters and token-like segments are `*`.
    pub masked: String,
    /// The method that the SaaS executes, where the request names another than its own.
    pub overriding: Option<Method>,
}

/// Without the path, which may carry tokens.
impl std::fmt::Debug for Shaped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shaped").field("masked", &self.masked).finish_non_exhaustive()
    }
}

/// Shapes an app tolerates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShapeSet(u8);

impl ShapeSet {
    pub const NONE: Self = Self(0);

    pub const fn contains(self, shape: Shape) -> bool {
        self.0 & (1 << shape as u8) != 0
    }

    /// These, and those of `other`.
    pub(crate) fn with(self, other: Option<Self>) -> Self {
        Self(self.0 | other.unwrap_or_default().0)
    }
}

impl FromIterator<Shape> for ShapeSet {
    fn from_iter<I: IntoIterator<Item = Shape>>(shapes: I) -> Self {
        Self(shapes.into_iter().fold(0, |set, shape| set | (1 << shape as u8)))
    }
}

/// Why a request can't be read in one way only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Ambiguity {
    #[error("the path holds an encoded `/`")]
    EncodedSlash,
    #[error("the path holds a `\\`, plain or encoded")]
    Backslash,
    #[error("the path holds an empty segment")]
    DoubleSlash,
    #[error("the path is percent-encoded twice")]
    DoubleEncoding,
    #[error("the path holds an encoded `;`")]
    EncodedSemicolon,
    #[error("the path is not UTF-8")]
    InvalidUtf8,
    #[error("the path holds a `.` or `..` segment")]
    DotSegment,
    #[error("the path holds a control character")]
    Control,
    #[error("a `%` is not followed by two hexadecimal digits")]
    InvalidPercent,
    #[error("the target is of no form this method can have")]
    TargetForm,
    #[error("the target holds a fragment")]
    Fragment,
    #[error("no host is named")]
    NoHost,
    #[error("two hosts are named")]
    HostMismatch,
    #[error("a header that stands once was sent twice")]
    DuplicateHeader,
    #[error("the body's length reads in two ways")]
    Framing,
    #[error("a header that decides is nominated by Connection")]
    NominatedHeader,
    #[error("a name of the path begins or ends with what some servers cut off")]
    TrimmedName,
    #[error("the path holds an encoded `?` or `#`")]
    EncodedDelimiter,
    #[error("a header or a parameter names another method")]
    MethodOverride,
}

/// Reads a request in the one way it can be read. Cookie crumbs (several Cookie lines) are one reading.
///
/// # Errors
/// There is more than one way, or none.
pub fn shape(
    target: Target<'_>,
    headers: &HeaderMap,
    tolerate: ShapeSet,
    overrides: OverrideSet,
) -> Result<Shaped, Ambiguity> {
    check_headers(headers)?;
    let path_and_query = origin_form(target, headers)?;
    if path_and_query == b"*" {
        let overriding = method::overriding(target.method, headers, None, overrides)?;
        return Ok(Shaped { path: "*".to_owned(), masked: "*".to_owned(), overriding });
    }
    if path_and_query.contains(&b'#') {
        return Err(Ambiguity::Fragment);
    }
    let (raw_path, query) = match path_and_query.iter().position(|b| *b == b'?') {
        Some(at) => (&path_and_query[..at], Some(&path_and_query[at + 1..])),
        None => (path_and_query, None),
    };
    if query.is_some_and(|q| q.iter().any(u8::is_ascii_control)) {
        return Err(Ambiguity::Control);
    }
    let overriding = method::overriding(target.method, headers, query, overrides)?;
    let path = canonical::path(raw_path, tolerate)?;
    let masked = mask::masked(&path, raw_path, query);
    Ok(Shaped { path, masked, overriding })
}

/// Headers of which a second one makes two readings. A name that occurs once costs nothing here.
const SINGLE: [HeaderName; 24] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_RANGE,
    header::TRANSFER_ENCODING,
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::ORIGIN,
    header::REFERER,
    header::EXPECT,
    header::UPGRADE,
    header::RANGE,
    header::IF_RANGE,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::ACCESS_CONTROL_REQUEST_METHOD,
    header::USER_AGENT,
    field::SEC_FETCH_SITE,
    field::SEC_FETCH_MODE,
    field::SEC_FETCH_DEST,
    field::X_REQUESTED_WITH,
];

fn check_headers(headers: &HeaderMap) -> Result<(), Ambiguity> {
    // Only then has some name more than one line.
    if headers.len() != headers.keys_len() && SINGLE.iter().any(|name| headers.get_all(name).iter().nth(1).is_some()) {
        return Err(Ambiguity::DuplicateHeader);
    }
    let length = headers.get(header::CONTENT_LENGTH);
    let coding = headers.get(header::TRANSFER_ENCODING);
    let length_reads = length.is_none_or(|v| !v.is_empty() && v.as_bytes().iter().all(u8::is_ascii_digit));
    let coding_reads = coding.is_none_or(|v| v.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if !length_reads || !coding_reads || (length.is_some() && coding.is_some()) {
        return Err(Ambiguity::Framing);
    }
    if field::list(headers, &header::CONNECTION).any(decides) {
        return Err(Ambiguity::NominatedHeader);
    }
    Ok(())
}

/// Whether taking this header away, as Connection may ask, would change what the request means or who checks it.
pub(crate) fn decides(name: &str) -> bool {
    const DECIDING: [&str; 14] = [
        "host",
        "cookie",
        "authorization",
        "origin",
        "referer",
        "transfer-encoding",
        "range",
        "if-match",
        "if-none-match",
        "if-unmodified-since",
        "expect",
        // Pingora refuses these three itself, later, when it would look as if the SaaS had failed.
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
    ];
    DECIDING.iter().any(|d| d.eq_ignore_ascii_case(name))
        || ["content-", "sec-", "access-control-"]
            .iter()
            .any(|prefix| authority::strip_prefix_ignore_case(name, prefix).is_some())
}

/// Path and query, after the one host that is named has been found to be one.
fn origin_form<'a>(target: Target<'a>, headers: &HeaderMap) -> Result<&'a [u8], Ambiguity> {
    let host = headers.get(header::HOST).map(|v| v.as_bytes());
    // A target alone names none: RFC 9112, 3.2, asks for Host beside it.
    if host.is_none() && target.authority.is_none() {
        return Err(Ambiguity::NoHost);
    }
    let (absolute, rest) = match target.raw {
        [b'/', ..] => (None, target.raw),
        b"*" if *target.method == Method::OPTIONS => (None, target.raw),
        raw => {
            let (authority, rest) = absolute_form(raw).ok_or(Ambiguity::TargetForm)?;
            (Some(authority), rest)
        }
    };
    let mut named = [host, target.authority.map(str::as_bytes), absolute].into_iter().flatten();
    let first = named.next().filter(|n| is_one_host(n)).ok_or(Ambiguity::NoHost)?;
    if named.any(|other| !other.eq_ignore_ascii_case(first)) {
        return Err(Ambiguity::HostMismatch);
    }
    Ok(rest)
}

/// Whether this is one host with a port or without, and nothing else: no list, no user, no blank (RFC 9110, 7.2).
fn is_one_host(authority: &[u8]) -> bool {
    let address = authority.first() == Some(&b'[');
    let end = match address {
        true => authority.iter().position(|b| *b == b']').map_or(0, |bracket| bracket + 1),
        false => authority.iter().position(|b| *b == b':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(end);
    let named = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let is_host = match host {
        [b'[', inner @ .., b']'] => inner.iter().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.')),
        host => !address && host.iter().all(named),
    };
    is_host && !host.is_empty() && (port.is_empty() || port[0] == b':' && port[1..].iter().all(u8::is_ascii_digit))
}

/// The origin form that an absolute form stands for (RFC 9112, 3.2.2), if both it and Host name the one `host`.
pub fn without_authority<'a>(raw: &'a [u8], host: &[u8]) -> Option<&'a [u8]> {
    let (authority, rest) = absolute_form(raw)?;
    authority.eq_ignore_ascii_case(host).then_some(rest)
}

/// `https://authority/path?query` → authority and `/path?query`. Without a path it is `/` or, with a query, no form
/// that this gate forwards.
fn absolute_form(raw: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = ["https://", "http://"].iter().find_map(|scheme| {
        let head = raw.get(..scheme.len())?;
        head.eq_ignore_ascii_case(scheme.as_bytes()).then(|| &raw[scheme.len()..])
    })?;
    match rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')) {
        None => Some((rest, b"/")),
        Some(end) if rest[end] == b'/' => Some((&rest[..end], &rest[end..])),
        Some(_) => None,
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
