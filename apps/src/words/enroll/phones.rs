//! The steps on phones and tablets.

use super::{Guide, Text, text};
use crate::enroll::{Frame, Part, Scene, Step};

const CANCEL: Text = text("キャンセル", "Cancel");
const OK: Text = text("OK", "OK");

pub(crate) const IOS_PROFILE: Guide = Guide {
    steps: &[
        Step::drawn(
            text("「許可」を押します。", "Tap \"Allow\"."),
            Some(text(
                "「プロファイルがダウンロードされました」と出たら、「閉じる」を押します。",
                "When it says \"Profile Downloaded\", tap \"Close\".",
            )),
            Scene {
                frame: Frame::Alert,
                parts: &[
                    Part::Title(text(
                        "このWebサイトは構成\nプロファイルをダウン\nロードしようとしています。\n許可しますか？",
                        "This website is trying\nto download a\nconfiguration profile.\nAllow this?",
                    )),
                    Part::Buttons(&[text("無視", "Ignore"), text("許可", "Allow")]),
                ],
            },
        ),
        Step::drawn(
            text("ホーム画面に戻り、「設定」アプリを開きます。", "Go to the home screen and open \"Settings\"."),
            None,
            Scene { frame: Frame::Screen, parts: &[Part::Gear(text("設定", "Settings"))] },
        ),
        Step::drawn(
            text("「プロファイルがダウンロードされました」を押します。", "Tap \"Profile Downloaded\"."),
            Some(text(
                "見つからないときは、「一般」の中の「VPNとデバイス管理」を開きます。",
                "If it isn't there, open \"General\", then \"VPN & Device Management\".",
            )),
            Scene {
                frame: Frame::Screen,
                parts: &[
                    Part::Title(text("設定", "Settings")),
                    Part::Pick(text("プロファイルが\nダウンロードされました", "Profile Downloaded")),
                    Part::Row(text("機内モード", "Airplane Mode")),
                ],
            },
        ),
        Step::drawn(
            text("右上の「インストール」を押します。", "Tap \"Install\" at the top right."),
            Some(text(
                "iPhoneのパスコードを入力します。確認の画面が出たら、もう一度「インストール」を押します。",
                "Enter your iPhone's passcode. If it asks once more, tap \"Install\" again.",
            )),
            Scene {
                frame: Frame::Screen,
                parts: &[
                    Part::Bar(CANCEL, text("プロファイル", "Profile"), text("インストール", "Install")),
                    Part::Row(text("証明書", "Certificate")),
                    Part::Row(text("詳細", "More Details")),
                ],
            },
        ),
        Step::secret(
            text(
                "証明書のパスワードを入れて、「次へ」を押します。",
                "Enter the certificate password and tap \"Next\".",
            ),
            Some(text(
                "このページに表示したパスワードです。パスコードとは違います。",
                "It is the password shown on this page, not your passcode.",
            )),
            Scene {
                frame: Frame::Screen,
                parts: &[
                    Part::Bar(CANCEL, text("パスワード", "Password"), text("次へ", "Next")),
                    Part::Say(text("証明書のパスワードを入力", "Enter the certificate password")),
                    Part::Secret,
                ],
            },
        ),
        Step::drawn(
            text("「完了」を押します。", "Tap \"Done\"."),
            None,
            Scene {
                frame: Frame::Screen,
                parts: &[
                    Part::Bar(text("", ""), text("インストール完了", "Profile Installed"), text("完了", "Done")),
                    Part::Row(text("証明書", "Certificate")),
                ],
            },
        ),
    ],
    asked: None,
    troubles: &[
        text(
            "「許可」が出ないときは、Safariで開いているか確かめてください。",
            "If \"Allow\" does not appear, make sure that you are in Safari.",
        ),
        text(
            "「プロファイルがダウンロードされました」は、8分ほどで消えます。消えたら、もう一度ダウンロードしてください。",
            "\"Profile Downloaded\" goes away after about 8 minutes. Then download it again.",
        ),
    ],
};

pub(crate) const IOS_UNSEEN: &[Text] = &[
    text(
        "「設定」の「一般」、「VPNとデバイス管理」に、証明書があるか確かめてください。",
        "Look whether it is in \"Settings\", \"General\", \"VPN & Device Management\".",
    ),
    text(
        "証明書を聞かれて閉じたときは、タブを閉じて、新しいタブで開き直してください。",
        "If you dismissed a question about the certificate, close the tab and open the page in a new one.",
    ),
    text(
        "それでも出ないときは、Safariを一度終了してから、もう一度確認してください。",
        "If that doesn't help, quit Safari, open it again, and check once more.",
    ),
];

pub(crate) const ANDROID: Guide = Guide {
    steps: &[
        Step::drawn(
            text("ダウンロードしたファイルを開きます。", "Open the file that was downloaded."),
            Some(text(
                "見えないときは、「Files」アプリの「ダウンロード」から開きます。",
                "If you don't see it, look under \"Downloads\" in the \"Files\" app.",
            )),
            Scene {
                frame: Frame::Screen,
                parts: &[
                    Part::Page,
                    Part::Notice(text("ファイルを\nダウンロードしました", "File downloaded"), text("開く", "Open")),
                ],
            },
        ),
        Step::secret(
            text("証明書のパスワードを入れて、「OK」を押します。", "Enter the certificate password and tap \"OK\"."),
            Some(text("このページに表示したパスワードです。", "It is the password shown on this page.")),
            Scene {
                frame: Frame::Dialog,
                parts: &[
                    Part::Title(text("証明書の抽出", "Extract certificate")),
                    Part::Say(text(
                        "証明書を抽出するための\nパスワードを入力してください",
                        "Enter the password\nto extract the certificates.",
                    )),
                    Part::Secret,
                    Part::Buttons(&[CANCEL, OK]),
                ],
            },
        ),
        Step::drawn(
            text(
                "「VPNとアプリユーザー証明書」を選んで、「OK」を押します。",
                "Choose \"VPN & app user certificate\" and tap \"OK\".",
            ),
            Some(text(
                "「Wi-Fi証明書」を選ぶと、ブラウザーで使えません。",
                "If you choose \"Wi-Fi certificate\", the browser can't use it.",
            )),
            Scene {
                frame: Frame::Dialog,
                parts: &[
                    Part::Title(text("証明書の種類を選択", "Choose a certificate type")),
                    Part::On(text("VPNとアプリユーザー証明書", "VPN & app user certificate")),
                    Part::Off(text("Wi-Fi証明書", "Wi-Fi certificate")),
                    Part::Buttons(&[CANCEL, OK]),
                ],
            },
        ),
        Step::drawn(
            text("名前はそのままで、「OK」を押します。", "Leave the name as it is and tap \"OK\"."),
            Some(text(
                "画面ロックの設定を求められたら、案内に沿って設定してください。",
                "If it asks for a screen lock, set one up as it says.",
            )),
            Scene {
                frame: Frame::Dialog,
                parts: &[
                    Part::Title(text("証明書の名前を指定", "Name the certificate")),
                    Part::Named(text("訪問用の端末", "Visiting phone")),
                    Part::Buttons(&[CANCEL, OK]),
                ],
            },
        ),
    ],
    asked: Some(Step::drawn(
        text(
            "証明書を聞かれたら、登録した名前を選んで「選択」を押します。",
            "When it asks for a certificate, choose the one with your name and tap \"Select\".",
        ),
        Some(text(
            "「拒否」を押したときは、Chromeを一度終了して開き直してください。",
            "If you tapped \"Deny\", close Chrome and open it again.",
        )),
        Scene {
            frame: Frame::Dialog,
            parts: &[
                Part::Title(text("証明書の選択", "Choose certificate")),
                Part::On(text("訪問用の端末", "Visiting phone")),
                Part::Buttons(&[text("拒否", "Deny"), text("選択", "Select")]),
            ],
        },
    )),
    troubles: &[
        text(
            "ファイルを開いても何も出ないときは、「設定」の検索で「証明書のインストール」を探してください。",
            "If nothing happens when you open the file, search \"Settings\" for \"Install a certificate\".",
        ),
        text(
            "そこで「VPNとアプリユーザー証明書」を押して、ダウンロードしたファイルを選んでください。",
            "There tap \"VPN & app user certificate\" and choose the downloaded file.",
        ),
    ],
};

pub(crate) const ANDROID_UNSEEN: &[Text] = &[
    text(
        "証明書を聞かれたら、登録した名前を選んで「選択」を押してください。",
        "When it asks for a certificate, choose yours and tap \"Select\".",
    ),
    text(
        "「拒否」を押したときは、Chromeを一度終了してから、もう一度確認してください。",
        "If you tapped \"Deny\", close Chrome, open it again, and check once more.",
    ),
    text(
        "何も聞かれないときは、「VPNとアプリユーザー証明書」として入れたか確かめてください。",
        "If nothing is asked, make sure that you installed it as \"VPN & app user certificate\".",
    ),
];
