//! What a browser asked for and what came of it, by Chromium's own log.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use crate::browser::Chromium;

/// Messages and addresses are normal: without the host, query values, numbers and tokens that differ from run to run.
#[derive(Default)]
pub(super) struct Traffic {
    pub(super) requests: usize,
    /// Of these, answered by the browser's own cache.
    pub(super) cached: usize,
    /// WebSockets that were opened, and the subprotocol that was agreed on.
    pub(super) sockets: BTreeSet<String>,
    /// Requests the page itself gave up, mostly because it was left.
    pub(super) cancelled: usize,
    /// Network errors and statuses from 400.
    pub(super) failed: BTreeSet<String>,
    pub(super) failures: usize,
    /// Severe entries of the console.
    pub(super) errors: BTreeSet<String>,
    pub(super) complaints: usize,
    /// Authorities that were asked.
    pub(super) hosts: BTreeSet<String>,
    by_host: BTreeMap<String, usize>,
}

impl Traffic {
    /// Adds what happened since the last call.
    pub(super) async fn take(&mut self, chromium: &Chromium) {
        let mut asked: BTreeMap<String, String> = BTreeMap::new();
        let mut cached: BTreeSet<String> = BTreeSet::new();
        for entry in chromium.log("performance").await {
            let message: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
            let (method, of) = (message["message"]["method"].as_str().unwrap(), &message["message"]["params"]);
            let id = of["requestId"].as_str().unwrap_or_default().to_owned();
            match method {
                "Network.requestWillBeSent" => {
                    let url = text(&of["request"]["url"]);
                    if let Some(host) = authority(&url) {
                        self.requests += 1;
                        *self.by_host.entry(host.clone()).or_default() += 1;
                        self.hosts.insert(host);
                    }
                    asked.insert(id, format!("{} {}", text(&of["request"]["method"]), normal(&url)));
                }
                "Network.requestServedFromCache" => {
                    cached.insert(id);
                }
                "Network.responseReceived" => {
                    if of["response"]["fromDiskCache"] == true {
                        cached.insert(id.clone());
                    }
                    let status = of["response"]["status"].as_u64().unwrap_or(0);
                    if status >= 400 {
                        let what = asked.get(&id).cloned().unwrap_or_else(|| normal(&text(&of["response"]["url"])));
                        self.fail(format!("{what}: {status}"));
                    }
                }
                // A download is reported as aborted, too: the page does not get it.
                "Network.loadingFailed" if of["canceled"] == true || of["errorText"] == "net::ERR_ABORTED" => {
                    self.cancelled += 1;
                }
                // What no page asked for, Chromium's own start page tried.
                "Network.loadingFailed" => {
                    let Some(what) = asked.get(&id) else { continue };
                    let why = [&of["errorText"], &of["blockedReason"], &of["corsErrorStatus"]["corsError"]];
                    let why: Vec<_> = why.into_iter().map(text).filter(|why| !why.is_empty()).collect();
                    self.fail(format!("{what}: {}", why.join(" ")));
                }
                "Network.webSocketCreated" => {
                    let url = text(&of["url"]);
                    self.hosts.extend(authority(&url));
                    asked.insert(id, normal(&url));
                }
                "Network.webSocketHandshakeResponseReceived" => {
                    let what = asked.get(&id).cloned().unwrap_or_default();
                    let response = &of["response"];
                    let protocol = response["headers"].as_object().and_then(|headers| {
                        headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-protocol"))
                    });
                    let protocol = protocol.map(|(_, value)| text(value)).unwrap_or_default();
                    match response["status"].as_u64() {
                        Some(101) => _ = self.sockets.insert(format!("{what} {protocol}")),
                        status => self.fail(format!("{what}: {status:?}")),
                    }
                }
                "Network.webSocketFrameError" => {
                    let what = asked.get(&id).cloned().unwrap_or_default();
                    self.fail(format!("{what}: {}", text(&of["errorMessage"])));
                }
                _ => {}
            }
        }
        self.cached += cached.len();
        for entry in chromium.log("browser").await.iter().filter(|entry| entry["level"] == "SEVERE") {
            self.complaints += 1;
            self.errors.insert(normal(&text(&entry["message"])));
        }
    }

    fn fail(&mut self, what: String) {
        self.failures += 1;
        self.failed.insert(what);
    }

    /// How many requests reached a server, at least.
    pub(super) fn sent(&self) -> usize {
        self.requests - self.cached - self.cancelled
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} requests ({:?}), {} of them from the cache, {:?}, {} failed, {} given up by the page, {} console errors",
            self.requests, self.by_host, self.cached, self.sockets, self.failures, self.cancelled, self.complaints
        )?;
        for line in self.failed.iter().chain(&self.errors) {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// None: nothing is sent anywhere for it (`data:`, `blob:`).
fn authority(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    (!scheme.starts_with("blob:") && !scheme.starts_with("chrome")).then(|| authority.to_owned())
}

/// A message or an address, as it reads in every run: hosts are `HOST`, query values and whatever has a digit and is
/// longer than a word are `*`.
pub(super) fn normal(message: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in message.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '_' | '%') {
            word.push(c);
            continue;
        }
        let host = word
            .rsplit_once(':')
            .is_some_and(|(host, port)| host.ends_with(".localhost") && port.bytes().all(|b| b.is_ascii_digit()));
        let number = word.bytes().all(|b| b.is_ascii_digit() || b == b':') && !word.is_empty();
        let token = word.len() >= 20 && word.bytes().any(|b| b.is_ascii_digit());
        let value = out.ends_with('=');
        out.push_str(match () {
            () if host => "HOST",
            () if number || token || value => "*",
            () => &word,
        });
        word.clear();
        out.push(c);
    }
    out.trim_end().to_owned()
}
