//! A browser without a screen: what the tour and the tests speak to a gate with, over real TLS.
//!
//! It keeps cookies and connections per host, follows redirects of navigations and sends the `Sec-Fetch-*`
//! headers that browsers send. It runs no scripts; what needs a script is tested in a real browser.

mod connect;
mod jar;

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, HOST, LOCATION, REFRESH, SET_COOKIE, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use connect::Sender;
use jar::Jar;

/// A TLS stream after its handshake.
pub type TlsStream = tokio_rustls::client::TlsStream<tokio::net::TcpStream>;

/// Something did not work between the client and the server.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("no connection: {0}")]
    Connect(std::io::Error),
    #[error("TLS: {0}")]
    Tls(String),
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    #[error("{0}")]
    Request(#[from] http::Error),
    #[error("`{0}` is no address that can be visited")]
    Url(String),
    #[error("more than 20 redirects, the last to {0}")]
    Redirects(String),
    #[error("there is no form on {0}")]
    NoForm(String),
    #[error("the certificate file can't be read: {0}")]
    Certificate(String),
}

/// A client certificate with its key.
pub struct Certificate {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate")
    }
}

impl Clone for Certificate {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

impl Certificate {
    /// Opens a `.p12` file.
    ///
    /// # Errors
    /// The password is wrong or the file holds no key with a certificate.
    pub fn from_p12(p12: &[u8], password: &str) -> Result<Self, ClientError> {
        let fail = |e: &dyn fmt::Display| ClientError::Certificate(e.to_string());
        let store = p12_keystore::KeyStore::from_pkcs12(p12, password, p12_keystore::Pkcs12ImportPolicy::Relaxed)
            .map_err(|e| fail(&e))?;
        let (_, chain) = store.private_key_chain().ok_or_else(|| fail(&"there is no key in it"))?;
        let key = PrivateKeyDer::try_from(chain.key().as_der().to_vec()).map_err(|e| fail(&e))?;
        let certificates = chain.certs().iter().map(|c| CertificateDer::from(c.as_der().to_vec())).collect();
        Ok(Self { chain: certificates, key })
    }
}

/// Where and as what the client connects.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Every host name leads here.
    pub server: SocketAddr,
    /// What the server's certificate is verified against.
    pub roots: Vec<CertificateDer<'static>>,
    pub certificate: Option<Certificate>,
    /// The address to connect from: `127.0.0.2` is another network than `127.0.0.1`.
    pub from: Option<IpAddr>,
    pub http2: bool,
    pub language: &'static str,
}

/// The whole answer to a request.
#[derive(Clone, Debug)]
pub struct Response {
    /// The address it came from, after redirects.
    pub url: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Response {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, or `null`.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// How a request comes about, as browsers tell servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Somebody opens a page.
    Navigate,
    /// A script of the page asks.
    Fetch,
    /// As curl does: without any such headers.
    Bare,
}

/// One browser, with its cookies and open connections.
pub struct Browser {
    setup: Setup,
    /// Hosts that are somewhere else than `setup.server`.
    elsewhere: HashMap<String, SocketAddr>,
    jar: Jar,
    connections: HashMap<String, Sender>,
    agent: String,
}

impl fmt::Debug for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Browser({:?})", self.setup.server)
    }
}

impl Browser {
    pub fn new(setup: Setup) -> Self {
        Self {
            setup,
            elsewhere: HashMap::new(),
            jar: Jar::default(),
            connections: HashMap::new(),
            agent: "tour/1".to_owned(),
        }
    }

    /// Another name than `tour/1` in `User-Agent`.
    pub fn call_itself(&mut self, agent: &str) {
        agent.clone_into(&mut self.agent);
    }

    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Where a host is reached that is not behind the one server, such as an identity provider's.
    pub fn find_at(&mut self, host: &str, server: SocketAddr) {
        self.elsewhere.insert(host.to_owned(), server);
    }

    /// Forgets connections, not cookies; the next request shakes hands anew.
    pub fn disconnect(&mut self) {
        self.connections.clear();
    }

    /// Takes another certificate, or none; open connections are closed.
    pub fn present(&mut self, certificate: Option<Certificate>) {
        self.setup.certificate = certificate;
        self.disconnect();
    }

    /// Moves to another network; open connections are closed.
    pub fn move_to(&mut self, from: IpAddr) {
        self.setup.from = Some(from);
        self.disconnect();
    }

    /// The cookies that would be sent to a host: `name=value`, joined by `; `.
    pub fn cookies(&self, host: &str) -> String {
        self.jar.header(host, "/")
    }

    pub fn set_cookie(&mut self, host: &str, set_cookie: &str) {
        self.jar.take(host, set_cookie);
    }

    /// Opens a page and follows redirects.
    ///
    /// # Errors
    /// The connection fails or the redirects don't end.
    pub async fn open(&mut self, url: &str) -> Result<Response, ClientError> {
        self.navigate(Method::GET, url, HeaderMap::new(), Bytes::new()).await
    }

    /// Sends a form and follows redirects.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn submit(&mut self, url: &str, fields: &[(&str, &str)]) -> Result<Response, ClientError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        if let Ok(origin) = HeaderValue::from_str(&origin(url)?) {
            headers.insert(http::header::ORIGIN, origin);
        }
        let body = fields.iter().map(|(n, v)| format!("{}={}", encode(n), encode(v))).collect::<Vec<_>>().join("&");
        self.navigate(Method::POST, url, headers, Bytes::from(body)).await
    }

    /// Fills in the first form of a page, hidden fields included, and sends it.
    ///
    /// # Errors
    /// There is no form, or as [`Self::open`].
    pub async fn fill_in(&mut self, page: &Response, fields: &[(&str, &str)]) -> Result<Response, ClientError> {
        self.fill_in_form(page, "", fields).await
    }

    /// Fills in the form of a page whose tag holds `mark`, such as `action="/security/totp"`.
    ///
    /// # Errors
    /// As [`Self::fill_in`].
    pub async fn fill_in_form(
        &mut self,
        page: &Response,
        mark: &str,
        fields: &[(&str, &str)],
    ) -> Result<Response, ClientError> {
        let text = page.text();
        let text = form(&text, mark).ok_or_else(|| ClientError::NoForm(page.url.clone()))?;
        let action = form_action(text, &page.url).ok_or_else(|| ClientError::NoForm(page.url.clone()))?;
        let hidden = hidden_fields(text);
        let all: Vec<(&str, &str)> =
            fields.iter().copied().chain(hidden.iter().map(|(n, v)| (n.as_str(), v.as_str()))).collect();
        self.submit(&action, &all).await
    }

    async fn navigate(
        &mut self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response, ClientError> {
        let (mut method, mut url, mut headers, mut body) = (method, url.to_owned(), headers, body);
        for _ in 0..20 {
            let response = self.send(method.clone(), &url, Mode::Navigate, headers.clone(), body.clone()).await?;
            let header = |name| response.headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
            let target = match response.status.is_redirection() {
                true => header(LOCATION).map(str::to_owned),
                // A page that leads on by itself, as browsers without scripts understand it.
                false => match header(REFRESH) {
                    Some(refresh) => refreshed(refresh).map(str::to_owned),
                    None => refreshed_within(&response.body),
                },
            };
            match target {
                Some(target) => {
                    url = resolve(&url, &target)?;
                    if !matches!(response.status.as_u16(), 307 | 308) {
                        method = Method::GET;
                        headers = HeaderMap::new();
                        body = Bytes::new();
                    }
                }
                _ => return Ok(response),
            }
        }
        Err(ClientError::Redirects(url))
    }

    /// Sends one request and follows nothing. A kept-alive connection is used where there is one.
    ///
    /// # Errors
    /// The connection fails.
    pub async fn send(
        &mut self,
        method: Method,
        url: &str,
        mode: Mode,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response, ClientError> {
        let (head, incoming) = self.stream(method, url, mode, headers, body).await?;
        let body = incoming.collect().await?.to_bytes();
        Ok(Response { url: url.to_owned(), status: head.status, headers: head.headers, body })
    }

    /// As [`Self::send`], but hands the body over as it comes.
    ///
    /// # Errors
    /// The connection fails.
    pub async fn stream(
        &mut self,
        method: Method,
        url: &str,
        mode: Mode,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<(http::response::Parts, Incoming), ClientError> {
        let (host, authority, target) = split(url)?;
        let mut kept = self.connections.remove(&authority);
        if let Some(sender) = &mut kept
            && !sender.ready().await
        {
            kept = None;
        }
        let ask = |http2| {
            let (method, body) = (method.clone(), body.clone());
            self.request(method, &host, &authority, &target, mode, &headers, body, http2)
        };
        let over_kept = match &mut kept {
            Some(sender) => sender.send(ask(sender.is_http2())?).await.ok(),
            None => None,
        };
        let (sender, response) = match (kept, over_kept) {
            (Some(sender), Some(response)) => (sender, response),
            // A server may close a kept connection at any time, also while the next request is on its way to it
            // (RFC 9112, 9.3.1). As browsers do, ask again on a new one.
            _ => {
                let mut sender = match self.elsewhere.get(&host) {
                    Some(server) => connect::http(&Setup { server: *server, ..self.setup.clone() }, &host).await?,
                    None => connect::http(&self.setup, &host).await?,
                };
                let response = sender.send(ask(sender.is_http2())?).await?;
                (sender, response)
            }
        };
        self.connections.insert(authority, sender);
        let (head, body) = response.into_parts();
        for value in head.headers.get_all(SET_COOKIE) {
            if let Ok(value) = value.to_str() {
                self.jar.take(&host, value);
            }
        }
        // After what was set: that is how browsers do it.
        if head.headers.get("clear-site-data").is_some_and(|v| v.to_str().is_ok_and(|v| v.contains("\"cookies\""))) {
            self.jar.clear(&host);
        }
        Ok((head, body))
    }

    #[expect(clippy::too_many_arguments, reason = "a request has this many parts")]
    fn request(
        &self,
        method: Method,
        host: &str,
        authority: &str,
        target: &str,
        mode: Mode,
        headers: &HeaderMap,
        body: Bytes,
        http2: bool,
    ) -> Result<Request<Full<Bytes>>, ClientError> {
        let uri = if http2 { format!("https://{authority}{target}") } else { target.to_owned() };
        let mut request = Request::builder().method(method).uri(uri).body(Full::new(body))?;
        let sent = request.headers_mut();
        let mut put = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                sent.insert(name, value);
            }
        };
        if !http2 {
            put(HOST, authority);
        }
        put(http::header::ACCEPT_LANGUAGE, self.setup.language);
        put(http::header::USER_AGENT, &self.agent);
        for (name, value) in fetch_metadata(mode) {
            put(HeaderName::from_static(name), value);
        }
        let cookies = self.jar.header(host, target.split('?').next().unwrap_or("/"));
        if !cookies.is_empty() {
            put(COOKIE, &cookies);
        }
        for (name, value) in headers {
            sent.insert(name, value.clone());
        }
        Ok(request)
    }

    /// Opens a WebSocket. The handshake's answer stands in the error if it is not 101.
    ///
    /// # Errors
    /// The connection fails or the server refuses.
    pub async fn websocket(
        &mut self,
        url: &str,
    ) -> Result<tokio_tungstenite::WebSocketStream<TlsStream>, Box<tokio_tungstenite::tungstenite::Error>> {
        use tokio_tungstenite::tungstenite::Error as WsError;
        use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
        let io = |e: ClientError| Box::new(WsError::Io(std::io::Error::other(e.to_string())));
        let (host, authority, target) = split(url).map_err(io)?;
        let stream = connect::tls(&self.setup, &host, &[b"http/1.1"]).await.map_err(io)?;
        let mut request = format!("wss://{authority}{target}").into_client_request()?;
        let sent = request.headers_mut();
        debug_assert!(sent.contains_key(UPGRADE));
        for (name, value) in [
            (http::header::ORIGIN, format!("https://{authority}")),
            (COOKIE, self.jar.header(&host, target.split('?').next().unwrap_or("/"))),
            (HeaderName::from_static("sec-fetch-site"), "same-origin".to_owned()),
            (HeaderName::from_static("sec-fetch-mode"), "websocket".to_owned()),
        ] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                sent.insert(name, value);
            }
        }
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await?;
        Ok(socket)
    }

    /// A TLS connection of one's own, to say things no browser says.
    ///
    /// # Errors
    /// The connection fails.
    pub async fn raw(&self, server_name: &str, alpn: &[&[u8]]) -> Result<TlsStream, ClientError> {
        connect::tls(&self.setup, server_name, alpn).await
    }
}

fn fetch_metadata(mode: Mode) -> &'static [(&'static str, &'static str)] {
    match mode {
        Mode::Navigate => &[
            ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
            ("sec-fetch-user", "?1"),
        ],
        Mode::Fetch => &[
            ("accept", "application/json"),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-mode", "cors"),
            ("sec-fetch-dest", "empty"),
        ],
        Mode::Bare => &[("accept", "*/*")],
    }
}

/// Host, authority, and path with query.
fn split(url: &str) -> Result<(String, String, String), ClientError> {
    let fail = || ClientError::Url(url.to_owned());
    let uri: Uri = url.parse().map_err(|_| fail())?;
    let authority = uri.authority().ok_or_else(fail)?;
    let target = uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
    Ok((authority.host().to_owned(), authority.as_str().to_owned(), target))
}

fn origin(url: &str) -> Result<String, ClientError> {
    split(url).map(|(_, authority, _)| format!("https://{authority}"))
}

/// A Location, absolute or relative, against the address it came from (RFC 3986, as far as servers use it).
fn resolve(base: &str, target: &str) -> Result<String, ClientError> {
    let target = target.split('#').next().unwrap_or_default();
    if target.starts_with("https://") {
        return Ok(target.to_owned());
    }
    if let Some(rest) = target.strip_prefix("//") {
        return Ok(format!("https://{rest}"));
    }
    let (_, authority, path) = split(base)?;
    if target.starts_with('/') {
        return Ok(format!("https://{authority}{target}"));
    }
    let path = path.split('?').next().unwrap_or("/");
    let folder = path.rfind('/').map_or("/", |end| &path[..=end]);
    Ok(format!("https://{authority}{folder}{target}"))
}

/// As forms encode: RFC 3986's unreserved characters stay.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Where a Refresh that waits for nothing leads.
fn refreshed(refresh: &str) -> Option<&str> {
    refresh.strip_prefix("0;")?.trim().strip_prefix("url=")
}

/// The same as a page says it of itself.
fn refreshed_within(body: &[u8]) -> Option<String> {
    let page = std::str::from_utf8(body).ok()?;
    let (_, rest) = page.split_once("<meta http-equiv=\"refresh\" content=\"")?;
    let (content, _) = rest.split_once('"')?;
    refreshed(content).map(|target| target.replace("&amp;", "&").replace("&#38;", "&"))
}

/// The first form whose tag holds `mark`, from its tag to its end.
fn form<'p>(page: &'p str, mark: &str) -> Option<&'p str> {
    let tagged = |start: usize| page[start..].split('>').next().is_some_and(|tag| tag.contains(mark));
    let start = page.match_indices("<form").map(|(at, _)| at).find(|at| tagged(*at))?;
    let end = page[start..].find("</form>").map_or(page.len(), |end| start + end);
    Some(&page[start..end])
}

/// The hidden fields of a page's form: enough HTML for our own.
fn hidden_fields(page: &str) -> Vec<(String, String)> {
    let attribute = |tag: &str, name: &str| {
        let at = tag.find(&format!(" {name}=\""))? + name.len() + 3;
        let end = tag[at..].find('"')?;
        Some(tag[at..at + end].replace("&amp;", "&").replace("&#38;", "&"))
    };
    page.split("<input")
        .skip(1)
        .filter_map(|rest| rest.split_once('>'))
        .map(|(tag, _)| tag)
        .filter(|tag| tag.contains("type=\"hidden\""))
        .filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value")?)))
        .collect()
}

/// The address a page's form is sent to.
fn form_action(page: &str, base: &str) -> Option<String> {
    let form = &page[page.find("<form")?..];
    let tag = &form[..form.find('>')?];
    let Some(at) = tag.find("action=\"") else { return Some(base.to_owned()) };
    let value = &tag[at + "action=\"".len()..];
    let action = value[..value.find('"')?].replace("&amp;", "&").replace("&#38;", "&");
    if action.is_empty() {
        return Some(base.to_owned());
    }
    resolve(base, &action).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_resolve_as_in_browsers() {
        let base = "https://a.example:8443/x/y?z=1";
        for (target, whole) in [
            ("/p?q", "https://a.example:8443/p?q"),
            ("p", "https://a.example:8443/x/p"),
            ("//b.example/p", "https://b.example/p"),
            ("https://c.example/#top", "https://c.example/"),
        ] {
            assert_eq!(resolve(base, target).unwrap(), whole);
        }
    }

    #[test]
    fn of_several_forms_the_wanted_one_is_found() {
        let page = r#"<form action="/a"><input type="hidden" name="t" value="1"></form>
            <form method="post" action="/b"><input type="hidden" name="t" value="2"></form>"#;
        let fields = |mark| form(page, mark).map(hidden_fields);
        assert_eq!(fields("").unwrap(), [("t".to_owned(), "1".to_owned())]);
        assert_eq!(fields("action=\"/b\"").unwrap(), [("t".to_owned(), "2".to_owned())]);
        assert_eq!(fields("action=\"/c\""), None);
    }

    #[test]
    fn a_forms_fields_are_found() {
        let page = r#"<form method="post" action="/?a=1&amp;b=2"><input type="hidden" name="csrf" value="t0k"><input name="id">"#;
        assert_eq!(hidden_fields(page), [("csrf".to_owned(), "t0k".to_owned())]);
        assert_eq!(form_action(page, "https://h.example/q").as_deref(), Some("https://h.example/?a=1&b=2"));
    }
}
