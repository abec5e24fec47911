//! The short code on a page, by which an administrator finds the record of what somebody was shown.
//!
//! It is the record's position, boot and sequence number, each in Crockford's base 32
//! (<https://www.crockford.com/base32.html>), with a hyphen between: `3-07K2`. No letter of it is mistaken for a
//! digit when it is read out over the telephone.

const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// How many characters the sequence number has at least, so that codes look alike.
const SEQ_DIGITS: usize = 4;

/// The text is not a code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a code; a code looks like 3-07K2")]
pub struct CodeError(pub String);

/// The code of the record at this position.
pub fn encode(boot: u32, seq: u64) -> String {
    format!("{}-{}", base32(boot.into(), 1), base32(seq, SEQ_DIGITS))
}

/// The position (boot, seq) that a code stands for. Reads what people write: small letters, full-width characters,
/// spaces, any of the hyphens and long marks a Japanese keyboard offers, `O` for 0 and `I` or `L` for 1.
///
/// # Errors
/// The text is not a code.
pub fn decode(text: &str) -> Result<(u32, u64), CodeError> {
    let plain: String = text.chars().filter(|c| !c.is_whitespace()).map(plain).collect();
    let read = || {
        let (boot, seq) = plain.split_once('-')?;
        Some((u32::try_from(number(boot)?).ok()?, number(seq)?))
    };
    read().ok_or_else(|| CodeError(text.chars().take(40).collect()))
}

fn base32(mut number: u64, digits: usize) -> String {
    let mut reversed = Vec::new();
    while number > 0 || reversed.len() < digits {
        // Five bits are always within the 32 digits.
        reversed.push(DIGITS.get((number & 31) as usize).copied().map_or('0', char::from));
        number >>= 5;
    }
    reversed.iter().rev().collect()
}

fn number(text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.bytes().try_fold(0u64, |number, byte| {
        let digit = DIGITS.iter().position(|d| *d == byte)?;
        number.checked_mul(32)?.checked_add(u64::try_from(digit).ok()?)
    })
}

fn plain(typed: char) -> char {
    let half = match typed {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(typed) - 0xfee0).unwrap_or(typed),
        other => other,
    };
    match half.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        '‐' | '‑' | '‒' | '–' | '—' | '―' | '−' | 'ー' | 'ｰ' => '-',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn codes_look_as_documented() {
        assert_eq!(encode(3, 7 * 1024 + 19 * 32 + 2), "3-07K2");
        assert_eq!(encode(0, 0), "0-0000");
        assert_eq!(encode(u32::MAX, u64::MAX), "3ZZZZZZ-FZZZZZZZZZZZZ");
    }

    #[test]
    fn what_people_write_is_read() {
        for text in ["3-07K2", "3-07k2", " 3 - O7K2 ", "３－０７Ｋ２", "3ー07K2", "3−o7k2", "3-7K2"] {
            assert_eq!(decode(text), Ok((3, 7 * 1024 + 19 * 32 + 2)), "{text}");
        }
        assert_eq!(decode("I-L"), Ok((1, 1)));
    }

    #[test]
    fn what_is_no_code_is_refused() {
        for text in ["", "-", "3", "3-", "-07K2", "3-07U2", "3-0-7", "4000000-0000", "0-G000000000000", "あ-い"] {
            assert!(decode(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_position_reads_back(boot: u32, seq: u64) {
            prop_assert_eq!(decode(&encode(boot, seq)), Ok((boot, seq)));
            prop_assert_eq!(decode(&encode(boot, seq).to_lowercase()), Ok((boot, seq)));
        }

        #[test]
        fn nothing_typed_makes_it_panic(text in "\\PC*") {
            let _ = decode(&text);
        }
    }
}
