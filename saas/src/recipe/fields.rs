//! The values that a recipe's rules ask for, each numbered once.

use std::collections::HashMap;

/// Where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selector {
    /// A segment of the path, from 1.
    Segment(usize),
    /// A parameter of the query, by its slot.
    Query(usize),
    /// A field of a form, by its slot.
    Form(usize),
    /// A parameter of the query or a field of a form, by its slot.
    Parameter(usize),
    /// A value of a JSON body, by its pointer's place.
    Json(usize),
}

impl Selector {
    /// It may stand in the body.
    pub(super) const fn is_of_body(self) -> bool {
        matches!(self, Self::Form(_) | Self::Parameter(_) | Self::Json(_))
    }
}

/// Every parameter and every JSON pointer that is asked for.
#[derive(Default)]
pub(super) struct Fields {
    /// By the name as the laxest server reads it: exact name and slot.
    names: HashMap<Box<[u8]>, Vec<Named>>,
    slots: usize,
    pub(super) pointers: Vec<Pointer>,
}

/// A field's exact name and its slot.
type Named = (Box<str>, usize);

/// What a name in a request is, to one of the fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meets {
    Exactly(usize),
    /// Some server takes it for the field, another doesn't.
    Nearly(usize),
}

impl Fields {
    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    /// The slot of a parameter, the same in query and form: servers read them as one.
    pub(super) fn slot(&mut self, name: &str) -> usize {
        let known = self.names.entry(lax(name.as_bytes()).into_boxed_slice()).or_default();
        if let Some((_, slot)) = known.iter().find(|(exact, _)| **exact == *name) {
            return *slot;
        }
        known.push((name.into(), self.slots));
        self.slots += 1;
        self.slots - 1
    }

    /// # Errors
    /// What is wrong with the pointer, as a clause.
    pub(super) fn pointer(&mut self, text: &str) -> Result<usize, &'static str> {
        let pointer = Pointer::parse(text)?;
        if let Some(at) = self.pointers.iter().position(|known| *known == pointer) {
            return Ok(at);
        }
        self.pointers.push(pointer);
        Ok(self.pointers.len() - 1)
    }

    /// The fields that a parameter's `name` is, or may be taken for.
    pub(super) fn meet(&self, name: &str, mut found: impl FnMut(Meets)) {
        let lax = lax(name.as_bytes());
        if let Some(known) = self.names.get(&lax[..]) {
            for (exact, slot) in known {
                found(if **exact == *name { Meets::Exactly(*slot) } else { Meets::Nearly(*slot) });
            }
        }
        // PHP reads `a[]` as `a`.
        if let Some(bracket) = lax.iter().skip(1).position(|b| *b == b'[').map(|at| at + 1)
            && let Some(known) = self.names.get(&lax[..bracket])
        {
            known.iter().for_each(|(_, slot)| found(Meets::Nearly(*slot)));
        }
    }
}

/// As the laxest server reads a name: ended by NUL, without blanks around it, in small letters, and with `_` for blank and
/// dot (PHP, ASP.NET).
fn lax(name: &[u8]) -> smallvec::SmallVec<[u8; 64]> {
    let name = name.split(|b| *b == 0).next().unwrap_or_default().trim_ascii();
    let one = |b: &u8| if matches!(b, b' ' | b'.') { b'_' } else { b.to_ascii_lowercase() };
    name.iter().map(one).collect()
}

/// A JSON pointer (RFC 6901), in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pointer {
    pub(super) tokens: Vec<Box<str>>,
}

impl Pointer {
    /// # Errors
    /// What is wrong with it, as a clause.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err("is no JSON pointer; write `/` before each name: /login/name");
        };
        let mut tokens = Vec::new();
        for token in rest.split('/') {
            let mut chars = token.chars();
            while let Some(c) = chars.next() {
                if c == '~' && !matches!(chars.next(), Some('0' | '1')) {
                    return Err("is no JSON pointer: `~` is written ~0, and `/` within a name ~1");
                }
            }
            tokens.push(token.replace("~1", "/").replace("~0", "~").into());
        }
        if tokens.len() > super::scan::DEEPEST {
            return Err("leads deeper than 32 levels, where nothing is looked at");
        }
        Ok(Self { tokens })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_read_as_rfc_6901_has_it() {
        let tokens = |text: &str| Pointer::parse(text).map(|p| p.tokens.join("|"));
        assert_eq!(tokens("/a/b c/~01/x~1y").as_deref(), Ok("a|b c|~1|x/y"));
        assert_eq!(tokens("/").as_deref(), Ok(""));
        for wrong in ["", "a", "a/b", "/~", "/a~2", &"/a".repeat(33)] {
            assert!(tokens(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_meets_the_fields_that_some_server_takes_it_for() {
        let mut fields = Fields::default();
        let (user, login) = (fields.slot("user_id"), fields.slot("login[name]"));
        assert_eq!((fields.slot("user_id"), fields.slots()), (user, 2));
        let met = |name| {
            let mut all = Vec::new();
            fields.meet(name, |meets| all.push(meets));
            all
        };
        assert_eq!(met("user_id"), [Meets::Exactly(user)]);
        assert_eq!(met("login[name]"), [Meets::Exactly(login)]);
        for nearly in ["USER_ID", "user.id", "user id", " user_id", "user_id\0x", "user_id[]"] {
            assert_eq!(met(nearly), [Meets::Nearly(user)], "{nearly}");
        }
        for other in ["user", "userid", "login", "login[id]", ""] {
            assert_eq!(met(other), [], "{other}");
        }
    }
}
