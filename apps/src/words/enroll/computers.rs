//! The steps on Windows, Chromebooks and Linux.

use super::{Guide, Text, text};
use crate::enroll::{Frame, Part, Scene, Step};

pub(super) const CANCEL: Text = text("キャンセル", "Cancel");
const NEXT: Text = text("次へ", "Next");
pub(super) const OK: Text = text("OK", "OK");

pub(super) const fn window(title: Text, parts: &'static [Part]) -> Scene {
    Scene { frame: Frame::Window(title), parts }
}

pub(super) const OPEN_FILE: Step = Step::drawn(
    text("ダウンロードしたファイルを開きます。", "Open the file that was downloaded."),
    Some(text(
        "ブラウザーの右上か、「ダウンロード」フォルダーにあります。",
        "It is at the browser's top right, or in the folder \"Downloads\".",
    )),
    window(
        text("ダウンロード", "Downloads"),
        &[Part::Notice(text("証明書の\nファイル", "Certificate\nfile"), text("ファイルを開く", "Open file"))],
    ),
);

const CHROME_ASKS: Step = Step::drawn(
    text(
        "証明書を聞かれたら、登録した名前を選んで「OK」を押します。",
        "When it asks for a certificate, choose the one with your name and press \"OK\".",
    ),
    Some(text(
        "「キャンセル」を押したときは、ブラウザーをすべて閉じて開き直してください。",
        "If you pressed \"Cancel\", close all windows of the browser and open it again.",
    )),
    window(
        text("証明書の選択", "Select a certificate"),
        &[Part::On(text("訪問用の端末", "Visiting laptop")), Part::Buttons(&[CANCEL, OK])],
    ),
);

const WIZARD: Text = text("証明書のインポート ウィザード", "Certificate Import Wizard");
pub(crate) const WINDOWS: Guide = Guide {
    steps: &[
        OPEN_FILE,
        Step::drawn(
            text("「現在のユーザー」を選んで、「次へ」を押します。", "Choose \"Current User\" and press \"Next\"."),
            Some(text("次の画面も、そのまま「次へ」を押します。", "Press \"Next\" on the following screen as well.")),
            window(
                WIZARD,
                &[
                    Part::Say(text("保存場所", "Store Location")),
                    Part::On(text("現在のユーザー", "Current User")),
                    Part::Off(text("ローカル コンピューター", "Local Machine")),
                    Part::Buttons(&[CANCEL, NEXT]),
                ],
            ),
        ),
        Step::secret(
            text(
                "証明書のパスワードを入れて、「次へ」を押します。",
                "Enter the certificate password and press \"Next\".",
            ),
            Some(text("チェックボックスは変えません。", "Leave the checkboxes as they are.")),
            window(
                WIZARD,
                &[
                    Part::Say(text("秘密キーのパスワード", "Password for the private key")),
                    Part::Secret,
                    Part::Buttons(&[CANCEL, NEXT]),
                ],
            ),
        ),
        Step::drawn(
            text(
                "「自動的に証明書ストアを選択する」のまま、「次へ」を押します。",
                "Leave \"Automatically select\" and press \"Next\".",
            ),
            Some(text(
                "最後に「完了」を押します。「正しくインポートされました」と出たら、終わりです。",
                "Press \"Finish\" at the end. It says \"The import was successful\".",
            )),
            window(
                WIZARD,
                &[
                    Part::Say(text("証明書ストア", "Certificate Store")),
                    Part::On(text("自動的に証明書ストアを選択", "Automatically select")),
                    Part::Off(text("証明書を次のストアに配置", "Place all in this store")),
                    Part::Buttons(&[CANCEL, NEXT]),
                ],
            ),
        ),
    ],
    asked: Some(CHROME_ASKS),
    troubles: &[],
};

pub(crate) const WINDOWS_UNSEEN: &[Text] = &[
    text(
        "証明書を聞かれたら、登録した名前を選んで「OK」を押してください。",
        "When it asks for a certificate, choose yours and press \"OK\".",
    ),
    text(
        "ブラウザーの画面をすべて閉じてから、もう一度開いて確認してください。",
        "Close all windows of the browser, open it again, and check once more.",
    ),
];

const SETTINGS: Text = text("設定", "Settings");
const MANAGE: Step = Step::drawn(
    text(
        "Chromeの「設定」の「プライバシーとセキュリティ」から、「証明書の管理」を開きます。",
        "In Chrome's \"Settings\" open \"Privacy and security\", then \"Manage certificates\".",
    ),
    Some(text("「セキュリティ」の中にあります。", "It is under \"Security\".")),
    window(
        SETTINGS,
        &[
            Part::Title(text("プライバシーとセキュリティ", "Privacy and security")),
            Part::Row(text("セキュリティ", "Security")),
            Part::Pick(text("証明書の管理", "Manage certificates")),
        ],
    ),
);
const CHROME_PASSWORD: Step = Step::secret(
    text("証明書のパスワードを入れて、「OK」を押します。", "Enter the certificate password and press \"OK\"."),
    Some(text("このページに表示したパスワードです。", "It is the password shown on this page.")),
    window(
        text("証明書の管理", "Manage certificates"),
        &[
            Part::Say(text("証明書のパスワードを入力", "Enter the certificate password")),
            Part::Secret,
            Part::Buttons(&[CANCEL, OK]),
        ],
    ),
);
const IMPORT: Scene = window(
    text("証明書の管理", "Manage certificates"),
    &[Part::Title(text("お客様の証明書", "Your certificates")), Part::Buttons(&[text("インポート", "Import")])],
);

pub(crate) const CHROMEOS: Guide = Guide {
    steps: &[
        MANAGE,
        Step::drawn(
            text(
                "「インポート」を押して、ダウンロードしたファイルを選びます。",
                "Press \"Import\" and choose the downloaded file.",
            ),
            Some(text(
                "「インポートしてバインド」があれば、そちらを押します。",
                "If there is \"Import and Bind\", press that.",
            )),
            IMPORT,
        ),
        CHROME_PASSWORD,
    ],
    asked: Some(CHROME_ASKS),
    troubles: &[text(
        "「証明書の管理」が開けないときは、事業所の管理で止められています。管理者に連絡してください。",
        "If \"Manage certificates\" can't be opened, your organisation has locked it. Tell your administrator.",
    )],
};

pub(crate) const LINUX: Guide = Guide {
    steps: &[
        MANAGE,
        Step::drawn(
            text(
                "「インポート」を押して、ダウンロードしたファイルを選びます。",
                "Press \"Import\" and choose the downloaded file.",
            ),
            None,
            IMPORT,
        ),
        CHROME_PASSWORD,
    ],
    asked: Some(CHROME_ASKS),
    troubles: &[],
};

pub(crate) const FIREFOX: Guide = Guide {
    steps: &[
        Step::drawn(
            text(
                "Firefoxの「設定」の「プライバシーとセキュリティ」で、「証明書を表示」を押します。",
                "In Firefox's \"Settings\" open \"Privacy & Security\" and press \"View Certificates\".",
            ),
            None,
            window(
                SETTINGS,
                &[
                    Part::Title(text("証明書", "Certificates")),
                    Part::Buttons(&[text("証明書を表示", "View Certificates")]),
                ],
            ),
        ),
        Step::drawn(
            text(
                "「あなたの証明書」で「インポート」を押して、ダウンロードしたファイルを選びます。",
                "Under \"Your Certificates\" press \"Import\" and choose the downloaded file.",
            ),
            None,
            window(
                text("証明書マネージャー", "Certificate Manager"),
                &[
                    Part::Title(text("あなたの証明書", "Your Certificates")),
                    Part::Buttons(&[text("インポート", "Import")]),
                ],
            ),
        ),
        Step::secret(
            text(
                "証明書のパスワードを入れて、「ログイン」か「OK」を押します。",
                "Enter the certificate password and press \"Sign in\" or \"OK\".",
            ),
            Some(text("このページに表示したパスワードです。", "It is the password shown on this page.")),
            window(
                text("パスワードが必要です", "Password Required"),
                &[
                    Part::Say(text("証明書のパスワードを入力", "Enter the certificate password")),
                    Part::Secret,
                    Part::Buttons(&[CANCEL, OK]),
                ],
            ),
        ),
    ],
    asked: None,
    troubles: &[],
};

pub(crate) const OTHER_UNSEEN: &[Text] = &[
    text(
        "証明書を聞かれたら、登録した名前を選んで「OK」を押してください。",
        "When it asks for a certificate, choose yours and press \"OK\".",
    ),
    text(
        "ブラウザーの画面をすべて閉じてから、もう一度開いて確認してください。",
        "Close all windows of the browser, open it again, and check once more.",
    ),
    text(
        "証明書を入れたブラウザーと、いまのブラウザーが同じか確かめてください。",
        "Make sure that this is the browser you installed the certificate for.",
    ),
];
