//! A form that comes after its session has ended: kept, shown to its person after they signed in again, and sent when
//! they say so.
//!
//! There is no second door: the button sends a small form to the address of the kept one. Here, before the request is
//! looked at, its body and what describes it are exchanged for the kept ones; then it takes the whole line as any
//! request does, is judged as what it is, recorded, and forwarded. The kept form is taken out only when it goes, so
//! that nothing is sent twice, and one that is refused is not lost.

use std::sync::Arc;

use apps::{FormFate, RESUME_FIELD, WaitingForm, cookies};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ORIGIN, REFERER};
use http::{HeaderMap, HeaderValue, Method};
use identity::{FORM_LIMIT, Form, Keep, NotKept};
use pingora_error::{Error, ErrorType, Result};
use pingora_proxy::Session;

use super::Passage;
use super::exchange::{Destination, Exchange};
use super::route::Routed;
use crate::answer;

/// Where the forms that wait for somebody are shown, on the app's host.
pub(super) fn page_address() -> String {
    format!("{}?{}=1", apps::TICKET_PATH, apps::HELD_PARAM)
}

/// Whether a request stands for a kept form.
#[derive(Debug, Default)]
pub(super) enum Resumed {
    /// It is what it is.
    #[default]
    No,
    /// It stands for this form, which is still kept.
    Form { id: String, form: Form },
    /// It asks for a form that is not, or no longer, kept for who asks.
    Gone,
}

/// The button's body: `sekisho-resume=` and the form's name.
const BUTTON_LENGTH: usize = RESUME_FIELD.len() + 1 + 43;

/// Finds out whether a request is a press of the button, and if so exchanges it for the kept form. Only what is
/// exactly as long as the button's form, in a browser that has a cookie of ours for it, is read; if it is something
/// else after all, it goes its way unchanged.
pub(super) async fn resume(passage: &mut Passage, session: &mut Session, routed: &Routed) -> Result<()> {
    let headers = &session.req_header().headers;
    if session.req_header().method != Method::POST || !matches!(routed.destination, Destination::App { .. }) {
        return Ok(());
    }
    let Some(half) = cookies::read(headers, cookies::HELD).map(str::to_owned) else { return Ok(()) };
    let length = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if length != Some(BUTTON_LENGTH) || kind_of(headers) != "application/x-www-form-urlencoded" {
        return Ok(());
    }
    let token = cookies::read(headers, cookies::APP).map(str::to_owned);
    let body = read_ahead(passage, session, BUTTON_LENGTH).await?;
    let Some(id) = std::str::from_utf8(&body).ok().and_then(|b| b.strip_prefix(RESUME_FIELD)?.strip_prefix('=')) else {
        return Ok(());
    };
    passage.resumed = Resumed::Gone;
    let identity = &passage.gate.core.identity;
    let asks = token.and_then(|token| identity.sessions().lookup(&token, &routed.host, passage.now));
    let Some(asks) = asks else { return Ok(()) };
    let owner = identity.owners().mark(&routed.host, asks.person());
    let Some(form) = identity.held_forms().look(id, &routed.host, &half, &owner, passage.now) else { return Ok(()) };
    // What was judged must be what is sent: a form goes where it was going.
    if form.target.as_bytes() != session.req_header().raw_path() {
        return Ok(());
    }
    let request = session.req_header_mut();
    request.insert_header(CONTENT_TYPE, form.content_type.as_str())?;
    request.insert_header(CONTENT_LENGTH, form.body.len().to_string())?;
    request.remove_header(&REFERER);
    if let Some(referer) = &form.referer {
        request.insert_header(REFERER, referer.as_str())?;
    }
    passage.resumed = Resumed::Form { id: id.to_owned(), form };
    Ok(())
}

/// Takes the kept form out, now that it is permitted and recorded. The page to answer with if it is not there any more.
pub(super) fn take(passage: &Passage, session: &Session, exchange: &Exchange) -> Option<apps::Page> {
    let headers = &session.req_header().headers;
    let taken = match &passage.resumed {
        Resumed::No => return None,
        Resumed::Gone => false,
        Resumed::Form { id, .. } => {
            let identity = &passage.gate.core.identity;
            let (half, asks) = (cookies::read(headers, cookies::HELD), exchange.session.as_ref());
            half.zip(asks).is_some_and(|(half, asks)| {
                let owner = identity.owners().mark(&exchange.host, asks.person());
                identity.held_forms().take(id, &exchange.host, half, &owner, passage.now).is_some()
            })
        }
    };
    (!taken).then(|| fate(passage, headers, FormFate::Lost, "/"))
}

/// Nothing of the request reached the SaaS: the form is kept once more, and the page says so.
pub(crate) fn keep_again(passage: &Passage, session: &Session) -> Option<apps::Page> {
    let Resumed::Form { form, .. } = &passage.resumed else { return None };
    let (exchange, connection) = (passage.exchange.as_ref()?, passage.connection.as_ref()?);
    let identity = &passage.gate.core.identity;
    let headers = &session.req_header().headers;
    let owner = identity.owners().mark(&exchange.host, exchange.session.as_ref()?.person());
    let keep = Keep {
        host: &exchange.host,
        owner: &owner,
        browser: cookies::read(headers, cookies::HELD),
        source: connection.ip(),
        form: form.clone(),
        now: passage.now,
    };
    let kept = identity.held_forms().keep(&keep).ok()?;
    let page = fate(passage, headers, FormFate::NotSent, &page_address());
    Some(page.with_cookies([cookies::set(cookies::HELD, kept.browser.as_str())]))
}

/// The body as it leaves: the kept form's in place of the button's.
pub(super) fn replace_body(passage: &Passage, body: &mut Option<Bytes>, end: bool) {
    if let Resumed::Form { form, .. } = &passage.resumed {
        *body = end.then(|| Bytes::copy_from_slice(&form.body));
    }
}

/// Keeps the form of a refused request, if it can be kept; the page that tells what became of it. `sign_in`: the
/// address of the sign-in page, with a handle that leads to where the form waits.
pub(super) async fn keep(
    passage: &mut Passage,
    session: &mut Session,
    exchange: &Arc<Exchange>,
    sign_in: &str,
) -> Result<apps::Page> {
    // A press of the button after the session ended once more: the form is where it was.
    if !matches!(passage.resumed, Resumed::No) {
        return Ok(fate(passage, &session.req_header().headers, FormFate::Kept, sign_in));
    }
    let kept = try_to_keep(passage, session, exchange).await?;
    let headers = &session.req_header().headers;
    Ok(match kept {
        Ok(cookie) => fate(passage, headers, FormFate::Kept, sign_in).with_cookies([cookie]),
        Err(NotKept::TooBig) => fate(passage, headers, FormFate::TooBig, sign_in),
        Err(NotKept::Full | NotKept::Failed) => fate(passage, headers, FormFate::NotKept, sign_in),
    })
}

/// The cookie with the browser's half of the key.
async fn try_to_keep(
    passage: &mut Passage,
    session: &mut Session,
    exchange: &Arc<Exchange>,
) -> Result<Result<String, NotKept>> {
    let head = session.req_header();
    let headers = &head.headers;
    let text = |name| headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok()).map(str::to_owned);
    let held_kind = matches!(kind_of(headers).as_str(), "application/x-www-form-urlencoded" | "multipart/form-data");
    // Without a mark we don't know whose it is; only browsers that somebody has signed in with have one.
    let owners = passage.gate.core.identity.owners();
    let owner = cookies::read(headers, cookies::OWNER).filter(|mark| owners.is_ours(&exchange.host, mark));
    let (Some(owner), Some(content_type), Ok(target)) =
        (owner.map(str::to_owned), text(CONTENT_TYPE), String::from_utf8(head.raw_path().to_vec()))
    else {
        return Ok(Err(NotKept::Failed));
    };
    if !held_kind || !from_a_page_of_the_app(headers, exchange) {
        return Ok(Err(NotKept::Failed));
    }
    if text(CONTENT_LENGTH).and_then(|l| l.parse::<usize>().ok()).is_some_and(|length| length > FORM_LIMIT) {
        return Ok(Err(NotKept::TooBig));
    }
    let (referer, browser) = (text(REFERER), cookies::read(headers, cookies::HELD).map(str::to_owned));
    let body = match passage.ahead.clone() {
        Some(body) => body.to_vec(),
        None => read(passage, session, FORM_LIMIT).await?,
    };
    let Some(connection) = &passage.connection else { return Ok(Err(NotKept::Failed)) };
    let keep = Keep {
        host: &exchange.host,
        owner: &owner,
        browser: browser.as_deref(),
        source: connection.ip(),
        form: Form { target, content_type, referer, body },
        now: passage.now,
    };
    let kept = passage.gate.core.identity.held_forms().keep(&keep);
    Ok(kept.map(|kept| cookies::set(cookies::HELD, kept.browser.as_str())))
}

/// GET of [`page_address`]: what waits for who is signed in.
pub(super) fn page(passage: &Passage, headers: &HeaderMap, exchange: &Exchange) -> Option<apps::Page> {
    let asks = exchange.session.as_ref()?;
    let identity = &passage.gate.core.identity;
    let (host, now) = (exchange.host.as_str(), passage.now);
    let owner = identity.owners().mark(host, asks.person());
    let half = cookies::read(headers, cookies::HELD).unwrap_or_default();
    let others = identity.held_forms().drop_of_others(host, half, &owner, now) > 0;
    let zone = &passage.generation.zone;
    let origin = passage.generation.login.origin_of(host);
    let forms: Vec<_> = identity
        .held_forms()
        .list(host, half, &owner, now)
        .into_iter()
        .filter_map(|held| {
            let form = identity.held_forms().look(held.id.as_str(), host, half, &owner, now)?;
            let (id, at) = (held.id.as_str().to_owned(), zone.display(held.at));
            Some(WaitingForm { id, target: form.target, at, bytes: form.body.len() })
        })
        .collect();
    let page = match (forms.is_empty(), others) {
        (false, _) => apps::waiting_forms_page(apps::Lang::from_accept_language(headers), &origin, forms, others),
        (true, true) => fate(passage, headers, FormFate::OfOthers, "/"),
        (true, false) => fate(passage, headers, FormFate::Lost, "/"),
    };
    let done = page.status != 200;
    Some(page.with_cookies(done.then(|| cookies::clear(cookies::HELD))))
}

fn fate(passage: &Passage, headers: &HeaderMap, fate: FormFate, way: &str) -> apps::Page {
    let code = answer::code(passage.position());
    apps::form_fate_page(apps::Lang::from_accept_language(headers), fate, way, code.as_deref())
}

/// The line has refused what another site sent. Here the browser has to say that a page of this very host did.
fn from_a_page_of_the_app(headers: &HeaderMap, exchange: &Exchange) -> bool {
    let Destination::App { app, host } = &exchange.destination else { return false };
    let origin = headers.get(ORIGIN).map(HeaderValue::as_bytes);
    origin == Some(app.map.get(*host).our_origin().as_bytes())
        || headers.get("sec-fetch-site").is_some_and(|site| site.as_bytes() == b"same-origin")
}

/// The media type without parameters, in lower case.
fn kind_of(headers: &HeaderMap) -> String {
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Reads a body of at most `limit` bytes, which is at most what pingora keeps and sends after all. Read once: a body that
/// is read a second time is empty.
pub(super) async fn read_ahead(passage: &mut Passage, session: &mut Session, limit: usize) -> Result<Bytes> {
    if let Some(body) = &passage.ahead {
        return Ok(body.clone());
    }
    session.enable_retry_buffering();
    // Nobody has been let in yet: somebody who sends it drop by drop is not waited for.
    let patience = passage.generation.patience.stall * 2;
    let Ok(read) = tokio::time::timeout(patience, read(passage, session, limit)).await else {
        return Error::e_explain(ErrorType::ReadTimedout, "the request's body");
    };
    Ok(passage.ahead.insert(read?.into()).clone())
}

/// A body, at most one byte more than `limit`, while the watchdog looks that it gets on.
async fn read(passage: &Passage, session: &mut Session, limit: usize) -> Result<Vec<u8>> {
    if session.req_header().headers.contains_key(http::header::EXPECT) {
        session.write_continue_response().await?;
        session.req_header_mut().remove_header(&http::header::EXPECT);
    }
    let connection = passage.connection.clone();
    if let Some(connection) = &connection {
        connection.receiving(true);
    }
    let mut body = Vec::new();
    let mut outcome = Ok(());
    while body.len() <= limit {
        match session.read_request_body().await {
            Ok(Some(piece)) => body.extend_from_slice(&piece),
            Ok(None) => break,
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
    }
    if let Some(connection) = &connection {
        connection.receiving(false);
    }
    body.truncate(limit + 1);
    outcome.map(|()| body)
}
