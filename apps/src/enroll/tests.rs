use http::HeaderMap;
use http::header::USER_AGENT;
use vocabulary::{DeviceKind, Os, RevocationCause};

use super::*;
use crate::words::{self, enroll as text};
use crate::{Lang, Page};

const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)";
const ANDROID: &str =
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36";
const WINDOWS: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0";

fn client(agent: &str) -> Client {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, agent.parse().unwrap());
    Client::of(&headers)
}

fn safari() -> Client {
    client(&format!("{IPHONE} Version/17.5 Mobile/15E148 Safari/604.1"))
}

fn line() -> Client {
    client(&format!("{IPHONE} Mobile/15E148 Safari Line/14.9.0"))
}

fn invited(kind: DeviceKind) -> Invited<'static> {
    Invited {
        facility: "ひまわり訪問看護ステーション", kind, owner: Some("佐藤 花子"), until: "2026年12月6日 18:00"
    }
}

fn install(os: Os) -> Install<'static> {
    Install {
        os,
        profile_acme: None,
        profile: Some("profile"),
        p12: Some("certificate.p12"),
        password: Some("K7QM-2XRD-9WTF-4HVB-6NPC"),
        check: "https://login.gw.example/device",
        until: "12月6日 18:00",
        name: "佐藤さんのiPhone",
    }
}

fn entry() -> SheetEntry<'static> {
    SheetEntry {
        facility: "ひまわり訪問看護ステーション",
        kind: DeviceKind::Lent,
        owner: Some("佐藤 花子"),
        url: "https://login.gw.example/d/k7qm2xrd9wtf4hvb6npck7qm2xrd9wtf",
        until: "2026年12月6日 18:00",
        contact: Some("管理者 田中 03-1234-5678"),
    }
}

/// Every page there is, by name.
fn every_page(lang: Lang) -> Vec<(String, Page)> {
    let (safari, line, android, windows) = (safari(), line(), client(ANDROID), client(WINDOWS));
    let line_android =
        client(&format!("{}; wv) Version/4.0 Chrome/126 Line/15.10.0/IAB", "Mozilla/5.0 (Linux; Android 14"));
    let chrome_ios = client(&format!("{IPHONE} CriOS/126.0.6478.54 Mobile/15E148 Safari/604.1"));
    let unknown = client("Mozilla/5.0");
    let visit = |client| Visit { lang, client, code: Some("3-07K2") };
    let (iphone, phone, pc) = (visit(&safari), visit(&android), visit(&windows));
    let confirm = |problem, asks_approval| Confirm {
        token: "t0ken",
        who: "佐藤 花子",
        name: Name::Asked("佐藤さんのiPhone"),
        asks_approval,
        problem,
    };
    let mut pages = vec![
        ("invitation-iphone".to_owned(), invitation_page(&iphone, &invited(DeviceKind::Byod), "/sign-in")),
        ("invitation-line".to_owned(), invitation_page(&visit(&line), &invited(DeviceKind::Lent), "/sign-in")),
        (
            "invitation-line-android".to_owned(),
            invitation_page(&visit(&line_android), &invited(DeviceKind::Lent), "/s"),
        ),
        ("invitation-chrome-ios".to_owned(), invitation_page(&visit(&chrome_ios), &invited(DeviceKind::Lent), "/s")),
        ("invitation-unknown".to_owned(), invitation_page(&visit(&unknown), &invited(DeviceKind::Shared), "/s")),
        ("confirm".to_owned(), confirm_page(&iphone, &invited(DeviceKind::Byod), &confirm(None, true), 200)),
        (
            "confirm-problem".to_owned(),
            confirm_page(&iphone, &invited(DeviceKind::Lent), &confirm(Some(words::ENROLL_NAME_WRONG), false), 422),
        ),
        (
            "confirm-settled".to_owned(),
            confirm_page(
                &iphone,
                &invited(DeviceKind::Lent),
                &Confirm { name: Name::Settled("訪問用iPhone 3"), ..confirm(None, true) },
                200,
            ),
        ),
        (
            "confirm-approved".to_owned(),
            confirm_page(
                &iphone,
                &invited(DeviceKind::Lent),
                &Confirm { name: Name::Approved("訪問用iPhone 3"), ..confirm(None, false) },
                200,
            ),
        ),
        (
            "waiting".to_owned(),
            waiting_page(&iphone, &Waiting { code: "4827-KM", contact: entry().contact, refresh_secs: 5 }),
        ),
        ("choose".to_owned(), choose_os_page(&iphone)),
        (
            "install-ios-acme".to_owned(),
            install_page(&iphone, &Install { profile_acme: Some("acme"), ..install(Os::Ios) }),
        ),
        ("install-line".to_owned(), install_page(&visit(&line), &install(Os::Ios))),
        ("install-chrome-ios".to_owned(), install_page(&visit(&chrome_ios), &install(Os::Ios))),
        ("install-macos-file".to_owned(), install_page(&pc, &Install { profile: None, ..install(Os::Macos) })),
        ("install-nothing".to_owned(), install_page(&phone, &Install { p12: None, ..install(Os::Android) })),
        (
            "check-seen".to_owned(),
            check_page(
                &iphone,
                &Check::Seen {
                    name: "佐藤さんのiPhone", owner: Some("佐藤 花子"), until: "2027年12月1日", home: "/"
                },
            ),
        ),
        ("check-expired".to_owned(), check_page(&iphone, &Check::Expired { renew: Some("/renew") })),
        ("check-revoked".to_owned(), check_page(&iphone, &Check::Revoked)),
        ("check-not-yours".to_owned(), check_page(&iphone, &Check::NotYours { owner_hint: true })),
        ("check-not-yours-at-all".to_owned(), check_page(&iphone, &Check::NotYours { owner_hint: false })),
    ];
    for (expired, days_left) in [(false, 7), (false, 1), (true, -3)] {
        let renewal =
            Renewal { name: "佐藤さんのiPhone", ends: "2026年12月6日", days_left, token: "t0ken", expired };
        pages.push((format!("renew-{days_left}"), renew_page(&iphone, &renewal)));
    }
    for os in Os::ALL {
        let visit = match os {
            Os::Ios => &iphone,
            Os::Android => &phone,
            _ => &pc,
        };
        pages.push((format!("install-{os}"), install_page(visit, &install(*os))));
        let not_seen = Check::NotSeen { os: Some(*os), again: "/device", steps: Some("/d/x/install") };
        pages.push((format!("check-not-seen-{os}"), check_page(visit, &not_seen)));
    }
    for (name, client) in [("line", &line), ("chrome-ios", &chrome_ios), ("unknown", &unknown)] {
        let not_seen = Check::NotSeen { os: None, again: "/device", steps: None };
        pages.push((format!("check-not-seen-{name}"), check_page(&visit(client), &not_seen)));
    }
    for problem in Problem::ALL {
        let way = (problem == Problem::NotYours).then_some(("/switch", words::SWITCH));
        pages.push((
            format!("problem-{problem:?}").to_lowercase(),
            problem_page(&iphone, problem, way, entry().contact),
        ));
    }
    pages
}

/// The text that a person reads, a piece between two tags a line.
fn read(body: &str) -> Vec<String> {
    let main = body.split("<main>").nth(1).unwrap().split("</main>").next().unwrap();
    let pieces = main.split('<').filter_map(|piece| piece.split_once('>'));
    let pieces = pieces.map(|(_, text)| text.trim().replace("&#39;", "'").replace("&#34;", "\""));
    pieces.filter(|text| !text.is_empty()).collect()
}

#[test]
fn japanese_is_polite_and_short_everywhere() {
    let mut wrong = std::collections::BTreeSet::new();
    for (name, page) in every_page(Lang::Ja) {
        for piece in read(&page.body) {
            assert!(!piece.contains("利用者"), "{name}: {piece}");
            let Some(sentences) = piece.strip_suffix('。') else { continue };
            for sentence in sentences.split('。') {
                let polite = ["ます", "です", "ください", "ません", "ました", "でした"];
                let quoted = sentence.ends_with('」');
                let short = sentence.chars().count() <= 50;
                if !short || !(quoted || polite.iter().any(|end| sentence.ends_with(end))) {
                    wrong.insert(sentence.to_owned());
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn english_is_english_but_for_names() {
    for (name, page) in every_page(Lang::En) {
        let names = [
            "ひまわり訪問看護ステーション",
            "佐藤 花子",
            "佐藤さんのiPhone",
            "訪問用iPhone 3",
            "2026年12月6日 18:00",
            "12月6日 18:00",
            "2026年12月6日",
            "2027年12月1日",
            "管理者 田中 03-1234-5678",
            "••••••••••••",
        ];
        for piece in read(&page.body) {
            let rest = names.iter().fold(piece.clone(), |rest, name| rest.replace(name, ""));
            assert!(rest.is_ascii(), "{name}: {piece}");
        }
    }
}

#[test]
fn pages_load_and_run_nothing_but_the_one_script() {
    for lang in Lang::ALL {
        for (name, page) in every_page(lang) {
            let policy = page.header("content-security-policy").unwrap();
            assert!(!policy.contains("unsafe") && policy.contains("default-src 'none'"), "{name}");
            let body = page.body.replace("http://www.w3.org/2000/svg", "");
            let scripts = body.matches("<script").count();
            assert_eq!(scripts, body.matches("<script src=\"/enroll.js?v=").count(), "{name}");
            assert_eq!(scripts > 0, policy.contains("script-src 'self'"), "{name}");
            let body = body.replace("<script src=", "");
            for loads in ["src=", "@import", "url(", " style=", "http://", "onclick"] {
                assert!(!body.contains(loads), "{name}: {loads}");
            }
            assert!(page.body.contains("3-07K2"), "{name}: the code");
            assert_eq!(page.header("cache-control"), Some("no-store"));
        }
    }
}

#[test]
fn every_picture_can_be_heard() {
    for (name, page) in every_page(Lang::Ja) {
        let pictures = page.body.matches("<svg class=\"shot\"").count();
        assert_eq!(
            pictures,
            page.body.matches("<svg class=\"shot\" role=\"img\" aria-label=\"画面の例。").count(),
            "{name}"
        );
        if name.starts_with("install-") && name != "install-nothing" {
            assert!(pictures >= 3, "{name} has {pictures}");
        }
    }
}

#[test]
fn the_link_alone_offers_no_form() {
    let client = safari();
    let visit = Visit { lang: Lang::Ja, client: &client, code: None };
    let page = invitation_page(&visit, &invited(DeviceKind::Byod), "/d/abc/sign-in");
    assert!(!page.body.contains("<form") && page.body.contains("href=\"/d/abc/sign-in\""));
    assert!(page.body.contains("写真や連絡先") && page.body.contains("iPhone・iPad"));
    assert!(!page.body.contains("お問い合わせ番号"));
    let lent = invitation_page(&visit, &invited(DeviceKind::Lent), "/s");
    assert!(!lent.body.contains("写真や連絡先"));
}

#[test]
fn an_ipad_that_looks_like_a_mac_finds_its_steps() {
    let mac = client(
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
    );
    let visit = Visit { lang: Lang::Ja, client: &mac, code: None };
    assert!(invitation_page(&visit, &invited(DeviceKind::Lent), "/s").body.contains(text::MAC_OR_IPAD.ja));
    assert!(install_page(&visit, &install(Os::Macos)).body.contains(text::IPAD_INSTEAD.ja));
    assert!(!install_page(&visit, &install(Os::Ios)).body.contains(text::IPAD_INSTEAD.ja));
}

#[test]
fn an_app_is_left_before_anything_else() {
    let (line, safari) = (line(), safari());
    let at = |client| {
        let visit = Visit { lang: Lang::Ja, client, code: None };
        invitation_page(&visit, &invited(DeviceKind::Lent), "/sign-in").body
    };
    let inside = at(&line);
    let (out, sign_in) = (inside.find("?openExternalBrowser=1").unwrap(), inside.find("/sign-in").unwrap());
    assert!(out < sign_in && inside.contains("LINEの中で") && inside.contains("デフォルトのブラウザで開く"));
    assert!(!at(&safari).contains("openExternalBrowser"));
}

#[test]
fn a_name_is_asked_for_by_a_form_of_the_page_itself() {
    let client = safari();
    let visit = Visit { lang: Lang::Ja, client: &client, code: None };
    let confirm = Confirm {
        token: "\"><script>",
        who: "<b>",
        name: Name::Asked("\" autofocus onfocus=\"x"),
        asks_approval: true,
        problem: Some(words::ENROLL_NAME_WRONG),
    };
    let page = confirm_page(&visit, &invited(DeviceKind::Byod), &confirm, 422);
    assert_eq!(page.status, 422);
    assert!(page.body.contains("<form method=\"post\" action=\"\">") && page.body.contains("name=\"name\""));
    assert!(page.body.contains(text::REGISTER.ja) && page.body.contains(text::ASKS_APPROVAL.ja));
    assert!(page.body.contains(words::ENROLL_NAME_WRONG.ja) && page.body.contains("role=\"alert\""));
    assert!(
        !page.body.contains("<script>")
            && !page.body.contains("\" autofocus onfocus")
            && !page.body.contains("<dd><b>")
    );
    assert!(!format!("{confirm:?}").contains("script"));
}

#[test]
fn the_waiting_page_looks_again_by_itself() {
    let client = safari();
    let visit = Visit { lang: Lang::En, client: &client, code: None };
    let page = waiting_page(&visit, &Waiting { code: "4827-KM", contact: None, refresh_secs: 5 });
    assert_eq!(page.header("refresh"), Some("5"));
    assert!(page.body.contains("4827-KM"));
}

#[test]
fn the_password_stands_apart_and_only_where_it_is_needed() {
    let client = safari();
    let visit = Visit { lang: Lang::Ja, client: &client, code: None };
    let shown = "K7QM-<wbr>2XRD-<wbr>9WTF-<wbr>4HVB-<wbr>6NPC";
    let plain = install_page(&visit, &install(Os::Ios)).body;
    assert!(plain.find(shown).unwrap() < plain.find("href=\"profile\"").unwrap());
    assert!(plain.contains("証明書のパスワードを入れて") && !plain.contains("certificate.p12"));
    // With a key of its own the first way has no password; it stands with the other.
    let acme = install_page(&visit, &Install { profile_acme: Some("acme"), ..install(Os::Ios) }).body;
    let trouble = acme.find(text::TROUBLE.ja).unwrap();
    assert!(acme.find("href=\"acme\"").unwrap() < trouble && trouble < acme.find(shown).unwrap());
    assert!(acme.find("href=\"profile\"").unwrap() > trouble && !acme.contains("証明書のパスワードを入れて"));
    // What is meant for Apple is nothing for others.
    let android = install_page(&visit, &Install { profile_acme: Some("acme"), ..install(Os::Android) }).body;
    assert!(
        android.contains("href=\"certificate.p12\"") && !android.contains("href=\"acme\"") && android.contains(shown)
    );
    assert!(!format!("{:?}", install(Os::Ios)).contains("K7QM"));
}

#[test]
fn only_the_steps_of_one_system_are_shown() {
    let client = safari();
    let visit = Visit { lang: Lang::Ja, client: &client, code: None };
    let body = |os| install_page(&visit, &install(os)).body;
    assert!(body(Os::Ios).contains("VPNとデバイス管理") && !body(Os::Ios).contains("VPNとアプリユーザー証明書"));
    assert!(body(Os::Android).contains("VPNとアプリユーザー証明書") && !body(Os::Android).contains("パスコード"));
    assert!(body(Os::Windows).contains("現在のユーザー") && body(Os::Macos).contains("デバイス管理"));
    for os in Os::ALL {
        let body = body(*os);
        assert!(body.contains("href=\"https://login.gw.example/device\""), "{os}");
        assert!(!body.contains(&format!("?os={os}\"")) && body.contains("?os="), "{os}");
    }
    let chosen = choose_os_page(&visit).body;
    assert!(Os::ALL.iter().all(|os| chosen.contains(&format!("href=\"?os={os}\""))));
}

#[test]
fn what_is_said_about_a_certificate_fits_the_browser() {
    let (line, windows, safari) = (line(), client(WINDOWS), safari());
    let not_seen = Check::NotSeen { os: None, again: "/device", steps: None };
    let said = |client| {
        let visit = Visit { lang: Lang::Ja, client, code: None };
        check_page(&visit, &not_seen).body
    };
    assert!(said(&line).contains(text::UNSEEN_IN_APP.ja));
    assert!(said(&windows).contains(text::UNSEEN_FIREFOX.ja));
    assert!(said(&safari).contains("タブを閉じて"));
    let visit = Visit { lang: Lang::Ja, client: &safari, code: None };
    for check in [Check::Expired { renew: None }, Check::Revoked, Check::NotYours { owner_hint: true }] {
        assert_eq!(check_page(&visit, &check).status, 403);
    }
    assert_eq!(check_page(&visit, &not_seen).status, 200);
}

#[test]
fn problems_have_their_status() {
    let client = safari();
    let visit = Visit { lang: Lang::Ja, client: &client, code: Some("3-07K2") };
    let status = |problem| problem_page(&visit, problem, None, Some("03-1234-5678")).status;
    let of_all = Problem::ALL.map(status);
    assert_eq!(of_all, [404, 410, 410, 410, 403, 410, 403, 429, 503, 403]);
    let page = problem_page(&visit, Problem::NotYours, Some(("/switch", words::SWITCH)), Some("03-1234-5678"));
    assert!(page.body.contains("href=\"/switch\"") && page.body.contains("03-1234-5678"));
}

#[test]
fn a_renewal_is_one_button_and_counts_its_days() {
    assert_eq!(renewal_hint(Lang::Ja, 30), "この端末の証明書は、あと30日で期限が切れます。");
    assert_eq!(renewal_hint(Lang::En, 60), "This device's certificate ends in 60 days.");
    let hints = [-1, 0, 1, 2].map(|days| renewal_hint(Lang::En, days));
    assert!(hints[0].contains("has ended") && hints[1].contains("today") && hints[2].contains("tomorrow"));
    let client = safari();
    let visit = Visit { lang: Lang::Ja, client: &client, code: None };
    let renewal = Renewal { name: "iPhone", ends: "12月6日", days_left: 7, token: "t0ken", expired: false };
    let page = renew_page(&visit, &renewal);
    assert_eq!(page.body.matches("<button").count(), 1);
    assert!(page.body.contains("<form method=\"post\" action=\"\">") && page.body.contains("value=\"t0ken\""));
}

#[test]
fn the_script_is_kept_if_asked_for_by_its_hash() {
    let client = safari();
    let visit = Visit { lang: Lang::Ja, client: &client, code: None };
    let body = install_page(&visit, &install(Os::Ios)).body;
    let version = body.split("/enroll.js?v=").nth(1).unwrap().split('"').next().unwrap();
    assert!(script_page(Some(version)).header("cache-control").unwrap().contains("immutable"));
    assert_eq!(script_page(None).header("cache-control"), Some("no-store"));
    assert!(script_page(Some(version)).header("content-type").unwrap().starts_with("text/javascript"));
}

#[test]
fn a_sheet_stands_alone() {
    let hostile = SheetEntry { owner: Some("<script>x</script>"), contact: None, ..entry() };
    for lang in Lang::ALL {
        let document = sheets(lang, &[entry(), hostile]);
        assert_eq!(document.matches("<section class=\"sheet\">").count(), 2);
        assert!(document.contains(entry().url) && !document.contains("<script") && !document.contains("src="));
        assert!(!document.contains("url(") && !document.contains("利用者"));
    }
    assert!(!format!("{:?}", entry()).contains("k7qm"));
}

#[test]
fn mails_say_what_to_do_and_carry_no_more_than_they_should() {
    let (subject, body) = invitation_mail(Lang::Ja, &entry());
    assert!(subject.contains("ひまわり") && body.contains(entry().url) && body.contains("12月6日"));
    let (_, body) =
        approval_mail(Lang::Ja, "ひまわり", "佐藤", Some(Os::Ios), "203.0.113.5", "sekisho device requests");
    assert!(body.contains("sekisho device requests") && body.contains("iPhone・iPad"));
    let mut mails = Vec::new();
    for lang in Lang::ALL {
        mails.push(invitation_mail(lang, &SheetEntry { owner: None, contact: None, ..entry() }));
        mails.push(approval_mail(lang, "F", "W", None, "S", "H"));
        mails.extend([-1, 0, 1, 30].map(|days| renewal_mail(lang, "F", "D", "E", days, "https://x.example/")));
        let lost = |cause| lost_mail(lang, "F", "D", Some("O"), "A", cause);
        mails.extend(RevocationCause::ALL.iter().map(|cause| lost(*cause)));
    }
    for (subject, body) in mails {
        assert!(!subject.contains('\n') && !subject.is_empty() && !body.contains("利用者"), "{subject}");
        assert!(body.ends_with('\n') && !body.contains("\n\n\n"), "{body}");
    }
}

/// Set `SEKISHO_PAGES` to a folder to look at every page in a browser.
#[test]
fn pages_can_be_written_to_a_folder() {
    let Some(folder) = std::env::var_os("SEKISHO_PAGES").map(std::path::PathBuf::from) else { return };
    std::fs::create_dir_all(&folder).unwrap();
    for lang in Lang::ALL {
        for (name, page) in every_page(lang) {
            let body = page.body.replace("/enroll.js?v=", "enroll.js?v=");
            std::fs::write(folder.join(format!("{name}-{}.html", lang.tag())), body).unwrap();
        }
        std::fs::write(folder.join(format!("sheet-{}.html", lang.tag())), sheets(lang, &[entry(), entry()])).unwrap();
    }
    std::fs::write(folder.join("enroll.js"), script_page(None).body).unwrap();
    std::fs::write(folder.join("qr.svg"), qr_svg(entry().url).unwrap()).unwrap();
    std::fs::write(folder.join("qr.txt"), qr_text(entry().url).unwrap()).unwrap();
}
