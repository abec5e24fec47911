//! What a browser says it is: whose steps to show, and whether a certificate can be installed from it at all.
//!
//! All of it is a hint for people's convenience. Nothing is allowed or refused by it.

use http::HeaderMap;
use http::header::{HeaderName, USER_AGENT};
use vocabulary::Os;

/// A browser as it shows itself: `User-Agent`, and the client hints (`Sec-CH-UA-…`) where they are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// An iPad that asks for desktop pages, as it does unless told otherwise, can't be told from a Mac.
    pub os: Option<Os>,
    /// Of the operating system, if it is said and not a number frozen for all.
    pub version: Option<(u16, u16)>,
    pub in_app: Option<InApp>,
    pub browser: Browser,
}

/// Apps that show pages in a window of their own, from which neither a profile nor a PKCS#12 file can be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InApp {
    Line,
    Gmail,
    Facebook,
    Instagram,
    X,
    /// Yahoo! JAPAN.
    Yahoo,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Browser {
    Safari,
    Chrome,
    Edge,
    Firefox,
    Samsung,
    /// Something else, or the window of an app.
    Other,
}

impl Client {
    pub fn of(headers: &HeaderMap) -> Self {
        let agent = header(headers, USER_AGENT.as_str());
        let os = os(headers, agent);
        let in_app = in_app(headers, agent, os);
        let browser = if in_app.is_some() { Browser::Other } else { browser(agent) };
        Self { os, version: version(headers, agent, os), in_app, browser }
    }

    /// Only Safari uses the certificates that are installed on an iPhone or iPad, and installs profiles.
    pub(crate) fn wants_safari(&self) -> bool {
        self.os == Some(Os::Ios) && self.in_app.is_none() && self.browser != Browser::Safari
    }

    /// Says of itself what an iPad says as well as a Mac.
    pub(crate) fn may_be_ipad(&self) -> bool {
        self.os == Some(Os::Macos) && self.browser == Browser::Safari
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let name = HeaderName::try_from(name).ok();
    name.and_then(|name| headers.get(name)).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn has(agent: &str, marks: &[&str]) -> bool {
    marks.iter().any(|mark| agent.contains(mark))
}

fn os(headers: &HeaderMap, agent: &str) -> Option<Os> {
    match header(headers, "sec-ch-ua-platform").trim_matches('"') {
        "Android" => return Some(Os::Android),
        "iOS" => return Some(Os::Ios),
        "Windows" => return Some(Os::Windows),
        "macOS" => return Some(Os::Macos),
        "Chrome OS" | "Chromium OS" => return Some(Os::Chromeos),
        // Also what Chrome on Android says when it asks for desktop pages.
        "Linux" if header(headers, "sec-ch-ua-mobile") != "?1" => return Some(Os::Linux),
        _ => {}
    }
    let known: [(&[&str], Os); 6] = [
        // The second line: iPads that ask for desktop pages, with another browser than Safari.
        (&["iPhone", "iPad", "iPod", "CriOS/", "FxiOS/", "EdgiOS/", "GSA/"], Os::Ios),
        (&["Android"], Os::Android),
        (&["CrOS"], Os::Chromeos),
        (&["Windows NT"], Os::Windows),
        (&["Macintosh"], Os::Macos),
        (&["Linux", "X11"], Os::Linux),
    ];
    // Android's own Google app is no iPhone's.
    let agent_os = known.iter().find(|(marks, _)| has(agent, marks)).map(|(_, os)| *os);
    if agent_os == Some(Os::Ios) && agent.contains("Android") { Some(Os::Android) } else { agent_os }
}

fn in_app(headers: &HeaderMap, agent: &str, os: Option<Os>) -> Option<InApp> {
    let marks: [(&[&str], InApp); 6] = [
        (&[" Line/"], InApp::Line),
        (&["Instagram"], InApp::Instagram),
        (&["FBAN/", "FBAV/", "FB_IAB/"], InApp::Facebook),
        (&["TwitterAndroid", "Twitter for iP", "Twitter/"], InApp::X),
        (&["YJApp-"], InApp::Yahoo),
        (&["GSA/", "MicroMessenger/", "KAKAOTALK", "BytedanceWebview", "LinkedInApp", "Snapchat"], InApp::Other),
    ];
    if let Some((_, app)) = marks.iter().find(|(marks, _)| has(agent, marks)) {
        return Some(*app);
    }
    // Android's WebView names the app it stands in.
    match header(headers, "x-requested-with") {
        "jp.naver.line.android" => return Some(InApp::Line),
        "com.google.android.gm" => return Some(InApp::Gmail),
        "com.facebook.katana" | "com.facebook.orca" => return Some(InApp::Facebook),
        "com.instagram.android" => return Some(InApp::Instagram),
        "com.twitter.android" => return Some(InApp::X),
        "jp.co.yahoo.android.yjtop" => return Some(InApp::Yahoo),
        _ => {}
    }
    let web_view = match os {
        Some(Os::Android) => agent.contains("; wv)"),
        // Safari and the other browsers close with `Safari/…`; a bare WKWebView does not.
        Some(Os::Ios) => agent.contains("AppleWebKit/") && !agent.contains("Safari/"),
        _ => false,
    };
    web_view.then_some(InApp::Other)
}

fn browser(agent: &str) -> Browser {
    let known: [(&[&str], Browser); 6] = [
        (&["Edg/", "EdgA/", "EdgiOS/"], Browser::Edge),
        (&["SamsungBrowser/"], Browser::Samsung),
        (&["Firefox/", "FxiOS/"], Browser::Firefox),
        (
            &["OPR/", "OPT/", "OPX/", "OPiOS/", "Vivaldi/", "DuckDuckGo/", "Ddg/", "Sleipnir/", "YaBrowser/"],
            Browser::Other,
        ),
        (&["Chrome/", "CriOS/"], Browser::Chrome),
        (&["Safari/"], Browser::Safari),
    ];
    known.iter().find(|(marks, _)| has(agent, marks)).map_or(Browser::Other, |(_, browser)| *browser)
}

fn version(headers: &HeaderMap, agent: &str, os: Option<Os>) -> Option<(u16, u16)> {
    let hinted = header(headers, "sec-ch-ua-platform-version").trim_matches('"');
    match os? {
        // Since Safari 26 the number of the system is frozen at 18.6; Safari's own is that of the system.
        Os::Ios => numbers(agent, " OS ").max(numbers(agent, "Version/").filter(|_| agent.contains("iP"))),
        // What Chrome says of every phone since its version 110 tells nothing.
        Os::Android if !hinted.is_empty() => numbers(hinted, ""),
        Os::Android if agent.contains("Android 10; K)") => None,
        Os::Android => numbers(agent, "Android "),
        Os::Windows => numbers(agent, "Windows NT "),
        Os::Macos => numbers(agent, "Mac OS X ").filter(|version| *version != (10, 15)),
        Os::Chromeos | Os::Linux => None,
    }
}

/// `17_5_1`, `17.5` or `14` after the mark.
fn numbers(agent: &str, mark: &str) -> Option<(u16, u16)> {
    let rest = agent.split_once(mark)?.1;
    let number = rest.split(|c: char| !c.is_ascii_digit() && c != '_' && c != '.').next()?;
    let mut parts = number.split(['_', '.']);
    Some((parts.next()?.parse().ok()?, parts.next().and_then(|part| part.parse().ok()).unwrap_or(0)))
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
