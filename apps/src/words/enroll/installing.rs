//! The words of the page with the file and the steps, and of the look whether it worked.

use vocabulary::Os;

use super::{Text, computers, macs, phones, text};

pub(crate) const INSTALL: Text = text("証明書を入れます", "Install the certificate");
pub(crate) const INSTALL_WHAT: Text = text(
    "上から順に進めてください。途中でこのページに戻っても、だいじょうぶです。",
    "Go from the top down. You can come back to this page at any time.",
);
pub(crate) const FETCH: Text = text("ファイルをダウンロードします。", "Download the file.");
pub(crate) const FETCH_PROFILE: Text = text("プロファイルをダウンロードします。", "Download the profile.");
pub(crate) const FETCH_BUTTON: Text = text("ダウンロードする", "Download");
pub(crate) const FETCH_UNTIL_BEFORE: Text = text("", "You can download it again until ");
pub(crate) const FETCH_UNTIL_AFTER: Text = text("までは、もう一度ダウンロードできます。", ".");
pub(crate) const PASSWORD: Text = text("証明書のパスワード", "Certificate password");
pub(crate) const PASSWORD_STEP: Text = text("証明書のパスワードを控えます。", "Keep the certificate password at hand.");
pub(crate) const PASSWORD_WHAT: Text = text(
    "コピーするか、書き写してください。途中で一度使います。",
    "Copy it, or write it down. You need it once on the way. ",
);
pub(crate) const PASSWORD_SECRET: Text = text("ほかの人には見せないでください。", "Don't show it to anybody else.");
pub(crate) const COPY: Text = text("コピーする", "Copy");
pub(crate) const COPIED: Text = text("コピーしました", "Copied");
pub(crate) const COPY_ADDRESS: Text = text("アドレスをコピーする", "Copy the address");
/// Between two sentences.
pub(crate) const SPACE: Text = text("", " ");
pub(crate) const CHECK_STEP: Text =
    text("このページに戻って、「確認する」を押します。", "Come back to this page and press \"Check\".");
pub(crate) const CHECK: Text = text("確認する", "Check");
pub(crate) const TROUBLE: Text = text("うまくいかないとき", "If it doesn't work");
pub(crate) const WRONG_PASSWORD: Text = text(
    "パスワードが違うと出たら、コピーして貼り付けてください。",
    "If the password is refused, copy it here and paste it there.",
);
pub(crate) const STEPS_ANYWAY: Text = text("先に手順を見る", "See the steps first");
pub(crate) const OTHER_WAY: Text = text("別の方法で入れる", "Another way");
pub(crate) const OTHER_WAY_WHAT: Text = text(
    "上の方法で「インストールできません」と出たときは、こちらを使ってください。パスワードが必要です。",
    "If the way above ends with an error, use this one. It needs the password.",
);
pub(crate) const OTHER_WAY_STEPS: Text = text(
    "手順は上と同じです。途中でパスワードを聞かれたら、ここに表示したものを入力してください。",
    "The steps are the same. When a password is asked for, enter the one shown here.",
);
pub(crate) const OTHER_WAY_BUTTON: Text = text("パスワード付きでダウンロードする", "Download with a password");
pub(crate) const PLAIN_FILE: Text =
    text("証明書のファイルをダウンロードする（.p12）", "Download the certificate file (.p12)");
pub(crate) const FIREFOX_HEAD: Text = text("Firefoxを使うとき", "If you use Firefox");
pub(crate) const FIREFOX_WHAT: Text = text(
    "Firefoxは、証明書を自分の中に別にしまいます。ChromeやEdgeに入れた証明書は使えないことがあります。",
    "Firefox keeps certificates in a store of its own. It may not see what you installed for Chrome or Edge.",
);
pub(crate) const OTHER_SYSTEM: Text = text("ほかの端末の手順を見る", "Steps for another device");
pub(crate) const NOTHING_TO_FETCH: Text = text(
    "この端末で使えるファイルがありません。管理者に連絡してください。",
    "There is no file for this device. Please tell your administrator.",
);

pub(crate) const CHOOSE: Text = text("端末の種類を選んでください", "Which device is this?");
pub(crate) const CHOOSE_WHAT: Text = text(
    "いま登録している端末を選ぶと、その手順を表示します。",
    "Choose the device that you are registering, to see its steps.",
);

// Looking whether it worked.

pub(crate) const GO_ON: Text = text("サービスを開く", "Open your services");
pub(crate) const AGAIN: Text = text("もう一度確認する", "Check again");
pub(crate) const BACK_TO_STEPS: Text = text("手順に戻る", "Back to the steps");
pub(crate) const RENEW: Text = text("証明書を更新する", "Renew the certificate");

/// What to try if the certificate is not seen.
pub(crate) const fn unseen(os: Option<Os>) -> &'static [Text] {
    match os {
        Some(Os::Ios) => phones::IOS_UNSEEN,
        Some(Os::Android) => phones::ANDROID_UNSEEN,
        Some(Os::Windows) => computers::WINDOWS_UNSEEN,
        Some(Os::Macos) => macs::MACOS_UNSEEN,
        Some(Os::Chromeos | Os::Linux) | None => computers::OTHER_UNSEEN,
    }
}

/// The browser that uses what was installed.
pub(crate) const fn right_browser(os: Option<Os>) -> Option<Text> {
    Some(match os {
        Some(Os::Ios) => text(
            "Safariで開いてください。ほかのブラウザーでは使えません。",
            "Please use Safari. Other browsers can't use it.",
        ),
        Some(Os::Android | Os::Chromeos) => text("Chromeで開いてください。", "Please use Chrome."),
        Some(Os::Windows) => text("ChromeかEdgeで開いてください。", "Please use Chrome or Edge."),
        Some(Os::Macos) => text("SafariかChromeで開いてください。", "Please use Safari or Chrome."),
        Some(Os::Linux) | None => return None,
    })
}

pub(crate) const UNSEEN_FIREFOX: Text = text(
    "Firefoxには、別に証明書を入れる必要があります。ChromeかEdge、Safariで開くと、そのまま使えます。",
    "Firefox needs the certificate in its own store. In Chrome, Edge or Safari it works as it is.",
);
pub(crate) const UNSEEN_IN_APP: Text = text(
    "ほかのアプリの中で開いているため、証明書が使えません。いつものブラウザーで開いてください。",
    "You are inside another app, which can't use the certificate. Open this page in your browser.",
);

pub(crate) const ASKED_LIKE_THIS: Text =
    text("こう聞かれたら、選んでください。", "If you are asked like this, choose it.");
