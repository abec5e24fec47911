//! One-time codes (RFC 6238): 6 digits, 30 s, SHA-1, which is what every authenticator app can do.

use std::fmt;
use std::fmt::Write as _;

use data_encoding::BASE32_NOPAD;
use ring::hmac;
use vocabulary::Timestamp;
use zeroize::Zeroizing;

use crate::{IdentityError, secret};

const STEP_SECS: i64 = 30;
/// Steps before and after the current one whose codes are taken as well: the phone's clock may be off by that,
/// and typing takes time (RFC 6238, 5.2).
const SKEW: i64 = 1;

/// 160 random bits (RFC 4226, 4, R6), shared with somebody's authenticator app. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct TotpSecret(Zeroizing<[u8; 20]>);

impl TotpSecret {
    pub(super) fn random() -> Result<Self, IdentityError> {
        Ok(Self(Zeroizing::new(secret::random()?)))
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0[..]
    }

    /// For typing into an authenticator app: 32 characters of A-Z and 2-7.
    pub fn base32(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE32_NOPAD.encode(&self.0[..]))
    }

    /// The code that an authenticator app shows at `now`: 6 digits.
    pub fn code_at(&self, now: Timestamp) -> String {
        format!("{:06}", self.code(step(now)))
    }

    /// The step whose code this is, if it is one of now, just before or just after.
    pub(super) fn matches(&self, code: &str, now: Timestamp) -> Option<i64> {
        let code = digits(code)?;
        let current = step(now);
        (current - SKEW..=current + SKEW).find(|step| self.code(*step) == code)
    }

    /// RFC 4226, 5.3.
    fn code(&self, step: i64) -> u32 {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0[..]);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let tag = tag.as_ref();
        let offset = usize::from(tag.last().copied().unwrap_or(0) & 0xf);
        let four = tag.get(offset..).and_then(|rest| rest.first_chunk::<4>()).copied().unwrap_or_default();
        (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000
    }
}

fn step(now: Timestamp) -> i64 {
    now.secs().div_euclid(STEP_SECS)
}

/// Six digits as people type them: spaces between, and full-width ones, are fine.
fn digits(code: &str) -> Option<u32> {
    let mut value = 0;
    let mut count = 0;
    for c in code.chars().filter(|c| !c.is_whitespace()) {
        let digit = match c {
            '０'..='９' => u32::from(c) - u32::from('０'),
            c => c.to_digit(10)?,
        };
        count += 1;
        if count > 6 {
            return None;
        }
        value = value * 10 + digit;
    }
    (count == 6).then_some(value)
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret(…)")
    }
}

/// A new second factor, to be shown once.
#[derive(Clone)]
pub struct TotpEnrolment {
    pub secret: TotpSecret,
    /// `otpauth://totp/…`, for a QR code. Holds the secret.
    pub url: Zeroizing<String>,
}

impl TotpEnrolment {
    pub(super) fn new(secret: TotpSecret, issuer: &str, account: &str) -> Self {
        let (issuer, account) = (percent(issuer), percent(account));
        let url = Zeroizing::new(format!(
            "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits=6&period=30",
            *secret.base32()
        ));
        Self { secret, url }
    }
}

impl fmt::Debug for TotpEnrolment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpEnrolment(…)")
    }
}

/// All but RFC 3986's unreserved characters.
fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, b| {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            out.push(char::from(b));
        } else {
            // Writing to a String can't fail.
            let _ = write!(out, "%{b:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc() -> TotpSecret {
        TotpSecret::from_bytes(b"12345678901234567890").unwrap()
    }

    /// RFC 6238, appendix B, the last six of its eight digits.
    #[test]
    fn the_codes_are_those_of_the_rfc() {
        for (secs, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(rfc().code_at(Timestamp::from_secs(secs)), code, "{secs}");
        }
    }

    #[test]
    fn a_code_holds_for_one_step_around_its_own() {
        let at = Timestamp::from_secs(1_111_111_111);
        let code = rfc().code_at(at);
        let step = 1_111_111_111 / 30;
        for (moved, found) in [(-60, None), (-30, Some(step)), (0, Some(step)), (30, Some(step)), (60, None)] {
            assert_eq!(rfc().matches(&code, at.plus_secs(moved)), found, "{moved}");
        }
    }

    #[test]
    fn a_code_is_read_as_people_type_it() {
        assert_eq!(digits("287 082"), Some(287_082));
        assert_eq!(digits("０８１８０４"), Some(81_804));
        for wrong in ["", "12345", "1234567", "12345a", "-12345", "999999999999999999"] {
            assert_eq!(digits(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_url_is_one_that_authenticator_apps_read_and_debug_shows_no_secret() {
        let enrolment = TotpEnrolment::new(rfc(), "gw.example", "佐藤");
        assert_eq!(
            *enrolment.url,
            "otpauth://totp/gw.example:%E4%BD%90%E8%97%A4?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=gw.example&algorithm=SHA1&digits=6&period=30"
        );
        let shown = format!("{enrolment:?} {:?}", enrolment.secret);
        assert!(!shown.contains("GEZD"));
    }
}
