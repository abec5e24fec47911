//! The words of sessions, shared devices, kept forms and the notice after signing in.

use super::{Notice, Text, text};

pub const SESSIONS: Text = text("ログイン中の端末", "Where you are signed in");
pub const SESSIONS_WHAT: Text = text(
    "心当たりのない端末があれば、終了して管理者に連絡してください。",
    "If you don't recognise one, end it and tell your administrator.",
);
pub const THIS_ONE: Text = text("この端末", "This one");
pub const NO_DEVICE: Text = text("登録のない端末", "A device without a certificate");
pub const SINCE: Text = text("ログイン", "Signed in");
pub const LAST_ACTIVE: Text = text("最後の操作", "Last used");
pub const FROM: Text = text("接続元", "From");
pub const END_ONE: Text = text("終了する", "End");
pub const END_OTHERS: Text = text("ほかの端末をすべて終了する", "End all others");

pub const SWITCH: Text = text("交代する", "Switch person");
pub const SWITCH_WHAT: Text = text(
    "あなたのログインを終了し、この端末に残ったデータを消します。次の職員がすぐにログインできます。",
    "You will be signed out, and what is left of you on this device will be removed. The next person can sign in at once.",
);
pub const SHARED_DEVICE: Text = text("この端末は共用です。", "This device is shared.");
pub const CLEARING: Text = text("交代しています", "Switching");
pub const CLEARING_WHAT: Text = text(
    "前の職員のデータを消しています。そのままお待ちください。",
    "What the person before left is being removed. One moment, please.",
);

pub const ACKNOWLEDGE: Text = text("お知らせ", "Please note");
pub const ACKNOWLEDGE_BUTTON: Text = text("確認しました", "I have read this");

pub const HELD: Text = text("送信していない入力があります", "Something is waiting to be sent");
pub const HELD_WHAT: Text = text(
    "ログインの期限が切れていたため、次の入力を預かっています。送信するものを選んでください。",
    "Your sign-in had run out, so we kept what you had entered. Choose what to send.",
);
pub const HELD_ONCE: Text = text(
    "ボタンを押すまで送信しません。同じ入力は一度だけ送信できます。",
    "Nothing is sent before you press the button, and nothing is sent twice.",
);
pub const HELD_SEND: Text = text("この入力を送信する", "Send this");
pub const HELD_LEAVE: Text = text("送信せずにサービスを開く", "Open the service without sending");
pub const HELD_OTHERS: Text =
    text("ほかの職員の入力は、破棄しました。", "What somebody else had entered was thrown away.");

pub const SIGN_IN_TO_SEND: Text = text("ログインして送信に進む", "Sign in to send it");

const fn notice(title: Text, what: Text, next: Text) -> Notice {
    Notice { title, what, next }
}

pub const COOKIES_OFF: Notice = notice(
    text("Cookieが使えません", "Cookies are switched off"),
    text(
        "ブラウザーがCookieを送らないため、ログインできません。",
        "Your browser sends no cookies, so you can't sign in.",
    ),
    text(
        "ブラウザーの設定でCookieを許可してください。プライベートモードのときは、通常のモードで開いてください。",
        "Allow cookies in the settings of your browser. In a private window, try an ordinary one.",
    ),
);
pub const TRY_AGAIN: Text = text("もう一度試す", "Try again");

pub const FORM_KEPT: Notice = notice(
    text("入力した内容を預かりました", "What you entered is safe"),
    text(
        "ログインの期限が切れていたため、まだ送信していません。",
        "Your sign-in had run out, so it has not been sent yet.",
    ),
    text(
        "10分以内に、同じIDでログインしてください。その後、確認してから送信できます。",
        "Sign in with the same ID within 10 minutes. Then you can look at it and send it.",
    ),
);

pub const FORM_TOO_BIG: Notice = notice(
    text("入力した内容は送信されていません", "What you entered was not sent"),
    text(
        "ログインの期限が切れていました。入力が大きいため、預かることができませんでした。",
        "Your sign-in had run out, and this was too big to be kept.",
    ),
    text(
        "ブラウザーの「戻る」で入力に戻り、控えをとってください。その後、ログインしてください。",
        "Go back in your browser and make a copy of it. Then sign in.",
    ),
);

pub const FORM_NOT_KEPT: Notice = notice(
    text("入力した内容は送信されていません", "What you entered was not sent"),
    text(
        "ログインの期限が切れていました。この入力は、預かることができませんでした。",
        "Your sign-in had run out, and this could not be kept.",
    ),
    text(
        "ブラウザーの「戻る」で入力に戻り、控えをとってください。その後、ログインしてください。",
        "Go back in your browser and make a copy of it. Then sign in.",
    ),
);

pub const FORM_NOT_SENT: Notice = notice(
    text("まだ送信していません", "It has not been sent"),
    text(
        "サービスに接続できなかったため、送信していません。入力した内容は、預かったままです。",
        "The service could not be reached, so nothing was sent. What you entered is still safe.",
    ),
    text("10分以内に、もう一度送信してください。", "Send it again within 10 minutes."),
);
pub const SEND_AGAIN: Text = text("預かった入力を見る", "Look at what is kept");
pub const FORM_LOST: Notice = notice(
    text("預かった入力はありません", "Nothing is kept for you"),
    text(
        "時間がたったか、送信が済んでいるため、預かった入力はもうありません。",
        "It was too long ago, or it has been sent already: nothing is kept any more.",
    ),
    text(
        "送信できたかどうかを、サービスの画面で確認してください。必要なときは、もう一度入力してください。",
        "Look in the service whether it arrived. If it did not, please enter it again.",
    ),
);

pub const FORM_OF_OTHERS: Notice = notice(
    text("預かった入力は破棄しました", "What was kept has been thrown away"),
    text(
        "ほかの職員が入力したものだったため、送信していません。",
        "It was entered by somebody else, so it was not sent.",
    ),
    text(
        "入力した職員に、送信されていないことを伝えてください。",
        "Tell the person who entered it that it was not sent.",
    ),
);
