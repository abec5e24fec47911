//! Passkeys in headless Chromium, with a virtual authenticator: added, used, refused, removed, in both languages and on
//! a phone's screen; and that everything else works without scripts. Screenshots are left in `target/screenshots`.

use fantoccini::Locator;
use fantoccini::wd::WebDriverCompatibleCommand;
use http::Method;
use serde_json::{Value, json};

use crate::browser::Chromium;
use crate::harness::{Gate, PASSWORD, run};

/// Commands of the WebDriver extension for WebAuthn (WebAuthn Level 3, 12).
#[derive(Debug)]
enum Authenticator {
    Add { verified: bool },
    Verified { id: String, verified: bool },
    Remove { id: String },
    Credentials { id: String },
}

impl WebDriverCompatibleCommand for Authenticator {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        let session = session.unwrap_or_default();
        let tail = match self {
            Self::Add { .. } => String::new(),
            Self::Verified { id, .. } => format!("/{id}/uv"),
            Self::Remove { id } => format!("/{id}"),
            Self::Credentials { id } => format!("/{id}/credentials"),
        };
        base.join(&format!("session/{session}/webauthn/authenticator{tail}"))
    }

    fn method_and_body(&self, _: &url::Url) -> (Method, Option<String>) {
        match self {
            Self::Add { verified } => {
                let body = json!({
                    "protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
                    "hasUserVerification": true, "isUserVerified": verified, "isUserConsenting": true,
                });
                (Method::POST, Some(body.to_string()))
            }
            Self::Verified { verified, .. } => (Method::POST, Some(json!({ "isUserVerified": verified }).to_string())),
            Self::Remove { .. } => (Method::DELETE, None),
            Self::Credentials { .. } => (Method::GET, None),
        }
    }
}

impl Chromium {
    async fn authenticator(&self) -> String {
        let id = self.client.issue_cmd(Authenticator::Add { verified: true }).await.unwrap();
        id.as_str().unwrap().to_owned()
    }

    /// A phone's screen: windows are never that narrow, so the page is told another size.
    async fn phone(&self) {
        let size = json!({ "width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": true });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    async fn command(&self, command: Authenticator) -> Value {
        self.client.issue_cmd(command).await.unwrap()
    }

    async fn sign_in(&self, gate: &Gate) {
        self.client.goto(&gate.url("/echo")).await.unwrap();
        self.fill("login_id", "sato").await;
        self.fill("password", PASSWORD).await;
        self.press("form[action=\"\"] button").await;
    }

    async fn sign_out(&self, gate: &Gate) {
        self.client.goto(&gate.login_url("/sign-out")).await.unwrap();
        self.press("form button").await;
        self.find(".sign.done").await;
    }

    /// What the browser has complained about: a refused style or script would stand there.
    async fn complaints(&self) -> Vec<String> {
        let entries = self.log("browser").await;
        entries.iter().filter_map(|entry| entry["message"].as_str()).map(str::to_owned).collect()
    }
}

const ALONE: &str = "form[action=\"/passkey\"] button";
const ADD: &str = "form[action=\"/security/passkey\"] button";

#[test]
fn a_passkey_is_added_signs_in_alone_and_after_the_password_and_is_removed() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let chromium = Chromium::start(&gate, "ja", 390, 844).await;
        chromium.phone().await;
        let authenticator = chromium.authenticator().await;
        chromium.sign_in(&gate).await;
        chromium.until_url(&gate.url("/echo")).await;

        // Added, and recovery codes come along.
        chromium.client.goto(&gate.login_url("/security")).await.unwrap();
        let name = chromium.find("#passkey_name").await;
        assert!(chromium.client.find(Locator::Css(ADD)).await.unwrap().is_displayed().await.unwrap());
        chromium.shot("security-empty-ja").await;
        chromium.assert_fits().await;
        name.clear().await.unwrap();
        name.send_keys("訪問用のiPhone").await.unwrap();
        chromium.press(ADD).await;
        chromium.find(".codes li").await;
        chromium.shot("recovery-codes-ja").await;
        chromium.assert_fits().await;
        chromium.press("a.button").await;
        chromium.until_text("訪問用のiPhone").await;
        chromium.shot("security-passkey-ja").await;
        let kept = chromium.command(Authenticator::Credentials { id: authenticator.clone() }).await;
        assert_eq!(
            (kept[0]["rpId"].as_str(), kept[0]["isResidentCredential"].as_bool()),
            (Some("login.gw.localhost"), Some(true))
        );
        let factors = gate.json(&["staff", "factors", "sato"]);
        assert_eq!(
            (&factors["passkeys"][0]["name"], &factors["recovery_codes"]),
            (&"訪問用のiPhone".into(), &10.into())
        );

        // The same device once more is told so.
        chromium.press(ADD).await;
        chromium.until_text("もう登録されています").await;
        chromium.shot("security-passkey-twice-ja").await;

        // Signs in alone, without an ID.
        chromium.sign_out(&gate).await;
        chromium.client.goto(&gate.url("/echo?room=203")).await.unwrap();
        chromium.find(ALONE).await;
        chromium.shot("sign-in-passkey-ja").await;
        chromium.assert_fits().await;
        chromium.press(ALONE).await;
        chromium.until_url(&gate.url("/echo?room=203")).await;
        let sessions = gate.json(&["session", "list"]);
        assert_eq!((&sessions[0]["person"], &sessions[0]["factors"]), (&"sato".into(), &2.into()));

        // Who is not verified is not signed in, by hook or by crook.
        chromium.sign_out(&gate).await;
        chromium.command(Authenticator::Verified { id: authenticator.clone(), verified: false }).await;
        chromium.client.goto(&gate.login_url("/")).await.ok();
        chromium.client.goto(&gate.url("/echo")).await.unwrap();
        chromium.press(ALONE).await;
        chromium.until_text("パスキーで確認できませんでした").await;
        chromium.shot("sign-in-passkey-cancelled-ja").await;
        chromium.command(Authenticator::Verified { id: authenticator.clone(), verified: true }).await;

        // After the password.
        chromium.sign_in(&gate).await;
        // The sign-in page has a button for passkeys too; recovery codes are offered at the second step alone.
        chromium.find("form[action=\"/recovery\"]").await;
        chromium.shot("second-step-passkey-ja").await;
        chromium.assert_fits().await;
        chromium.press(ALONE).await;
        chromium.until_url(&gate.url("/echo")).await;

        // Removed: it signs in no more.
        chromium.client.goto(&gate.login_url("/security")).await.unwrap();
        chromium.press("form[action=\"/security/passkey/remove\"] button").await;
        chromium.until_text("パスキーを削除しました").await;
        chromium.shot("security-passkey-removed-ja").await;
        chromium.sign_out(&gate).await;
        chromium.client.goto(&gate.url("/echo")).await.unwrap();
        chromium.press(ALONE).await;
        chromium.until_text("このパスキーではログインできません").await;
        chromium.shot("sign-in-passkey-unknown-ja").await;
        assert!(gate.json(&["session", "list"]).as_array().unwrap().is_empty());

        let records = gate.entries(&[]);
        let records: Vec<Value> = records.map(|entry| serde_json::to_value(entry).unwrap()).collect();
        let methods: Vec<_> = records
            .iter()
            .filter(|r| r["kind"] == "sign-in" && r["result"] == "ok")
            .map(|r| (r["method"].as_str().unwrap(), r["factors"].as_u64().unwrap()))
            .collect();
        assert_eq!(methods, [("password", 1), ("passkey", 2), ("password+passkey", 2)]);
        for what in ["passkey-added", "passkey-removed", "recovery-codes-made"] {
            let found = records.iter().filter(|r| r["what"] == what).count();
            assert_eq!(found, 1, "{what}");
        }
        let complaints = chromium.complaints().await;
        assert!(!complaints.iter().any(|c| c.contains("Content Security Policy")), "{complaints:?}");
        chromium.command(Authenticator::Remove { id: authenticator }).await;
        chromium.end().await;
    });
}

#[test]
fn an_authenticator_app_is_set_up_in_english_on_a_wide_screen() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let chromium = Chromium::start(&gate, "en", 1280, 900).await;
        chromium.sign_in(&gate).await;
        chromium.until_url(&gate.url("/echo")).await;
        chromium.client.goto(&gate.login_url("/security")).await.unwrap();
        chromium.find("form[action=\"/security/totp\"] button").await;
        chromium.shot("security-empty-en").await;
        chromium.press("form[action=\"/security/totp\"] button").await;
        chromium.find("svg.qr path").await;
        chromium.shot("totp-setup-en").await;
        chromium.assert_fits().await;
        chromium.fill("code", "000000").await;
        chromium.press("form[action=\"/security/totp/confirm\"] button").await;
        chromium.until_text("The code is wrong").await;
        let key = chromium.find(".steps code").await.text().await.unwrap();
        chromium.fill("code", &crate::factors::code(&key, 0)).await;
        chromium.press("form[action=\"/security/totp/confirm\"] button").await;
        chromium.find(".codes li").await;
        let print = chromium.find("button[data-print]").await;
        assert!(print.is_displayed().await.unwrap());
        chromium.shot("recovery-codes-en").await;
        chromium.press("a.button").await;
        chromium.until_text("10 left").await;
        chromium.shot("security-totp-en").await;
        chromium.client.goto(&gate.login_url("/password")).await.unwrap();
        chromium.find("#new").await;
        chromium.shot("password-en").await;
        chromium.sign_out(&gate).await;
        chromium.sign_in(&gate).await;
        chromium.find("details summary").await.click().await.unwrap();
        chromium.shot("second-step-totp-en").await;
        let complaints = chromium.complaints().await;
        assert!(!complaints.iter().any(|c| c.contains("Content Security Policy")), "{complaints:?}");
        chromium.end().await;
    });
}

#[test]
fn on_a_phone_a_refusal_leads_through_setting_up_and_back() {
    run(async {
        let gate = Gate::builder().policy(crate::factors::TWO).start().await;
        let added = gate.json(&["staff", "add", "sato", "--name", "佐藤 花子", "--group", "staff"]);
        let chromium = Chromium::start(&gate, "ja", 390, 844).await;
        chromium.phone().await;
        // A first password, to be changed.
        chromium.client.goto(&gate.url("/echo?room=203")).await.unwrap();
        chromium.fill("login_id", "sato").await;
        chromium.fill("password", added["password"].as_str().unwrap()).await;
        chromium.press("form[action=\"\"] button").await;
        chromium.find("#new").await;
        chromium.shot("password-due-ja").await;
        chromium.assert_fits().await;
        chromium.fill("new", PASSWORD).await;
        chromium.fill("again", PASSWORD).await;
        chromium.press("form[action=\"/password\"] button").await;
        // Refused, and led on.
        chromium.until_text("もう一つの確認が必要です").await;
        chromium.shot("factors-needed-ja").await;
        chromium.assert_fits().await;
        chromium.press("a.button").await;
        chromium.until_text("開こうとしたサービスには").await;
        chromium.shot("security-led-ja").await;
        chromium.press("form[action=\"/security/totp\"] button").await;
        let key = chromium.find(".steps code").await.text().await.unwrap();
        chromium.shot("totp-setup-ja").await;
        chromium.assert_fits().await;
        chromium.fill("code", &crate::factors::code(&key, 0)).await;
        chromium.press("form[action=\"/security/totp/confirm\"] button").await;
        let code = chromium.find(".codes code").await.text().await.unwrap();
        chromium.press("a.button").await;
        chromium.until_text("もう一度ログインする").await;
        chromium.shot("security-again-ja").await;
        chromium.press("a.button").await;
        // With a recovery code this time, in place of the phone.
        chromium.fill("login_id", "sato").await;
        chromium.fill("password", PASSWORD).await;
        chromium.press("form[action=\"\"] button").await;
        chromium.find("details summary").await.click().await.unwrap();
        chromium.shot("second-step-recovery-ja").await;
        chromium.assert_fits().await;
        chromium.find("#recovery").await.send_keys(&code).await.unwrap();
        chromium.press("form[action=\"/recovery\"] button").await;
        chromium.until_text("残りは 9 個です。").await;
        chromium.shot("recovery-used-ja").await;
        chromium.assert_fits().await;
        chromium.press("a.button").await;
        chromium.until_url(&gate.url("/echo?room=203")).await;
        chromium.end().await;
    });
}
