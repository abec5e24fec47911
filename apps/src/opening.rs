//! Pages that lead on by themselves.
//!
//! One line of script leads on and keeps the fragment of where somebody wanted to go; who runs no script is led on
//! without it. Never both: a ticket is good once.

use askama::Template;

use crate::notice::rendered;
use crate::page::{OPENING_SCRIPT, Page, STYLE};
use crate::{Lang, words};

#[derive(Template)]
#[template(path = "opening.html")]
struct Opening<'a> {
    lang: Lang,
    style: &'static str,
    title: words::Text,
    what: words::Text,
    url: &'a str,
    script: &'static str,
}

/// Signed in: on to where somebody wanted to go.
pub fn opening_page(lang: Lang, url: &str) -> Page {
    leading_on(lang, url, words::OPENING, words::OPENING_WHAT)
}

/// People change: on to the next host that is cleared, or to the form.
pub fn clearing_page(lang: Lang, url: &str) -> Page {
    leading_on(lang, url, words::CLEARING, words::CLEARING_WHAT)
}

fn leading_on(lang: Lang, url: &str, title: words::Text, what: words::Text) -> Page {
    let template = Opening { lang, style: STYLE, title, what, url, script: OPENING_SCRIPT };
    rendered(&template, 200, lang).with_opening_script().without_referrer()
}
