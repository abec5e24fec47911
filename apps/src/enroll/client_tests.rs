use super::*;

const IPHONE: &str =
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)";
const IPHONE_26: &str =
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)";
const MAC: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)";
const PIXEL: &str = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko)";
const VIEW: &str = "Mozilla/5.0 (Linux; Android 14; SM-S918B Build/UP1A.231005.007; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/126.0.6478.71 Mobile Safari/537.36";
const REDUCED: &str = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko)";
const WINDOWS: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)";

/// How the browser's name begins and ends, and what is read from it.
type Row = (&'static str, &'static str, Option<Os>, Browser, Option<(u16, u16)>);

fn client(agent: &str, hints: &[(&'static str, &str)]) -> Client {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, agent.parse().unwrap());
    for (name, value) in hints {
        headers.insert(*name, value.parse().unwrap());
    }
    Client::of(&headers)
}

#[test]
fn browsers_are_known_by_what_they_say() {
    use Browser::{Chrome, Edge, Firefox, Other, Safari, Samsung};
    let table: [Row; 29] = [
        (IPHONE, " Version/17.5 Mobile/15E148 Safari/604.1", Some(Os::Ios), Safari, Some((17, 5))),
        // From Safari 26 on the number of the system stands still.
        (IPHONE_26, " Version/26.0 Mobile/15E148 Safari/604.1", Some(Os::Ios), Safari, Some((26, 0))),
        (IPHONE, " CriOS/126.0.6478.54 Mobile/15E148 Safari/604.1", Some(Os::Ios), Chrome, Some((17, 5))),
        (IPHONE, " FxiOS/127.0 Mobile/15E148 Safari/605.1.15", Some(Os::Ios), Firefox, Some((17, 5))),
        (IPHONE, " Version/17.5 EdgiOS/126.0 Mobile/15E148 Safari/604.1", Some(Os::Ios), Edge, Some((17, 5))),
        (IPHONE, " Version/17.4 Mobile/15E148 DuckDuckGo/7 Safari/605.1.15", Some(Os::Ios), Other, Some((17, 5))),
        (
            "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)",
            " Version/16.6 Mobile/15E148 Safari/604.1",
            Some(Os::Ios),
            Safari,
            Some((16, 6)),
        ),
        // An iPad that asks for desktop pages: Safari can't be told from a Mac's, Chrome can.
        (MAC, " Version/17.5 Safari/605.1.15", Some(Os::Macos), Safari, None),
        (MAC, " CriOS/126 Version/17.5 Safari/605.1.15", Some(Os::Ios), Chrome, None),
        (MAC, " Chrome/129.0.0.0 Safari/537.36", Some(Os::Macos), Chrome, None),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 14.6; rv:131.0) Gecko/20100101",
            " Firefox/131.0",
            Some(Os::Macos),
            Firefox,
            Some((14, 6)),
        ),
        (PIXEL, " Chrome/126.0.6478.119 Mobile Safari/537.36", Some(Os::Android), Chrome, Some((14, 0))),
        (REDUCED, " Chrome/141.0.0.0 Mobile Safari/537.36", Some(Os::Android), Chrome, None),
        (REDUCED, " SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36", Some(Os::Android), Samsung, None),
        (PIXEL, " Chrome/126.0.0.0 Mobile Safari/537.36 EdgA/126.0.0.0", Some(Os::Android), Edge, Some((14, 0))),
        (PIXEL, " Chrome/126.0.0.0 Mobile Safari/537.36 OPR/76.2", Some(Os::Android), Other, Some((14, 0))),
        (
            "Mozilla/5.0 (Android 14; Mobile; rv:128.0) Gecko/128.0",
            " Firefox/128.0",
            Some(Os::Android),
            Firefox,
            Some((14, 0)),
        ),
        (
            "Mozilla/5.0 (Linux; Android 9; Pixel 3 Build/PQ1A.190105.004) AppleWebKit/537.36",
            " (KHTML, like Gecko) Chrome/75.0.3770.101 Mobile Safari/537.36",
            Some(Os::Android),
            Chrome,
            Some((9, 0)),
        ),
        (WINDOWS, " Chrome/131.0.0.0 Safari/537.36", Some(Os::Windows), Chrome, Some((10, 0))),
        (WINDOWS, " Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0", Some(Os::Windows), Edge, Some((10, 0))),
        (WINDOWS, " Chrome/128.0.0.0 Safari/537.36 Vivaldi/6.8", Some(Os::Windows), Other, Some((10, 0))),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101",
            " Firefox/133.0",
            Some(Os::Windows),
            Firefox,
            Some((10, 0)),
        ),
        (
            "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0)",
            " like Gecko",
            Some(Os::Windows),
            Other,
            Some((6, 1)),
        ),
        (
            "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko)",
            " Chrome/132.0.0.0 Safari/537.36",
            Some(Os::Chromeos),
            Chrome,
            None,
        ),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101", " Firefox/140.0", Some(Os::Linux), Firefox, None),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)",
            " Chrome/126.0.0.0 Safari/537.36",
            Some(Os::Linux),
            Chrome,
            None,
        ),
        ("curl/8.5.0", "", None, Other, None),
        (
            "Mozilla/5.0 (PlayStation; PlayStation 5/6.02) AppleWebKit/605.1.15 (KHTML, like Gecko)",
            " Version/15.4 Safari/605.1.15",
            None,
            Safari,
            None,
        ),
        ("", "", None, Other, None),
    ];
    for (head, tail, os, browser, version) in table {
        let client = client(&format!("{head}{tail}"), &[]);
        assert_eq!((client.os, client.browser, client.version), (os, browser, version), "{head}{tail}");
        assert_eq!(client.in_app, None, "{head}{tail}");
    }
}

#[test]
fn windows_of_apps_are_known() {
    let table: [(&str, &str, Os, InApp); 19] = [
        (IPHONE, " Mobile/15E148 Safari Line/14.9.0", Os::Ios, InApp::Line),
        (IPHONE_26, " Mobile/15E148 Safari Line/15.12.1 LIFF", Os::Ios, InApp::Line),
        (VIEW, " Line/15.10.0/IAB", Os::Android, InApp::Line),
        (PIXEL, " Chrome/126.0.0.0 Mobile Safari/537.36 Line/14.10.1", Os::Android, InApp::Line),
        (
            IPHONE,
            " Mobile/15E148 [FBAN/FBIOS;FBAV/468.0.0.47.108;FBBV/1;FBDV/iPhone15,3;FBSN/iOS;FBSV/17.5]",
            Os::Ios,
            InApp::Facebook,
        ),
        (VIEW, " [FB_IAB/FB4A;FBAV/578.0.0.40.75;IABMV/1;]", Os::Android, InApp::Facebook),
        (VIEW, " [FB_IAB/MESSENGER;FBAV/448.0.0.0;]", Os::Android, InApp::Facebook),
        (
            IPHONE,
            " Mobile/15E148 Instagram 339.0.3.12.91 (iPhone15,2; iOS 18_5; ja_JP; ja; scale=3.00; 1179x2556)",
            Os::Ios,
            InApp::Instagram,
        ),
        (PIXEL, " Chrome/120.0 Mobile Safari/537.36 Instagram 312.0.0.34.111 Android", Os::Android, InApp::Instagram),
        (IPHONE, " Mobile/15E148 Twitter for iPhone/10.50", Os::Ios, InApp::X),
        (VIEW, " TwitterAndroid", Os::Android, InApp::X),
        (IPHONE, " Mobile/15E148 YJApp-IOS jp.co.yahoo.ipn.appli/4.49.0", Os::Ios, InApp::Yahoo),
        (IPHONE, " Mobile/15E148 Version/26.5.2 YJApp-IOS jp.co.yahoo.ipn.appli/4.168.0", Os::Ios, InApp::Yahoo),
        (VIEW, " YJApp-ANDROID jp.co.yahoo.android.yjtop/13.135.0", Os::Android, InApp::Yahoo),
        (IPHONE, " GSA/330.0.661049778 Mobile/15E148 Safari/604.1", Os::Ios, InApp::Other),
        (IPHONE, " Mobile/15E148 MicroMessenger/8.0.50", Os::Ios, InApp::Other),
        (IPHONE, " Mobile/15E148", Os::Ios, InApp::Other),
        (VIEW, "", Os::Android, InApp::Other),
        (VIEW, ";KAKAOTALK 2410430", Os::Android, InApp::Other),
    ];
    for (head, tail, os, app) in table {
        let client = client(&format!("{head}{tail}"), &[]);
        assert_eq!((client.os, client.in_app), (Some(os), Some(app)), "{head}{tail}");
        assert_eq!(client.browser, Browser::Other);
    }
}

#[test]
fn client_hints_and_the_name_of_the_app_count() {
    let hints = [("sec-ch-ua-platform", "\"Android\""), ("sec-ch-ua-platform-version", "\"15.0.0\"")];
    let phone = client(&format!("{REDUCED} Chrome/141.0.0.0 Mobile Safari/537.36"), &hints);
    assert_eq!((phone.os, phone.version), (Some(Os::Android), Some((15, 0))));
    let mac = client("Mozilla/5.0", &[("sec-ch-ua-platform", "\"macOS\""), ("sec-ch-ua-mobile", "?0")]);
    assert_eq!(mac.os, Some(Os::Macos));
    let book = client("Mozilla/5.0 (X11; Linux x86_64)", &[("sec-ch-ua-platform", "\"Chrome OS\"")]);
    assert_eq!(book.os, Some(Os::Chromeos));
    let gmail = client(VIEW, &[("x-requested-with", "com.google.android.gm")]);
    assert_eq!(gmail.in_app, Some(InApp::Gmail));
    // A browser that says its own name there, as some did, stays a browser.
    let browser = client(PIXEL, &[("x-requested-with", "com.sec.android.app.sbrowser")]);
    assert_eq!(browser.in_app, None);
}

#[test]
fn on_an_iphone_only_safari_will_do() {
    assert!(client(&format!("{IPHONE} CriOS/126.0.6478.54 Mobile/15E148 Safari/604.1"), &[]).wants_safari());
    assert!(!client(&format!("{IPHONE} Version/17.5 Mobile/15E148 Safari/604.1"), &[]).wants_safari());
    // What to do there is told otherwise.
    assert!(!client(&format!("{IPHONE} Mobile/15E148 Safari Line/14.9.0"), &[]).wants_safari());
}
