//! What all handlers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use crate::accounts::Sessions;
use crate::files::Files;
use crate::notices::Notices;
use crate::records::Records;
use crate::seen::SeenLog;
use crate::sensors::Sensors;
use crate::serve::{Links, Options, ServeError};

#[derive(Debug)]
pub(crate) struct App {
    pub(crate) site: Site,
    pub(crate) sessions: Sessions,
    pub(crate) records: Records,
    pub(crate) files: Files,
    pub(crate) notices: Notices,
    pub(crate) sensors: Sensors,
    pub(crate) seen: SeenLog,
    stopped: watch::Receiver<bool>,
    streams: AtomicU64,
}

/// The names the SaaS goes by.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) host: String,
    pub(crate) assets_host: String,
    pub(crate) origin: String,
    pub(crate) assets_origin: String,
    pub(crate) links: Links,
}

impl App {
    pub(crate) fn new(options: Options, port: u16, stopped: watch::Receiver<bool>) -> Result<Self, ServeError> {
        Ok(Self {
            site: Site::new(options.host, options.links, port)?,
            sessions: Sessions::default(),
            records: crate::seeds::records(),
            files: Files::new(options.keep_bytes).map_err(ServeError::Folder)?,
            notices: crate::seeds::notices(),
            sensors: Sensors::default(),
            seen: SeenLog::default(),
            stopped,
            streams: AtomicU64::new(0),
        })
    }

    /// Counts a WebSocket or event stream for as long as the value lives.
    pub(crate) fn stream(self: &Arc<Self>) -> OpenStream {
        self.streams.fetch_add(1, Ordering::SeqCst);
        OpenStream(Arc::clone(self))
    }

    pub(crate) fn open_streams(&self) -> u64 {
        self.streams.load(Ordering::SeqCst)
    }

    /// Resolves when the SaaS stops.
    pub(crate) async fn stopped(&self) {
        let mut stopped = self.stopped.clone();
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }
}

impl Site {
    fn new(host: String, links: Links, port: u16) -> Result<Self, ServeError> {
        let label = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        if host.is_empty() || host.starts_with('.') || host.ends_with('.') || !host.chars().all(label) {
            return Err(ServeError::Host(host));
        }
        let host = host.to_ascii_lowercase();
        let assets_host = format!("assets.{host}");
        let suffix = if port == 443 { String::new() } else { format!(":{port}") };
        Ok(Self {
            origin: format!("https://{host}{suffix}"),
            assets_origin: format!("https://{assets_host}{suffix}"),
            host,
            assets_host,
            links,
        })
    }

    /// What pages put before a path of the SaaS: nothing, or its origin.
    pub(crate) fn base(&self) -> &str {
        match self.links {
            Links::HostRelative => "",
            Links::Absolute => &self.origin,
        }
    }

    /// What pages put before `/assets/…`.
    pub(crate) fn assets_base(&self) -> &str {
        match self.links {
            Links::HostRelative => "",
            Links::Absolute => &self.assets_origin,
        }
    }
}

#[derive(Debug)]
pub(crate) struct OpenStream(Arc<App>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::SeqCst);
    }
}
