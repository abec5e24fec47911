//! Heads of the login history and of the request log, as files for people have them.

use super::{Text, text};

/// In the order of the columns.
pub const LOGIN_HISTORY: [Text; 22] = [
    text("日時", "time"),
    text("種別", "event"),
    text("職員ID", "person"),
    text("氏名", "name"),
    text("事業所", "facility"),
    text("結果", "result"),
    text("理由", "reason"),
    text("理由の詳細", "detail"),
    text("認証元", "provider"),
    text("アカウント", "account"),
    text("認証方法", "method"),
    text("要素数", "factors"),
    text("接続元", "source"),
    text("内外", "place"),
    text("端末名", "device name"),
    text("端末ID", "device"),
    text("証明書番号", "serial"),
    text("セッション", "session"),
    text("ログアウト日時", "signed out"),
    text("ログアウト理由", "cause"),
    text("利用時間(秒)", "duration (s)"),
    text("操作者", "by"),
];

/// In the order of the columns.
pub const REQUEST_LOG: [Text; 23] = [
    text("日時", "time"),
    text("番号", "code"),
    text("職員ID", "person"),
    text("氏名", "name"),
    text("事業所", "facility"),
    text("アプリ", "app"),
    text("操作", "action"),
    text("判定", "decision"),
    text("理由", "reason"),
    text("規則", "rule"),
    text("メソッド", "method"),
    text("パス", "path"),
    text("状態コード", "status"),
    text("終わり方", "end"),
    text("受信バイト数", "bytes in"),
    text("送信バイト数", "bytes out"),
    text("所要時間(ミリ秒)", "duration (ms)"),
    text("接続元", "source"),
    text("内外", "place"),
    text("端末名", "device name"),
    text("端末ID", "device"),
    text("証明書番号", "serial"),
    text("セッション", "session"),
];

pub const INSIDE: Text = text("内", "inside");
pub const OUTSIDE: Text = text("外", "outside");

/// A request of an app that has a recipe, and the recipe has no name for it.
pub const NOT_IDENTIFIED: Text = text("特定不可", "not identified");
/// A request that logs in to the SaaS, or out of it, where the recipe has no name of its own for it.
pub const SAAS_LOGIN: Text = text("SaaSへのログイン", "Login to the SaaS");
pub const SAAS_LOGOUT: Text = text("SaaSからのログアウト", "Logout from the SaaS");
/// A login whose end is not recorded.
pub const STILL_OPEN: Text = text("継続中", "open");
