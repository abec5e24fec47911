//! The sheet to print: one page of A4 for each invitation. It is a file of the operator's, not served, so it has its
//! own style and loads nothing.

use askama::Template;
use vocabulary::DeviceKind;

use crate::qr::Qr;
use crate::{Lang, words};

/// One invitation, on paper or in a mail.
#[derive(Clone, Copy)]
pub struct SheetEntry<'a> {
    pub facility: &'a str,
    pub kind: DeviceKind,
    pub owner: Option<&'a str>,
    /// The link, with its secret.
    pub url: &'a str,
    /// When the link ends, in the facility's time zone.
    pub until: &'a str,
    pub contact: Option<&'a str>,
}

/// Shows no link.
impl std::fmt::Debug for SheetEntry<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SheetEntry").field("facility", &self.facility).finish_non_exhaustive()
    }
}

struct Sheet<'a> {
    entry: &'a SheetEntry<'a>,
    kind: &'static str,
    qr: Option<Qr>,
}

#[derive(Template)]
#[template(path = "enroll_sheet.html")]
struct Sheets<'a> {
    lang: Lang,
    sheets: Vec<Sheet<'a>>,
}

/// An HTML document with a page for each entry. Empty only if the template is wrong.
pub fn sheets(lang: Lang, entries: &[SheetEntry<'_>]) -> String {
    let sheet = |entry| -> Sheet<'_> {
        let entry: &SheetEntry<'_> = entry;
        Sheet { entry, kind: words::enroll::kind(entry.kind).get(lang), qr: Qr::new(entry.url) }
    };
    let template = Sheets { lang, sheets: entries.iter().map(sheet).collect() };
    template.render().unwrap_or_else(|cause| {
        tracing::error!(%cause, "a sheet could not be rendered");
        String::new()
    })
}
