//! JSON (RFC 8259), looked through for the values that pointers lead to. Nothing else of it is built.

use smallvec::SmallVec;

use super::{Cell, DEEPEST};
use crate::recipe::LONGEST_VALUE;
use crate::recipe::charset::Unreadable;
use crate::recipe::fields::Pointer;

/// What each pointer leads to; those that are not wanted are left `Absent`. Null is as if it weren't there.
///
/// # Errors
/// It is no JSON, or nested too deep.
pub(in crate::recipe) fn values(
    bytes: &[u8],
    pointers: &[Pointer],
    wanted: impl Fn(usize) -> bool,
) -> Result<Vec<Cell>, Unreadable> {
    let text = std::str::from_utf8(bytes).map_err(|_| Unreadable)?;
    // RFC 8259, 8.1: a byte order mark may be ignored.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut scan = Scan {
        bytes: text.as_bytes(),
        at: 0,
        pointers,
        cells: vec![Cell::Absent; pointers.len()],
        seen: vec![false; pointers.len()],
    };
    let live: Live = (0..pointers.len()).filter(|at| wanted(*at)).collect();
    scan.value(&live, 0)?;
    scan.blank();
    if scan.at == scan.bytes.len() { Ok(scan.cells) } else { Err(Unreadable) }
}

/// Pointers whose first tokens led to where the scan is.
type Live = SmallVec<[usize; 8]>;

struct Scan<'b> {
    bytes: &'b [u8],
    at: usize,
    pointers: &'b [Pointer],
    cells: Vec<Cell>,
    /// Also of those that are null.
    seen: Vec<bool>,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Result<(), Unreadable> {
        if self.peek() != Some(byte) {
            return Err(Unreadable);
        }
        self.at += 1;
        Ok(())
    }

    /// `live`: of `depth` tokens each, and all of them led here.
    fn value(&mut self, live: &Live, depth: usize) -> Result<(), Unreadable> {
        self.blank();
        let ends = live.iter().copied().filter(|at| self.pointers[*at].tokens.len() == depth);
        let ends: Live = ends.collect();
        match self.peek().ok_or(Unreadable)? {
            b'{' => {
                self.found(&ends, &Cell::Found(None));
                self.object(live, depth)
            }
            b'[' => {
                self.found(&ends, &Cell::Found(None));
                self.array(live, depth)
            }
            b'"' => {
                if ends.is_empty() {
                    return self.string(None);
                }
                let mut built = Built::default();
                self.string(Some(&mut built))?;
                self.found(&ends, &built.cell());
                Ok(())
            }
            _ => {
                let start = self.at;
                while self.peek().is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')) {
                    self.at += 1;
                }
                let bytes = self.bytes;
                let word = &bytes[start..self.at];
                if word == b"null" {
                    self.found(&ends, &Cell::Absent);
                } else if matches!(word, b"true" | b"false") || is_number(word) {
                    let text = std::str::from_utf8(word).ok().filter(|text| text.len() <= LONGEST_VALUE);
                    self.found(&ends, &Cell::Found(text.map(Into::into)));
                } else {
                    return Err(Unreadable);
                }
                Ok(())
            }
        }
    }

    fn found(&mut self, ends: &Live, cell: &Cell) {
        for at in ends {
            self.cells[*at] = if self.seen[*at] { Cell::Unclear } else { cell.clone() };
            self.seen[*at] = true;
        }
    }

    fn object(&mut self, live: &Live, depth: usize) -> Result<(), Unreadable> {
        if depth >= DEEPEST {
            return Err(Unreadable);
        }
        self.take(b'{')?;
        self.blank();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        let mut met = Live::new();
        loop {
            self.blank();
            let mut next = Live::new();
            if live.is_empty() {
                self.string(None)?;
            } else {
                let mut built = Built::default();
                self.string(Some(&mut built))?;
                for at in live {
                    let Some(token) = self.pointers[*at].tokens.get(depth) else { continue };
                    let (exactly, before) = (built.is(token), met.contains(at));
                    if exactly && !before {
                        next.push(*at);
                        met.push(*at);
                    } else if exactly || built.is_nearly(token) {
                        // Some servers take the first of two, some the last; some tell names apart by case, others don't.
                        self.cells[*at] = Cell::Unclear;
                        self.seen[*at] = true;
                    }
                }
            }
            self.blank();
            self.take(b':')?;
            self.value(&next, depth + 1)?;
            self.blank();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(Unreadable),
            }
        }
        self.at += 1;
        Ok(())
    }

    fn array(&mut self, live: &Live, depth: usize) -> Result<(), Unreadable> {
        if depth >= DEEPEST {
            return Err(Unreadable);
        }
        self.take(b'[')?;
        self.blank();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        for index in 0_usize.. {
            let mut next = Live::new();
            if !live.is_empty() {
                let index = index.to_string();
                let leads = |at: &usize| self.pointers[*at].tokens.get(depth).is_some_and(|token| **token == *index);
                next.extend(live.iter().copied().filter(leads));
            }
            self.value(&next, depth + 1)?;
            self.blank();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(Unreadable),
            }
        }
        self.at += 1;
        Ok(())
    }

    /// Passes over a string, building it only if it is asked for.
    fn string(&mut self, mut built: Option<&mut Built>) -> Result<(), Unreadable> {
        self.take(b'"')?;
        loop {
            let start = self.at;
            let stop = |b: &u8| matches!(b, b'"' | b'\\') || *b < 0x20;
            let length = self.bytes[start..].iter().position(stop).ok_or(Unreadable)?;
            self.at += length;
            let bytes = self.bytes;
            if let Some(built) = built.as_deref_mut() {
                built.push(&bytes[start..self.at]);
            }
            let first = self.peek().ok_or(Unreadable)?;
            self.at += 1;
            if first == b'"' {
                return Ok(());
            }
            if first != b'\\' {
                return Err(Unreadable);
            }
            let escaped = self.peek().ok_or(Unreadable)?;
            self.at += 1;
            let plain = match escaped {
                b'"' | b'\\' | b'/' => escaped,
                b'b' => 8,
                b'f' => 12,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'u' => {
                    let c = self.unit()?;
                    if let Some(built) = built.as_deref_mut() {
                        match c {
                            Some(c) => built.push(c.encode_utf8(&mut [0; 4]).as_bytes()),
                            None => built.torn = true,
                        }
                    }
                    continue;
                }
                _ => return Err(Unreadable),
            };
            if let Some(built) = built.as_deref_mut() {
                built.push(&[plain]);
            }
        }
    }

    /// After `\u`. None: half of a surrogate pair, which is no character.
    fn unit(&mut self) -> Result<Option<char>, Unreadable> {
        let high = self.four_digits()?;
        if !(0xd800..0xdc00).contains(&high) {
            return Ok(char::from_u32(high));
        }
        if self.bytes.get(self.at..self.at + 2) != Some(b"\\u") {
            return Ok(None);
        }
        self.at += 2;
        let low = self.four_digits()?;
        if !(0xdc00..0xe000).contains(&low) {
            return Ok(None);
        }
        Ok(char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)))
    }

    fn four_digits(&mut self) -> Result<u32, Unreadable> {
        let digits = self.bytes.get(self.at..self.at + 4).ok_or(Unreadable)?;
        self.at += 4;
        digits.iter().try_fold(0, |value, digit| {
            char::from(*digit).to_digit(16).map(|digit| value * 16 + digit).ok_or(Unreadable)
        })
    }
}

/// A string under way; what goes beyond the longest value is dropped.
#[derive(Default)]
struct Built {
    bytes: SmallVec<[u8; 64]>,
    too_long: bool,
    /// It holds what is no character.
    torn: bool,
}

impl Built {
    fn push(&mut self, bytes: &[u8]) {
        if self.too_long || self.bytes.len() + bytes.len() > LONGEST_VALUE {
            self.too_long = true;
            self.bytes.clear();
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }

    fn is(&self, token: &str) -> bool {
        !self.too_long && !self.torn && *self.bytes == *token.as_bytes()
    }

    fn is_nearly(&self, token: &str) -> bool {
        !self.too_long && self.bytes.eq_ignore_ascii_case(token.as_bytes())
    }

    fn cell(&self) -> Cell {
        match std::str::from_utf8(&self.bytes) {
            _ if self.torn => Cell::Unclear,
            _ if self.too_long => Cell::Found(None),
            Ok(text) => Cell::Found(Some(text.into())),
            Err(_) => Cell::Unclear,
        }
    }
}

fn is_number(word: &[u8]) -> bool {
    let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let word = word.strip_prefix(b"-").unwrap_or(word);
    let (rest, exponent) = match word.iter().position(|b| matches!(b, b'e' | b'E')) {
        Some(at) => (&word[..at], Some(&word[at + 1..])),
        None => (word, None),
    };
    let (whole, fraction) = match rest.iter().position(|b| *b == b'.') {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    digits(whole)
        && (whole.len() == 1 || whole[0] != b'0')
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|e| digits(e.strip_prefix(b"+").or_else(|| e.strip_prefix(b"-")).unwrap_or(e)))
}
