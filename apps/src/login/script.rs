//! The one script of our own, for what only a script can do: passkeys, and the print button beside recovery codes.
//! It is served from the sign-in host; pages that need it say so in their `Content-Security-Policy`.

use std::sync::LazyLock;

use data_encoding::{BASE64, HEXLOWER};
use ring::digest::{SHA256, digest};

use super::request::Asked;
use crate::page::Page;

const SCRIPT: &str = include_str!("../../templates/passkey.js");

pub(super) const PATH: &str = "/passkey.js";

/// The first half of its hash: another script has another address, so browsers may keep it.
static VERSION: LazyLock<String> =
    LazyLock::new(|| HEXLOWER.encode(&digest(&SHA256, SCRIPT.as_bytes()).as_ref()[..16]));

/// The element that loads it. Holds no text of anybody's.
pub(super) static ELEMENT: LazyLock<String> = LazyLock::new(|| {
    let hash = BASE64.encode(digest(&SHA256, SCRIPT.as_bytes()).as_ref());
    format!("<script src=\"{PATH}?v={}\" integrity=\"sha256-{hash}\" defer></script>", *VERSION)
});

/// GET `/passkey.js`.
pub(super) fn page(asked: &Asked<'_>) -> Page {
    let keep = asked.query("v").is_some_and(|version| version == *VERSION);
    Page::script(SCRIPT.to_owned(), keep)
}
