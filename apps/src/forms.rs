//! Forms, and whether one came from our own page.
//!
//! A form is ours if its token is the hash of a cookie that only we can have set (`__Host-`) and that no page of
//! another origin can read; and if the browser names our own origin, where it names one. Nothing is kept on the
//! server, so a form survives a restart and a reload.

use data_encoding::BASE64URL_NOPAD;
use http::HeaderMap;
use http::header::ORIGIN;
use ring::digest::{Context, SHA256};
use ring::rand::{SecureRandom, SystemRandom};

use crate::cookies;

/// Whether the browser says so. One that says nothing still has to show the token.
pub fn comes_from_elsewhere(headers: &HeaderMap, own_origin: &str) -> bool {
    let mut origins = headers.get_all(ORIGIN).into_iter();
    let other_origin = origins.any(|origin| origin.as_bytes() != own_origin.as_bytes());
    let mut sites = headers.get_all("sec-fetch-site").into_iter();
    let other_site = sites.any(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"));
    other_origin || other_site
}

/// The cookie that a form's token goes with: the browser's, or a new one with the `Set-Cookie` that sets it.
pub fn form_cookie(headers: &HeaderMap) -> (String, Option<String>) {
    match cookies::read(headers, cookies::FORM).filter(|cookie| is_token(cookie)) {
        Some(cookie) => (cookie.to_owned(), None),
        None => {
            let cookie = new_form_cookie();
            let set = cookies::set(cookies::FORM, &cookie);
            (cookie, Some(set))
        }
    }
}

/// Whether a form's token fits the browser's cookie.
pub fn token_fits(headers: &HeaderMap, body: &[u8], purpose: &str) -> bool {
    let Some(cookie) = cookies::read(headers, cookies::FORM) else { return false };
    value(body, "token").is_some_and(|token| same(token.as_bytes(), form_token(purpose, cookie).as_bytes()))
}

/// What a form carries to show that it is ours: a hash, so that the page does not give the cookie away.
pub fn form_token(purpose: &str, cookie: &str) -> String {
    let mut context = Context::new(&SHA256);
    for part in ["sekisho form token", purpose, cookie] {
        // Lengths first, so that no two parts run into others.
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    BASE64URL_NOPAD.encode(context.finish().as_ref())
}

/// A new value for [`cookies::FORM`]. Should the system have no random bytes, an empty one, which fits nothing.
fn new_form_cookie() -> String {
    let mut bytes = [0u8; 32];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => BASE64URL_NOPAD.encode(&bytes),
        Err(_) => String::new(),
    }
}

/// Whether it looks like a token of ours: 256 bits in base64url.
pub(crate) fn is_token(cookie: &str) -> bool {
    cookie.len() == 43 && cookie.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// Takes as long whether the first byte differs or the last. Both are hashes or made from them, so that even their
/// order would tell little.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |different, (x, y)| different | (x ^ y)) == 0
}

/// The value of a field or parameter that is there once.
pub fn value(encoded: &[u8], name: &str) -> Option<String> {
    let mut values = form_urlencoded::parse(encoded).filter(|(key, _)| key == name);
    let value = values.next()?.1.into_owned();
    values.next().is_none().then_some(value)
}
