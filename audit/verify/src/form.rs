//! Whether a leaf is written as the format says, beyond its head: one JSON object of which all programs read the same.
//!
//! Its hash vouches for its bytes, not for what a program makes of them. Of two fields of one name some programs show the first
//! and some the last, and what is no JSON is shown by each in its own way; so whoever shows a leaf has to know that it has none
//! of that. One pass over the bytes, and memory only for where names stand and how objects looked so far.

use crate::shapes::{Place, Shapes};

/// Objects and arrays lie in each other no deeper.
const DEPTH_LIMIT: u32 = 64;

const NO_JSON: &str = "it is not one JSON object without white space";
const CONTROL: &str = "it has a control character";
const TEXT: &str = "a string in it is not escaped as it has to be";
const DEEP: &str = "its objects and arrays lie in each other deeper than 64";
const NUMBER: &str = "a number in it is not an integer within −2⁶³ … 2⁶³−1, written plainly";
const TWICE: &str = "one of its objects has two fields of the same name";

/// What leaves are checked with: what was seen in one makes the next one quicker, and memory is not taken anew for each.
#[derive(Debug, Default, Clone)]
pub struct Checker {
    /// Of the objects that are open, the names of the innermost one last; at the end those of the leaf itself.
    names: Vec<Name>,
    shapes: Shapes,
}

#[derive(Debug, Clone, Copy)]
struct Name {
    /// At the opening quote.
    begin: u32,
    /// Behind the closing one; a colon follows.
    end: u32,
}

impl Checker {
    /// Checks a leaf without its newline, which has to be UTF-8. The error says what is not in form.
    pub(crate) fn check(&mut self, line: &[u8]) -> Result<(), &'static str> {
        // Wherever they stand. All bytes are looked at: that is quicker than to end at the first.
        if line.iter().fold(false, |any, byte| any | (*byte < 0x20)) {
            return Err(CONTROL);
        }
        self.names.clear();
        let mut form = Form { line, at: 0, checker: self };
        if form.next() != Some(b'{') {
            return Err(NO_JSON);
        }
        form.object(1)?;
        if form.at == line.len() { Ok(()) } else { Err(NO_JSON) }
    }

    /// Whether the name of a field of the leaf that was checked last begins there, and not of an object within it.
    pub(crate) fn is_field(&self, at: usize) -> bool {
        self.names.iter().any(|name| name.begin as usize == at)
    }
}

struct Form<'a> {
    line: &'a [u8],
    at: usize,
    checker: &'a mut Checker,
}

impl Form<'_> {
    fn peek(&self) -> Option<u8> {
        self.line.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek();
        self.at += usize::from(byte.is_some());
        byte
    }

    fn value(&mut self, depth: u32) -> Result<(), &'static str> {
        match self.next() {
            Some(b'"') => self.string(),
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.array(depth + 1),
            Some(b't') => self.word(b"rue"),
            Some(b'f') => self.word(b"alse"),
            Some(b'n') => self.word(b"ull"),
            Some(b'-') => self.number(i64::MIN.unsigned_abs()),
            Some(b'0'..=b'9') => {
                self.at -= 1;
                self.number(i64::MAX as u64)
            }
            _ => Err(NO_JSON),
        }
    }

    /// The rest of an object, behind its brace.
    fn object(&mut self, depth: u32) -> Result<(), &'static str> {
        if depth > DEPTH_LIMIT {
            return Err(DEEP);
        }
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        let first_name = self.checker.names.len();
        let mut known = Some(Shapes::START);
        loop {
            known = self.name(known)?;
            self.value(depth)?;
            match self.next() {
                Some(b',') => {}
                Some(b'}') => break,
                _ => return Err(NO_JSON),
            }
        }
        if known.is_none() {
            self.new_shape(first_name)?;
        }
        if depth > 1 {
            self.checker.names.truncate(first_name);
        }
        Ok(())
    }

    /// A field's name, and the colon behind it. To where it leads if everything up to here was seen before.
    fn name(&mut self, known: Option<Place>) -> Result<Option<Place>, &'static str> {
        let begin = self.at;
        let text = self.line.get(begin..).unwrap_or_default();
        let on = match known.and_then(|from| self.checker.shapes.follow(from, text)) {
            Some((on, length)) => {
                self.at += length;
                Some(on)
            }
            None => {
                if self.next() != Some(b'"') {
                    return Err(NO_JSON);
                }
                self.string()?;
                if self.next() != Some(b':') {
                    return Err(NO_JSON);
                }
                None
            }
        };
        let place = |at: usize| u32::try_from(at).map_err(|_| NO_JSON);
        self.checker.names.push(Name { begin: place(begin)?, end: place(self.at - 1)? });
        Ok(on)
    }

    /// Looks whether any of an object's names stands twice in it, and remembers them if not.
    fn new_shape(&mut self, first_name: usize) -> Result<(), &'static str> {
        let Checker { names, shapes } = &mut *self.checker;
        let names = names.get(first_name..).unwrap_or_default();
        // As strings are escaped in one way only, names are the same if their bytes are.
        let text = |name: &Name, colon: usize| {
            self.line.get(name.begin as usize..name.end as usize + colon).unwrap_or_default()
        };
        let mut sorted: Vec<&[u8]> = names.iter().map(|name| text(name, 0)).collect();
        sorted.sort_unstable();
        if sorted.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) {
            return Err(TWICE);
        }
        shapes.remember(names.iter().map(|name| text(name, 1)));
        Ok(())
    }

    /// The rest of an array, behind its bracket.
    fn array(&mut self, depth: u32) -> Result<(), &'static str> {
        if depth > DEPTH_LIMIT {
            return Err(DEEP);
        }
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth)?;
            match self.next() {
                Some(b',') => {}
                Some(b']') => return Ok(()),
                _ => return Err(NO_JSON),
            }
        }
    }

    /// The rest of a string, its closing quote included.
    fn string(&mut self) -> Result<(), &'static str> {
        loop {
            self.skip_plain();
            match self.next() {
                Some(b'"') => return Ok(()),
                Some(b'\\') => self.escape()?,
                _ => return Err(TEXT),
            }
        }
    }

    /// Goes on to a quote or a backslash. Most strings are short; the others are most of a leaf.
    fn skip_plain(&mut self) {
        let rest = self.line.get(self.at..).unwrap_or_default();
        let special = match rest.first_chunk().map(|eight| first_special(u64::from_le_bytes(*eight))) {
            Some(special @ 0..8) => Some(special),
            _ => memchr::memchr2(b'"', b'\\', rest),
        };
        self.at += special.unwrap_or(rest.len());
    }

    /// What follows a backslash: nothing is escaped that need not be, and everything in the shortest way.
    fn escape(&mut self) -> Result<(), &'static str> {
        if matches!(self.next(), Some(b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't')) {
            return Ok(());
        }
        // `\u00xx`; those of which there is a shorter form are not written so.
        let digits = self.line.get(self.at - 1..self.at + 4);
        self.at += 4;
        match digits {
            Some([b'u', b'0', b'0', b'0', b'0'..=b'7' | b'b' | b'e' | b'f'])
            | Some([b'u', b'0', b'0', b'1', b'0'..=b'9' | b'a'..=b'f']) => Ok(()),
            _ => Err(TEXT),
        }
    }

    fn word(&mut self, rest: &[u8]) -> Result<(), &'static str> {
        let is = self.line.get(self.at..).is_some_and(|line| line.starts_with(rest));
        self.at += rest.len();
        if is { Ok(()) } else { Err(NO_JSON) }
    }

    /// A number behind its sign. RFC 8259 allows fractions and exponents, which programs show in different ways.
    fn number(&mut self, limit: u64) -> Result<(), &'static str> {
        let rest = self.line.get(self.at..).unwrap_or_default();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let text = rest.get(..digits).unwrap_or_default();
        self.at += digits;
        let behind = self.peek();
        let is_plain = match text {
            [] => false,
            [b'0'] => limit == i64::MAX as u64,
            [b'0', ..] => false,
            _ => true,
        };
        // 18 digits always fit, and 19 into 64 bits.
        let fits = digits < 19
            || digits == 19 && text.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')) <= limit;
        if is_plain && fits && !matches!(behind, Some(b'.' | b'e' | b'E')) { Ok(()) } else { Err(NUMBER) }
    }
}

/// How many of eight bytes, the lowest one first, come before a quote or a backslash.
fn first_special(eight: u64) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // Sets the highest bit of each byte that is the one. What is carried may set more, but only behind the first one.
    let is = |byte: u8| {
        let zero = eight ^ (EACH * u64::from(byte));
        zero.wrapping_sub(EACH) & !zero & (EACH << 7)
    };
    let special = is(b'"') | is(b'\\');
    (special.trailing_zeros() / 8) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_special_byte_of_eight() {
        for byte in 0..=u8::MAX {
            for place in 0..8 {
                for around in [b'a', 0x20, 0x21, 0x23, 0x5b, 0x5d, 0x7f, 0x80, 0xff] {
                    let mut eight = [around; 8];
                    eight[place] = byte;
                    let is = |byte: &u8| matches!(byte, b'"' | b'\\');
                    let expected = eight.iter().position(is).unwrap_or(8);
                    assert_eq!(first_special(u64::from_le_bytes(eight)), expected, "{eight:?}");
                }
            }
        }
    }
}
