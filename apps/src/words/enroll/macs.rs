//! The steps on a Mac: with a profile, or with the PKCS#12 file alone.

use super::computers::{CANCEL, OK, OPEN_FILE, window};
use super::{Guide, Text, text};
use crate::enroll::{Part, Step};

const MAC_PASSWORD: Text = text(
    "Macのパスワードを聞かれたら、Macにログインするときのものを入力します。",
    "If it asks for the Mac's password, enter the one you log in to the Mac with.",
);

const MAC_ASKS: Step = Step::drawn(
    text(
        "証明書を聞かれたら、登録した名前を選んで「OK」を押します。",
        "When it asks for a certificate, choose the one with your name and press \"OK\".",
    ),
    Some(text(
        "キーチェーンのパスワードを聞かれたら、Macのパスワードを入れて「常に許可」を押します。",
        "If it asks for the keychain password, enter the Mac's password and press \"Always Allow\".",
    )),
    window(
        text("証明書の選択", "Select a certificate"),
        &[Part::On(text("訪問用の端末", "Visiting laptop")), Part::Buttons(&[CANCEL, OK])],
    ),
);

pub(crate) const MACOS_PROFILE: Guide = Guide {
    steps: &[
        OPEN_FILE,
        Step::drawn(
            text(
                "「システム設定」の「一般」で、「デバイス管理」を開きます。",
                "In \"System Settings\" open \"General\", then \"Device Management\".",
            ),
            Some(text(
                "古いmacOSでは、「プライバシーとセキュリティ」の「プロファイル」にあります。",
                "On an older macOS it is \"Privacy & Security\", \"Profiles\".",
            )),
            window(
                text("システム設定", "System Settings"),
                &[
                    Part::Title(text("一般", "General")),
                    Part::Row(text("情報", "About")),
                    Part::Pick(text("デバイス管理", "Device Management")),
                ],
            ),
        ),
        Step::drawn(
            text(
                "プロファイルをダブルクリックして、「インストール」を押します。",
                "Double-click the profile and press \"Install\".",
            ),
            Some(MAC_PASSWORD),
            window(
                text("デバイス管理", "Device Management"),
                &[
                    Part::Title(text(
                        "このプロファイルを\nインストールしますか？",
                        "Do you want to install\nthis profile?",
                    )),
                    Part::Buttons(&[CANCEL, text("インストール", "Install")]),
                ],
            ),
        ),
        Step::secret(
            text(
                "証明書のパスワードを入れて、「インストール」を押します。",
                "Enter the certificate password and press \"Install\".",
            ),
            Some(text("このページに表示したパスワードです。", "It is the password shown on this page.")),
            window(
                text("デバイス管理", "Device Management"),
                &[
                    Part::Say(text("証明書のパスワードを入力", "Enter the certificate password")),
                    Part::Secret,
                    Part::Buttons(&[CANCEL, text("インストール", "Install")]),
                ],
            ),
        ),
    ],
    asked: Some(MAC_ASKS),
    troubles: &[text(
        "「デバイス管理」に何もないときは、もう一度ダウンロードして、ファイルを開いてください。",
        "If \"Device Management\" is empty, download the file again and open it.",
    )],
};

pub(crate) const MACOS_FILE: Guide = Guide {
    steps: &[
        OPEN_FILE,
        Step::drawn(
            text(
                "キーチェーンは「ログイン」を選んで、「追加」を押します。",
                "Choose the keychain \"login\" and press \"Add\".",
            ),
            None,
            window(
                text("証明書を追加", "Add Certificates"),
                &[
                    Part::Say(text("キーチェーン：", "Keychain:")),
                    Part::On(text("ログイン", "login")),
                    Part::Off(text("システム", "System")),
                    Part::Buttons(&[CANCEL, text("追加", "Add")]),
                ],
            ),
        ),
        Step::secret(
            text("証明書のパスワードを入れて、「OK」を押します。", "Enter the certificate password and press \"OK\"."),
            Some(text("このページに表示したパスワードです。", "It is the password shown on this page.")),
            window(
                text("キーチェーンアクセス", "Keychain Access"),
                &[
                    Part::Say(text("パスワードを入力してください：", "Enter the password:")),
                    Part::Secret,
                    Part::Buttons(&[CANCEL, OK]),
                ],
            ),
        ),
    ],
    asked: Some(MAC_ASKS),
    troubles: &[],
};

pub(crate) const MACOS_UNSEEN: &[Text] = &[
    text(
        "証明書を聞かれたら、登録した名前を選んで「OK」を押してください。",
        "When it asks for a certificate, choose yours and press \"OK\".",
    ),
    text(
        "キーチェーンのパスワードを聞かれたら、Macのパスワードを入れて「常に許可」を押してください。",
        "If it asks for the keychain password, enter the Mac's password and press \"Always Allow\".",
    ),
    text(
        "ブラウザーを終了してから、もう一度開いて確認してください。",
        "Quit the browser, open it again, and check once more.",
    ),
];
