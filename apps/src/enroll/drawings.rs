//! Drawings of what somebody sees on the way, with a ring and a hand where to tap.
//!
//! A [`Scene`] says what stands on the screen, in the words real systems use; here it is laid out and drawn as an
//! inline SVG in the page's colours, so that in dark mode the dialogs are dark as well. It says too in words what is
//! to be tapped, for who can't see it. Units are those of the drawing, [`WIDTH`] across; the page scales it.

use std::fmt::Write as _;

use super::pen::{Align, Pen, WIDTH};
use crate::Lang;
use crate::words::Text;
use crate::words::enroll::{DRAWING_AFTER, DRAWING_BEFORE, DRAWING_PLAIN};

/// One screen, or as much of it as matters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene {
    pub(crate) frame: Frame,
    pub(crate) parts: &'static [Part],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A question on an iPhone: in the middle, its buttons side by side below.
    Alert,
    /// A dialog on Android: its buttons at the right below.
    Dialog,
    /// A phone's whole screen, from the top.
    Screen,
    /// A window on a computer, with its title.
    Window(Text),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Glyph {
    /// iOS's square with an arrow.
    Share,
    /// Three dots in a row, or one above the other.
    Dots,
    DotsUp,
    Compass,
}

/// What stands on a screen, from the top. Lines are parted by `\n`: drawings don't wrap.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    Title(Text),
    Say(Text),
    /// A line of a list; `Pick` is the one to tap.
    Row(Text),
    Pick(Text),
    /// A choice of several, and the one to take.
    Off(Text),
    On(Text),
    /// A field with something secret in it, or with a name.
    Secret,
    Named(Text),
    /// Buttons, the last of them to be tapped.
    Buttons(&'static [Text]),
    /// A bar at the top: what goes back, the title, and what to tap.
    Bar(Text, Text, Text),
    /// The icon of the settings on the home screen.
    Gear(Text),
    /// A short notice of the browser, with what to tap.
    Notice(Text, Text),
    /// An app's bar at the top or bottom, with the sign to tap at its right end.
    AppTop(Glyph),
    AppBottom(Glyph),
    /// Some of a page.
    Page,
}

impl Scene {
    /// What is tapped in it, in order.
    fn tapped(&self) -> impl Iterator<Item = Text> {
        self.parts.iter().filter_map(|part| match part {
            Part::Pick(text) | Part::On(text) | Part::Bar(_, _, text) | Part::Notice(_, text) | Part::Gear(text) => {
                Some(*text)
            }
            Part::Buttons(texts) => texts.last().copied(),
            _ => None,
        })
    }

    fn label(&self, lang: Lang) -> String {
        let quoted = |text: Text| match lang {
            Lang::Ja => format!("「{}」", text.ja.replace('\n', "")),
            Lang::En => format!("\"{}\"", text.en.replace('\n', " ")),
        };
        let tapped: Vec<String> = self.tapped().map(quoted).collect();
        if tapped.is_empty() {
            return DRAWING_PLAIN.get(lang).to_owned();
        }
        let then = if lang == Lang::Ja { "" } else { ", " };
        format!("{}{}{}", DRAWING_BEFORE.get(lang), tapped.join(then), DRAWING_AFTER.get(lang))
    }

    /// The SVG element. Holds no text of anybody's, so it needs no escaping but that of its own words.
    pub(crate) fn svg(&self, lang: Lang) -> String {
        let (pen, height) = self.drawn(lang);
        let mut svg = String::new();
        let label = super::pen::escaped(&self.label(lang));
        let _ = write!(svg, r#"<svg class="shot" role="img" aria-label="{label}" viewBox="0 0 {WIDTH} {height}">"#);
        self.frame.outline(&mut svg, height, lang);
        svg += &pen.finished();
        svg += "</svg>";
        svg
    }

    fn drawn(&self, lang: Lang) -> (Pen, i32) {
        let mut pen = self.frame.pen(lang);
        for part in self.parts {
            part.draw(&mut pen, self.frame);
        }
        let bottom = match self.frame {
            Frame::Alert | Frame::Dialog => {
                let ends_in_buttons = matches!(self.parts.last(), Some(Part::Buttons(_)));
                let end = pen.y + if ends_in_buttons { 0 } else { 14 };
                pen.card(pen.left, 34, pen.width, end - 34, if self.frame == Frame::Alert { 14 } else { 20 });
                end + 26
            }
            Frame::Screen => pen.y + 16,
            Frame::Window(_) => pen.y + 12,
        };
        (pen, bottom)
    }

    /// The widest line, of how much room it has.
    #[cfg(test)]
    pub(crate) fn tight(&self, lang: Lang) -> Option<String> {
        self.drawn(lang).0.overflow
    }
}

impl Frame {
    fn pen(self, lang: Lang) -> Pen {
        match self {
            Self::Alert => Pen::new(lang, 28, 48, 224),
            Self::Dialog => Pen::new(lang, 22, 48, 236),
            Self::Screen => Pen::new(lang, 14, 30, 252),
            Self::Window(_) => Pen::new(lang, 14, 38, 252),
        }
    }

    fn outline(self, svg: &mut String, height: i32, lang: Lang) {
        let _ = match self {
            Self::Window(title) => write!(
                svg,
                concat!(
                    r#"<rect class="d" x="1.5" y="1.5" width="277" height="{}" rx="8"/><path class="e" d="M2 27h276"/>"#,
                    r#"<text class="m" x="14" y="19">{}</text><path class="g" d="M258 10l8 8M266 10l-8 8"/>"#
                ),
                height - 3,
                super::pen::escaped(title.get(lang))
            ),
            // A phone, cut off below.
            _ => write!(
                svg,
                concat!(
                    r#"<path class="d" d="M3 {0}V29A26 26 0 0 1 29 3h222a26 26 0 0 1 26 26v{1}"/>"#,
                    r#"<path class="g" d="M122 14h36"/>{2}"#
                ),
                height,
                height - 29,
                if matches!(self, Self::Screen) {
                    ""
                } else {
                    r#"<path class="e" d="M22 54h-8M22 74h-8M258 54h8M258 74h8"/>"#
                }
            ),
        };
    }
}

impl Part {
    fn draw(self, pen: &mut Pen, frame: Frame) {
        let middle = frame == Frame::Alert;
        match self {
            Self::Title(text) => {
                let align = if middle { Align::Middle } else { Align::Start };
                pen.lines(text, "h", 15, 19, align);
                pen.y += 4;
            }
            Self::Say(text) => {
                let align = if middle { Align::Middle } else { Align::Start };
                pen.lines(text, "m", 13, 17, align);
                pen.y += 6;
            }
            Self::Row(text) | Self::Pick(text) => pen.row(text, matches!(self, Self::Pick(_))),
            Self::Off(text) | Self::On(text) => pen.choice(text, matches!(self, Self::On(_))),
            Self::Secret => pen.field("••••••••••••"),
            Self::Named(text) => pen.field(text.get(pen.lang)),
            Self::Buttons(texts) => match frame {
                Frame::Alert => pen.halves(texts),
                Frame::Window(_) => pen.buttons(texts, true),
                Frame::Dialog | Frame::Screen => pen.buttons(texts, false),
            },
            Self::Bar(left, title, right) => pen.bar(left, title, right),
            Self::Gear(text) => pen.gear(text),
            Self::Notice(say, tap) => pen.notice(say, tap),
            Self::AppTop(glyph) => pen.app_bar(Some(glyph), true),
            Self::AppBottom(glyph) => pen.app_bar(Some(glyph), false),
            Self::Page => pen.page(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::enroll::every_scene;

    #[test]
    fn every_line_fits_its_screen() {
        let tight = |scene: &Scene| Lang::ALL.map(|lang| scene.tight(lang)).into_iter().flatten().collect::<Vec<_>>();
        let tight: Vec<String> = every_scene().iter().flat_map(tight).collect();
        assert!(tight.is_empty(), "{tight:#?}");
    }

    #[test]
    fn a_drawing_says_what_it_shows_and_is_well_formed() {
        for scene in every_scene() {
            for lang in Lang::ALL {
                let svg = scene.svg(lang);
                assert!(svg.starts_with("<svg class=\"shot\" role=\"img\" aria-label=\""), "{svg}");
                assert!(!svg.contains("aria-label=\"\"") && !svg.contains(" style=") && !svg.contains("url("));
                for element in ["svg", "text", "g"] {
                    let opened = svg.matches(&format!("<{element} ")).count();
                    assert_eq!(opened, svg.matches(&format!("</{element}>")).count(), "{svg}");
                }
            }
        }
    }
}
