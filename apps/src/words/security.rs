//! The words of second factors: the second step of signing in, and the page on which people look after what they
//! sign in with.

use super::{Notice, Text, text};

// The second step of signing in.

pub const SECOND_STEP: Text = text("本人の確認", "Confirm that it is you");
pub const PASSKEY_SIGN_IN: Text = text("パスキーでログイン", "Sign in with a passkey");
pub const PASSKEY_STEP_WHAT: Text = text(
    "登録したパスキーで確認します。スマートフォンやパソコンのロックを解除してください。",
    "Confirm with your passkey: unlock your phone or computer when it asks.",
);
pub const PASSKEY_USE: Text = text("パスキーで確認", "Confirm with a passkey");
pub const PASSKEY_NO_SCRIPT: Text = text(
    "パスキーを使うには、ブラウザーのJavaScriptを有効にしてください。",
    "To use a passkey, allow JavaScript in your browser.",
);
pub const PASSKEY_CANCELLED: Text = text(
    "パスキーで確認できませんでした。もう一度試すか、ほかの方法でログインしてください。",
    "The passkey was not used. Try again, or sign in another way.",
);
pub const PASSKEY_FAILED: Text = text(
    "このパスキーではログインできません。IDとパスワードでログインしてください。",
    "This passkey can't be used to sign in. Use your ID and password.",
);
pub const PASSKEY_STEP_FAILED: Text = text(
    "パスキーで確認できませんでした。もう一度試してください。",
    "The passkey could not be confirmed. Please try again.",
);
pub const RECOVERY_ASK: Text = text("スマートフォンが手元にないとき", "Don't have your phone?");
pub const RECOVERY_WHAT: Text = text(
    "保管してあるリカバリーコードを1つ入力してください。使ったコードは、もう使えません。",
    "Enter one of the recovery codes that you kept. Each works once.",
);
pub const RECOVERY_CODE: Text = text("リカバリーコード", "Recovery code");
pub const RECOVERY_WRONG: Text = text(
    "リカバリーコードが違うか、使用済みです。もう一度確かめてください。",
    "That recovery code is wrong or was used before. Please check it.",
);
pub const RECOVERY_NONE: Text = text(
    "リカバリーコードもないときは、管理者に連絡してください。",
    "If you have no recovery code either, ask your administrator.",
);

pub const RECOVERY_USED: Text = text("リカバリーコードを使いました", "A recovery code was used");
pub const RECOVERY_USED_WHAT: Text = text(
    "ログインしました。使ったリカバリーコードは、もう使えません。",
    "You are signed in. The code you used will not work again.",
);
pub const RECOVERY_LEFT_BEFORE: Text = text("残りは ", "Recovery codes left: ");
pub const RECOVERY_LEFT_AFTER: Text = text(" 個です。", ".");
pub const RECOVERY_USED_NEXT: Text = text(
    "身に覚えがないときや、スマートフォンをなくしたときは、すぐに管理者に連絡してください。",
    "If this was not you, or if your phone is lost, tell your administrator at once.",
);
pub const CONTINUE_TO_SERVICE: Text = text("サービスを開く", "Open your service");

// The page on which people look after what they sign in with.

pub const SECURITY: Text = text("ログインの設定", "Sign-in settings");
pub const SECURITY_WHAT: Text = text(
    "パスワードのほかに、もう一つの確認方法を設定できます。",
    "Besides your password, you can set up a second way to confirm that it is you.",
);
pub const NOTHING_HERE: Text = text(
    "あなたのログイン方法は、別のシステムで管理されています。変更は管理者に依頼してください。",
    "How you sign in is looked after by another system. Ask your administrator for changes.",
);
pub const CONFIRM_FIRST: Text =
    text("変更するには、もう一度パスワードを入力してください。", "To change anything, enter your password once more.");
pub const SECOND_FIRST: Text = text(
    "変更するには、二つ目の確認方法でログインし直してください。",
    "To change anything, sign in again with your second factor.",
);
pub const CONFIRM: Text = text("確認して変更する", "Confirm and make changes");
pub const CONFIRM_WRONG: Text =
    text("パスワードが違います。もう一度入力してください。", "The password is wrong. Please try again.");
pub const NEEDED_HERE: Text = text(
    "開こうとしたサービスには、二つ目の確認方法が必要です。下のどちらかを設定してください。",
    "The service you wanted asks for a second way to confirm that it is you. Set up one of these.",
);
pub const SIGN_IN_AGAIN: Text = text("もう一度ログインする", "Sign in again");
pub const SIGN_IN_AGAIN_WHAT: Text = text(
    "二つ目の確認方法は、ログインのときに使います。続けるには、もう一度ログインしてください。",
    "The second factor is used when signing in. Sign in again to continue.",
);

pub const TOTP_HEAD: Text = text("認証アプリ", "Authenticator app");
pub const TOTP_ON: Text = text("設定済みです。", "It is set up.");
pub const TOTP_OFF: Text = text(
    "スマートフォンの認証アプリに、ログインのたびに6けたの数字が表示されます。",
    "An app on your phone shows 6 digits for each sign-in.",
);
pub const TOTP_SET_UP: Text = text("認証アプリを設定する", "Set up an authenticator app");
pub const TOTP_RENEW: Text = text("別のスマートフォンで設定し直す", "Set it up on another phone");
pub const REMOVE: Text = text("削除する", "Remove");

pub const PASSKEYS_HEAD: Text = text("パスキー", "Passkeys");
pub const PASSKEYS_WHAT: Text = text(
    "指紋、顔、端末のPINでログインできます。この端末で設定します。",
    "Sign in with your fingerprint, face or the device's PIN. It is set up on this device.",
);
pub const PASSKEY_NAME: Text = text("パスキーの名前", "Name of the passkey");
pub const PASSKEY_ADD: Text = text("この端末でパスキーを登録する", "Add a passkey on this device");
pub const PASSKEY_ADDED: Text = text("登録日", "Added");
pub const PASSKEY_LAST_USED: Text = text("最終利用", "Last used");
pub const PASSKEY_NEVER_USED: Text = text("未使用", "Never used");
pub const PASSKEY_ADD_FAILED: Text = text(
    "パスキーを登録できませんでした。もう一度試してください。",
    "The passkey could not be added. Please try again.",
);
pub const PASSKEY_EXISTS: Text =
    text("この端末のパスキーは、もう登録されています。", "This device's passkey is registered already.");
pub const PASSKEY_DEFAULT_NAME: Text = text("パスキー", "Passkey");

pub const RECOVERY_HEAD: Text = text("リカバリーコード", "Recovery codes");
pub const RECOVERY_PURPOSE: Text = text(
    "スマートフォンをなくしたときに、確認コードの代わりに使います。",
    "They stand in for the verification code when you have lost your phone.",
);
pub const RECOVERY_COUNT_BEFORE: Text = text("残り ", "");
pub const RECOVERY_COUNT_AFTER: Text = text(" 個", " left");
pub const RECOVERY_MAKE: Text = text("新しいコードを作る", "Make new codes");
pub const RECOVERY_MAKE_HINT: Text =
    text("新しく作ると、前のコードは使えなくなります。", "When new ones are made, the earlier ones stop working.");

pub const PASSWORD_HEAD: Text = text("パスワード", "Password");
pub const PASSWORD_CHANGE: Text = text("パスワードを変更する", "Change your password");
pub const PASSWORD_DUE: Text = text("新しいパスワードを決めてください", "Choose a new password");
pub const PASSWORD_DUE_WHAT: Text = text(
    "いまのパスワードは、管理者が決めたものです。あなただけが知るパスワードに変えてください。",
    "Your password was set by an administrator. Change it to one that only you know.",
);
pub const PASSWORD_CHANGE_WHAT: Text = text(
    "変更すると、ほかの端末やブラウザーからはログアウトされます。",
    "You will be signed out on other devices and browsers.",
);
pub const PASSWORD_OLD: Text = text("いまのパスワード", "Current password");
pub const PASSWORD_NEW: Text = text("新しいパスワード", "New password");
pub const PASSWORD_AGAIN: Text = text("新しいパスワード（もう一度）", "New password, once more");
pub const PASSWORD_RULE_LONG: Text = text(
    "13文字以上にしてください。関係のない言葉をいくつか並べると、覚えやすくなります。",
    "At least 13 characters. A few words that have nothing to do with each other are easy to remember.",
);
pub const PASSWORD_RULE_SHORT: Text = text("8文字以上にしてください。", "At least 8 characters.");
pub const PASSWORDS_DIFFER: Text = text(
    "新しいパスワードが一致しません。もう一度入力してください。",
    "The two new passwords are not the same. Please try again.",
);
pub const PASSWORD_SAME: Text =
    text("いまのパスワードとは別のものにしてください。", "The new password must not be the current one.");
pub const PASSWORD_SHORT_13: Text =
    text("短すぎます。13文字以上にしてください。", "That is too short. It needs at least 13 characters.");
pub const PASSWORD_SHORT_8: Text =
    text("短すぎます。8文字以上にしてください。", "That is too short. It needs at least 8 characters.");
pub const PASSWORD_LONG: Text = text("長すぎます。短くしてください。", "That is too long. Please shorten it.");
pub const PASSWORD_CONTROL: Text = text("使えない文字が入っています。", "It holds a character that can't be used.");
pub const PASSWORD_LIKE_YOU: Text = text(
    "IDや名前、メールアドレスをもとにしたパスワードは使えません。",
    "A password made of your ID, name or mail address can't be used.",
);
pub const PASSWORD_COMMON: Text = text(
    "よく使われるパスワードは使えません。関係のない言葉を並べてください。",
    "That is a password people try first. Use words that have nothing to do with each other.",
);

pub const TOTP_SCAN: Text =
    text("認証アプリで、このQRコードを読み取ってください。", "Scan this QR code with your authenticator app.");
pub const TOTP_QR: Text = text("認証アプリ用のQRコード", "QR code for the authenticator app");
pub const TOTP_SAME_PHONE: Text =
    text("このスマートフォンの認証アプリで開く", "Open in the authenticator app on this phone");
pub const TOTP_BY_HAND: Text =
    text("読み取れないときは、このキーを入力します。", "If you can't scan it, type this key.");
pub const TOTP_THEN: Text =
    text("アプリに表示された6けたの数字を入力してください。", "Then enter the 6 digits that the app shows.");
pub const TOTP_FINISH: Text = text("設定を終える", "Finish");
pub const TOTP_OVER: Text =
    text("設定の途中で時間がたちました。はじめからやり直してください。", "That took too long. Please start again.");

pub const CODES_TITLE: Text = text("リカバリーコードを保管してください", "Keep your recovery codes");
pub const CODES_WHAT: Text = text(
    "スマートフォンをなくしたときに使います。1つのコードは1回だけ使えます。",
    "You need them if you lose your phone. Each code works once.",
);
pub const CODES_ONCE: Text = text(
    "このコードは、いましか表示されません。印刷するか書き写して、鍵のかかる場所に保管してください。",
    "They are shown only now. Print them or write them down, and keep them under lock and key.",
);
pub const CODES_FOR: Text = text("職員", "Staff member");
pub const CODES_MADE: Text = text("作成日", "Made on");
pub const PRINT: Text = text("印刷する", "Print");
pub const CODES_KEPT: Text = text("保管しました", "I have kept them");

pub const LAST_FACTOR: Text = text(
    "いまのパスワードは短いため、確認方法を一つは残す必要があります。先に、13文字以上のパスワードに変更してください。",
    "Your password is short, so one second way must stay. Change your password to 13 characters or more first.",
);
pub const TOO_MANY_PASSKEYS: Text = text(
    "登録できるパスキーの数を超えました。使わないものを削除してください。",
    "You have as many passkeys as you can have. Remove one that you don't use.",
);
pub const DONE_TOTP_REMOVED: Text = text("認証アプリの設定を削除しました。", "The authenticator app was removed.");
pub const DONE_PASSKEY_ADDED: Text = text("パスキーを登録しました。", "The passkey was added.");
pub const DONE_PASSKEY_REMOVED: Text = text("パスキーを削除しました。", "The passkey was removed.");
pub const DONE_PASSWORD: Text = text("パスワードを変更しました。", "Your password was changed.");
pub const DONE_TOTP: Text = text("認証アプリを設定しました。", "The authenticator app is set up.");

// Refusals for want of a second factor that lead on.

pub const SET_UP_SECOND_FACTOR: Text = text("確認方法を設定する", "Set up a second way");

const WANTED: Text = text(
    "このサービスを利用するには、パスワードのほかに、もう一つの確認が必要です。",
    "This service asks for a second confirmation besides your password.",
);
/// The person has no second factor and could set one up.
pub const FACTOR_TO_SET_UP: Notice = Notice {
    title: text("もう一つの確認が必要です", "A second confirmation is needed"),
    what: WANTED,
    next: text(
        "下のボタンから、認証アプリかパスキーを設定してください。設定が済んだら、もう一度ログインしてください。",
        "Use the button below to set up an authenticator app or a passkey. Then sign in again.",
    ),
};
/// The person has a second factor and signed in without.
pub const FACTOR_TO_SHOW: Notice = Notice {
    title: text("もう一つの確認が必要です", "A second confirmation is needed"),
    what: WANTED,
    next: text(
        "下のボタンから、もう一度ログインしてください。確認コードかパスキーを使います。",
        "Use the button below to sign in again, with your verification code or passkey.",
    ),
};
