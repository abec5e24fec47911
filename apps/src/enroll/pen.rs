//! Lays out the parts of a drawing from the top, and keeps what lies above all else (the ring, the hand) for the end.

use std::fmt::Write as _;

use super::drawings::Glyph;
use crate::Lang;
use crate::words::Text;

/// Of every drawing, in its own units.
pub(crate) const WIDTH: i32 = 280;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Start,
    Middle,
    End,
}

/// Where the drawing has come to.
pub(crate) struct Pen {
    pub(crate) lang: Lang,
    pub(crate) left: i32,
    pub(crate) width: i32,
    pub(crate) y: i32,
    under: String,
    svg: String,
    over: String,
    /// A line that has no room, for the tests.
    pub(crate) overflow: Option<String>,
}

pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

/// As wide as a wide font draws it in bold, in hundredths of its size: what is not ASCII is square.
fn em(text: &str) -> i32 {
    let of = |c: char| match c {
        ' ' | ',' | '.' | ':' | 'i' | 'j' | 'l' | 'I' | '\'' => 36,
        'm' | 'w' | 'M' | 'W' => 95,
        _ if c.is_ascii_uppercase() => 74,
        _ if c.is_ascii() => 62,
        _ => 100,
    };
    text.chars().map(of).sum()
}

fn drawn_width(text: &str, size: i32) -> i32 {
    em(text) * size / 100
}

impl Pen {
    pub(crate) fn new(lang: Lang, left: i32, y: i32, width: i32) -> Self {
        Self { lang, left, width, y, under: String::new(), svg: String::new(), over: String::new(), overflow: None }
    }

    /// What was drawn, from below.
    pub(crate) fn finished(self) -> String {
        self.under + &self.svg + &self.over
    }

    /// Lies below the rest.
    pub(crate) fn card(&mut self, x: i32, y: i32, width: i32, height: i32, round: i32) {
        let _ =
            write!(self.under, r#"<rect class="p" x="{x}" y="{y}" width="{width}" height="{height}" rx="{round}"/>"#);
    }

    fn rect(&mut self, class: &str, x: i32, y: i32, width: i32, height: i32, round: i32) {
        let _ = write!(
            self.svg,
            r#"<rect class="{class}" x="{x}" y="{y}" width="{width}" height="{height}" rx="{round}"/>"#
        );
    }

    fn path(&mut self, class: &str, d: &str) {
        let _ = write!(self.svg, r#"<path class="{class}" d="{d}"/>"#);
    }

    fn text(&mut self, text: &str, class: &str, x: i32, y: i32, align: Align) {
        let anchor = match align {
            Align::Start => "",
            Align::Middle => r#" text-anchor="middle""#,
            Align::End => r#" text-anchor="end""#,
        };
        let _ = write!(self.svg, r#"<text class="{class}" x="{x}" y="{y}"{anchor}>{}</text>"#, escaped(text));
    }

    /// Notes a line that is wider than its room.
    fn fits(&mut self, text: &str, size: i32, room: i32) {
        if drawn_width(text, size) > room {
            self.overflow = Some(format!("{text}: {} of {room}", drawn_width(text, size)));
        }
    }

    pub(crate) fn lines(&mut self, text: Text, class: &str, size: i32, step: i32, align: Align) {
        let x = match align {
            Align::Middle => self.left + self.width / 2,
            Align::Start => self.left + 14,
            Align::End => self.left + self.width - 14,
        };
        for line in text.get(self.lang).split('\n') {
            self.fits(line, size, self.width - 20);
            self.y += step;
            self.text(line, class, x, self.y - step / 4, align);
        }
    }

    pub(crate) fn row(&mut self, text: Text, tap: bool) {
        let lines: Vec<&str> = text.get(self.lang).split('\n').collect();
        let height = 20 + 17 * i32::try_from(lines.len()).unwrap_or(1);
        let (left, top, width) = (self.left, self.y, self.width);
        self.rect("p", left, top, width, height, 9);
        for (line, at) in lines.iter().zip(0..) {
            self.fits(line, 13, width - 34);
            self.text(line, if tap { "b" } else { "" }, left + 12, top + 23 + 17 * at, Align::Start);
        }
        let middle = top + height / 2;
        self.path("g", &format!("M{} {}l5 5-5 5", left + width - 17, middle - 5));
        if tap {
            self.ring(left + 1, top + 1, width - 2, height - 2, 9);
        }
        self.y += height + 4;
    }

    pub(crate) fn choice(&mut self, text: Text, on: bool) {
        let label = text.get(self.lang);
        let (x, y) = (self.left + 16, self.y + 14);
        self.fits(label, 13, self.width - 42);
        let _ = write!(self.svg, r#"<circle class="o" cx="{}" cy="{y}" r="7"/>"#, x + 7);
        if on {
            let _ = write!(self.svg, r#"<circle class="i" cx="{}" cy="{y}" r="4"/>"#, x + 7);
            // Without a hand: that one taps the button below.
            self.frame(self.left + 6, self.y, self.width - 12, 28, 8);
        }
        self.text(label, if on { "b" } else { "" }, x + 22, y + 5, Align::Start);
        self.y += 32;
    }

    pub(crate) fn field(&mut self, content: &str) {
        let (left, width) = (self.left + 14, self.width - 28);
        self.fits(content, 13, width - 16);
        self.rect("f", left, self.y, width, 28, 5);
        self.text(content, "", left + 9, self.y + 19, Align::Start);
        self.y += 38;
    }

    /// The two halves below a question on an iPhone.
    pub(crate) fn halves(&mut self, texts: &[Text]) {
        self.y += 6;
        let count = i32::try_from(texts.len()).unwrap_or(1).max(1);
        let (left, top, each) = (self.left, self.y, self.width / count);
        self.path("e", &format!("M{left} {top}h{}", self.width));
        for (text, at) in texts.iter().zip(0..) {
            let (x, last) = (left + each * at, at + 1 == count);
            if at > 0 {
                self.path("e", &format!("M{x} {top}v42"));
            }
            let label = text.get(self.lang);
            self.fits(label, 15, each - 16);
            self.text(label, if last { "k b" } else { "k" }, x + each / 2, top + 26, Align::Middle);
            if last {
                self.ring(x + 4, top + 4, each - 8, 34, 10);
            }
        }
        self.y += 42;
    }

    /// Buttons at the right below, with borders on a computer.
    pub(crate) fn buttons(&mut self, texts: &[Text], bordered: bool) {
        let top = self.y + 4;
        let mut right = self.left + self.width - 10;
        for (text, at) in texts.iter().rev().zip(0..) {
            let label = text.get(self.lang);
            let width = drawn_width(label, 14) + 28;
            let x = right - width;
            if x < self.left {
                self.overflow = Some(format!("{label}: no room for the button"));
            }
            if bordered {
                self.rect("f", x, top, width, 28, 5);
            }
            self.text(label, if at == 0 { "k b" } else { "k" }, x + width / 2, top + 19, Align::Middle);
            if at == 0 {
                self.ring(x, top - 1, width, 30, if bordered { 6 } else { 15 });
            }
            right = x - 8;
        }
        self.y = top + 40;
    }

    pub(crate) fn bar(&mut self, left: Text, title: Text, right: Text) {
        let y = self.y + 22;
        let (left, title, right) = (left.get(self.lang), title.get(self.lang), right.get(self.lang));
        let (start, end) = (self.left + 2, self.left + self.width - 2);
        let (begun, ring) = (start + drawn_width(left, 13), end - drawn_width(right, 13) - 7);
        self.fits(title, 13, ring - begun - 8);
        self.text(left, "k s", start, y, Align::Start);
        self.text(title, "b", (begun + ring) / 2, y, Align::Middle);
        self.text(right, "k s b", end, y, Align::End);
        self.ring(ring, y - 20, end + 6 - ring, 30, 9);
        self.y += 42;
    }

    pub(crate) fn gear(&mut self, text: Text) {
        let (top, x) = (self.y + 8, 118);
        for other in [32, 204] {
            self.rect("q", other, top, 44, 44, 11);
            self.path("q", &format!("M{} {}h30v5h-30z", other + 7, top + 55));
        }
        self.rect("q n", x, top, 44, 44, 11);
        let (cx, cy) = (x + 22, top + 22);
        let _ = write!(self.svg, r#"<circle class="c" cx="{cx}" cy="{cy}" r="8"/>"#);
        let teeth = [
            "M0-9v-5",
            "M0 9v5",
            "M9 0h5",
            "M-9 0h-5",
            "M6.4 6.4l3.5 3.5",
            "M-6.4-6.4l-3.5-3.5",
            "M6.4-6.4l3.5-3.5",
            "M-6.4 6.4l-3.5 3.5",
        ];
        let _ = write!(self.svg, r#"<path class="c" transform="translate({cx} {cy})" d="{}"/>"#, teeth.concat());
        self.text(text.get(self.lang), "", cx, top + 61, Align::Middle);
        self.ring(x - 8, top - 7, 60, 77, 14);
        self.y = top + 84;
    }

    pub(crate) fn notice(&mut self, say: Text, tap: Text) {
        let (left, top, width) = (self.left, self.y, self.width);
        let lines: Vec<&str> = say.get(self.lang).split('\n').collect();
        let height = 26 + 17 * i32::try_from(lines.len()).unwrap_or(1);
        self.rect("p", left, top, width, height, 12);
        self.path(
            "g",
            &format!(
                "M{0} {1}v11M{2} {3}l5 5 5-5M{4} {5}h14",
                left + 22,
                top + 13,
                left + 17,
                top + 19,
                left + 15,
                top + 29
            ),
        );
        let label = tap.get(self.lang);
        let tapped = drawn_width(label, 14) + 24;
        for (line, at) in lines.iter().zip(0..) {
            self.fits(line, 13, width - 40 - tapped - 4);
            self.text(line, "", left + 40, top + 26 + 17 * at, Align::Start);
        }
        let (x, middle) = (left + width - tapped - 4, top + height / 2);
        self.text(label, "k b", x + tapped / 2, middle + 5, Align::Middle);
        self.ring(x, middle - 16, tapped, 32, 14);
        self.y += height + 6;
    }

    /// The bar of an app, with a sign at its right end.
    pub(crate) fn app_bar(&mut self, glyph: Option<Glyph>, top: bool) {
        let y = self.y + 18;
        self.rect("p", self.left - 4, self.y, self.width + 8, 36, 6);
        if top {
            self.path("g", &format!("M{0} {1}l10 10M{0} {2}l10-10", self.left + 8, y - 5, y + 5));
            self.path("e", &format!("M{} {y}h110", self.left + 60));
        } else {
            self.path("g", &format!("M{0} {1}l-7 7 7 7M{2} {1}l7 7-7 7", self.left + 20, y - 7, self.left + 70));
        }
        if let Some(glyph) = glyph {
            let x = self.left + self.width - 20;
            self.glyph(glyph, x, y);
            self.ring(x - 17, y - 16, 34, 32, 12);
        }
        self.y += 42;
    }

    fn glyph(&mut self, glyph: Glyph, x: i32, y: i32) {
        let at = |d: &str, class: &str| format!(r#"<path class="{class}" transform="translate({x} {y})" d="{d}"/>"#);
        self.svg += &match glyph {
            Glyph::Share => at("M-3-2h-4v11h14v-11h-4M0 4v-13M-4-5l4-4 4 4", "g a"),
            Glyph::Dots => at("M-7 0h.1M0 0h.1M7 0h.1", "g z"),
            Glyph::DotsUp => at("M0-7v.1M0 0v.1M0 7v.1", "g z"),
            Glyph::Compass => at("M-9 0a9 9 0 1 0 18 0a9 9 0 1 0-18 0M4-4l-2.5 5.5-5.5 2.5 2.5-5.5z", "g a"),
        };
    }

    pub(crate) fn page(&mut self) {
        for (at, width) in [150, 220, 220, 120].into_iter().zip(0..) {
            self.path("e", &format!("M{} {}h{at}", self.left + 12, self.y + 10 + width * 14));
        }
        self.y += 64;
    }

    /// Round what is to be tapped.
    fn frame(&mut self, x: i32, y: i32, width: i32, height: i32, round: i32) {
        let _ =
            write!(self.over, r#"<rect class="r" x="{x}" y="{y}" width="{width}" height="{height}" rx="{round}"/>"#);
    }

    /// The same, and a hand that taps it.
    fn ring(&mut self, x: i32, y: i32, width: i32, height: i32, round: i32) {
        self.frame(x, y, width, height, round);
        let (hand_x, hand_y) = (x + width - (width / 5).clamp(4, 24), y + height - 4);
        let _ = write!(
            self.over,
            concat!(
                r#"<path class="w" transform="translate({} {}) rotate(-14)" "#,
                r#"d="M-4 4a4 4 0 0 1 8 0v9l9 2.2a5 5 0 0 1 4 5.6l-1.4 8.2h-15.6l-7.6-9a3.2 3.2 0 0 1 3.6-4.6z"/>"#
            ),
            hand_x, hand_y
        );
    }
}
