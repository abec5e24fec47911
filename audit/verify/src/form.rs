//! Whether a leaf is written as the format says, beyond its head: one JSON object of which all programs read the same.
//!
//! Its hash vouches for its bytes, not for what a program makes of them. Of two fields of one name some programs show the first
//! and some the last, and what is no JSON is shown by each in its own way; so whoever shows a leaf has to know that it has none
//! of that. One pass over the bytes, and memory only for where names stand.

/// Objects and arrays lie in each other no deeper.
const DEPTH_LIMIT: u32 = 64;
/// Names of an object up to which each is compared with each; more are sorted.
const FEW_NAMES: usize = 64;

const NO_JSON: &str = "it is not one JSON object without white space";
const TEXT: &str = "a string in it is not escaped as it has to be";
const DEEP: &str = "its objects and arrays lie in each other deeper than 64";
const TWICE: &str = "one of its objects has two fields of the same name";

/// Where names stand in a leaf. To be used again, so that memory is not taken anew for each leaf.
#[derive(Debug, Default, Clone)]
pub struct Names(Vec<Name>);

#[derive(Debug, Clone, Copy)]
struct Name {
    /// Its last bytes: of names that are the same it is the same, and of others rarely.
    key: u64,
    begin: u32,
    /// Behind the closing quote.
    end: u32,
}

/// Checks a leaf without its newline, which has to be UTF-8. The error says what is not in form.
pub(crate) fn check(line: &[u8], names: &mut Names) -> Result<(), &'static str> {
    names.0.clear();
    let mut form = Form { line, at: 0, names: &mut names.0 };
    if form.next() != Some(b'{') {
        return Err(NO_JSON);
    }
    form.object(1)?;
    if form.at == line.len() { Ok(()) } else { Err(NO_JSON) }
}

struct Form<'a> {
    line: &'a [u8],
    at: usize,
    /// Of the objects that are open, the names of the innermost one last.
    names: &'a mut Vec<Name>,
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
            Some(b'-') => match self.next() {
                Some(digit @ b'0'..=b'9') => self.number(digit),
                _ => Err(NO_JSON),
            },
            Some(digit @ b'0'..=b'9') => self.number(digit),
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
        let first_name = self.names.len();
        loop {
            self.name()?;
            self.value(depth)?;
            match self.next() {
                Some(b',') => {}
                Some(b'}') => break,
                _ => return Err(NO_JSON),
            }
        }
        let twice = is_any_twice(self.line, self.names.get_mut(first_name..).unwrap_or_default());
        self.names.truncate(first_name);
        if twice { Err(TWICE) } else { Ok(()) }
    }

    /// A field's name, and the colon behind it.
    fn name(&mut self) -> Result<(), &'static str> {
        if self.next() != Some(b'"') {
            return Err(NO_JSON);
        }
        let begin = self.at;
        self.string()?;
        // As strings are escaped in one way only, names are the same if their bytes are.
        let place = |at: usize| u32::try_from(at).map_err(|_| NO_JSON);
        let key = key(self.line, begin, self.at);
        self.names.push(Name { key, begin: place(begin)?, end: place(self.at)? });
        if self.next() == Some(b':') { Ok(()) } else { Err(NO_JSON) }
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
                Some(0..0x20) | None => return Err(TEXT),
                Some(_) => {}
            }
        }
    }

    /// Goes on to a byte of a string that means something, or less far. Eight bytes at once: most of a leaf is this.
    fn skip_plain(&mut self) {
        let (eights, _) = self.line.get(self.at..).unwrap_or_default().as_chunks::<8>();
        for eight in eights {
            let special = first_special(u64::from_le_bytes(*eight));
            self.at += special;
            if special < 8 {
                return;
            }
        }
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

    /// The rest of a number, behind its first digit.
    fn number(&mut self, first: u8) -> Result<(), &'static str> {
        if first != b'0' {
            self.skip_digits();
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), &'static str> {
        let begin = self.at;
        self.skip_digits();
        if self.at > begin { Ok(()) } else { Err(NO_JSON) }
    }

    fn skip_digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }
}

/// How many of eight bytes, the lowest one first, come before a quote, a backslash or a control character.
fn first_special(eight: u64) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // Sets the highest bit of each byte that is below a limit. What is carried may set more, but only behind the first one.
    let below = |bytes: u64, limit: u64| bytes.wrapping_sub(EACH * limit) & !bytes & (EACH << 7);
    let is = |byte: u8| below(eight ^ (EACH * u64::from(byte)), 1);
    let special = is(b'"') | is(b'\\') | below(eight, 0x20);
    (special.trailing_zeros() / 8) as usize
}

/// The last eight bytes of a name, its closing quote included, or as many as it has.
fn key(line: &[u8], begin: usize, end: usize) -> u64 {
    let eight = |from: usize| {
        line.get(from..).and_then(|line| line.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes))
    };
    let last = match end {
        0..8 => eight(0) << (8 * (8 - end)),
        _ => eight(end - 8),
    };
    match end - begin {
        length @ 1..8 => last & u64::MAX << (8 * (8 - length)),
        _ => last,
    }
}

fn is_any_twice(line: &[u8], names: &mut [Name]) -> bool {
    let text = |name: &Name| line.get(name.begin as usize..name.end as usize).unwrap_or_default();
    let same = |one: &Name, other: &Name| one.key == other.key && text(one) == text(other);
    if names.len() > FEW_NAMES {
        names.sort_unstable_by(|one, other| (one.key, text(one)).cmp(&(other.key, text(other))));
        return names.windows(2).any(|pair| matches!(pair, [one, other] if same(one, other)));
    }
    names.iter().enumerate().any(|(at, one)| names.iter().take(at).any(|other| same(one, other)))
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
                    let is = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
                    let expected = eight.iter().position(is).unwrap_or(8);
                    assert_eq!(first_special(u64::from_le_bytes(eight)), expected, "{eight:?}");
                }
            }
        }
    }
}
