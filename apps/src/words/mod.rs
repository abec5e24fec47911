//! Every sentence people read, in both languages.
//!
//! The Japanese is for care staff: short sentences, です・ます, what happened and what to do next. `利用者` is not used
//! for the people who sign in: in a care facility it means those who are cared for.

mod checkpoint;
pub mod enroll;
mod forms;
pub mod heads;
mod history;
mod reasons;
mod security;
mod sessions;

pub use checkpoint::{checkpoint_mail, checkpoint_subject};
pub use forms::*;
pub use history::{INSIDE, LOGIN_HISTORY, NOT_IDENTIFIED, OUTSIDE, REQUEST_LOG, SAAS_LOGIN, SAAS_LOGOUT, STILL_OPEN};
pub use reasons::of_reason;
pub use security::*;
pub use sessions::*;

use crate::Lang;

/// One text in both languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    pub ja: &'static str,
    pub en: &'static str,
}

impl Text {
    pub const fn get(&self, lang: Lang) -> &'static str {
        match lang {
            Lang::Ja => self.ja,
            Lang::En => self.en,
        }
    }

    /// Sentence by sentence: each begins a line of its own, which is easier to read on a phone.
    pub fn sentences(&self, lang: Lang) -> impl Iterator<Item = &'static str> {
        let text = self.get(lang);
        let ends = text.match_indices(['。', '.']).map(|(at, end)| at + end.len());
        // An English full stop ends a sentence only before a space.
        let ends = ends.filter(|end| lang == Lang::Ja || text[*end..].starts_with(' '));
        let cuts: Vec<_> = std::iter::once(0).chain(ends).chain([text.len()]).collect();
        let pieces: Vec<_> = cuts.windows(2).filter_map(|cut| text.get(*cut.first()?..*cut.last()?)).collect();
        pieces.into_iter().map(str::trim).filter(|piece| !piece.is_empty())
    }
}

const fn text(ja: &'static str, en: &'static str) -> Text {
    Text { ja, en }
}

/// What a page tells somebody: in a word, what happened, and what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    pub title: Text,
    pub what: Text,
    pub next: Text,
}

#[cfg(test)]
mod tests {
    use vocabulary::Reason;

    use super::*;

    fn notices() -> Vec<Notice> {
        Reason::ALL
            .iter()
            .map(|r| of_reason(*r))
            .chain([LINK_EXPIRED, FAILED, SIGNED_OUT, NO_PAGE, FORM_EXPIRED, SIGNED_OUT_HERE, SIGNED_OUT_THERE])
            .chain([PROVIDER_AWAY, PROVIDER_DENIED, PROVIDER_AGAIN, PROVIDER_UNTRUSTED, PROVIDER_LATE])
            .chain([FACTOR_TO_SET_UP, FACTOR_TO_SHOW])
            .chain(enroll::EVERY_NOTICE)
            .chain([COOKIES_OFF, FORM_KEPT, FORM_TOO_BIG, FORM_NOT_KEPT, FORM_NOT_SENT, FORM_LOST, FORM_OF_OTHERS])
            .collect()
    }

    #[test]
    fn japanese_is_polite_and_ends_its_sentences() {
        for notice in notices() {
            for ja in [notice.what.ja, notice.next.ja] {
                assert!(ja.ends_with('。'), "{ja}");
                for sentence in ja.split_terminator('。') {
                    let polite = ["ます", "です", "ください", "ません", "ました", "でした"];
                    assert!(polite.iter().any(|end| sentence.ends_with(end)), "{sentence}");
                    assert!(sentence.chars().count() <= 50, "too long: {sentence}");
                }
            }
            assert!(!notice.title.ja.ends_with('。'));
            // In a care facility this word means those who are cared for.
            assert!(!format!("{notice:?}").contains("利用者"));
        }
    }

    #[test]
    fn english_is_there_and_is_english() {
        for notice in notices() {
            for en in [notice.title.en, notice.what.en, notice.next.en] {
                assert!(!en.is_empty() && en.is_ascii(), "{en}");
            }
            assert!(notice.what.en.ends_with('.') && notice.next.en.ends_with('.'), "{}", notice.what.en);
        }
    }

    #[test]
    fn sentences_lose_nothing() {
        for notice in notices() {
            for lang in Lang::ALL {
                let joined: String = notice.next.sentences(lang).collect();
                assert_eq!(joined.replace(' ', ""), notice.next.get(lang).replace(' ', ""));
            }
        }
        let two = text("一つ。二つ。", "One 1.5 thing. Two.");
        assert_eq!(two.sentences(Lang::Ja).collect::<Vec<_>>(), ["一つ。", "二つ。"]);
        assert_eq!(two.sentences(Lang::En).collect::<Vec<_>>(), ["One 1.5 thing.", "Two."]);
    }

    #[test]
    fn no_two_refusals_read_the_same() {
        let mut seen = std::collections::HashMap::new();
        for reason in Reason::ALL {
            if let Some(other) = seen.insert(of_reason(*reason).what.ja, reason) {
                assert!(matches!(*other as u8, 0..=4), "{reason} reads like {other}");
            }
        }
    }
}
