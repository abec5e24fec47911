//! Reminders before a certificate ends, each once.

use std::sync::Arc;

use apps::Lang;
use serde_json::Map;

use super::letters::{Letter, post};
use crate::control::{Actor, change};
use crate::core::Core;

/// Sends what is due: to the owner, or to those who run the gate where there is none.
pub(crate) async fn remind(core: &Arc<Core>) {
    let rules = core.enrol.rules();
    let Some(mail) = &rules.mail else { return };
    let now = core.now();
    let actor = Actor { who: "gate".to_owned(), channel: "gate" };
    for (device, before) in core.inventory.reminders_due(now, &rules.settings.remind) {
        let roster = core.identity.roster();
        let owner = device.owner.as_ref().and_then(|owner| roster.get(owner));
        let to = match owner.and_then(|owner| owner.mail.clone()) {
            Some(own) => vec![own],
            None => mail.operators.clone(),
        };
        let days = device.not_after.secs_since(now) / 86_400;
        let details = Map::from_iter([
            ("days_left".to_owned(), days.into()),
            ("not_after".to_owned(), device.not_after.to_string().into()),
        ]);
        if change(core, &actor, "renewal-reminded", device.id.as_str(), details).await.is_err() {
            return;
        }
        let (keeping, kept) = (core.clone(), device.clone());
        match tokio::task::spawn_blocking(move || keeping.inventory.reminded(&kept, before)).await {
            Ok(Ok(())) => {}
            _ => return,
        }
        let (subject, body) = apps::enroll::renewal_mail(
            Lang::Ja,
            &rules.facility,
            &device.name,
            &core.zone.display(device.not_after),
            days,
            &format!("{}/renew", rules.device_origin),
        );
        post(core, Letter { to, subject, body }).await;
    }
}
