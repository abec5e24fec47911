//! `sekisho demo --tour`: the whole story, walked by a client over real TLS. Each step says what should happen and
//! what did; the exit code is 0 only if every step came out as told.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use audit::{Filter, Query, Record};
use bytes::Bytes;
use cert_authority::RevocationCause;
use demo::client::{Browser, Mode, Response};
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, Method};
use tokio_tungstenite::tungstenite::Message;

use super::stage::Stage;
use crate::cli::{NO, say, table};
use crate::control::Command;

struct Tour {
    step: usize,
    failed: usize,
}

impl Tour {
    fn tell(&mut self, what: &str, expected: &str, got: &str) {
        self.step += 1;
        let fine = expected == got;
        self.failed += usize::from(!fine);
        let mark = if fine { "ok" } else { "NOT AS TOLD" };
        say(format_args!("{:>2}. {what}\n      expected {expected}, got {got}: {mark}", self.step));
    }
}

pub(super) async fn walk(stage: &Stage) -> anyhow::Result<ExitCode> {
    let mut tour = Tour { step: 0, failed: 0 };
    say("ひだまりケア behind the gate, as three people meet it.\n");
    in_the_facility(stage, &mut tour).await?;
    let mut phone = outside(stage, &mut tour).await?;
    revoked(stage, &mut tour, &mut phone).await?;
    show_the_record(stage, &mut tour).await?;
    if tour.failed == 0 {
        say(format_args!("\nAll {} steps came out as told.", tour.step));
        Ok(ExitCode::SUCCESS)
    } else {
        say(format_args!("\n{} of {} steps did not come out as told.", tour.failed, tour.step));
        Ok(ExitCode::from(NO))
    }
}

async fn in_the_facility(stage: &Stage, tour: &mut Tour) -> anyhow::Result<()> {
    let mut sato = stage.inside();
    let asked = sato.open(&stage.app_url("/residents?room=203")).await?;
    tour.tell(
        "Sato, in the facility, opens a resident list by its link",
        "the sign-in page",
        if asked.url.starts_with(&stage.login_url("/")) && asked.status == 200 {
            "the sign-in page"
        } else {
            asked.status.as_str()
        },
    );
    let wrong = sign_in(&mut sato, &asked, "sato", "not-her-password").await?;
    tour.tell("She mistypes her password", "403", wrong.status.as_str());
    let landed = sign_in(&mut sato, &wrong, "sato", "himawari-no-hana").await?;
    let at = landed.url.strip_prefix(&stage.app_url("")).unwrap_or(&landed.url).to_owned();
    tour.tell(
        "She signs in, and the gate lets her through to the SaaS, which asks for its own login",
        "the SaaS's login",
        if at.starts_with("/login") { "the SaaS's login" } else { &at },
    );
    let wrong = saas_login(&mut sato, stage, "sato", "himawari-2025").await?;
    tour.tell("She mistypes the SaaS's own password", "401", wrong.status.as_str());
    let home = saas_login(&mut sato, stage, "sato", "Himawari-2026").await?;
    tour.tell("She logs in to the SaaS itself", "200", home.status.as_str());
    let list = sato.open(&stage.app_url("/residents?room=203")).await?;
    tour.tell("The deep link opens", "200", list.status.as_str());
    let csv = sato.open(&stage.app_url("/residents/export")).await?;
    tour.tell("She exports the list as CSV: in the facility that is allowed", "200", csv.status.as_str());
    Ok(())
}

async fn outside(stage: &Stage, tour: &mut Tour) -> anyhow::Result<Browser> {
    let mut cafe = stage.outside();
    let refused = cafe.open(&stage.app_url("/")).await?;
    tour.tell("Somebody opens the app from a café: nobody even sees a sign-in page", "403", refused.status.as_str());

    let mut phone = stage.outside();
    phone.present(Some(stage.phone().certificate.clone()));
    let asked = phone.open(&stage.app_url("/")).await?;
    tour.tell(
        "Suzuki, outside, with her phone's certificate",
        "the sign-in page",
        if asked.url.starts_with(&stage.login_url("/")) && asked.status == 200 {
            "the sign-in page"
        } else {
            asked.status.as_str()
        },
    );
    let stranger = sign_in(&mut phone, &asked, "sato", "himawari-no-hana").await?;
    tour.tell("Sato tries to sign in on Suzuki's phone, with her own right password", "403", stranger.status.as_str());

    let mut phone = stage.outside();
    phone.present(Some(stage.phone().certificate.clone()));
    let asked = phone.open(&stage.app_url("/")).await?;
    sign_in(&mut phone, &asked, "suzuki", "asagao-no-tsuru").await?;
    let home = saas_login(&mut phone, stage, "suzuki", "Asagao-2026").await?;
    tour.tell("Suzuki signs in and logs in to the SaaS", "200", home.status.as_str());
    let csv = phone.open(&stage.app_url("/residents/export")).await?;
    tour.tell(
        "She tries to take the resident list with her: downloads are for the facility",
        "403",
        csv.status.as_str(),
    );
    let delete = phone.submit(&stage.app_url("/residents/1/delete"), &[]).await?;
    tour.tell("She tries to delete a resident", "403", delete.status.as_str());
    Ok(phone)
}

async fn revoked(stage: &Stage, tour: &mut Tour, phone: &mut Browser) -> anyhow::Result<()> {
    let mut socket =
        phone.websocket(&stage.app_url("/notices/ws").replacen("https", "wss", 1)).await.context("no WebSocket")?;
    socket.send(Message::text("見えますか")).await?;
    let heard = tokio::time::timeout(Duration::from_secs(5), socket.next()).await;
    tour.tell(
        "She has the notices open, a WebSocket",
        "a message",
        &match heard {
            Ok(Some(Ok(_))) => "a message".to_owned(),
            Ok(Some(Err(error))) => error.to_string(),
            Ok(None) => "a closed connection".to_owned(),
            Err(_) => "silence".to_owned(),
        },
    );
    let fine = phone.open(&stage.app_url("/residents")).await?;
    tour.tell("She works on a kept-alive connection", "200", fine.status.as_str());
    stage
        .command(Command::DeviceRevoke { device: stage.phone().id.parse()?, cause: RevocationCause::Lost })
        .await
        .context("the device could not be revoked")?;
    let after = phone
        .send(Method::GET, &stage.app_url("/residents"), Mode::Navigate, HeaderMap::new(), Bytes::new())
        .await
        .map_or_else(|_| "cut".to_owned(), |r| r.status.as_str().to_owned());
    tour.tell("The phone is lost; the operator revokes it. The next request on the same connection", "403", &after);
    let cut =
        tokio::time::timeout(Duration::from_secs(5), async { while let Some(Ok(_)) = socket.next().await {} }).await;
    tour.tell("And the WebSocket, within 5 s", "cut", if cut.is_ok() { "cut" } else { "still open" });
    Ok(())
}

/// Fills in the gate's sign-in form.
async fn sign_in(browser: &mut Browser, page: &Response, id: &str, password: &str) -> anyhow::Result<Response> {
    Ok(browser.fill_in(page, &[("login_id", id), ("password", password)]).await?)
}

/// Fills in the SaaS's own login form.
async fn saas_login(browser: &mut Browser, stage: &Stage, id: &str, password: &str) -> anyhow::Result<Response> {
    Ok(browser.submit(&stage.app_url("/login"), &[("login_id", id), ("password", password)]).await?)
}

/// The request log that results, and whether it says what happened.
async fn show_the_record(stage: &Stage, tour: &mut Tour) -> anyhow::Result<()> {
    let filter = Filter { kinds: vec!["request".to_owned()], ..Filter::default() };
    let mut entries = Vec::new();
    // Refusals of strangers reach the disk within a second; nobody waits for them, and here we do.
    for _ in 0..50 {
        let query = Query { filter: filter.clone(), ..Query::default() };
        entries = stage.history().read(query)?.collect::<Result<Vec<_>, _>>()?;
        let there = entries
            .iter()
            .any(|entry| matches!(&entry.record, Record::Request(r) if r.reason == vocabulary::Reason::DeviceRevoked));
        if there {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut rows = Vec::new();
    let mut lost = false;
    for entry in &entries {
        let Record::Request(request) = &entry.record else { continue };
        let reason = entry.outcome.as_ref().and_then(|o| o.reason).unwrap_or(request.reason);
        lost |= reason == vocabulary::Reason::DeviceRevoked;
        rows.push(vec![
            request.person.as_ref().map_or("-", |p| p.as_str()).to_owned(),
            request.source.to_string(),
            request.device.as_ref().map_or("-", |d| d.as_str()).to_owned(),
            match entry.outcome.as_ref().map(|o| o.end) {
                Some(audit::End::DeniedResponse) => "deny".to_owned(),
                _ => request.decision.as_str().to_owned(),
            },
            reason.to_string(),
            format!("{} {} {}", request.method, request.app.as_ref().map_or("-", |a| a.as_str()), request.path),
        ]);
    }
    say("\nThe record of it:\n");
    table(&["PERSON", "SOURCE", "DEVICE", "DECISION", "REASON", "REQUEST"], &rows);
    say("");
    tour.tell(
        "The record names the revoked device's attempt",
        "device-revoked",
        if lost { "device-revoked" } else { "nothing" },
    );
    show_the_logins(stage, tour)
}

/// The history that the vendor doesn't show.
fn show_the_logins(stage: &Stage, tour: &mut Tour) -> anyhow::Result<()> {
    let logins = stage.history().logins(Query::default())?.collect::<Result<Vec<_>, _>>()?;
    let mut found = Vec::new();
    let rows: Vec<_> = logins
        .iter()
        .map(|audit::AppLogin { login, end, .. }| {
            let person = login.person.as_ref().map_or("-", |person| person.as_str());
            found.push(format!("{person} {}", login.result.as_str()));
            let id = login.saas_id.clone().unwrap_or_else(|| "(not accepted yet)".to_owned());
            let ended = end.as_ref().map_or("-", |end| end.cause.as_str());
            let result = login.cause.as_deref().unwrap_or(login.result.as_str());
            [person, &id, result, &login.source.to_string(), ended].map(str::to_owned).to_vec()
        })
        .collect();
    say("\nWho was in the SaaS, which the vendor doesn't show:\n");
    table(&["PERSON", "LOGIN ID", "RESULT", "SOURCE", "ENDED"], &rows);
    say("");
    tour.tell("The logins to the SaaS are told", "sato failed, sato ok, suzuki ok", &found.join(", "));
    Ok(())
}
