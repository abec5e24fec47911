//! The words of device registration: the pages a nurse goes through with her phone, and what is drawn on them.
//!
//! What systems and apps call their own buttons stands here as they show it, in 「」 in the sentences.

mod computers;
mod installing;
mod macs;
mod mails;
mod notices;
mod phones;
mod ways_out;

use vocabulary::{DeviceKind, Os};

use super::{Text, text};
#[cfg(test)]
use crate::enroll::Scene;
use crate::enroll::Step;

pub(crate) use computers::{CHROMEOS, FIREFOX, LINUX, WINDOWS};
pub(crate) use installing::*;
pub(crate) use macs::{MACOS_FILE, MACOS_PROFILE};
pub use mails::{approval_mail, invitation_mail, lost_mail, renewal_mail};
#[cfg(test)]
pub(crate) use notices::EVERY_NOTICE;
pub(crate) use notices::{
    CERTIFICATE_EXPIRED, CERTIFICATE_REVOKED, DECLINED, EXPIRED, FORM_GONE, IN_USE_ELSEWHERE, NO_AUTHORITY, NOT_SEEN,
    NOT_YOURS, OTHERS_DEVICE, OTHERS_DEVICE_OWNER, SEEN, TOO_MANY, UNKNOWN, USED, WITHDRAWN,
};
pub(crate) use phones::{ANDROID, IOS_PROFILE};
pub(crate) use ways_out::way_out;

/// The steps on one system, after the file was fetched.
#[derive(Debug)]
pub(crate) struct Guide {
    pub(crate) steps: &'static [Step],
    /// What the browser asks when the certificate is used for the first time.
    pub(crate) asked: Option<Step>,
    /// What may go wrong, and what to do then.
    pub(crate) troubles: &'static [Text],
}

pub(crate) const DRAWING_BEFORE: Text = text("画面の例。", "Example of the screen: tap ");
pub(crate) const DRAWING_AFTER: Text = text("を押します。", ".");
pub(crate) const DRAWING_PLAIN: Text = text("画面の例。", "Example of the screen.");

pub(crate) const fn kind(kind: DeviceKind) -> Text {
    match kind {
        DeviceKind::Lent => text("事業所から借りている端末", "Lent by the facility"),
        DeviceKind::Byod => text("自分の端末", "Your own"),
        DeviceKind::Shared => text("職員で共用する端末", "Shared by staff"),
        DeviceKind::Machine => text("プログラム用の端末", "For a program"),
    }
}

pub(crate) const fn os(os: Os) -> Text {
    match os {
        Os::Ios => text("iPhone・iPad", "iPhone or iPad"),
        Os::Android => text("Android", "Android"),
        Os::Windows => text("Windows", "Windows"),
        Os::Macos => text("Mac", "Mac"),
        Os::Chromeos => text("Chromebook", "Chromebook"),
        Os::Linux => text("Linux", "Linux"),
    }
}

/// What an iPad and a Mac say alike of themselves.
pub(crate) const MAC_OR_IPAD: Text = text("MacかiPad", "a Mac or an iPad");
pub(crate) const IPAD_INSTEAD: Text = text("iPadを使っているときは、こちら", "On an iPad? The steps are here");

pub(crate) const FACILITY: Text = text("事業所", "Facility");
pub(crate) const KIND: Text = text("端末の種類", "Kind of device");
pub(crate) const SYSTEM: Text = text("機種", "System");
pub(crate) const OWNER: Text = text("使う職員", "Used by");
pub(crate) const UNTIL: Text = text("リンクの期限", "Link ends");
pub(crate) const CONTACT: Text = text("連絡先", "Contact");
pub(crate) const DEVICE: Text = text("端末の名前", "Device");
pub(crate) const VALID_UNTIL: Text = text("証明書の期限", "Certificate ends");

// The link, before anybody signed in.

pub(crate) const INVITATION: Text = text("この端末を登録します", "Register this device");
pub(crate) const INVITATION_WHAT: Text = text(
    "登録すると、この端末から安全にサービスを使えます。5分ほどで終わります。",
    "Once it is registered, you can use your services safely from it. It takes about 5 minutes.",
);
pub(crate) const INVITED_BY_BEFORE: Text = text("", "This invitation is from ");
pub(crate) const INVITED_BY_AFTER: Text = text("からの案内です。", ". ");
pub(crate) const THIS_IS_BEFORE: Text = text("いま開いているのは、", "You are on: ");
pub(crate) const THIS_IS_AFTER: Text = text("です。", ".");
pub(crate) const THIS_IS_HINT: Text =
    text("登録したい端末で開いてください。", "Open this on the device that you want to register.");
pub(crate) const OWN_DEVICE: Text = text(
    "入れるのは、証明書だけです。写真や連絡先、位置情報は、事業所からは見えません。",
    "Only a certificate is added. The facility can't see your photos, contacts or location.",
);
pub(crate) const PLAN: [Text; 3] = [
    text("ログインします。", "Sign in."),
    text("端末に名前を付けます。", "Give the device a name."),
    text("絵のとおりに、証明書を入れます。", "Install the certificate, as the pictures show."),
];
pub(crate) const SIGN_IN_TO_START: Text = text("ログインして始める", "Sign in and start");
pub(crate) const SIGN_IN_HERE: Text = text("このままログインする", "Sign in here anyway");
pub(crate) const NOT_FOR_YOU: Text = text(
    "心当たりがないときは、ログインせずに管理者に連絡してください。",
    "If you did not expect this, don't sign in; tell your administrator.",
);

// In the window of an app, or in a browser that can't.

pub(crate) const IN_APP_BEFORE: Text = text("いまは、", "You are inside ");
pub(crate) const IN_APP_AFTER: Text = text("の中で開いています。", ".");
pub(crate) const IN_APP_OTHER: Text = text("いまは、ほかのアプリの中で開いています。", "You are inside another app.");
pub(crate) const IN_APP_WHAT: Text = text(
    "このままでは、証明書を入れられません。先に、いつものブラウザーで開き直してください。",
    "A certificate can't be installed from here. First open this page in your phone's own browser.",
);
pub(crate) const IN_APP_IOS: Text = text(
    "このままでは、証明書を入れられません。先に、Safariで開き直してください。",
    "A certificate can't be installed from here. First open this page in Safari.",
);
pub(crate) const LINE_OUT: Text = text("ブラウザーで開く", "Open in the browser");
pub(crate) const LINE_OUT_ELSE: Text = text(
    "ボタンで開かないときは、次の絵のとおりに操作してください。",
    "If the button does nothing, do what the pictures show.",
);
pub(crate) const OUT_ELSE: Text = text(
    "場所や言葉は、少し違うことがあります。見つからないときは、QRコードをスマートフォンのカメラで読み取ってください。",
    "The place and the words may differ a little. If you can't find it, scan the QR code with your phone's camera app.",
);
pub(crate) const SAFARI_TITLE: Text = text("Safariで開いてください", "Please use Safari");
pub(crate) const SAFARI_WHAT: Text = text(
    "iPhone・iPadでは、Safariだけが証明書を使えます。このページのアドレスをコピーして、Safariで開いてください。",
    "On an iPhone or iPad only Safari can use the certificate. Copy this page's address and open it in Safari.",
);

// Signed in: the name, and yes.

pub(crate) const CONFIRM: Text = text("この端末に名前を付けます", "Name this device");
pub(crate) const CONFIRM_WHAT: Text = text(
    "管理者が端末を見分けるための名前です。あとで紛失したときにも、この名前で止められます。",
    "The name tells your devices apart. If this one is ever lost, it can be shut out by its name.",
);
pub(crate) const APPROVED: Text = text("承認されました", "Approved");
pub(crate) const SETTLED: Text = text("この端末を登録します", "Register this device");
pub(crate) const SETTLED_WHAT: Text = text(
    "端末は、下の名前で登録されます。あとで紛失したときにも、この名前で止められます。",
    "The device is registered under the name below. If it is ever lost, it can be shut out by its name.",
);
pub(crate) const NAME_HINT: Text =
    text("例：佐藤さんのiPhone、訪問用タブレット2", "Such as: Sato's iPhone, visiting tablet 2");
pub(crate) const ASKS_APPROVAL: Text =
    text("このあと、管理者の承認を待ちます。", "After this, an administrator has to approve it.");
pub(crate) const REGISTER: Text = text("この端末を登録する", "Register this device");
pub(crate) const NOT_ME: Text = text("自分でないときは、登録しないでください。", "If this is not you, don't register.");

// Waiting.

pub(crate) const WAITING: Text = text("管理者の承認を待っています", "Waiting for approval");
pub(crate) const WAITING_WHAT: Text = text(
    "管理者に電話して、この番号を伝えてください。同じ番号か、管理者が確かめます。",
    "Telephone your administrator and read out this code. The administrator compares it.",
);
pub(crate) const WAITING_CODE: Text = text("確認の番号", "Code to read out");
pub(crate) const WAITING_STAY: Text = text(
    "承認されると、この画面が自動で進みます。このまま開いておいてください。",
    "Once it is approved, this page goes on by itself. Leave it open.",
);
pub(crate) const WAITING_CAUTION: Text = text(
    "番号は、電話や対面で伝えてください。LINEやメールで送らないでください。",
    "Say the code on the telephone or face to face. Don't send it by LINE or mail.",
);
pub(crate) const LOOK_NOW: Text = text("いま確かめる", "Check now");

// Renewing.

pub(crate) const RENEWAL: Text = text("証明書を更新します", "Renew the certificate");
pub(crate) const RENEWAL_WHAT: Text = text(
    "期限が切れると、この端末からサービスを使えなくなります。いまのうちに更新してください。",
    "When it ends, this device can no longer use your services. Please renew it now.",
);
pub(crate) const RENEWAL_EXPIRED: Text = text(
    "期限が切れたため、この端末からサービスを使えません。いまなら、まだ更新できます。",
    "It has ended, so this device can't use your services. It can still be renewed now.",
);
pub(crate) const RENEWAL_THEN: Text = text(
    "ボタンを押すと、新しい証明書を入れる手順に進みます。終わるまで、いまの証明書は使えます。",
    "The button leads to the steps for the new certificate. Until then the present one goes on working.",
);
pub(crate) const RENEWAL_THEN_EXPIRED: Text = text(
    "ボタンを押すと、新しい証明書を入れる手順に進みます。",
    "The button leads to the steps for the new certificate.",
);
pub(crate) const ENDS: Text = text("いまの期限", "Ends");

pub(crate) const HINT_BEFORE: Text = text("この端末の証明書は、あと", "This device's certificate ends in ");
pub(crate) const HINT_AFTER: Text = text("日で期限が切れます。", " days.");
pub(crate) const HINT_TOMORROW: Text =
    text("この端末の証明書は、明日で期限が切れます。", "This device's certificate ends tomorrow.");
pub(crate) const HINT_TODAY: Text =
    text("この端末の証明書は、今日で期限が切れます。", "This device's certificate ends today.");
pub(crate) const HINT_OVER: Text =
    text("この端末の証明書は、期限が切れています。", "This device's certificate has ended.");

// The sheet to print.

pub(crate) const SHEET: Text = text("端末登録のご案内", "Register your device");
pub(crate) const SHEET_FOR: Text = text("様", "");
pub(crate) const SHEET_STEPS: [(Text, Text); 3] = [
    (
        text("QRコードを読み取る", "Scan the QR code"),
        text(
            "登録する端末のカメラで読み取ります。LINEの読み取り機能は使わないでください。",
            "Use the camera app of the device to be registered. Don't use LINE's reader.",
        ),
    ),
    (
        text("ログインする", "Sign in"),
        text("いつもの職員IDとパスワードを使います。", "Use your usual staff ID and password."),
    ),
    (
        text("絵のとおりに進める", "Follow the pictures"),
        text("画面の絵のとおりに、証明書を入れます。", "Install the certificate as the pictures on the screen show."),
    ),
];
pub(crate) const SHEET_QR: Text = text("登録ページのQRコード", "QR code of the registration page");
pub(crate) const SHEET_URL: Text = text("カメラが使えないときのアドレス", "If there is no camera");
pub(crate) const SHEET_ONCE: Text = text(
    "この紙は、ほかの人に渡さないでください。登録が終わったら、細かく破って捨ててください。",
    "Don't pass this sheet on. Once you are done, tear it up before you throw it away.",
);

/// Every drawing there is, for the tests.
#[cfg(test)]
pub(crate) fn every_scene() -> Vec<Scene> {
    use crate::enroll::InApp;
    let guides = [&IOS_PROFILE, &ANDROID, &WINDOWS, &MACOS_PROFILE, &MACOS_FILE, &CHROMEOS, &LINUX, &FIREFOX];
    let apps = [InApp::Line, InApp::Gmail, InApp::Facebook, InApp::Instagram, InApp::X, InApp::Yahoo, InApp::Other];
    let of_guide = |guide: &&Guide| guide.steps.iter().chain(&guide.asked).filter_map(|step| step.scene).collect();
    let outs = apps.iter().flat_map(|app| [Os::Ios, Os::Android].map(|os| way_out(*app, Some(os))));
    let guides = guides.iter().flat_map(|guide| -> Vec<Scene> { of_guide(guide) });
    guides.chain(outs.flat_map(|out| out.steps.iter().filter_map(|step| step.scene))).collect()
}
