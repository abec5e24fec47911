//! What goes back over HTTP.

use serde_json::Value;

/// One HTTP response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeReply {
    pub status: u16,
    /// `None` exactly if there is no body.
    pub content_type: Option<&'static str>,
    /// Beside the content type. `Link` may be there more than once.
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl AcmeReply {
    pub(crate) const fn empty(status: u16) -> Self {
        Self { status, content_type: None, headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn json(status: u16, document: &Value) -> Self {
        let body = document.to_string().into_bytes();
        Self { content_type: Some("application/json"), body, ..Self::empty(status) }
    }

    #[must_use]
    pub(crate) fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}
