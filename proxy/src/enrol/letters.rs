//! Mail to people about their devices.

use std::sync::Arc;
use std::time::Duration;

use apps::Lang;
use lettre::Message;
use lettre::message::SinglePart;
use vocabulary::Os;

use crate::core::Core;
use crate::forward::Resolver;
use crate::mail::Postman;

/// When a mail that was not taken is tried again; then it is given up, and the log says so.
const AGAIN: [Duration; 5] = [
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(3600),
    Duration::from_secs(4 * 3600),
];

/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Operators are told of one invitation again only after so many seconds.
const QUIET_SECS: i64 = 600;

/// A mail, in plain text.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) to: Vec<String>,
    pub(super) subject: String,
    pub(super) body: String,
}

/// Sends it in the background, and again if need be. A command without a running gate waits, and tries once. Without a
/// mail server in the configuration nothing is sent.
pub(super) async fn post(core: &Arc<Core>, letter: Letter) {
    if core.enrol.rules().mail.is_none() {
        return;
    }
    if !core.is_serving() {
        if let Err(error) = send(core, &letter).await {
            tracing::warn!(%error, subject = letter.subject, "a mail could not be sent");
        }
        return;
    }
    let core = core.clone();
    tokio::spawn(async move {
        for wait in AGAIN.into_iter().map(Some).chain([None]) {
            let Err(error) = send(&core, &letter).await else { return };
            match wait {
                Some(wait) => {
                    tracing::warn!(%error, subject = letter.subject, "a mail could not be sent yet");
                    tokio::time::sleep(wait).await;
                }
                None => tracing::error!(%error, subject = letter.subject, "a mail was given up"),
            }
        }
    });
}

/// Sends it now, within half a minute.
pub(super) async fn send(core: &Core, letter: &Letter) -> anyhow::Result<()> {
    let sent = tokio::time::timeout(PATIENCE, bring(core, letter)).await;
    sent.map_err(|_| anyhow::anyhow!("the mail server did not answer in time"))?
}

async fn bring(core: &Core, letter: &Letter) -> anyhow::Result<()> {
    let rules = core.enrol.rules();
    let Some(mail) = &rules.mail else { anyhow::bail!("the configuration has no `mail`") };
    let postman = Postman::new(mail.server.clone(), "mail.server".to_owned(), &Resolver::system()?)?;
    let mut builder = Message::builder().from(postman.sender().parse()?).subject(&letter.subject);
    for to in &letter.to {
        builder = builder.to(to.parse()?);
    }
    let message = builder.message_id(None).singlepart(SinglePart::plain(letter.body.clone()))?;
    postman.send(&message).await?;
    Ok(())
}

/// Somebody waits for a yes. The code is not told: it is what is compared by telephone.
pub(crate) async fn tell_operators(core: &Arc<Core>, invitation: &str, who: &str, os: Option<Os>, source: &str) {
    let rules = core.enrol.rules();
    let Some(mail) = &rules.mail else { return };
    if !core.enrol.is_news(invitation, core.now(), QUIET_SECS) {
        return;
    }
    let (subject, body) =
        apps::enroll::approval_mail(Lang::Ja, &rules.facility, who, os, source, "sekisho device requests");
    post(core, Letter { to: mail.operators.clone(), subject, body }).await;
}
