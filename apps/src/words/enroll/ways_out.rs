//! How to leave the window of an app for the phone's own browser.

use vocabulary::Os;

use super::{Text, text};
use crate::enroll::{Frame, Glyph, InApp, Part, Scene, Step};

pub(crate) struct WayOut {
    /// As its owner knows it; none for an app we don't know.
    pub(crate) name: Option<Text>,
    pub(crate) steps: &'static [Step],
}

const fn mark(say: Text, parts: &'static [Part]) -> Step {
    Step::drawn(say, None, Scene { frame: Frame::Screen, parts })
}

const TOP_DOTS_UP: Step = mark(
    text("右上の点が3つ並んだマークを押します。", "Tap the three dots at the top right."),
    &[Part::AppTop(Glyph::DotsUp), Part::Page],
);
const TOP_DOTS: Step = mark(
    text("右上の点が3つ並んだマークを押します。", "Tap the three dots at the top right."),
    &[Part::AppTop(Glyph::Dots), Part::Page],
);
const BOTTOM_DOTS: Step = mark(
    text("右下の点が3つ並んだマークを押します。", "Tap the three dots at the bottom right."),
    &[Part::Page, Part::AppBottom(Glyph::Dots)],
);
const BOTTOM_SHARE: Step = mark(
    text("右下の四角と矢印のマークを押します。", "Tap the square with the arrow at the bottom right."),
    &[Part::Page, Part::AppBottom(Glyph::Share)],
);
const COMPASS: Step = mark(
    text("右下のコンパスのマークを押します。Safariが開きます。", "Tap the compass at the bottom right. Safari opens."),
    &[Part::Page, Part::AppBottom(Glyph::Compass)],
);

const DEFAULT: Step = mark(
    text("「デフォルトのブラウザで開く」を押します。", "Tap \"Open in default browser\"."),
    &[
        Part::Row(text("リンクをコピー", "Copy link")),
        Part::Pick(text("デフォルトのブラウザで開く", "Open in default browser")),
    ],
);
const EXTERNAL: Step = mark(
    text("「外部ブラウザーで開く」を押します。", "Tap \"Open in external browser\"."),
    &[
        Part::Row(text("リンクをコピー", "Copy link")),
        Part::Pick(text("外部ブラウザーで開く", "Open in external browser")),
    ],
);
const SAFARI: Step = mark(
    text("「Safariで開く」を押します。", "Tap \"Open in Safari\"."),
    &[Part::Row(text("リンクをコピー", "Copy link")), Part::Pick(text("Safariで開く", "Open in Safari"))],
);
const CHROME: Step = mark(
    text("「Chromeで開く」を押します。", "Tap \"Open in Chrome\"."),
    &[Part::Row(text("リンクをコピー", "Copy link")), Part::Pick(text("Chromeで開く", "Open in Chrome"))],
);
const BROWSER: Step = mark(
    text("「ブラウザーで開く」を押します。", "Tap \"Open in browser\"."),
    &[Part::Row(text("リンクをコピー", "Copy link")), Part::Pick(text("ブラウザーで開く", "Open in browser"))],
);

/// Apps move such buttons about; these are where they stood in 2025.
pub(crate) const fn way_out(app: InApp, os: Option<Os>) -> WayOut {
    let ios = matches!(os, Some(Os::Ios));
    let steps: &'static [Step] = match (app, ios) {
        (InApp::Line, true) => const { &[BOTTOM_SHARE, DEFAULT] },
        (InApp::Line, false) => const { &[TOP_DOTS_UP, DEFAULT] },
        (InApp::Facebook, true) => const { &[BOTTOM_DOTS, EXTERNAL] },
        (InApp::Facebook, false) => const { &[TOP_DOTS_UP, EXTERNAL] },
        (InApp::Instagram, true) => const { &[TOP_DOTS, EXTERNAL] },
        (InApp::Instagram, false) => const { &[TOP_DOTS_UP, EXTERNAL] },
        (InApp::Gmail, true) => const { &[COMPASS] },
        (InApp::X | InApp::Other, true) => const { &[BOTTOM_SHARE, SAFARI] },
        (InApp::X | InApp::Gmail, false) => const { &[TOP_DOTS_UP, CHROME] },
        (InApp::Yahoo, true) => const { &[BOTTOM_DOTS, SAFARI] },
        (InApp::Yahoo | InApp::Other, false) => const { &[TOP_DOTS_UP, BROWSER] },
    };
    let name = match app {
        InApp::Line => Some(text("LINE", "LINE")),
        InApp::Gmail => Some(text("Gmail", "Gmail")),
        InApp::Facebook => Some(text("Facebook", "Facebook")),
        InApp::Instagram => Some(text("Instagram", "Instagram")),
        InApp::X => Some(text("X", "X")),
        InApp::Yahoo => Some(text("Yahoo! JAPANアプリ", "the Yahoo! JAPAN app")),
        InApp::Other => None,
    };
    WayOut { name, steps }
}
