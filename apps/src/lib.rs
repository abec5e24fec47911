//! The built-in web pages: refusals and errors, signing in and out, the list of apps.
//!
//! What lives here: every sentence people read, in Japanese and English ([`words`]), the templates, how a page is
//! sent ([`Page`]), and the login service ([`LoginApp`]). What does not: whether a request may pass (`policy`), who
//! people are and their sessions (`identity`), and records; the login service asks a [`Recorder`] before anything
//! takes effect.
//!
//! Pages hold no script and load nothing: they must work on any phone, through any proxy, and give an attacker
//! nothing to hold on to. The exception is one script of our own, without which passkeys can't be used, on the few
//! pages that offer them; all else on those works without it.

pub mod code;
pub mod cookies;
mod deny;
mod lang;
mod login;
mod notice;
mod page;
pub mod words;

pub use deny::{Deny, deny_json, deny_page, status};
pub use lang::Lang;
pub use login::{
    AGAIN_PARAM, BODY_LIMIT, Cause, CredentialChange, HANDLE_PARAM, LoginApp, LoginDevice, LoginEvent, LoginReply,
    LoginRequest, LoginSettings, OfferedApp, Recorder, SignInMethod, TICKET_PARAM, TICKET_PATH, Unavailable,
};
pub use notice::link_expired_page;
pub use page::Page;
