//! The script of these pages: buttons that copy. Without it they stay hidden.

use std::sync::LazyLock;

use data_encoding::{BASE64, HEXLOWER};
use ring::digest::{SHA256, digest};

use crate::page::Page;

const SCRIPT: &str = include_str!("../../templates/enroll.js");

/// Where the pages' own host serves it.
pub const PATH: &str = "/enroll.js";

/// The first half of its hash: another script has another address, so browsers may keep it.
static VERSION: LazyLock<String> =
    LazyLock::new(|| HEXLOWER.encode(&digest(&SHA256, SCRIPT.as_bytes()).as_ref()[..16]));

/// The element that loads it. Holds no text of anybody's.
pub(super) static ELEMENT: LazyLock<String> = LazyLock::new(|| {
    let hash = BASE64.encode(digest(&SHA256, SCRIPT.as_bytes()).as_ref());
    format!("<script src=\"{PATH}?v={}\" integrity=\"sha256-{hash}\" defer></script>", *VERSION)
});

/// GET [`PATH`]. `version` is the parameter `v` of its query.
pub fn script_page(version: Option<&str>) -> Page {
    Page::script(SCRIPT.to_owned(), version.is_some_and(|version| version == *VERSION))
}
