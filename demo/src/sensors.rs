//! 見守りセンサー: what the sensors under the mattresses report, as server-sent events.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::StatusCode;
use serde::Serialize;
use tokio::sync::broadcast;

use crate::accounts::SignedIn;
use crate::pages::{self, Page};
use crate::records::Resident;
use crate::state::App;
use crate::wall_clock;

/// The states a bed can be in, and how often: most people are in bed or up, few call.
const STATES: [&str; 10] = ["睡眠中", "睡眠中", "睡眠中", "在床", "在床", "在床", "離床", "離床", "離床", "起き上がり"];

#[derive(Clone, Debug, Serialize)]
struct Reading {
    room: String,
    name: String,
    state: &'static str,
    /// Breaths and heart beats a minute; none when nobody lies on the mattress.
    breath: Option<u32>,
    heart: Option<u32>,
    at: String,
}

#[derive(Debug)]
pub(crate) struct Sensors {
    news: broadcast::Sender<(u64, Reading)>,
    dice: Mutex<u64>,
}

impl Default for Sensors {
    fn default() -> Self {
        Self { news: broadcast::channel(256).0, dice: Mutex::new(0x5eed) }
    }
}

impl Sensors {
    /// A number below `sides`. Splitmix64: the readings need to look lively, nothing more.
    fn roll(&self, sides: u64) -> u64 {
        let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        *dice = dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *dice;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides.max(1)
    }

    fn read(&self, resident: &Resident) -> Reading {
        let figure = |low: u32, spread: u64| low + u32::try_from(self.roll(spread)).unwrap_or_default();
        let state = usize::try_from(self.roll(STATES.len() as u64)).map_or(STATES[0], |index| STATES[index]);
        let lying = state != "離床";
        Reading {
            room: resident.room.clone(),
            name: resident.name.clone(),
            state,
            breath: lying.then(|| figure(12, 8)),
            heart: lying.then(|| figure(58, 30)),
            at: wall_clock::now().strftime("%H:%M:%S").to_string(),
        }
    }
}

/// Lets one sensor after another report, for as long as the SaaS runs.
pub(crate) async fn run(app: Arc<App>, interval: Duration) {
    let mut tick = tokio::time::interval(interval.max(Duration::from_millis(1)));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for number in 1.. {
        tick.tick().await;
        let residents = app.records.find("", "");
        let pick = usize::try_from(app.sensors.roll(residents.len() as u64)).unwrap_or_default();
        if let Some(resident) = residents.get(pick) {
            let _ = app.sensors.news.send((number, app.sensors.read(resident)));
        }
    }
}

#[derive(Template)]
#[template(path = "sensors.html")]
struct SensorsPage {
    page: Page,
    residents: Vec<Resident>,
}

pub(crate) async fn page(State(app): State<Arc<App>>, SignedIn(account): SignedIn) -> Response {
    let page = Page::new(&app, Some(account), "見守りセンサー", "sensors");
    pages::show(StatusCode::OK, &SensorsPage { page, residents: app.records.find("", "") })
}

/// `event: reading`, `id: <number>`, `data:` a [`Reading`] as JSON: first every bed (id 0), then news as it comes.
pub(crate) async fn events(State(app): State<Arc<App>>, _: SignedIn) -> Response {
    let news = app.sensors.news.subscribe();
    let first: Vec<_> = app.records.find("", "").iter().map(|each| event(0, &app.sensors.read(each))).collect();
    let open = app.stream();
    let later = stream::unfold((app, news, open), |(app, mut news, open)| async move {
        let heard = tokio::select! {
            heard = news.recv() => heard,
            () = app.stopped() => return None,
        };
        // A browser that fell behind has lost readings; newer ones replace them anyway.
        let event = match heard {
            Ok((number, reading)) => event(number, &reading),
            Err(broadcast::error::RecvError::Lagged(_)) => Ok(Event::default().comment("lagged")),
            Err(broadcast::error::RecvError::Closed) => return None,
        };
        Some((event, (app, news, open)))
    });
    let all = futures_util::StreamExt::chain(stream::iter(first), later);
    Sse::new(all).keep_alive(KeepAlive::default()).into_response()
}

fn event(number: u64, reading: &Reading) -> Result<Event, Infallible> {
    let data = serde_json::to_string(reading).unwrap_or_default();
    Ok(Event::default().event("reading").id(number.to_string()).data(data))
}
