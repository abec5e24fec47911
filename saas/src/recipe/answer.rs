//! What the SaaS answers to a login, read as it passes.
//!
//! Failures are asked for first, then further steps, then success: a login must not count as one for a success that its
//! failures share. What the answer says is the first that holds of all of it, so that it never depends on how the body
//! comes in pieces; it is told as soon as nothing before it can hold any more.

use std::fmt;
use std::sync::Arc;

use encoding_rs::{Decoder, Encoding};
use http::{HeaderMap, StatusCode, header};
use memchr::memmem;
use smallvec::SmallVec;

use super::fields::Pointer;
use super::scan::{self, Cell};
use super::{MOST_OF_BODY, charset};
use crate::canonical;
use crate::field;
use crate::glob::Glob;
use crate::named_cookie::cookies_set;
use crate::request::ShapeSet;

/// What the SaaS answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    Ok,
    /// With the cause, if the recipe knows one.
    Failed(Option<Arc<str>>),
    /// It asks for something more.
    SecondStep,
    /// None of the answers that the recipe knows, or it can't be read.
    Unknown,
}

/// A login that was asked for, or a further step of one.
pub struct Attempt {
    answers: Arc<Answers>,
    /// What a relative Location counts from.
    path: Box<str>,
    id: Option<Box<str>>,
    account: Option<Box<str>>,
    further: bool,
    unclear: bool,
}

impl Attempt {
    pub(super) fn first(answers: Arc<Answers>, path: &str, id: Option<Box<str>>, account: Option<Box<str>>) -> Self {
        Self { answers, path: path.into(), id, account, further: false, unclear: false }
    }

    pub(super) fn further(answers: Arc<Answers>, path: &str, unclear: bool) -> Self {
        Self { answers, path: path.into(), id: None, account: None, further: true, unclear }
    }

    pub(super) fn unclear(self) -> Self {
        Self { unclear: true, ..self }
    }

    /// What was typed as login ID, on one line. None: it is not there, too long, or can't be read in one way.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The account of the SaaS that is meant, if it reads as one.
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// It may be something else: what tells that it is a login can't be read in one way.
    pub fn is_unclear(&self) -> bool {
        self.unclear
    }

    /// It goes on with a login under way.
    pub fn is_further_step(&self) -> bool {
        self.further
    }
}

/// Without what was typed.
impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").field("further", &self.further).finish_non_exhaustive()
    }
}

/// The answers that are known to one kind of request.
pub(super) struct Answers {
    /// In the order in which they are asked for.
    pub(super) known: Vec<Known>,
    pub(super) pointers: Vec<Pointer>,
    /// Of a body that doesn't say its charset.
    pub(super) charset: &'static Encoding,
}

pub(super) struct Known {
    pub(super) status: Vec<u16>,
    pub(super) location: Option<Glob>,
    pub(super) not_location: Option<Glob>,
    pub(super) cookie: Option<String>,
    pub(super) json: Option<JsonTest>,
    pub(super) text: Option<Box<str>>,
    pub(super) answered: Answered,
}

pub(super) struct JsonTest {
    pub(super) pointer: usize,
    pub(super) is: JsonIs,
}

pub(super) enum JsonIs {
    Equal(Box<str>),
    Present,
    Absent,
}

impl Answers {
    /// Whether one of them holds, as far as heads tell.
    pub(super) fn hold_by_head(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        self.known.iter().any(|known| !known.asks_for_body() && known.head_holds(status, headers, "/"))
    }
}

impl Known {
    fn asks_for_body(&self) -> bool {
        self.json.is_some() || self.text.is_some()
    }

    fn head_holds(&self, status: StatusCode, headers: &HeaderMap, base: &str) -> bool {
        if !self.status.is_empty() && !self.status.contains(&status.as_u16()) {
            return false;
        }
        if self.location.is_some() || self.not_location.is_some() {
            let Some(path) = location(headers, base) else { return false };
            let matches = |glob: &Glob| glob.matches(&path);
            if !self.location.as_ref().is_none_or(matches) || self.not_location.as_ref().is_some_and(matches) {
                return false;
            }
        }
        self.cookie.as_ref().is_none_or(|name| cookies_set(headers, std::slice::from_ref(name)).next().is_some())
    }
}

/// An answer under way. Feed it head, body in pieces, end; any of them may settle it, and what comes after is passed over.
pub struct Answer {
    answers: Arc<Answers>,
    path: Box<str>,
    /// By the places of `answers.known`; empty until the head is there.
    states: SmallVec<[State; 8]>,
    settled: Option<Answered>,
    decoder: Option<Decoder>,
    /// The end of the text so far, as long as a text that is looked for may begin in it.
    tail: String,
    /// Of a JSON body, if one is looked into.
    json: Option<Vec<u8>>,
    /// Bytes of the body so far.
    seen: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Holds,
    Fails,
    /// Its body tells.
    Pending {
        text: bool,
        json: bool,
    },
    /// Its body would tell, and can't be read.
    Unclear,
}

/// Without what was read.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("settled", &self.settled).finish_non_exhaustive()
    }
}

impl Answer {
    pub(super) fn new(attempt: &Attempt) -> Self {
        Self {
            answers: Arc::clone(&attempt.answers),
            path: attempt.path.clone(),
            states: SmallVec::new(),
            settled: None,
            decoder: None,
            tail: String::new(),
            json: None,
            seen: 0,
        }
    }

    /// Whether the body may have to be read. A compressed one is not: ask for another.
    pub fn wants_text(&self) -> bool {
        self.answers.known.iter().any(Known::asks_for_body)
    }

    /// The answer's head, as the SaaS sent it.
    pub fn head(&mut self, status: StatusCode, headers: &HeaderMap) -> Option<Answered> {
        if !self.states.is_empty() || self.settled.is_some() {
            return self.settled.clone();
        }
        let coded = field::list(headers, &header::CONTENT_ENCODING).any(|c| !c.eq_ignore_ascii_case("identity"));
        let content_type = field::get(headers, &header::CONTENT_TYPE).unwrap_or_default();
        let declared = charset::of_content_type(content_type).transpose();
        let state = |known: &Known| match known.head_holds(status, headers, &self.path) {
            false => State::Fails,
            true if !known.asks_for_body() => State::Holds,
            true if coded || (known.text.is_some() && declared.is_err()) => State::Unclear,
            true => State::Pending { text: known.text.is_some(), json: known.json.is_some() },
        };
        self.states = self.answers.known.iter().map(state).collect();
        let pending = |of: fn(&State) -> bool| self.states.iter().any(of);
        if pending(|state| matches!(state, State::Pending { text: true, .. })) {
            let encoding = declared.ok().flatten().unwrap_or(self.answers.charset);
            self.decoder = Some(encoding.new_decoder_with_bom_removal());
        }
        if pending(|state| matches!(state, State::Pending { json: true, .. })) {
            self.json = Some(Vec::new());
        }
        self.settle()
    }

    /// A piece of the body, in its order.
    pub fn body(&mut self, piece: &[u8]) -> Option<Answered> {
        if self.settled.is_some() {
            return self.settled.clone();
        }
        let within = &piece[..piece.len().min(MOST_OF_BODY.saturating_sub(self.seen))];
        if !within.is_empty() {
            self.look_for_text(within);
            if let Some(json) = &mut self.json {
                json.extend_from_slice(within);
            }
        }
        self.seen = self.seen.saturating_add(piece.len());
        if self.seen > MOST_OF_BODY {
            self.finish();
        }
        self.settle()
    }

    /// There is no more.
    pub fn end(&mut self) -> Answered {
        if self.settled.is_none() {
            self.finish();
        }
        self.settle().unwrap_or(Answered::Unknown)
    }

    fn look_for_text(&mut self, piece: &[u8]) {
        let Some(decoder) = &mut self.decoder else { return };
        let longest = self.answers.known.iter().filter_map(|known| known.text.as_ref()).map(|text| text.len()).max();
        let room = decoder.max_utf8_buffer_length(piece.len()).unwrap_or(piece.len() * 3 + 16);
        self.tail.reserve(room);
        // The room is enough for all of it, so one call takes it.
        let _ = decoder.decode_to_string(piece, &mut self.tail, false);
        for (known, state) in self.answers.known.iter().zip(&mut self.states) {
            if let (State::Pending { text: true, json }, Some(wanted)) = (*state, &known.text)
                && memmem::find(self.tail.as_bytes(), wanted.as_bytes()).is_some()
            {
                *state = if json { State::Pending { text: false, json } } else { State::Holds };
            }
        }
        let keep = longest.unwrap_or_default();
        let from = (0..=self.tail.len().saturating_sub(keep)).rev().find(|at| self.tail.is_char_boundary(*at));
        self.tail.drain(..from.unwrap_or_default());
    }

    /// No more of the body is looked at.
    fn finish(&mut self) {
        let whole = self.seen <= MOST_OF_BODY;
        let json = self.json.take().filter(|_| whole);
        let cells = json.and_then(|json| scan::json::values(&json, &self.answers.pointers, |_| true).ok());
        for (known, state) in self.answers.known.iter().zip(&mut self.states) {
            let State::Pending { text, .. } = *state else { continue };
            *state = match (&known.json, &cells) {
                // What comes after the first 64 KiB was not looked at.
                _ if text => {
                    if whole {
                        State::Fails
                    } else {
                        State::Unclear
                    }
                }
                (None, _) => State::Holds,
                (Some(_), None) => State::Unclear,
                (Some(test), Some(cells)) => match (cells.get(test.pointer), &test.is) {
                    (None | Some(Cell::Unclear), _) => State::Unclear,
                    (Some(Cell::Absent), JsonIs::Absent) | (Some(Cell::Found(_)), JsonIs::Present) => State::Holds,
                    (Some(Cell::Found(Some(value))), JsonIs::Equal(wanted)) if value == wanted => State::Holds,
                    (Some(_), _) => State::Fails,
                },
            };
        }
        self.decoder = None;
        self.tail = String::new();
    }

    /// The first that holds, if nothing before it can hold any more.
    fn settle(&mut self) -> Option<Answered> {
        if self.settled.is_some() || (self.states.is_empty() && !self.answers.known.is_empty()) {
            return self.settled.clone();
        }
        let mut answered = Answered::Unknown;
        for (known, state) in self.answers.known.iter().zip(&self.states) {
            match state {
                State::Fails => continue,
                State::Pending { .. } => return None,
                State::Holds => answered = known.answered.clone(),
                State::Unclear => {}
            }
            break;
        }
        (self.decoder, self.json, self.tail) = (None, None, String::new());
        self.settled = Some(answered);
        self.settled.clone()
    }
}

/// The canonical path that Location leads to, on whichever host. `base`: the path that was asked for.
fn location(headers: &HeaderMap, base: &str) -> Option<String> {
    let mut locations = headers.get_all(header::LOCATION).iter();
    let value = locations.next().filter(|_| locations.next().is_none())?;
    let value = value.as_bytes().trim_ascii();
    let end = value.iter().position(|b| matches!(b, b'?' | b'#')).unwrap_or(value.len());
    let value = &value[..end];
    let after_scheme = [&b"https://"[..], b"http://"]
        .iter()
        .find_map(|scheme| value.get(..scheme.len())?.eq_ignore_ascii_case(scheme).then(|| &value[scheme.len()..]));
    let raw = match after_scheme.or_else(|| value.strip_prefix(b"//")) {
        Some(rest) => match rest.iter().position(|b| *b == b'/') {
            Some(slash) => rest[slash..].to_vec(),
            None => b"/".to_vec(),
        },
        None if value.starts_with(b"/") => value.to_vec(),
        // Only a query: the same path.
        None if value.is_empty() => return Some(base.to_owned()),
        // Another scheme leads out of the SaaS.
        None if value.iter().take_while(|b| **b != b'/').any(|b| *b == b':') => return None,
        None => {
            let folder = &base[..=base.rfind('/')?];
            let relative =
                canonical::path(&[b"/", value.strip_prefix(b"./").unwrap_or(value)].concat(), ShapeSet::NONE);
            return Some(format!("{folder}{}", relative.ok()?.trim_start_matches('/')));
        }
    };
    canonical::path(&raw, ShapeSet::NONE).ok()
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
