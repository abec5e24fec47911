//! What a person is told for each reason. The match is exhaustive: a new reason does not compile without its words.

use vocabulary::Reason;

use super::{Notice, Text, text};

const fn notice(title: Text, what: Text, next: Text) -> Notice {
    Notice { title, what, next }
}

/// What the page says for a reason. Permits show no page; their words are for completeness.
#[expect(clippy::too_many_lines, reason = "one list, so that the sentences can be read side by side")]
pub const fn of_reason(reason: Reason) -> Notice {
    match reason {
        Reason::Rule | Reason::BuiltIn | Reason::Ticket | Reason::Preflight | Reason::Static => notice(
            text("許可されています", "Allowed"),
            text("この操作は許可されています。", "This request is allowed."),
            text("そのまま続けてください。", "You can go on."),
        ),
        Reason::RecordUnavailable => notice(
            text("ただいま利用できません", "Not available right now"),
            text(
                "操作の記録を保存できないため、安全のために利用を止めています。",
                "The record of what is done here can't be saved, so access is paused for safety.",
            ),
            text(
                "しばらく待ってから、もう一度開いてください。直らないときは、管理者に連絡してください。",
                "Wait a little and try again. If that doesn't help, tell your administrator.",
            ),
        ),
        Reason::Clock => notice(
            text("ただいま利用できません", "Not available right now"),
            text(
                "システムの時計が合っていないため、安全のために利用を止めています。",
                "The system's clock is wrong, so access is paused for safety.",
            ),
            text(
                "管理者に連絡してください。時計が直ると、また利用できます。",
                "Tell your administrator. Access comes back once the clock is right.",
            ),
        ),
        Reason::NoApp => notice(
            text("サービスが見つかりません", "No such service"),
            text("このアドレスのサービスは登録されていません。", "No service is registered under this address."),
            text(
                "アドレスに間違いがないか、確認してください。わからないときは、管理者に連絡してください。",
                "Check the address. If you are not sure, ask your administrator.",
            ),
        ),
        Reason::Misdirected => notice(
            text("もう一度開いてください", "Please open the page again"),
            text(
                "ブラウザーが、別のサービスへの接続を使ってこのページを開こうとしました。",
                "Your browser used a connection that belongs to another service.",
            ),
            text(
                "ページを再読み込みしてください。直らないときは、ブラウザーを一度閉じて開き直してください。",
                "Reload the page. If that doesn't help, close your browser and open it again.",
            ),
        ),
        Reason::Ambiguous => notice(
            text("この操作は受け付けられません", "This request can't be accepted"),
            text(
                "アドレスや送信された内容に、正しく読み取れない部分があります。",
                "The address, or something that was sent with it, can't be read reliably.",
            ),
            text(
                "前のページに戻って、もう一度操作してください。くり返すときは、管理者に連絡してください。",
                "Go back and try again. If it keeps happening, tell your administrator.",
            ),
        ),
        Reason::CrossSite => notice(
            text("別のサイトからの操作を止めました", "A request from another site was stopped"),
            text(
                "別のサイトのページから、この操作が送られました。安全のために止めました。",
                "A page of another site sent this request. It was stopped for safety.",
            ),
            text(
                "サービスの最初のページを開いて、やり直してください。心当たりがないときは、管理者に連絡してください。",
                "Start again from the service's front page. If you did nothing of the kind, tell your administrator.",
            ),
        ),
        Reason::TokenNeeded => notice(
            text("アクセスキーが必要です", "An access token is needed"),
            text(
                "このアドレスは、ほかのシステムが職員の情報を送るためのものです。有効なアクセスキーがありません。",
                "This address is for other systems that send staff data. No valid access token was shown.",
            ),
            text(
                "送る側のシステムの設定を、管理者に確認してください。",
                "Ask your administrator to check the settings of the system that sends.",
            ),
        ),
        Reason::TokenScope => notice(
            text("このアクセスキーでは行えません", "Not with this access token"),
            text(
                "このアクセスキーには、この操作の権限がありません。",
                "This access token is not good for this request.",
            ),
            text(
                "必要な権限のあるアクセスキーを、管理者に発行してもらってください。",
                "Ask your administrator for a token with the scope that is needed.",
            ),
        ),
        Reason::DeviceRevoked => notice(
            text("この端末は利用できません", "This device may not be used"),
            text("この端末の証明書は、無効になっています。", "This device's certificate has been revoked."),
            text(
                "管理者に連絡してください。なくした端末が見つかったときも、連絡してください。",
                "Tell your administrator, also if this is a lost device that was found again.",
            ),
        ),
        Reason::DeviceUnknown => notice(
            text("登録されていない端末です", "This device is not registered"),
            text(
                "この端末の証明書は、登録の一覧にありません。",
                "This device's certificate is not on the list of registered devices.",
            ),
            text(
                "管理者に連絡して、端末を登録してください。証明書が複数あるときは、選び直してください。",
                "Ask your administrator to register the device. If you have several certificates, choose another.",
            ),
        ),
        Reason::SignInNeeded => notice(
            text("ログインしてください", "Please sign in"),
            text(
                "まだログインしていないか、時間がたったためログアウトしました。",
                "You are not signed in, or you were signed out after a while.",
            ),
            text(
                "もう一度ログインしてください。入力中の内容は、保存されていないことがあります。",
                "Sign in again. What you were typing may not have been saved.",
            ),
        ),
        Reason::NotOnRoster => notice(
            text("職員として登録されていません", "You are not on the staff list"),
            text("あなたのIDは、職員の名簿にありません。", "Your ID is not on the list of staff."),
            text(
                "管理者に連絡して、名簿への登録を依頼してください。",
                "Ask your administrator to put you on the list.",
            ),
        ),
        Reason::LinkAmbiguous => notice(
            text("どの職員かわかりません", "We can't tell who you are"),
            text(
                "このアカウントを、名簿の一人の職員に結び付けられません。",
                "This account can't be matched to one person on the list of staff.",
            ),
            text(
                "管理者に連絡して、アカウントの登録を依頼してください。",
                "Ask your administrator to link your account.",
            ),
        ),
        Reason::SignInStale => notice(
            text("もう一度ログインしてください", "Please sign in again"),
            text("この操作の前に、本人の確認がもう一度必要です。", "This needs a sign-in that is not so long ago."),
            text(
                "もう一度ログインすると、続けられます。入力中の内容は、保存されていないことがあります。",
                "Sign in again to go on. What you were typing may not have been saved.",
            ),
        ),
        Reason::StaffNotYet => notice(
            text("まだ利用できません", "You can't use this yet"),
            text("利用を始める日が、まだ来ていません。", "Your first day is yet to come."),
            text(
                "利用を始める日に、もう一度開いてください。日付が違うときは、管理者に連絡してください。",
                "Come back on that day. If the date is wrong, tell your administrator.",
            ),
        ),
        Reason::StaffRetired => notice(
            text("利用できる期間が終わっています", "Your access has ended"),
            text("あなたのIDで利用できる期間は、終わりました。", "Your last day of access has passed."),
            text(
                "引き続き利用する必要があるときは、管理者に連絡してください。",
                "If you still need access, tell your administrator.",
            ),
        ),
        Reason::StaffLocked => notice(
            text("IDが停止されています", "Your ID is locked"),
            text("あなたのIDは、管理者が停止しています。", "An administrator has locked your ID."),
            text(
                "理由がわからないときは、管理者に連絡してください。",
                "If you don't know why, ask your administrator.",
            ),
        ),
        Reason::DeviceNotYours => notice(
            text("ほかの職員の端末です", "This device belongs to someone else"),
            text(
                "この端末は、ほかの職員のものとして登録されています。",
                "This device is registered to another person.",
            ),
            text(
                "自分の端末を使ってください。端末を交換したときは、管理者に連絡してください。",
                "Use your own device. If devices were exchanged, tell your administrator.",
            ),
        ),
        Reason::SessionElsewhere => notice(
            text("もう一度ログインしてください", "Please sign in again"),
            text(
                "ログインしたときとは違う端末や証明書で、開かれました。",
                "This was opened with another device or certificate than the one you signed in with.",
            ),
            text("この端末で、もう一度ログインしてください。", "Sign in again on this device."),
        ),
        Reason::WrongAccount => notice(
            text("ほかの事業所のアカウントです", "This is another facility's account"),
            text(
                "この事業所のものではないアカウント(法人IDなど)で、サービスにログインしようとしました。",
                "You tried to log in to the service with an account (such as a corporation ID) that is not this facility's.",
            ),
            text(
                "入力した法人IDなどを確かめてください。正しいのにこの画面が出るときは、管理者に連絡してください。",
                "Check the corporation ID that you typed. If it is right and you still see this page, tell your administrator.",
            ),
        ),
        Reason::ActionDenied => notice(
            text("この操作は禁止されています", "This is not permitted"),
            text("施設の決まりで、この操作は止められています。", "Your facility's rules forbid this operation."),
            text("必要な操作のときは、管理者に相談してください。", "If you need to do this, ask your administrator."),
        ),
        Reason::NoRule => notice(
            text("このサービスは利用できません", "You can't use this service"),
            text("このサービスを利用できる設定になっていません。", "Nothing in your facility's rules allows this."),
            text(
                "仕事で必要なときは、管理者に連絡してください。",
                "If you need it for your work, tell your administrator.",
            ),
        ),
        Reason::UnknownNetwork => notice(
            text("この場所からは利用できません", "Not available from here"),
            text(
                "施設に登録されていないネットワークから開かれました。",
                "You are not on a network that your facility has registered.",
            ),
            text(
                "施設のWi-Fiにつないで、もう一度開いてください。施設の中にいるときは、管理者に連絡してください。",
                "Connect to your facility's Wi-Fi and try again. If you are in the facility, tell your administrator.",
            ),
        ),
        Reason::DeviceNeeded => notice(
            text("登録された端末が必要です", "A registered device is needed"),
            text(
                "この場所からは、登録された端末でだけ利用できます。",
                "From here, this can only be used on a registered device.",
            ),
            text(
                "登録された端末で開いてください。証明書を選ぶ画面が出たら、自分の証明書を選んでください。",
                "Use a registered device. If you are asked to choose a certificate, choose your own.",
            ),
        ),
        Reason::DeviceExpired => notice(
            text("端末の証明書の期限が切れています", "This device's certificate has expired"),
            text("この端末の証明書は、有効期限を過ぎています。", "This device's certificate is past its last day."),
            text(
                "管理者に連絡して、新しい証明書を受け取ってください。",
                "Ask your administrator for a new certificate.",
            ),
        ),
        Reason::NotForYou => notice(
            text("利用する権限がありません", "You have no access to this service"),
            text("あなたのIDには、このサービスを利用する権限がありません。", "Your ID has no access to this service."),
            text(
                "仕事で必要なときは、管理者に連絡してください。",
                "If you need it for your work, tell your administrator.",
            ),
        ),
        Reason::FactorsNeeded => notice(
            text("確認コードが必要です", "A verification code is needed"),
            text(
                "このサービスを利用するには、パスワードのほかに確認コードが必要です。",
                "This service asks for a verification code besides your password.",
            ),
            text(
                "確認コードやパスキーの設定について、管理者に相談してください。",
                "Ask your administrator about verification codes and passkeys.",
            ),
        ),
        Reason::OutsideHours => notice(
            text("利用できる時間ではありません", "Not available at this hour"),
            text(
                "このサービスは、いまの曜日や時間には利用できません。",
                "This service can't be used on this day or at this hour.",
            ),
            text(
                "利用できる時間に、もう一度開いてください。急ぎのときは、管理者に連絡してください。",
                "Come back at another time. If it is urgent, tell your administrator.",
            ),
        ),
        Reason::ActionNotAllowed => notice(
            text("この操作は許可されていません", "You may not do this here"),
            text(
                "このサービスは開けますが、いまの場所や端末では、この操作はできません。",
                "You can open this service, but not do this from where you are or on this device.",
            ),
            text(
                "前のページに戻ってください。必要な操作のときは、管理者に相談してください。",
                "Go back. If you need to do this, ask your administrator.",
            ),
        ),
        Reason::PathNotAllowed => notice(
            text("この画面は開けません", "You can't open this screen"),
            text(
                "このサービスは開けますが、この画面は許可されていません。",
                "You can open this service, but not this screen.",
            ),
            text(
                "前のページに戻ってください。必要な画面のときは、管理者に相談してください。",
                "Go back. If you need this screen, ask your administrator.",
            ),
        ),
        Reason::UpstreamFailed => notice(
            text("サービスにつながりません", "The service can't be reached"),
            text("サービスから、正しい返事がありません。", "The service did not answer as it should."),
            text(
                "少し待ってから、もう一度開いてください。保存の操作中だったときは、保存されたか確認してください。",
                "Wait a little and try again. If you were saving something, check whether it was saved.",
            ),
        ),
        Reason::TooMany => notice(
            text("少し待ってください", "Please wait a moment"),
            text("短い時間に、多くのアクセスがありました。", "There were too many requests in a short time."),
            text("1分ほど待ってから、もう一度開いてください。", "Wait a minute and try again."),
        ),
    }
}
