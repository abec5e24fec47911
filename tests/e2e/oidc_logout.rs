//! Signing out here and there: at the gate, at the provider's page, and by word of the provider's servers.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;
use demo::client::{Mode, Response};
use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::Value;

use crate::harness::{Gate, OUTSIDE, Sso, account, fill_in, run, saas_login};

const SATO: &str = "sato@sakura-kai.example";

async fn signed_in(sso: &Sso, gate: &Gate) -> demo::client::Browser {
    let mut browser = sso.browser(gate);
    let landed = sso.sign_in(&mut browser, &gate.url("/echo"), "sato").await;
    assert_eq!(landed.url, gate.url("/echo"), "{}", landed.text());
    browser
}

async fn gate_with_sato() -> (Sso, Gate) {
    let sso = Sso::start(vec![account("sato", &[])]).await;
    let gate = sso.gate(Gate::builder(), "", false).await;
    gate.add_colleague("sato", &["staff"], SATO);
    (sso, gate)
}

fn live(gate: &Gate) -> usize {
    gate.json(&["session", "list"]).as_array().unwrap().len()
}

/// As the provider's servers do: from any network, without device, cookie or Origin.
async fn tell(gate: &Gate, token: &str) -> Response {
    static CALLS: AtomicU8 = AtomicU8::new(10);
    // Each time another of its servers, so that the rate for strangers doesn't matter.
    tell_from([127, 0, 1, CALLS.fetch_add(1, Ordering::Relaxed)].into(), gate, token).await
}

async fn tell_from(source: IpAddr, gate: &Gate, token: &str) -> Response {
    let headers = HeaderMap::from_iter([(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-www-form-urlencoded"),
    )]);
    let body = Bytes::from(format!("logout_token={token}"));
    let url = gate.login_url("/oidc/idp/back-channel-logout");
    gate.browser(source).send(Method::POST, &url, Mode::Bare, headers, body).await.unwrap()
}

#[test]
fn signing_out_here_offers_to_sign_out_there_and_does_not_lead_back_in() {
    run(async {
        let (sso, gate) = gate_with_sato().await;
        let mut sato = signed_in(&sso, &gate).await;
        let ask = sato.open(&gate.login_url("/sign-out")).await.unwrap();
        let done = fill_in(&mut sato, &ask, &[]).await;
        assert_eq!((done.status.as_u16(), live(&gate)), (200, 0));
        assert_eq!(done.url, gate.login_url("/sign-out"), "nobody is led anywhere by signing out");
        // The provider still knows her; the page says so and offers the way.
        assert!(done.text().contains("still signed in"), "{}", done.text());
        let there = done.text().split("class=\"button\" href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let there = there.replace("&amp;", "&").replace("&#38;", "&");
        assert!(there.starts_with(&format!("{}/end-session?", sso.provider.issuer())), "{there}");
        let back = sato.open(&there).await.unwrap();
        assert!(back.url.starts_with(&gate.login_url("/oidc/idp/signed-out?state=")), "{}", back.url);
        assert!(back.text().contains("of the account you signed in with"), "{}", back.text());
        assert!(sso.provider.sessions("sato").is_empty());
        // Next time the provider asks for the password.
        let again = sato.open(&gate.url("/echo")).await.unwrap();
        assert!(again.text().contains("name=\"password\""), "{}", again.text());
        assert_eq!(gate.sign_outs(), ["sign-out"]);
    });
}

#[test]
fn promise_3_who_signs_out_at_the_provider_is_out_here_at_once() {
    run(async {
        let (sso, gate) = gate_with_sato().await;
        let mut sato = signed_in(&sso, &gate).await;
        saas_login(&gate, &mut sato).await;
        let mut socket = sato.websocket(&gate.url("/notices/ws").replacen("https", "wss", 1)).await.unwrap();
        // At the provider's own page, not through us; it tells us over the back channel.
        sato.open(&format!("{}/end-session", sso.provider.issuer())).await.unwrap();
        assert_eq!(live(&gate), 0);
        let after =
            sato.send(Method::GET, &gate.url("/echo"), Mode::Fetch, HeaderMap::new(), Bytes::new()).await.unwrap();
        assert_eq!(after.status, 401);
        let cut = tokio::time::timeout(std::time::Duration::from_secs(5), async {
            while let Some(Ok(_)) = socket.next().await {}
        });
        assert!(cut.await.is_ok(), "the WebSocket is still open");
        assert_eq!(gate.sign_outs(), ["back-channel"]);
    });
}

#[test]
fn a_logout_token_is_believed_only_if_all_of_it_is_right_and_once() {
    run(async {
        let (sso, gate) = gate_with_sato().await;
        signed_in(&sso, &gate).await;
        let (subject, sid) = sso.provider.sessions("sato").remove(0);
        let good = |claims: &mut Value| claims["sid"] = sid.clone().into();
        type Change<'c> = &'c dyn Fn(&mut Value);
        let table: [(&str, &str, Change<'_>); 10] = [
            ("another issuer", "issuer", &|c| c["iss"] = "https://other.example".into()),
            ("another client", "audience", &|c| c["aud"] = "other".into()),
            ("expired", "expired", &|c| c["exp"] = 1_000_000.into()),
            ("from the future", "not-yet", &|c| c["iat"] = 9_999_999_999_i64.into()),
            ("no event", "logout-token", &|c| c["events"] = serde_json::json!({})),
            ("an ID token", "logout-token", &|c| c["nonce"] = "n".into()),
            ("nobody named", "logout-token", &|c| c["sid"] = Value::Null),
            ("without a name of its own", "logout-token", &|c| c["jti"] = Value::Null),
            ("without an end", "logout-token", &|c| c["exp"] = Value::Null),
            ("without a time", "logout-token", &|c| c["iat"] = Value::Null),
        ];
        for (what, cause, change) in table {
            let token = sso.provider.logout_token("sekisho", |claims| {
                good(claims);
                change(claims);
            });
            let refused = tell(&gate, &token).await;
            assert_eq!((refused.status.as_u16(), live(&gate)), (400, 1), "{what}");
            assert!(!refused.text().contains("<html"), "{what}: a page was shown");
            assert_eq!(gate.sign_ins().pop().unwrap().cause.as_deref(), Some(cause), "{what}");
        }
        for (what, token, cause) in [
            ("nothing", String::new(), "malformed"),
            (
                "a signature cut off",
                sso.provider.logout_token("sekisho", good).rsplit_once('.').unwrap().0.to_owned() + ".",
                "signature",
            ),
            ("a long one", "x".repeat(15_000), "malformed"),
        ] {
            assert_eq!((tell(&gate, &token).await.status.as_u16(), live(&gate)), (400, 1), "{what}");
            assert_eq!(gate.sign_ins().pop().unwrap().cause.as_deref(), Some(cause), "{what}");
        }

        // By subject, all of hers end; the token is good once.
        signed_in(&sso, &gate).await;
        assert_eq!(live(&gate), 2);
        let token = sso.provider.logout_token("sekisho", |claims| claims["sub"] = subject.clone().into());
        let told = tell(&gate, &token).await;
        assert_eq!((told.status.as_u16(), told.headers["cache-control"].to_str().unwrap()), (200, "no-store"));
        assert_eq!(live(&gate), 0);
        assert_eq!(tell(&gate, &token).await.status, 400);
        assert_eq!(gate.sign_ins().pop().unwrap().cause.as_deref(), Some("replayed"));
        assert_eq!(gate.sign_outs(), ["back-channel", "back-channel"]);
    });
}

#[test]
fn the_providers_page_ends_the_session_it_names_and_no_other() {
    run(async {
        let (sso, gate) = gate_with_sato().await;
        signed_in(&sso, &gate).await;
        let (_, first) = sso.provider.sessions("sato").remove(0);
        signed_in(&sso, &gate).await;
        let issuer = demo::client::encode(sso.provider.issuer());
        let ask = async |query: String| {
            let url = gate.login_url(&format!("/oidc/idp/front-channel-logout?{query}"));
            // In a frame of the provider's page: without our cookies, from wherever the browser is.
            gate.browser(OUTSIDE).send(Method::GET, &url, Mode::Bare, HeaderMap::new(), Bytes::new()).await.unwrap()
        };
        for wrong in [format!("iss={issuer}"), format!("sid={first}"), format!("iss=https%3A%2F%2Fother&sid={first}")] {
            assert_eq!((ask(wrong.clone()).await.status.as_u16(), live(&gate)), (400, 2), "{wrong}");
        }
        assert_eq!((ask(format!("iss={issuer}&sid=made-up")).await.status.as_u16(), live(&gate)), (200, 2));
        assert_eq!((ask(format!("iss={issuer}&sid={first}")).await.status.as_u16(), live(&gate)), (200, 1));
        assert_eq!(gate.sign_outs(), ["front-channel"]);
    });
}

#[test]
fn only_these_two_paths_are_open_to_everybody() {
    run(async {
        let (_sso, gate) = gate_with_sato().await;
        for (method, path) in [
            (Method::GET, "/oidc/idp/back-channel-logout"),
            (Method::POST, "/oidc/idp/front-channel-logout"),
            (Method::POST, "/oidc/other/back-channel-logout"),
            (Method::GET, "/oidc/idp/callback"),
            (Method::GET, "/"),
        ] {
            let url = gate.login_url(path);
            let mut outside = gate.browser(OUTSIDE);
            let answer = outside.send(method.clone(), &url, Mode::Bare, HeaderMap::new(), Bytes::new());
            assert_eq!(answer.await.unwrap().status, 403, "{method} {path}");
        }
        // A flood of them is counted, as any stranger's requests are.
        for _ in 0..40 {
            tell_from(OUTSIDE, &gate, "x").await;
        }
        let recorded = gate.sign_ins().len() + gate.requests(&["--app", "login"]).len();
        assert!(recorded < 60, "{recorded} records of one stranger within a minute");
        assert!(gate.metric("sekisho_aggregated_total").await >= 1.0);
    });
}
