//! QR codes: for pages, for paper, for a terminal. All with the quiet zone of four modules around (ISO/IEC 18004, 9.1)
//! and error correction M.

use qrcode::{Color, EcLevel, QrCode};

/// Of the quiet zone, in modules.
const QUIET: usize = 4;

/// A QR code as the path of an SVG whose view box is `side` by `side`.
pub(crate) struct Qr {
    pub(crate) side: usize,
    pub(crate) path: String,
}

fn code(text: &str) -> Option<QrCode> {
    QrCode::with_error_correction_level(text, EcLevel::M).ok()
}

impl Qr {
    /// None if the text is too long for one.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let code = code(text)?;
        let (width, modules) = (code.width(), code.to_colors());
        let mut path = String::new();
        for (y, row) in modules.chunks(width).enumerate() {
            let mut x = 0;
            while x < width {
                let run = row[x..].iter().take_while(|module| **module == Color::Dark).count();
                if run > 0 {
                    path += &format!("M{} {}h{run}v1h-{run}z", x + QUIET, y + QUIET);
                }
                x += run.max(1);
            }
        }
        Some(Self { side: width + 2 * QUIET, path })
    }
}

/// A QR code as an SVG document of its own, black on white. None if the text is too long for one.
pub fn qr_svg(text: &str) -> Option<String> {
    let Qr { side, path } = Qr::new(text)?;
    Some(format!(
        concat!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {0}" width="{1}" height="{1}" "#,
            r##"shape-rendering="crispEdges"><rect width="100%" height="100%" fill="#fff"/><path fill="#000" d="{2}"/></svg>"##,
            "\n"
        ),
        side,
        side * 8,
        path
    ))
}

/// A QR code for a terminal: two modules a character, in black on white whatever the terminal's colours are. None if
/// the text is too long for one.
pub fn qr_text(text: &str) -> Option<String> {
    let code = code(text)?;
    let (width, modules) = (code.width(), code.to_colors());
    let side = width + 2 * QUIET;
    let dark = |x: usize, y: usize| {
        let (Some(x), Some(y)) = (x.checked_sub(QUIET), y.checked_sub(QUIET)) else { return false };
        x < width && modules.get(y * width + x) == Some(&Color::Dark)
    };
    let mut drawn = String::new();
    for y in (0..side).step_by(2) {
        drawn += "\x1b[30;107m";
        drawn.extend((0..side).map(|x| match (dark(x, y), dark(x, y + 1)) {
            (true, true) => '█',
            (true, false) => '▀',
            (false, true) => '▄',
            (false, false) => ' ',
        }));
        drawn += "\x1b[0m\n";
    }
    Some(drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "otpauth://totp/gw.example:sato?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=gw.example";

    /// Drawn back from the path, it is the code again.
    #[test]
    fn a_qr_code_is_drawn_module_by_module() {
        let code = code(TEXT).unwrap();
        let qr = Qr::new(TEXT).unwrap();
        let mut drawn = vec![Color::Light; code.width() * code.width()];
        for run in qr.path.split('M').skip(1) {
            let numbers: Vec<usize> = run.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
            let (x, y, length) = (numbers[0] - QUIET, numbers[1] - QUIET, numbers[2]);
            for at in 0..length {
                drawn[y * code.width() + x + at] = Color::Dark;
            }
        }
        assert!(drawn == code.to_colors());
        assert_eq!(qr.side, code.width() + 8);
        assert_eq!(code.error_correction_level(), EcLevel::M);
    }

    #[test]
    fn a_terminal_shows_the_same_modules() {
        let code = code(TEXT).unwrap();
        let shown = qr_text(TEXT).unwrap().replace("\x1b[30;107m", "").replace("\x1b[0m", "");
        let lines: Vec<Vec<char>> = shown.lines().map(|line| line.chars().collect()).collect();
        let colors = code.to_colors();
        for y in 0..code.width() {
            for x in 0..code.width() {
                let character = lines[(y + QUIET) / 2][x + QUIET];
                let dark = if (y + QUIET).is_multiple_of(2) { "█▀" } else { "█▄" }.contains(character);
                assert_eq!(dark, colors[y * code.width() + x] == Color::Dark, "{x} {y}");
            }
        }
        assert!(lines.iter().all(|line| line.len() == code.width() + 8));
    }

    #[test]
    fn an_svg_stands_alone_and_too_much_is_none() {
        let svg = qr_svg("https://login.example/d/abc").unwrap();
        assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"") && svg.ends_with("</svg>\n"));
        assert!(qr_svg(&"x".repeat(5000)).is_none() && qr_text(&"x".repeat(5000)).is_none());
    }
}
