//! What lasts is judged again: a WebSocket, an event stream, a long download. No hook fires on an idle one, so
//! somebody has to look.

use std::sync::Arc;
use std::time::Duration;

use super::judge;
use crate::gate::Gate;
use crate::listener::Cut;

/// A revoked device, an ended session or the end of a shift is felt by streams within this time.
const PERIOD: Duration = Duration::from_secs(1);

/// Judges everything under way and cuts the connections of what may not go on. Returns how many were cut.
pub(crate) fn rejudge(gate: &Gate) -> usize {
    let mut cut = 0;
    for connection in gate.registry.all() {
        let refused = connection.live().iter().find_map(|exchange| judge::still(gate, &connection, exchange).err());
        if let Some(reason) = refused {
            connection.cut_because(Cut::Refused);
            gate.metrics.cut.with_label_values(&[reason.as_str()]).inc();
            cut += 1;
        }
    }
    cut
}

/// Runs until the process ends.
pub(crate) async fn rejudge_regularly(gate: Arc<Gate>) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        rejudge(&gate);
    }
}
