//! Station: recognise. What the app's recipe says of a request, its body included where the recipe asks for it.

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use pingora_error::Result;
use pingora_proxy::Session;
use saas::{MOST_OF_BODY, Recognised, RequestHead};

use super::Passage;
use super::exchange::Destination;
use super::facts::Shape;
use super::generation::App;
use super::held::{self, Resumed};
use super::route::Routed;

/// Reads a request's body ahead, if the recipe wants to look into it. It goes its way unchanged afterwards.
///
/// Only of somebody who is signed in, and only one that says how long it is: pingora keeps 64 KiB to send them after
/// all. What the recipe would have found in another one is unclear, and makes the action `unknown`.
pub(super) async fn body(
    passage: &mut Passage,
    session: &mut Session,
    routed: &Routed,
    shape: &Shape,
) -> Result<Option<Bytes>> {
    let Destination::App { app, .. } = &routed.destination else { return Ok(None) };
    if let Resumed::Form { form, .. } = &passage.resumed {
        return Ok(Some(Bytes::copy_from_slice(&form.body)));
    }
    let request = session.req_header();
    let length = request.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    let short = length.is_some_and(|length| (1..=MOST_OF_BODY).contains(&length));
    let recipe = app.recipe.as_ref().filter(|_| short && shape.ambiguity.is_none() && shape.session.is_some());
    let wanted = recipe.is_some_and(|recipe| recipe.wants_body(&head(session, shape)));
    if !wanted {
        return Ok(None);
    }
    held::read_ahead(passage, session, MOST_OF_BODY).await?;
    // What is decided, is decided by the time at which all of it is here.
    passage.now = passage.gate.core.now();
    Ok(passage.ahead.clone())
}

/// What the recipe finds.
pub(super) fn request(app: &App, session: &Session, shape: &Shape, body: Option<&[u8]>) -> Recognised {
    match &app.recipe {
        Some(recipe) if shape.ambiguity.is_none() => {
            recipe.recognise(&head(session, shape), body, app.account.as_deref())
        }
        _ => Recognised::default(),
    }
}

fn head<'a>(session: &'a Session, shape: &'a Shape) -> RequestHead<'a> {
    let request = session.req_header();
    let query = request.raw_path().splitn(2, |b| *b == b'?').nth(1);
    RequestHead { method: &shape.method, path: &shape.path, query, headers: &request.headers }
}
