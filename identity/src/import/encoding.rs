//! From bytes to text.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use encoding_rs::SHIFT_JIS;
use serde::{Deserialize, Serialize};

use super::Problem;

/// How a roster file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoding {
    /// With or without a byte order mark.
    #[serde(rename = "utf-8")]
    Utf8,
    /// Shift_JIS with Microsoft's additions, as Excel in Japan writes "CSV".
    #[serde(rename = "cp932")]
    Cp932,
}

/// The word names no encoding that is read here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an encoding of roster files; choose utf-8 or cp932")]
pub struct ParseEncodingError(String);

impl Encoding {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Cp932 => "cp932",
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Encoding {
    type Err = ParseEncodingError;

    fn from_str(text: &str) -> Result<Self, ParseEncodingError> {
        match text.to_ascii_lowercase().as_str() {
            "utf-8" | "utf8" => Ok(Self::Utf8),
            "cp932" | "shift_jis" | "shift-jis" | "sjis" | "windows-31j" => Ok(Self::Cp932),
            _ => Err(ParseEncodingError(text.chars().take(40).collect())),
        }
    }
}

/// The text without its byte order mark. What is valid UTF-8 is taken for it; what is not, for CP932.
///
/// # Errors
/// Every line with bytes that are neither, or not what was said.
pub fn decode(bytes: &[u8], said: Option<Encoding>) -> Result<(Cow<'_, str>, Encoding), Vec<Problem>> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let what = "the file is UTF-16 (\"Unicode text\"); save it as \"CSV UTF-8\"";
        return Err(vec![Problem::of_line(1, what)]);
    }
    let unmarked = bytes.strip_prefix(b"\xef\xbb\xbf");
    let found = match (said, unmarked) {
        (Some(Encoding::Cp932), _) => cp932(bytes).map(|text| (text, Encoding::Cp932)),
        (Some(Encoding::Utf8), _) | (None, Some(_)) => utf8(unmarked.unwrap_or(bytes)).map(|t| (t, Encoding::Utf8)),
        (None, None) => {
            utf8(bytes).map(|text| (text, Encoding::Utf8)).or_else(|| cp932(bytes).map(|text| (text, Encoding::Cp932)))
        }
    };
    found.ok_or_else(|| {
        // A file that is not UTF-8 was tried as CP932 last, unless it says or somebody said that it is UTF-8.
        let meant = said.unwrap_or(if unmarked.is_some() { Encoding::Utf8 } else { Encoding::Cp932 });
        let fits = |line: &[u8]| if meant == Encoding::Utf8 { utf8(line).is_some() } else { cp932(line).is_some() };
        let what = match said {
            Some(said) => format!("holds bytes that are not {said}; look at --encoding, or save it as \"CSV UTF-8\""),
            None => "holds bytes that are neither UTF-8 nor CP932; save it as \"CSV UTF-8\"".to_owned(),
        };
        // No byte of a CP932 character but the first can be a line feed, so lines can be told before decoding.
        let lines = (1..).zip(bytes.split(|b| *b == b'\n')).filter(|(_, line)| !fits(line));
        lines.map(|(line, _)| Problem::of_line(line, what.clone())).collect()
    })
}

fn utf8(bytes: &[u8]) -> Option<Cow<'_, str>> {
    std::str::from_utf8(bytes).ok().map(Cow::Borrowed)
}

fn cp932(bytes: &[u8]) -> Option<Cow<'_, str>> {
    SHIFT_JIS.decode_without_bom_handling_and_without_replacement(bytes)
}
