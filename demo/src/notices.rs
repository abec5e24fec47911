//! お知らせ: short messages to everybody on duty, over a WebSocket.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use tokio::sync::broadcast;

use crate::accounts::{Account, SignedIn};
use crate::pages::{self, Page};
use crate::state::App;
use crate::wall_clock;

/// Messages a newcomer is shown.
const REMEMBERED: usize = 50;
/// Characters of a message.
const LONGEST: usize = 300;
const PING: Duration = Duration::from_secs(20);

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Notice {
    pub(crate) id: u64,
    pub(crate) at: String,
    pub(crate) author: String,
    pub(crate) text: String,
}

#[derive(Debug)]
pub(crate) struct Notices {
    board: Mutex<Board>,
    news: broadcast::Sender<Notice>,
}

#[derive(Debug, Default)]
struct Board {
    next: u64,
    recent: VecDeque<Notice>,
}

impl Default for Notices {
    fn default() -> Self {
        Self { board: Mutex::default(), news: broadcast::channel(256).0 }
    }
}

impl Notices {
    pub(crate) fn post(&self, author: &str, text: &str) {
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        board.next += 1;
        let at = wall_clock::short(wall_clock::now());
        let notice = Notice { id: board.next, at, author: author.to_owned(), text: text.to_owned() };
        board.recent.push_back(notice.clone());
        if board.recent.len() > REMEMBERED {
            board.recent.pop_front();
        }
        // Sent under the lock, so that everybody gets the messages in the order of their numbers.
        let _ = self.news.send(notice);
    }

    /// Oldest first.
    pub(crate) fn recent(&self) -> Vec<Notice> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner).recent.iter().cloned().collect()
    }

    /// What was said, and what will be: nothing is lost between the two.
    fn follow(&self) -> (Vec<Notice>, broadcast::Receiver<Notice>) {
        let board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        (board.recent.iter().cloned().collect(), self.news.subscribe())
    }
}

#[derive(Template)]
#[template(path = "notices.html")]
struct NoticesPage {
    page: Page,
}

pub(crate) async fn page(State(app): State<Arc<App>>, SignedIn(account): SignedIn) -> Response {
    pages::show(StatusCode::OK, &NoticesPage { page: Page::new(&app, Some(account), "お知らせ", "notices") })
}

pub(crate) async fn socket(
    State(app): State<Arc<App>>,
    SignedIn(account): SignedIn,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    // Browsers always name the origin here; it must be ours (the router has refused any other).
    if !headers.contains_key(header::ORIGIN) {
        return (StatusCode::FORBIDDEN, "Origin が必要です。\n").into_response();
    }
    upgrade.max_message_size(4096).on_upgrade(move |socket| talk(app, account, socket))
}

/// Server to browser: one [`Notice`] as JSON per message. Browser to server: the bare text of a new one.
async fn talk(app: Arc<App>, account: &'static Account, mut socket: WebSocket) {
    let _open = app.stream();
    let (said, mut news) = app.notices.follow();
    for notice in &said {
        if send(&mut socket, notice).await.is_err() {
            return;
        }
    }
    let mut ping = tokio::time::interval(PING);
    loop {
        tokio::select! {
            heard = socket.recv() => match heard {
                Some(Ok(Message::Text(text))) => {
                    let text = text.trim();
                    if !text.is_empty() && text.chars().count() <= LONGEST {
                        app.notices.post(account.name, text);
                    }
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
            notice = news.recv() => match notice {
                Ok(notice) => if send(&mut socket, &notice).await.is_err() { return },
                // Too slow to follow: the browser reconnects and gets the latest.
                Err(_) => return,
            },
            _ = ping.tick() => if socket.send(Message::Ping(Vec::new().into())).await.is_err() { return },
            () = app.stopped() => {
                let _ = socket.send(Message::Close(None)).await;
                return;
            }
        }
    }
}

async fn send(socket: &mut WebSocket, notice: &Notice) -> Result<(), axum::Error> {
    let json = serde_json::to_string(notice).map_err(axum::Error::new)?;
    socket.send(Message::Text(json.into())).await
}
