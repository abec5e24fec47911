//! Pages on an app's host about a form that came after its session had ended: kept, not kept, waiting, lost.

use askama::Template;

use crate::notice::{NoticePage, Tone, rendered};
use crate::page::{Page, STYLE};
use crate::{Lang, words};

/// The one field of the button that sends a kept form; its value names the form.
pub const RESUME_FIELD: &str = "sekisho-resume";

/// What became of a form that came without a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormFate {
    Kept,
    TooBig,
    /// Its kind can't be kept, too much is kept already, or we don't know whose it is.
    NotKept,
    /// The service could not be reached when it was sent; it is kept again.
    NotSent,
    /// Nothing is there any more: too old, sent already, or the gate was restarted.
    Lost,
    /// It was somebody else's.
    OfOthers,
}

/// Tells what became of a form, and where to go on: to the sign-in page, or back to the service.
pub fn form_fate_page(lang: Lang, fate: FormFate, way: &str, code: Option<&str>) -> Page {
    let (tone, notice, label, status) = match fate {
        FormFate::Kept => (Tone::Key, words::FORM_KEPT, words::SIGN_IN_TO_SEND, 401),
        FormFate::TooBig => (Tone::Wait, words::FORM_TOO_BIG, words::SIGN_IN, 401),
        FormFate::NotKept => (Tone::Wait, words::FORM_NOT_KEPT, words::SIGN_IN, 401),
        FormFate::NotSent => (Tone::Wait, words::FORM_NOT_SENT, words::SEND_AGAIN, 502),
        FormFate::Lost => (Tone::Wait, words::FORM_LOST, words::OPEN_AGAIN, 410),
        FormFate::OfOthers => (Tone::Stop, words::FORM_OF_OTHERS, words::OPEN_AGAIN, 410),
    };
    NoticePage::new(lang, tone, notice).way(way, label.get(lang)).code(code).page(status)
}

/// A kept form, as its person sees it.
#[derive(Clone)]
pub struct WaitingForm {
    pub id: String,
    /// Path and query it was sent to.
    pub target: String,
    /// In the facility's time zone.
    pub at: String,
    pub bytes: usize,
}

impl std::fmt::Debug for WaitingForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WaitingForm(…)")
    }
}

struct Row {
    id: String,
    path: String,
    action: String,
    at: String,
    size: String,
}

#[derive(Template)]
#[template(path = "held.html")]
struct Held {
    lang: Lang,
    style: &'static str,
    field: &'static str,
    others: bool,
    forms: Vec<Row>,
}

/// The forms that wait, each with the button that sends it. `others`: somebody else's were thrown away.
///
/// `origin`: of this host; a target such as `//x/y` alone would be another host's.
///
/// Its forms lead to the SaaS, which may lead on to wherever it likes; browsers hold `form-action` against that too,
/// so here it is not limited to our host.
pub fn waiting_forms_page(lang: Lang, origin: &str, forms: Vec<WaitingForm>, others: bool) -> Page {
    let forms = forms
        .into_iter()
        .map(|form| Row {
            path: form.target.split('?').next().unwrap_or_default().to_owned(),
            size: match form.bytes {
                bytes @ ..1024 => format!("{bytes} B"),
                bytes => format!("{} KB", bytes.div_ceil(1024)),
            },
            id: form.id,
            action: format!("{origin}{}", form.target),
            at: form.at,
        })
        .collect();
    let template = Held { lang, style: STYLE, field: RESUME_FIELD, others, forms };
    rendered(&template, 200, lang).with_forms_anywhere()
}
