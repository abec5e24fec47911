//! What is told where the way of a registration ends, well or not.

use super::super::{Notice, Text, text};

const fn notice(title: Text, what: Text, next: Text) -> Notice {
    Notice { title, what, next }
}

pub(crate) const SEEN: Notice = notice(
    text("この端末は登録されました", "This device is registered"),
    text("証明書を確認できました。準備は終わりです。", "The certificate was seen. You are done."),
    text(
        "次からは、いつものようにログインしてください。なくしたときは、すぐに管理者に連絡してください。",
        "From now on, sign in as usual. If you lose this device, tell your administrator at once.",
    ),
);

pub(crate) const NOT_SEEN: Notice = notice(
    text("証明書が見つかりません", "The certificate was not seen"),
    text("この端末の証明書を、まだ確認できません。", "This device has not shown a certificate yet."),
    text("次のことを確かめてから、もう一度確認してください。", "Look at these points, then check again."),
);

pub(crate) const CERTIFICATE_EXPIRED: Notice = notice(
    text("証明書の期限が切れています", "The certificate has ended"),
    text("この端末の証明書は、期限が切れています。", "This device's certificate is past its end."),
    text(
        "更新のボタンがあれば、押してください。ないときは、管理者に新しい案内を頼んでください。",
        "If there is a button to renew it, use it. If not, ask your administrator for a new invitation.",
    ),
);

pub(crate) const CERTIFICATE_REVOKED: Notice = notice(
    text("この端末は使えません", "This device is shut out"),
    text("この端末の証明書は、管理者が止めました。", "An administrator has revoked this device's certificate."),
    text(
        "心当たりがないときは、管理者に連絡してください。使うには、もう一度登録が必要です。",
        "If you don't know why, tell your administrator. To use it, it has to be registered again.",
    ),
);

pub(crate) const OTHERS_DEVICE: Notice = notice(
    text("ほかの職員の端末です", "This is somebody else's device"),
    text(
        "この端末は、ほかの職員の端末として登録されています。",
        "This device is registered for another member of staff.",
    ),
    text("自分の端末で開いてください。", "Please use your own device."),
);
pub(crate) const OTHERS_DEVICE_OWNER: Notice = notice(
    OTHERS_DEVICE.title,
    OTHERS_DEVICE.what,
    text(
        "持ち主がログインすると使えます。この端末を引き継いだときは、管理者に登録し直しを頼んでください。",
        "Its owner can sign in on it. If it was handed on to you, ask your administrator to register it anew.",
    ),
);

pub(crate) const UNKNOWN: Notice = notice(
    text("案内が見つかりません", "No such invitation"),
    text("このリンクの案内は、ありません。", "There is no invitation under this link."),
    text(
        "QRコードをもう一度読み取るか、アドレスを確かめてください。それでも出るときは、管理者に連絡してください。",
        "Scan the QR code again, or check the address. If that doesn't help, tell your administrator.",
    ),
);
pub(crate) const EXPIRED: Notice = notice(
    text("案内の期限が切れています", "The invitation has ended"),
    text("このリンクは、期限が過ぎたため使えません。", "This link is past its end and can't be used."),
    text("管理者に、新しい案内を頼んでください。", "Ask your administrator for a new invitation."),
);
pub(crate) const USED: Notice = notice(
    text("この案内は使用済みです", "The invitation was used"),
    text("このリンクで、すでに端末が登録されています。", "A device has already been registered with this link."),
    text(
        "別の端末を登録するときは、管理者に新しい案内を頼んでください。自分で登録していないときは、すぐに連絡してください。",
        "To register another device, ask your administrator for a new invitation. If it was not you, tell them at once.",
    ),
);
pub(crate) const WITHDRAWN: Notice = notice(
    text("案内が取り消されました", "The invitation was withdrawn"),
    text("管理者が、この案内を取り消しました。", "An administrator has withdrawn this invitation."),
    text(
        "登録が必要なときは、管理者に新しい案内を頼んでください。",
        "If you still need to register, ask your administrator for a new invitation.",
    ),
);
pub(crate) const NOT_YOURS: Notice = notice(
    text("ほかの職員への案内です", "This invitation is for somebody else"),
    text(
        "いまログインしている職員では、この端末を登録できません。",
        "Whoever is signed in now can't register a device with this invitation.",
    ),
    text(
        "案内を受け取った職員が、ログインし直してください。違うときは、管理者に連絡してください。",
        "The person it was sent to has to sign in. If that doesn't fit, tell your administrator.",
    ),
);
pub(crate) const DECLINED: Notice = notice(
    text("登録は承認されませんでした", "The registration was declined"),
    text("管理者が、この登録を断りました。", "An administrator has declined this registration."),
    text("理由は、管理者に確かめてください。", "Ask your administrator why."),
);
pub(crate) const IN_USE_ELSEWHERE: Notice = notice(
    text("別の端末で登録中です", "Another device is being registered"),
    text(
        "この案内では、別の端末かブラウザーが、すでに登録を始めています。",
        "Another device or browser has already begun to register with this invitation.",
    ),
    text(
        "始めた端末で続けてください。自分で始めていないときは、すぐに管理者に連絡してください。",
        "Go on where it was begun. If it was not you, tell your administrator at once.",
    ),
);
pub(crate) const TOO_MANY: Notice = notice(
    text("少し待ってください", "Please wait a little"),
    text("操作の回数が多すぎるため、少しの間止めています。", "There were too many tries, so it is paused for a while."),
    text(
        "しばらく待ってから、もう一度開いてください。くり返すときは、管理者に連絡してください。",
        "Wait a little and open it again. If it keeps happening, tell your administrator.",
    ),
);
pub(crate) const NO_AUTHORITY: Notice = notice(
    text("いまは登録できません", "Registering is not possible now"),
    text("証明書を発行する仕組みが、いま動いていません。", "What issues certificates is not running right now."),
    text(
        "しばらく待ってから、もう一度開いてください。直らないときは、管理者に連絡してください。",
        "Wait a little and open it again. If that doesn't help, tell your administrator.",
    ),
);
pub(crate) const FORM_GONE: Notice = notice(
    text("もう一度操作してください", "Please try again"),
    text(
        "このページが古くなったか、別のページから送られたため、登録していません。",
        "This page was too old, or the request came from another page, so nothing was registered.",
    ),
    text("案内のリンクを、もう一度開いてください。", "Open the link of the invitation again."),
);

#[cfg(test)]
pub(crate) const EVERY_NOTICE: [Notice; 16] = [
    SEEN,
    NOT_SEEN,
    CERTIFICATE_EXPIRED,
    CERTIFICATE_REVOKED,
    OTHERS_DEVICE,
    OTHERS_DEVICE_OWNER,
    UNKNOWN,
    EXPIRED,
    USED,
    WITHDRAWN,
    NOT_YOURS,
    DECLINED,
    IN_USE_ELSEWHERE,
    TOO_MANY,
    NO_AUTHORITY,
    FORM_GONE,
];
