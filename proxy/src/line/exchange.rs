//! One request as it was asked: what stays the same however often it is judged.

use std::sync::Arc;

use identity::Session;
use identity::scim::ScimToken;
use saas::{Ambiguity, Guess, HostIndex, Recognised};
use vocabulary::AppId;

use super::generation::App;
use crate::logins::SaasCookies;

/// Where a request goes by its host name.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    /// No app has the name.
    Nowhere,
    /// The name belongs to another app than the TLS server name.
    Misdirected,
    /// One of an app's hosts, by position.
    App { app: Arc<App>, host: HostIndex },
    /// The one reserved path on an app's host.
    Ticket { app: Arc<App> },
    /// Our own sign-in pages.
    Login,
    /// Where identity providers push people.
    Scim,
    /// Where invitations lead.
    Enroll,
    /// Where a device's certificate is looked at and renewed.
    Device,
}

impl Destination {
    pub(crate) fn app(&self) -> Option<&Arc<App>> {
        match self {
            Self::App { app, .. } | Self::Ticket { app, .. } => Some(app),
            _ => None,
        }
    }

    pub(crate) fn app_id(&self) -> Option<&AppId> {
        self.app().map(|app| &app.id)
    }
}

/// What a request asks, and who seems to ask it. Network, device and standing are looked up whenever it is
/// judged, because they may change while it lasts.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) destination: Destination,
    /// The host name asked for, lower case, without port; bounded.
    pub(crate) host: String,
    /// The one that the SaaS executes, which a POST may name.
    pub(crate) method: http::Method,
    /// For matching: canonical, without query and path parameters.
    pub(crate) path: String,
    /// For records: secrets masked.
    pub(crate) masked: String,
    /// Why it can't be read in one way only, if so.
    pub(crate) ambiguity: Option<Ambiguity>,
    pub(crate) cross_site: bool,
    pub(crate) preflight: bool,
    /// A top-level navigation: somebody looks at the answer as a page.
    pub(crate) navigation: bool,
    /// The answer should be a page for people, not JSON for a script.
    pub(crate) wants_page: bool,
    pub(crate) upgrade: bool,
    /// An event stream was asked for, which may stay silent for long.
    pub(crate) streaming: bool,
    pub(crate) guess: Guess,
    /// What the app's recipe says of it.
    pub(crate) recognised: Recognised,
    /// What its cookies say of logins to the SaaS.
    pub(crate) saas_cookies: SaasCookies,
    /// A style sheet or the like, asked for without cookies from where somebody is signed in.
    pub(crate) static_ok: bool,
    /// On the way to enrol a device, with an invitation in hand.
    pub(crate) invited: bool,
    pub(crate) session: Option<Arc<Session>>,
    /// The machine client whose token came along, on the one host where tokens count.
    pub(crate) client: Option<Arc<ScimToken>>,
}
