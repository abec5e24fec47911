//! The pages of device registration: a link or QR code, signing in, drawn steps, and a look whether it worked.
//!
//! What lives here: what a browser says it is ([`Client`]), every page on the way, the sheet to print, the mails. All
//! are pure functions from what is known to a [`Page`](crate::Page) or a text. What does not: who may register what,
//! the certificates, and the addresses; they are given.
//!
//! All pages work without a script. The one of this module, served at [`SCRIPT_PATH`] on the host of the pages, only
//! adds buttons that copy.
//!
//! Three things are asked of whoever serves the pages: the secret of a link stands in its path, because pages link to
//! `?os=…` and `?openExternalBrowser=1` on their own address; a query that isn't known is passed over; and a GET of the
//! link changes nothing, because apps fetch links to show a preview.

mod client;
mod drawings;
mod guide;
mod install;
mod names;
mod outcome;
mod pages;
mod pen;
mod script;
mod sheet;
#[cfg(test)]
mod tests;

pub use client::{Browser, Client, InApp};
pub use install::{Install, choose_os_page, install_page};
pub use names::{device_word, profile_words};
pub use outcome::{Check, Problem, check_page, problem_page};
pub use pages::{
    Confirm, Invited, Name, Renewal, Visit, Waiting, confirm_page, invitation_page, renew_page, renewal_hint,
    waiting_page,
};
pub use script::{PATH as SCRIPT_PATH, script_page};
pub use sheet::{SheetEntry, sheets};

pub use crate::qr::{qr_svg, qr_text};
pub use crate::words::enroll::{approval_mail, invitation_mail, lost_mail, renewal_mail};

pub(crate) use drawings::{Frame, Glyph, Part, Scene};
pub(crate) use guide::Step;
