//! The two names of a certificate: its serial number and its fingerprint.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::{CertError, Result};

/// A certificate's serial number: 128 random bits, so nobody can guess one and no two are alike.
///
/// RFC 5280 §4.1.2.2 asks for a positive integer of at most 20 octets; the CA/Browser Forum's Baseline
/// Requirements §7.1 for at least 64 bits of randomness. Written as 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Serial(u128);

impl Serial {
    pub(crate) fn random() -> Result<Self> {
        loop {
            // RFC 5280 wants it positive.
            match u128::from_be_bytes(random()?) {
                0 => {}
                number => return Ok(Self(number)),
            }
        }
    }

    /// Reads the content octets of a DER INTEGER, such as `X509Certificate::raw_serial`, or
    /// [`to_bytes`](Self::to_bytes); leading zeros don't count. `None` if it is none that we could have made:
    /// zero, or over 128 bits.
    pub fn from_bytes(octets: &[u8]) -> Option<Self> {
        let digits = &octets[octets.iter().take_while(|b| **b == 0).count()..];
        if digits.is_empty() || digits.len() > 16 {
            return None;
        }
        Some(Self(digits.iter().fold(0, |sum, digit| sum << 8 | u128::from(*digit))))
    }

    /// The lower half of it: as random as all of it.
    pub(crate) const fn low(self) -> u64 {
        self.0 as u64
    }

    /// The number, big-endian.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Serial {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// SHA-256 over a certificate's DER. Written as people compare it: `3F:A0:…`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    pub fn of(der: &[u8]) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, der);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, byte) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(":")?;
            }
            write!(f, "{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Random bytes from the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    use ring::rand::SecureRandom;
    let mut bytes = [0; N];
    ring::rand::SystemRandom::new().fill(&mut bytes).map_err(|_| CertError::Random)?;
    Ok(bytes)
}

/// `length` characters, each drawn evenly from `alphabet` (at most 256 of them).
pub(crate) fn random_text(alphabet: &[u8], length: usize) -> Result<String> {
    let mut text = String::with_capacity(length);
    // Bytes past the last whole multiple of the alphabet would favour its first letters.
    let even = 256 - 256 % alphabet.len();
    while text.len() < length {
        for byte in random::<32>()?.map(usize::from) {
            if byte < even && text.len() < length {
                text.push(char::from(alphabet[byte % alphabet.len()]));
            }
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_we_could_not_have_made_is_no_serial() {
        assert_eq!(Serial::from_bytes(&[]), None);
        assert_eq!(Serial::from_bytes(&[0]), None);
        assert_eq!(Serial::from_bytes(&[1; 17]), None, "over 128 bits");
        assert_eq!(Serial::from_bytes(&[0, 0xff]).map(|s| s.to_string()), Some(format!("{:032x}", 255)));
    }

    #[test]
    fn random_text_draws_every_letter_evenly() -> Result<()> {
        let text = random_text(b"abc", 9_000)?;
        for letter in ['a', 'b', 'c'] {
            let count = text.chars().filter(|c| *c == letter).count();
            assert!((2_700..3_300).contains(&count), "{letter}: {count}");
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn a_serial_reads_back_from_its_der(number in 1u128..) {
            let der: Vec<u8> = std::iter::once(0).chain(number.to_be_bytes()).collect();
            prop_assert_eq!(Serial::from_bytes(&der), Some(Serial(number)));
            prop_assert_eq!(Serial::from_bytes(&Serial(number).to_bytes()), Some(Serial(number)));
        }
    }
}
