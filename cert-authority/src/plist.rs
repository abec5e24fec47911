//! Apple's property lists in XML (`plist(5)`), written only: the few kinds of value that profiles have.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub(crate) enum Value {
    Text(String),
    Number(u32),
    Bool(bool),
    Data(Vec<u8>),
    Array(Vec<Value>),
    /// In the order they are written; Apple's readers don't mind which.
    Dict(Vec<(&'static str, Value)>),
}

impl Value {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// The whole document.
    pub(crate) fn document(&self) -> Vec<u8> {
        let mut xml = String::from(concat!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
            "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n",
            "<plist version=\"1.0\">\n",
        ));
        self.write(&mut xml);
        xml.push_str("</plist>\n");
        xml.into_bytes()
    }

    fn write(&self, xml: &mut String) {
        let mut element = |name: &str, content: &str| xml.push_str(&format!("<{name}>{content}</{name}>\n"));
        match self {
            Self::Text(text) => element("string", &escape(text)),
            Self::Number(number) => element("integer", &number.to_string()),
            Self::Data(bytes) => element("data", &STANDARD.encode(bytes)),
            Self::Bool(true) => xml.push_str("<true/>\n"),
            Self::Bool(false) => xml.push_str("<false/>\n"),
            Self::Array(items) => {
                xml.push_str("<array>\n");
                items.iter().for_each(|item| item.write(xml));
                xml.push_str("</array>\n");
            }
            Self::Dict(entries) => {
                xml.push_str("<dict>\n");
                for (key, value) in entries {
                    xml.push_str(&format!("<key>{key}</key>\n"));
                    value.write(xml);
                }
                xml.push_str("</dict>\n");
            }
        }
    }
}

/// What XML 1.0 §2.2 has no way to write (most control characters) is replaced, and a carriage return is spelt out,
/// because parsers take it for a line end.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\r' => escaped.push_str("&#13;"),
            '\t' | '\n' => escaped.push(character),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(escape("<a> & \"b\"\r\n\0\u{ffff}日本"), "&lt;a&gt; &amp; \"b\"&#13;\n\u{fffd}\u{fffd}日本");
    }
}
