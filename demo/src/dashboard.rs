//! The first page after the login, and the figures it refreshes by fetch.

use std::sync::Arc;

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::accounts::SignedIn;
use crate::notices::Notice;
use crate::pages::{self, Page};
use crate::records::Note;
use crate::state::App;
use crate::wall_clock;

#[derive(Template)]
#[template(path = "dashboard.html")]
struct Dashboard {
    page: Page,
    figures: Figures,
    notes: Vec<(Note, String)>,
    notices: Vec<Notice>,
}

#[derive(serde::Serialize)]
struct Figures {
    residents: usize,
    heavy: usize,
    notes_today: usize,
    files: usize,
}

fn figures(app: &App) -> Figures {
    Figures {
        residents: app.records.count(),
        heavy: app.records.find("", "").iter().filter(|each| each.care_grade() >= 4).count(),
        notes_today: app.records.notes_on(wall_clock::today()),
        files: app.files.count(),
    }
}

pub(crate) async fn page(State(app): State<Arc<App>>, SignedIn(account): SignedIn) -> Response {
    let page = Page::new(&app, Some(account), "ホーム", "home");
    let mut notices = app.notices.recent();
    notices.reverse();
    notices.truncate(4);
    let notes = app.records.latest_notes(6);
    pages::show(StatusCode::OK, &Dashboard { page, figures: figures(&app), notes, notices })
}

pub(crate) async fn summary(State(app): State<Arc<App>>, _: SignedIn) -> Response {
    Json(figures(&app)).into_response()
}
