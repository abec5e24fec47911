//! How long it takes to tell what a request does, by a recipe of many operations.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow};
use http::{HeaderMap, Method, header};
use saas::{Recipe, RecipeDocument, RequestHead};
use serde::Serialize;
use serde_json::json;

use crate::report::median;

const OPERATIONS: usize = 40;
/// Of them, so many share one path and are told apart by a field, as JSF has it.
const ON_ONE_PATH: usize = 8;
const FORM_BYTES: usize = 300;
const BATCH: u32 = 10_000;
const BATCHES: usize = 15;

/// Microseconds a request, the median of [`BATCHES`] batches.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Recognition {
    /// Nothing of it stands in a body: half of the requests are none that is known, half are the last of all operations.
    #[serde(rename = "recognise_us")]
    pub by_head: f64,
    /// A form has to be read: half are a login, half an operation that one of its fields tells, with its subject.
    #[serde(rename = "recognise_body_us")]
    pub by_body: f64,
}

/// # Errors
/// The recipe doesn't compile, or the sample is not found to be what it is.
pub fn microseconds() -> Result<Recognition> {
    let recipe = recipe()?;
    let none = HeaderMap::new();
    let last = format!("/care/business/screen{}.do", OPERATIONS - 1);
    let by_head = [("/care/assets/app.js", "-"), (&*last, "screen-39")]
        .map(|(path, id)| (Sample { method: Method::GET, path, query: b"conversationContext=3", body: None }, id));
    let (login, press) =
        (form("form:user=sato&form:password=not-read&form:office=17"), form("form:press=7&form:resident=12"));
    let by_body = [("/care/login.do", &login, "-"), ("/care/business/main.do", &press, "press-7")]
        .map(|(path, body, id)| (Sample { method: Method::POST, path, query: b"", body: Some(body.as_bytes()) }, id));
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(header::CONTENT_LENGTH, FORM_BYTES.into());
    Ok(Recognition { by_head: time(&recipe, &by_head, &none)?, by_body: time(&recipe, &by_body, &headers)? })
}

struct Sample<'a> {
    method: Method,
    path: &'a str,
    query: &'a [u8],
    body: Option<&'a [u8]>,
}

fn time(recipe: &Recipe, samples: &[(Sample<'_>, &str); 2], headers: &HeaderMap) -> Result<f64> {
    let recognise = |Sample { method, path, query, body }: &Sample<'_>| {
        let head = RequestHead { method, path, query: Some(query), headers };
        let wanted = recipe.wants_body(&head);
        recipe.recognise(&head, body.filter(|_| wanted), Some("17"))
    };
    for (sample, id) in samples {
        let found = recognise(sample);
        let operation = found.operation.as_ref().map_or("-", |operation| &operation.id);
        let login = found.login.as_ref().and_then(saas::Attempt::id);
        let awaited = if sample.path.ends_with("login.do") { Some("17/sato") } else { None };
        anyhow::ensure!((operation, login) == (*id, awaited), "{} is found to be {found:?}", sample.path);
    }
    let batch = || {
        let begun = Instant::now();
        for _ in 0..BATCH / 2 {
            for (sample, _) in samples {
                let _ = black_box(recognise(black_box(sample)));
            }
        }
        begun.elapsed().as_secs_f64() * 1e6 / f64::from(BATCH)
    };
    median((0..BATCHES).map(|_| batch()).collect()).context("at least one batch")
}

/// With as much besides as makes [`FORM_BYTES`].
fn form(fields: &str) -> String {
    let mut form =
        format!("form=form&javax.faces.ViewState=j_id7&form:name=%E4%BD%90%E8%97%A4&{fields}&form:day=2026-11-04");
    for field in 0.. {
        let left = FORM_BYTES.saturating_sub(form.len());
        if left < 20 {
            break;
        }
        form.push_str(&format!("&form:line{field}=x1%2F2"));
    }
    let left = FORM_BYTES.saturating_sub(form.len());
    form.push_str(&"0".repeat(left));
    form
}

fn recipe() -> Result<Recipe> {
    let screen = |number: usize| {
        let (id, path) = match number.checked_sub(OPERATIONS - ON_ONE_PATH) {
            // The last screen stands behind them, so that all of them are passed.
            Some(nth) if nth + 1 < ON_ONE_PATH => (format!("press-{}", nth + 1), "/care/business/main.do".to_owned()),
            _ => (format!("screen-{number}"), format!("/care/**/screen{number}.do")),
        };
        let pressed = id.strip_prefix("press-").map(|nth| json!([{ "form": "form:press", "equals": nth }]));
        json!({
            "id": id, "name": { "ja": "画面", "en": "Screen" }, "path": path, "action": "edit",
            "where": pressed.unwrap_or_else(|| json!([])),
            "subject": { "kind": "resident", "from": { "form": "form:resident" } },
        })
    };
    let document: RecipeDocument = serde_json::from_value(json!({
        "recipe": "care",
        "title": { "ja": "ケア", "en": "Care" },
        "confidence": { "level": "guessed", "as_of": "2026-11", "known": "-", "unknown": "-", "terms": "-" },
        "logins": [{
            "path": "/care/login.do",
            "id": [{ "form": "form:office" }, { "form": "form:user" }],
            "account": { "form": "form:office" },
            "password": { "form": "form:password" },
            "ok": [{ "status": [302] }],
        }],
        "operations": (0..OPERATIONS).map(screen).collect::<Vec<_>>(),
    }))?;
    Recipe::compile(&document).map_err(|errors| anyhow!("{errors:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_found_to_be_what_it_is() {
        assert_eq!(recipe().unwrap().operations().len(), OPERATIONS);
        assert_eq!(form("a=b").len(), FORM_BYTES);
        let taken = microseconds().unwrap();
        assert!(taken.by_head > 0.0 && taken.by_body > 0.0);
    }
}
