//! Devices from the invitation to their end: what is recorded, made, handed out, told to people and taken away.
//!
//! ```text
//! invite.rs ─→ (the link) ─→ line/enroll ─→ issue.rs ─→ bundle.rs, or the device made its key itself: born.rs
//!                                            renew.rs
//! shut_out.rs ─→ crl.rs                      remind.rs      letters.rs
//! ```
//!
//! Each step is recorded, durably, before it takes effect. What keys, certificates and inventory are is said in
//! `cert-authority`; what people see is in `apps::enroll`.

mod born;
mod bundle;
mod crl;
mod invite;
mod issue;
mod letters;
mod remind;
mod renew;
mod shut_out;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use cert_authority::acme::Acme;
use cert_authority::{CertAuthority, EnrolmentSettings, Inventory, Invitations};
use config::Settings;
use vocabulary::Timestamp;

pub(crate) use born::{Awaited, Awaiting};
pub(crate) use bundle::{Bundle, Bundles, Of};
pub(crate) use crl::{Crl, file_name as crl_file_name, republish};
pub(crate) use invite::{Invite, approve, ask, check, decline, invite, is_live, needs_approval, owner_name, withdraw};
pub(crate) use issue::{Order, Way, issue, issue_for_key};
pub(crate) use letters::tell_operators;
pub(crate) use remind::remind;
pub(crate) use renew::{is_due, may_renew, renew, renew_for_key};
pub(crate) use shut_out::{shut_out, shut_out_leavers, shut_out_person};

/// The state of enrolment, beside the inventory.
pub(crate) struct Enrolment {
    pub(crate) invitations: Invitations,
    pub(crate) bundles: Bundles,
    pub(crate) acme: Acme,
    pub(crate) awaiting: Awaiting,
    pub(crate) crl: Crl,
    rules: ArcSwap<Rules>,
    /// When what may happen again and again was last told.
    told: Mutex<HashMap<String, Timestamp>>,
}

impl fmt::Debug for Enrolment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Enrolment")
    }
}

/// What the configuration says of enrolment.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) settings: EnrolmentSettings,
    /// As people know it.
    pub(crate) facility: String,
    /// `https://enroll.gw.example[:port]`.
    pub(crate) enroll_origin: String,
    /// `https://device.gw.example[:port]`.
    pub(crate) device_origin: String,
    pub(crate) mail: Option<config::Mail>,
}

impl Rules {
    fn new(settings: &Settings, authority: Option<&CertAuthority>) -> Self {
        let gateway = &settings.gateway;
        let origin = |host: &str| match gateway.public_port {
            443 => format!("https://{host}"),
            port => format!("https://{host}:{port}"),
        };
        let organisation = || authority.map(|authority| authority.organisation().to_owned()).unwrap_or_default();
        Self {
            settings: settings.enrolment.clone(),
            facility: settings.enrolment.facility.clone().unwrap_or_else(organisation),
            enroll_origin: origin(&gateway.enroll_host),
            device_origin: origin(&gateway.device_host),
            mail: settings.mail.clone(),
        }
    }

    /// Where an invitation's link leads.
    pub(crate) fn link(&self, token: &str) -> String {
        format!("{}/i/{token}", self.enroll_origin)
    }
}

impl Enrolment {
    pub(crate) fn open(
        inventory: &Inventory,
        settings: &Settings,
        authority: Option<&CertAuthority>,
    ) -> cert_authority::Result<Self> {
        Ok(Self {
            invitations: inventory.invitations()?,
            bundles: Bundles::default(),
            acme: Acme::new()?,
            awaiting: Awaiting::default(),
            crl: Crl::new(&settings.gateway.data),
            rules: ArcSwap::from_pointee(Rules::new(settings, authority)),
            told: Mutex::default(),
        })
    }

    /// Whether this was not told within so many seconds.
    pub(crate) fn is_news(&self, what: &str, now: Timestamp, secs: i64) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, at| now.secs_since(*at) < secs.max(3600));
        told.retain(|key, at| key != what || now.secs_since(*at) < secs);
        let fresh = !told.contains_key(what);
        told.entry(what.to_owned()).or_insert(now);
        fresh
    }

    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    /// Takes a new configuration over.
    pub(crate) fn apply(&self, settings: &Settings, authority: Option<&CertAuthority>) {
        self.rules.store(Arc::new(Rules::new(settings, authority)));
    }
}
