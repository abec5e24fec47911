use super::*;

fn deny(reason: Reason) -> Deny<'static> {
    Deny { reason, code: Some("3-07K2"), sign_in: None, set_up: false, app: Some("kaipoke") }
}

#[test]
fn every_reason_has_a_page_in_both_languages() {
    for reason in Reason::ALL {
        for lang in Lang::ALL {
            let page = deny_page(&deny(*reason), lang);
            let words = words::of_reason(*reason);
            assert_eq!(page.status, status(*reason));
            assert!(page.body.contains(&format!("<html lang=\"{}\">", lang.tag())));
            assert!(page.body.contains("3-07K2") && page.body.contains("kaipoke"));
            for sentence in words.next.sentences(lang).chain(words.what.sentences(lang)) {
                let escaped = sentence.replace('\'', "&#39;");
                assert!(page.body.contains(&escaped), "{reason}: {escaped}");
            }
        }
    }
}

#[test]
fn a_page_loads_nothing_runs_nothing_and_is_kept_nowhere() {
    let page = deny_page(&deny(Reason::NoRule), Lang::Ja);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    assert!(!policy.contains("unsafe"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    for loads in ["<script", "src=", "@import", "url(", " style=", "http://"] {
        // The one address with `http://` is the name of the SVG vocabulary, which nothing fetches.
        let body = page.body.replace("http://www.w3.org/2000/svg", "");
        assert!(!body.contains(loads), "{loads}");
    }
}

#[test]
fn the_style_sheet_is_the_one_that_is_allowed() {
    use data_encoding::BASE64;
    let page = deny_page(&deny(Reason::NoRule), Lang::Ja);
    let style = page.body.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let hash = BASE64.encode(ring::digest::digest(&ring::digest::SHA256, style.as_bytes()).as_ref());
    assert!(page.header("content-security-policy").unwrap().contains(&format!("'sha256-{hash}'")));
}

#[test]
fn what_comes_from_outside_is_escaped() {
    let code = "<script>alert(1)</script>";
    let deny = Deny {
        reason: Reason::NoApp,
        code: Some(code),
        sign_in: Some("/\"><b>"),
        set_up: false,
        app: Some("<img src=x>"),
    };
    let page = deny_page(&deny, Lang::En);
    assert!(!page.body.contains("<script") && !page.body.contains("<img") && !page.body.contains("\"><b>"));
}

#[test]
fn the_way_to_sign_in_leads_to_https_only() {
    for (url, shown) in [
        ("https://login.gw.example/?handle=a", true),
        ("/sign-in", true),
        ("javascript:alert(1)", false),
        ("//evil.example", false),
        ("http://login.gw.example", false),
    ] {
        let deny = Deny { sign_in: Some(url), ..deny(Reason::SignInNeeded) };
        assert_eq!(deny_page(&deny, Lang::Ja).body.contains("class=\"button\""), shown, "{url}");
        assert_eq!(deny_json(&deny, Lang::Ja).body.contains("sign_in"), shown, "{url}");
    }
}

#[test]
fn scripts_are_told_in_json() {
    let deny = Deny { sign_in: Some("https://login.gw.example/"), ..deny(Reason::SignInNeeded) };
    let page = deny_json(&deny, Lang::En);
    assert_eq!((page.status, page.header("content-type")), (401, Some("application/json")));
    let body: serde_json::Value = serde_json::from_str(&page.body).unwrap();
    assert_eq!(body["error"], "sign-in-needed");
    assert_eq!(body["code"], "3-07K2");
    assert_eq!(body["sign_in"], "https://login.gw.example/");
    assert!(body["message"].as_str().unwrap().starts_with("You are not signed in"));
    let bare = deny_json(&Deny { code: None, sign_in: None, ..deny }, Lang::Ja);
    let body: serde_json::Value = serde_json::from_str(&bare.body).unwrap();
    assert!(body.get("code").is_none() && body.get("sign_in").is_none());
}

#[test]
fn statuses_are_those_of_http() {
    for (reason, expected) in [
        (Reason::SignInNeeded, 401),
        (Reason::NoRule, 403),
        (Reason::NoApp, 404),
        (Reason::Misdirected, 421),
        (Reason::Ambiguous, 400),
        (Reason::TooMany, 429),
        (Reason::UpstreamFailed, 502),
        (Reason::RecordUnavailable, 503),
        (Reason::Clock, 503),
    ] {
        assert_eq!(status(reason), expected, "{reason}");
    }
    assert!(deny_page(&deny(Reason::TooMany), Lang::Ja).header("retry-after").is_some());
}

#[test]
fn who_lacks_a_second_factor_is_led_on_where_that_helps() {
    let helpless = deny_page(&deny(Reason::FactorsNeeded), Lang::Ja);
    assert!(helpless.body.contains("管理者") && !helpless.body.contains("class=\"button\""));
    let url = "https://login.gw.example/security?handle=x";
    let lead = Deny { sign_in: Some(url), ..deny(Reason::FactorsNeeded) };
    let again = deny_page(&lead, Lang::Ja);
    assert!(again.body.contains(words::SIGN_IN_AGAIN.ja) && again.body.contains(words::FACTOR_TO_SHOW.what.ja));
    let set_up = deny_page(&Deny { set_up: true, ..lead }, Lang::Ja);
    assert!(set_up.body.contains(words::SET_UP_SECOND_FACTOR.ja) && set_up.body.contains(url));
    assert!(deny_json(&Deny { set_up: true, ..lead }, Lang::En).body.contains("authenticator app or a passkey"));
}
