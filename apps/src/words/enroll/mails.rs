//! The mails of device registration, as plain text.

use vocabulary::{Os, RevocationCause};

use super::{Text, kind, os, text};
use crate::Lang;
use crate::enroll::SheetEntry;

/// Why a device was shut out.
pub(crate) const fn cause(cause: RevocationCause) -> Text {
    match cause {
        RevocationCause::Lost => text("紛失", "lost"),
        RevocationCause::Stolen => text("盗難", "stolen"),
        RevocationCause::Replaced => text("端末か証明書の交換", "replaced"),
        RevocationCause::OwnerLeft => text("職員の退職や異動", "its owner left"),
        RevocationCause::Compromised => text("鍵が漏れたおそれ", "its key may be in other hands"),
        RevocationCause::Other => text("その他", "another reason"),
    }
}

/// The mail with the link: subject and body.
pub fn invitation_mail(lang: Lang, entry: &SheetEntry<'_>) -> (String, String) {
    let SheetEntry { facility, url, until, .. } = entry;
    let kind = kind(entry.kind).get(lang);
    let (contact, owner) = (entry.contact, entry.owner);
    match lang {
        Lang::Ja => {
            let owner = owner.map(|owner| format!("{owner} 様\n\n")).unwrap_or_default();
            let contact = contact.map(|contact| format!("連絡先: {contact}\n")).unwrap_or_default();
            (
                format!("【{facility}】端末登録のご案内"),
                format!(
                    "{owner}{facility}のサービスを使う端末の登録をお願いします。5分ほどで終わります。\n\
                     \n\
                     1. 登録する端末で、次のリンクを開いてください。\n\
                     \n\
                     {url}\n\
                     \n\
                     2. いつもの職員IDとパスワードでログインします。\n\
                     3. 画面の絵のとおりに、証明書を入れます。\n\
                     \n\
                     端末の種類: {kind}\n\
                     リンクの期限: {until}\n\
                     {contact}\
                     \n\
                     このリンクは一度だけ使えます。ほかの人に転送しないでください。\n\
                     心当たりがないときは、開かずに管理者に連絡してください。\n"
                ),
            )
        }
        Lang::En => {
            let owner = owner.map(|owner| format!("Dear {owner},\n\n")).unwrap_or_default();
            let contact = contact.map(|contact| format!("Contact: {contact}\n")).unwrap_or_default();
            (
                format!("[{facility}] Register your device"),
                format!(
                    "{owner}Please register the device that you use for the services of {facility}. It takes about 5 minutes.\n\
                     \n\
                     1. On the device to be registered, open this link:\n\
                     \n\
                     {url}\n\
                     \n\
                     2. Sign in with your usual staff ID and password.\n\
                     3. Install the certificate, as the pictures on the screen show.\n\
                     \n\
                     Kind of device: {kind}\n\
                     The link ends: {until}\n\
                     {contact}\
                     \n\
                     The link works once. Don't pass it on.\n\
                     If you did not expect it, don't open it; tell your administrator.\n"
                ),
            )
        }
    }
}

/// The mail before a certificate ends: subject and body. `url`: where it is renewed, on the device itself.
pub fn renewal_mail(
    lang: Lang,
    facility: &str,
    device: &str,
    ends: &str,
    days_left: i64,
    url: &str,
) -> (String, String) {
    match lang {
        Lang::Ja => {
            let (left, says) = match days_left {
                ..=-1 => ("期限切れ".to_owned(), "切れました"),
                0 => ("今日まで".to_owned(), "今日切れます"),
                days => (format!("あと{days}日"), "もうすぐ切れます"),
            };
            (
                format!("【{facility}】端末の証明書の更新のお願い（{left}）"),
                format!(
                    "「{device}」の証明書の期限が、{says}。\n\
                     期限: {ends}\n\
                     \n\
                     「{device}」で次のリンクを開き、更新してください。5分ほどで終わります。\n\
                     ほかの端末で開いても、更新できません。\n\
                     \n\
                     {url}\n\
                     \n\
                     この端末をもう使っていないときは、管理者に連絡してください。\n"
                ),
            )
        }
        Lang::En => {
            let (left, says) = match days_left {
                ..=-1 => ("ended".to_owned(), "has ended".to_owned()),
                0 => ("today".to_owned(), "ends today".to_owned()),
                1 => ("1 day left".to_owned(), "ends tomorrow".to_owned()),
                days => (format!("{days} days left"), format!("ends in {days} days")),
            };
            (
                format!("[{facility}] Please renew your device's certificate ({left})"),
                format!(
                    "The certificate of \"{device}\" {says}.\n\
                     It ends: {ends}\n\
                     \n\
                     Open this link on \"{device}\" and renew it. It takes about 5 minutes.\n\
                     It can't be renewed from another device.\n\
                     \n\
                     {url}\n\
                     \n\
                     If you no longer use this device, tell your administrator.\n"
                ),
            )
        }
    }
}

/// The mail to its owner and the operators that a device was shut out: subject and body.
pub fn lost_mail(
    lang: Lang,
    facility: &str,
    device: &str,
    owner: Option<&str>,
    at: &str,
    why: RevocationCause,
) -> (String, String) {
    let why = cause(why).get(lang);
    match lang {
        Lang::Ja => {
            let owner = owner.map(|owner| format!("使っていた職員: {owner}\n")).unwrap_or_default();
            (
                format!("【{facility}】端末「{device}」を止めました"),
                format!(
                    "次の端末から、サービスを使えないようにしました。ログインもすべて終了しました。\n\
                     \n\
                     端末: {device}\n\
                     {owner}\
                     止めた日時: {at}\n\
                     理由: {why}\n\
                     \n\
                     心当たりがないときは、すぐに管理者に連絡してください。\n\
                     端末が見つかったときは、使う前に、管理者に登録し直しを頼んでください。\n"
                ),
            )
        }
        Lang::En => {
            let owner = owner.map(|owner| format!("Used by: {owner}\n")).unwrap_or_default();
            (
                format!("[{facility}] The device \"{device}\" was shut out"),
                format!(
                    "This device can no longer use your services. Everybody was signed out on it.\n\
                     \n\
                     Device: {device}\n\
                     {owner}\
                     Shut out: {at}\n\
                     Why: {why}\n\
                     \n\
                     If you don't know why, tell your administrator at once.\n\
                     If the device is found, ask your administrator to register it again before you use it.\n"
                ),
            )
        }
    }
}

/// The mail to the operators that somebody waits for approval: subject and body.
///
/// `code_hint` is how to list the requests with their codes, such as a command. The code itself must not be in a mail:
/// it is compared by telephone, and whoever could read this mail could then read it out.
pub fn approval_mail(
    lang: Lang,
    facility: &str,
    who: &str,
    system: Option<Os>,
    source: &str,
    code_hint: &str,
) -> (String, String) {
    match lang {
        Lang::Ja => {
            let system = system.map_or("不明", |system| os(system).get(lang));
            (
                format!("【{facility}】端末登録の承認待ち: {who}"),
                format!(
                    "端末の登録が、承認を待っています。\n\
                     \n\
                     職員: {who}\n\
                     端末: {system}\n\
                     接続元: {source}\n\
                     \n\
                     承認の前に、本人に電話して、画面の番号を読み上げてもらってください。\n\
                     番号は、次の方法で表示される番号と比べてください。\n\
                     \n\
                     {code_hint}\n\
                     \n\
                     番号が違うときや、本人に心当たりがないときは、承認しないでください。\n"
                ),
            )
        }
        Lang::En => {
            let system = system.map_or("unknown", |system| os(system).get(lang));
            (
                format!("[{facility}] A device waits for approval: {who}"),
                format!(
                    "The registration of a device waits for approval.\n\
                     \n\
                     Person: {who}\n\
                     Device: {system}\n\
                     From: {source}\n\
                     \n\
                     Before you approve it, telephone the person and have the code on the screen read out.\n\
                     Compare it with the code that is shown by:\n\
                     \n\
                     {code_hint}\n\
                     \n\
                     If the codes differ, or the person knows nothing of it, don't approve.\n"
                ),
            )
        }
    }
}
