//! Answers that a recipe knows.

use std::sync::Arc;

use vocabulary::PathStep;

use super::{Compile, NOT_A_WORD, at, is_word};
use crate::recipe::answer::{Answered, Answers, JsonIs, JsonTest, Known};
use crate::recipe::document::AnswerDocument;
use crate::recipe::fields::Pointer;

impl Compile {
    pub(super) fn answers(
        &mut self,
        place: &[PathStep],
        failed: &[AnswerDocument],
        second_step: &[AnswerDocument],
        ok: &[AnswerDocument],
    ) -> Arc<Answers> {
        let mut answers = Answers { known: Vec::new(), pointers: Vec::new(), charset: self.charset };
        for (key, documents) in [("failed", failed), ("second_step", second_step), ("ok", ok)] {
            for (nth, document) in documents.iter().enumerate() {
                let place = at(place, [key.into(), nth.into()]);
                let answered = match key {
                    "failed" => Answered::Failed(document.cause.as_deref().map(Arc::from)),
                    "second_step" => Answered::SecondStep,
                    _ => Answered::Ok,
                };
                if document.cause.is_some() && key != "failed" {
                    self.error(
                        at(&place, ["cause".into()]),
                        "",
                        "stands in an answer that is no failure; leave it out",
                    );
                }
                self.answer(&place, document, answered, &mut answers);
            }
        }
        Arc::new(answers)
    }

    pub(super) fn expired(&mut self, documents: &[AnswerDocument]) -> Arc<Answers> {
        let mut answers = Answers { known: Vec::new(), pointers: Vec::new(), charset: self.charset };
        for (nth, document) in documents.iter().enumerate() {
            let place = [PathStep::from("expired"), nth.into()];
            for (key, written) in [
                ("text", document.text.is_some()),
                ("json", document.json.is_some()),
                ("cause", document.cause.is_some()),
            ] {
                if written {
                    self.error(
                        at(&place, [key.into()]),
                        "",
                        "has no meaning here, where only the head of an answer is judged; leave it out",
                    );
                }
            }
            self.answer(&place, document, Answered::Unknown, &mut answers);
        }
        Arc::new(answers)
    }

    fn answer(&mut self, place: &[PathStep], document: &AnswerDocument, answered: Answered, answers: &mut Answers) {
        let blank = AnswerDocument { cause: document.cause.clone(), ..AnswerDocument::default() };
        if *document == blank {
            let problem = "holds of every answer; write status, location, not_location, cookie, json or text";
            self.error(place.to_vec(), "", problem);
        }
        for (nth, status) in document.status.iter().enumerate() {
            if !(100..=599).contains(status) {
                let place = at(place, ["status".into(), nth.into()]);
                self.error(place, &status.to_string(), "is not a status of HTTP; they are 100 to 599");
            }
        }
        let mut glob = |key: &str, pattern: &Option<String>| {
            pattern.as_deref().and_then(|pattern| self.glob(at(place, [key.into()]), pattern))
        };
        let location = glob("location", &document.location);
        let not_location = glob("not_location", &document.not_location);
        if let Some(cookie) = &document.cookie {
            self.cookie(at(place, ["cookie".into()]), cookie);
        }
        if document.text.as_deref().is_some_and(|text| text.trim().is_empty() || text.len() > 1024) {
            self.error(at(place, ["text".into()]), "", "must be 1 to 1024 bytes of text");
        }
        if let Some(cause) = document.cause.as_deref().filter(|cause| !is_word(cause)) {
            self.error(at(place, ["cause".into()]), cause, NOT_A_WORD);
        }
        let json = document.json.as_ref().and_then(|json| {
            let is = match (&json.equals, json.present) {
                (Some(value), None) => JsonIs::Equal(value.as_str().into()),
                (Some(_), Some(_)) => {
                    self.error(
                        at(place, ["json".into(), "present".into()]),
                        "",
                        "stands beside `equals`; leave it out",
                    );
                    return None;
                }
                (None, Some(false)) => JsonIs::Absent,
                (None, _) => JsonIs::Present,
            };
            match Pointer::parse(&json.pointer) {
                Err(problem) => {
                    self.error(at(place, ["json".into(), "pointer".into()]), &json.pointer, problem);
                    None
                }
                Ok(pointer) => {
                    answers.pointers.push(pointer);
                    Some(JsonTest { pointer: answers.pointers.len() - 1, is })
                }
            }
        });
        answers.known.push(Known {
            status: document.status.clone(),
            location,
            not_location,
            cookie: document.cookie.clone(),
            json,
            text: document.text.as_deref().map(Into::into),
            answered,
        });
    }
}
