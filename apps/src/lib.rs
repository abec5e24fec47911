//! The built-in web pages: refusals and errors, signing in and out, the list of apps, registering a device.
//!
//! What lives here: every sentence people read, in Japanese and English ([`words`]), the templates, how a page is
//! sent ([`Page`]), the login service ([`LoginApp`]), and the pages of device registration ([`enroll`]). What does not:
//! whether a request may pass (`policy`), who people are and their sessions (`identity`), and records; the login
//! service asks a [`Recorder`] before anything takes effect.
//!
//! Pages load nothing and hold no script: they must work on any phone, through any proxy, and give an attacker nothing
//! to hold on to. The exceptions: one line on the page that opens an app (it keeps the fragment of the address, and the
//! page works without), and one script of our own, without which passkeys can't be used, on the few pages that offer
//! them; all else on those works without it. The pages of device registration add a script that copies, and work
//! without it as well.

pub mod code;
pub mod cookies;
mod deny;
pub mod enroll;
pub mod forms;
mod held;
mod lang;
mod login;
mod notice;
mod opening;
mod page;
mod qr;
pub mod words;

pub use deny::{Deny, deny_json, deny_page, status};
pub use held::{FormFate, RESUME_FIELD, WaitingForm, form_fate_page, waiting_forms_page};
pub use lang::Lang;
pub use login::{
    AGAIN_PARAM, BODY_LIMIT, CLEAR_PARAM, Cause, CredentialChange, HANDLE_PARAM, HELD_PARAM, LoginApp, LoginDevice,
    LoginEvent, LoginReply, LoginRequest, LoginSettings, OfferedApp, Place, Recorder, RenewalDue, SignInMethod,
    TICKET_PARAM, TICKET_PATH, Unavailable,
};
pub use notice::{cookies_off_page, link_expired_page};
pub use opening::{clearing_page, opening_page};
pub use page::Page;
