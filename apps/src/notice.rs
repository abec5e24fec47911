//! Pages that tell something and at most offer one way to go on.

use askama::Template;

use crate::Lang;
use crate::page::{Page, STYLE};
use crate::words::{self, Notice};

/// Which sign stands above the title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Refused.
    Stop,
    /// Does not work at the moment.
    Wait,
    /// Somebody has to show who they are.
    Key,
    /// Done.
    Done,
}

/// One way to go on.
pub(crate) struct Way<'a> {
    pub(crate) url: &'a str,
    pub(crate) label: &'a str,
}

#[derive(Template)]
#[template(path = "notice.html")]
pub(crate) struct NoticePage<'a> {
    pub(crate) lang: Lang,
    pub(crate) style: &'static str,
    pub(crate) tone: Tone,
    pub(crate) notice: Notice,
    pub(crate) app: Option<&'a str>,
    /// Whom to ask.
    pub(crate) contact: Option<&'a str>,
    pub(crate) code: Option<&'a str>,
    pub(crate) way: Option<Way<'a>>,
}

impl<'a> NoticePage<'a> {
    pub(crate) fn new(lang: Lang, tone: Tone, notice: Notice) -> Self {
        Self { lang, style: STYLE, tone, notice, app: None, contact: None, code: None, way: None }
    }

    pub(crate) fn way(mut self, url: &'a str, label: &'a str) -> Self {
        self.way = Some(Way { url, label });
        self
    }

    pub(crate) fn code(mut self, code: Option<&'a str>) -> Self {
        self.code = code;
        self
    }

    pub(crate) fn contact(mut self, contact: Option<&'a str>) -> Self {
        self.contact = contact;
        self
    }

    pub(crate) fn page(&self, status: u16) -> Page {
        rendered(self, status, self.lang)
    }
}

/// For an app's host, when a ticket or handle is not good. `open_again` is where to start anew, such as `/`.
pub fn link_expired_page(lang: Lang, open_again: &str, code: Option<&str>) -> Page {
    NoticePage::new(lang, Tone::Wait, words::LINK_EXPIRED)
        .way(open_again, words::OPEN_AGAIN.get(lang))
        .code(code)
        .page(400)
}

/// The browser sends no cookies back, so that signing in can't work. `again` is where to try once more.
pub fn cookies_off_page(lang: Lang, again: &str, code: Option<&str>) -> Page {
    NoticePage::new(lang, Tone::Wait, words::COOKIES_OFF).way(again, words::TRY_AGAIN.get(lang)).code(code).page(403)
}

/// The template as a page. Rendering into memory fails only if a template is wrong; then people still get an answer.
pub(crate) fn rendered(template: &impl Template, status: u16, lang: Lang) -> Page {
    match template.render() {
        Ok(body) => Page::html(status, lang, body),
        Err(cause) => {
            tracing::error!(%cause, "a page could not be rendered");
            Page::html(500, lang, String::new())
        }
    }
}
