//! The words of forms, buttons and labels, and of notices that stand for no reason.

use super::{Notice, Text, text};

pub const FOOTER: Text =
    text("このゲートを通る操作は、すべて記録されます。", "Everything done through this gate is recorded.");
pub const CODE: Text = text("お問い合わせ番号", "Reference code");
pub const CODE_HINT: Text =
    text("管理者に連絡するときに、この番号を伝えてください。", "Give this code to your administrator.");
pub const APP: Text = text("サービス", "Service");
pub const NEXT: Text = text("どうすればよいですか", "What to do");

pub const SIGN_IN: Text = text("ログイン", "Sign in");
pub const SIGN_IN_FOR_BEFORE: Text = text("", "Sign in to open ");
pub const SIGN_IN_FOR_AFTER: Text = text(" を開くために、ログインしてください。", ".");
pub const SIGN_IN_PLAIN: Text = text("IDとパスワードを入力してください。", "Enter your ID and password.");
pub const SIGN_IN_CHOOSE: Text = text("ログイン方法を選んでください。", "Choose how to sign in.");
pub const SIGN_IN_WITH_BEFORE: Text = text("", "Sign in with ");
pub const SIGN_IN_WITH_AFTER: Text = text("でログイン", "");
pub const OR: Text = text("または", "or");
pub const SIGN_IN_STALE: Text = text(
    "この操作の前に、本人の確認がもう一度必要です。ログインしてください。",
    "This needs a sign-in that is not so long ago. Please sign in again.",
);
pub const LOGIN_ID: Text = text("職員ID", "Staff ID");
pub const PASSWORD: Text = text("パスワード", "Password");
pub const FORGOTTEN: Text = text(
    "IDやパスワードがわからないときは、管理者に連絡してください。",
    "If you don't know your ID or password, ask your administrator.",
);
pub const WRONG: Text = text(
    "IDまたはパスワードが違います。もう一度入力してください。",
    "The ID or the password is wrong. Please try again.",
);

pub const CODE_STEP: Text = text("確認コードを入力", "Enter your verification code");
pub const CODE_STEP_WHAT: Text = text(
    "スマートフォンの認証アプリに表示されている、6けたの数字を入力してください。",
    "Enter the 6 digits that the authenticator app on your phone shows.",
);
pub const TOTP: Text = text("確認コード（6けた）", "Verification code (6 digits)");
pub const CONTINUE: Text = text("次へ", "Continue");
pub const START_OVER: Text = text("最初からやり直す", "Start over");
pub const WRONG_CODE: Text = text(
    "確認コードが違います。新しいコードが表示されてから、入力してください。",
    "The code is wrong. Wait for the next one and enter it.",
);
pub const CODE_EXPIRED: Text =
    text("時間がたったため、最初からやり直してください。", "That took too long. Please start again.");

pub const THROTTLED_BEFORE: Text =
    text("ログインの失敗が続いたため、少しの間止めています。", "There were too many attempts. Please wait ");
pub const THROTTLED_AFTER: Text = text("ほど待ってから、もう一度入力してください。", " and try again.");

pub const HANDLE_GONE: Text = text(
    "時間がたったため、開こうとしたページがわからなくなりました。ログインすると、サービスの一覧が開きます。",
    "That took too long, so we no longer know which page you wanted. After signing in you will see your services.",
);
pub const FORM_GONE: Text = text(
    "安全のため、もう一度入力してください。ブラウザーのCookieを許可してください。",
    "For safety, please enter it again. Cookies must be allowed in your browser.",
);

pub const OPENING: Text = text("ログインしました", "You are signed in");
pub const OPENING_WHAT: Text =
    text("サービスを開いています。そのままお待ちください。", "Your service is being opened. One moment, please.");
pub const OPENING_NEXT: Text =
    text("開かないときは、下のボタンを押してください。", "If nothing happens, use the button below.");
pub const OPEN: Text = text("開く", "Open");

pub const HOME: Text = text("サービスの一覧", "Your services");
pub const HOME_EMPTY: Text = text(
    "いま利用できるサービスがありません。管理者に連絡してください。",
    "There is no service you can use right now. Please ask your administrator.",
);
pub const SIGNED_IN_AS: Text = text("ログイン中の職員", "Signed in as");
pub const HOME_NOTICE: Text = text(
    "時間がたったため、開こうとしたページがわからなくなりました。下の一覧から開いてください。",
    "That took too long, so we no longer know which page you wanted. Choose a service below.",
);

pub const SIGN_OUT: Text = text("ログアウト", "Sign out");
pub const SIGN_OUT_WHAT: Text = text(
    "すべてのサービスからログアウトします。保存していない入力は消えます。",
    "You will be signed out of all services. What has not been saved will be lost.",
);
pub const BACK: Text = text("サービスの一覧に戻る", "Back to your services");

pub const SECONDS: Text = text("秒", " seconds");
pub const MINUTES: Text = text("分", " minutes");
pub const ONE_MINUTE: Text = text("1分", "1 minute");
pub const ONE_SECOND: Text = text("1秒", "1 second");

const fn notice(title: Text, what: Text, next: Text) -> Notice {
    Notice { title, what, next }
}

pub const SIGNED_OUT: Notice = notice(
    text("ログアウトしました", "You are signed out"),
    text("すべてのサービスからログアウトしました。", "You have been signed out of all services."),
    text(
        "ほかの職員と使う端末では、ブラウザーも閉じてください。",
        "If you share this device with others, close the browser as well.",
    ),
);

pub const SIGNED_OUT_HERE: Notice = notice(
    text("ログアウトしました", "You are signed out"),
    text(
        "すべてのサービスからログアウトしました。ログインに使ったアカウントには、まだログインしています。",
        "You have been signed out of all services. The account you signed in with is still signed in.",
    ),
    text(
        "ほかの職員と使う端末では、下のボタンを押してください。",
        "If you share this device with others, use the button below.",
    ),
);

pub const SIGNED_OUT_THERE: Notice = notice(
    text("ログアウトしました", "You are signed out"),
    text(
        "すべてのサービスと、ログインに使ったアカウントからログアウトしました。",
        "You have been signed out of all services and of the account you signed in with.",
    ),
    text(
        "ほかの職員と使う端末では、ブラウザーも閉じてください。",
        "If you share this device with others, close the browser as well.",
    ),
);

pub const PROVIDER_AWAY: Notice = notice(
    text("ログイン先につながりません", "The sign-in service can't be reached"),
    text("ログイン先が、いま応答していません。", "The service that signs you in does not answer right now."),
    text(
        "しばらく待ってから、もう一度ログインしてください。すでにログインしている端末は、そのまま利用できます。",
        "Wait a little and try again. Whoever is signed in already can go on working.",
    ),
);

pub const PROVIDER_DENIED: Notice = notice(
    text("ログインできませんでした", "You were not signed in"),
    text(
        "ログイン先で、取り消されたか、許可されませんでした。",
        "The sign-in was cancelled, or the service that signs you in did not allow it.",
    ),
    text(
        "もう一度ログインしてください。くり返すときは、管理者に連絡してください。",
        "Try again. If it keeps happening, tell your administrator.",
    ),
);

pub const PROVIDER_AGAIN: Notice = notice(
    text("もう一度ログインしてください", "Please sign in again"),
    text(
        "ログイン先での本人の確認が、終わっていません。",
        "The service that signs you in has not checked who you are to the end.",
    ),
    text("もう一度ログインして、画面の案内に従ってください。", "Sign in again and follow what the screen says."),
);

pub const PROVIDER_UNTRUSTED: Notice = notice(
    text("ログインを確認できませんでした", "Your sign-in could not be verified"),
    text(
        "ログイン先から届いた内容を、正しいものと確認できませんでした。",
        "What the service that signs you in sent us could not be verified.",
    ),
    text(
        "もう一度ログインしてください。くり返すときは、管理者に連絡してください。",
        "Try again. If it keeps happening, tell your administrator.",
    ),
);

pub const PROVIDER_LATE: Notice = notice(
    text("ログインをやり直してください", "Please start again"),
    text(
        "時間がたったか、別のブラウザーで始めたため、このログインは続けられません。",
        "This sign-in can't go on: it took too long, was used before, or began in another browser.",
    ),
    text(
        "もう一度ログインしてください。ブラウザーのCookieを許可してください。",
        "Sign in again. Cookies must be allowed in your browser.",
    ),
);

pub const LINK_EXPIRED: Notice = notice(
    text("ログインを完了できませんでした", "Signing in could not be completed"),
    text(
        "時間がたったか、別のブラウザーで開かれたため、このリンクは使えません。",
        "This link can't be used: it is too old, or was opened in another browser.",
    ),
    text("サービスを、もう一度開いてください。", "Open the service again."),
);
pub const OPEN_AGAIN: Text = text("サービスを開く", "Open the service");

pub const FORM_EXPIRED: Notice = notice(
    text("もう一度操作してください", "Please try again"),
    text(
        "このページが古くなったか、別のページから送られたため、受け付けませんでした。",
        "This page was too old, or the request came from another page, so nothing was done.",
    ),
    text("サービスの一覧から、やり直してください。", "Start again from the list of your services."),
);

pub const FAILED: Notice = notice(
    text("ただいま利用できません", "Not available right now"),
    text("システムに問題が起きています。", "Something went wrong on our side."),
    text(
        "しばらく待ってから、もう一度開いてください。直らないときは、管理者に連絡してください。",
        "Wait a little and try again. If that doesn't help, tell your administrator.",
    ),
);

pub const NO_PAGE: Notice = notice(
    text("ページが見つかりません", "Page not found"),
    text("このアドレスのページはありません。", "There is no page at this address."),
    text("サービスの一覧から、開き直してください。", "Start from the list of your services."),
);

/// A device's name, on the form that enrols it.
pub const ENROLL_NAME_WRONG: Text = text(
    "端末の名前は64文字以内の1行で入力してください。",
    "Write the device's name on one line, in 64 characters or fewer.",
);

/// Before who signs in goes on: the certificate of the device in hand ends soon.
pub const RENEWAL_DUE: Text = text("証明書の期限が近づいています", "The certificate ends soon");
pub const RENEWAL_DUE_NEXT: Text = text(
    "更新は1分ほどで終わります。今の証明書が切れる前に済ませてください。",
    "Renewing takes about a minute. Do it before this certificate ends.",
);
pub const RENEWAL_NOW: Text = text("今すぐ更新する", "Renew now");
pub const RENEWAL_LATER: Text = text("あとで更新して業務に進む", "Later, go on to work");
