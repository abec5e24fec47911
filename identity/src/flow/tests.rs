//! Sign-ins under way, as hosts and the sign-in page use them.

use proptest::prelude::*;

use super::table::{MOST, MOST_PER_SOURCE};
use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);
const HOST: &str = "kaipoke.gw.example";
const DEVICE: Option<[u8; 32]> = Some([7; 32]);

fn session() -> SessionId {
    SessionId::new("s-1").unwrap()
}

fn begin(target: &str) -> Begin<'_> {
    Begin {
        host: HOST,
        target,
        certificate: DEVICE,
        remaining_hosts: Vec::new(),
        binder: None,
        within: None,
        source: [203, 0, 113, 1].into(),
        now: NOW,
    }
}

fn redeem<'a>(ticket: &'a Token, binder: &'a str) -> Redeem<'a> {
    Redeem { ticket: ticket.as_str(), host: HOST, certificate: DEVICE, binder: Some(binder), now: NOW }
}

/// A sign-in begun, and its ticket.
fn ticket(sign_ins: &SignIns) -> (Started, Token) {
    let started = sign_ins.begin(begin("/residents?id=7&tab=notes")).unwrap();
    let ticket = sign_ins.mint_ticket(started.handle.as_str(), &session(), NOW).unwrap();
    (started, ticket)
}

#[test]
fn a_ticket_leads_back_to_where_somebody_wanted_to_go_once() {
    let sign_ins = SignIns::new().unwrap();
    let (started, ticket) = ticket(&sign_ins);
    let pending = sign_ins.get(started.handle.as_str(), NOW).unwrap();
    assert_eq!((pending.host.as_str(), pending.target.as_str()), (HOST, "/residents?id=7&tab=notes"));
    let redeemed = sign_ins.redeem(redeem(&ticket, &started.binder_cookie)).unwrap();
    assert_eq!(redeemed.session, session());
    assert_eq!((redeemed.target_host.as_str(), redeemed.target.as_str()), (HOST, "/residents?id=7&tab=notes"));
    assert!(redeemed.next.is_none());
    let again = sign_ins.redeem(redeem(&ticket, &started.binder_cookie));
    assert_eq!(again.unwrap_err(), TicketError::Unknown);
    assert!(sign_ins.is_empty());
}

#[test]
fn a_ticket_is_good_for_thirty_seconds() {
    let sign_ins = SignIns::new().unwrap();
    for (secs, good) in [(29, true), (30, false)] {
        let (started, ticket) = ticket(&sign_ins);
        let late = Redeem { now: NOW.plus_secs(secs), ..redeem(&ticket, &started.binder_cookie) };
        assert_eq!(sign_ins.redeem(late).is_ok(), good, "{secs}");
    }
}

#[test]
fn a_ticket_is_for_one_host_one_certificate_and_one_browser_and_a_wrong_one_uses_it_up() {
    let sign_ins = SignIns::new().unwrap();
    let other_browser = sign_ins.begin(begin("/")).unwrap().binder_cookie;
    let (started, ticket) = ticket(&sign_ins);
    let right = || redeem(&ticket, &started.binder_cookie);
    for (wrong, error) in [
        (Redeem { host: "records.gw.example", ..right() }, TicketError::WrongHost),
        (Redeem { certificate: None, ..right() }, TicketError::WrongDevice),
        (Redeem { certificate: Some([8; 32]), ..right() }, TicketError::WrongDevice),
        (Redeem { binder: None, ..right() }, TicketError::WrongBrowser),
        (Redeem { binder: Some(&other_browser), ..right() }, TicketError::WrongBrowser),
        (Redeem { binder: Some("made-up"), ..right() }, TicketError::WrongBrowser),
    ] {
        let fresh = sign_ins.mint_ticket(started.handle.as_str(), &session(), NOW).unwrap();
        let wrong = Redeem { ticket: fresh.as_str(), ..wrong };
        assert_eq!(sign_ins.redeem(wrong).unwrap_err(), error);
        let used_up = sign_ins.redeem(redeem(&fresh, &started.binder_cookie));
        assert_eq!(used_up.unwrap_err(), TicketError::Unknown);
    }
    // The way back to the sign-in page is still open, and a new ticket is good.
    let fresh = sign_ins.mint_ticket(started.handle.as_str(), &session(), NOW).unwrap();
    assert!(sign_ins.redeem(redeem(&fresh, &started.binder_cookie)).is_ok());
}

#[test]
fn a_new_ticket_replaces_the_one_before() {
    let sign_ins = SignIns::new().unwrap();
    let (started, first) = ticket(&sign_ins);
    let second = sign_ins.mint_ticket(started.handle.as_str(), &session(), NOW).unwrap();
    assert_eq!(sign_ins.redeem(redeem(&first, &started.binder_cookie)).unwrap_err(), TicketError::Unknown);
    assert!(sign_ins.redeem(redeem(&second, &started.binder_cookie)).is_ok());
}

#[test]
fn several_tabs_share_one_cookie_and_each_gets_where_it_wanted() {
    let sign_ins = SignIns::new().unwrap();
    let first = sign_ins.begin(begin("/a")).unwrap();
    let second = sign_ins.begin(Begin { binder: Some(&first.binder_cookie), ..begin("/b") }).unwrap();
    assert_eq!(first.binder_cookie, second.binder_cookie);
    for (started, target) in [(&second, "/b"), (&first, "/a")] {
        let ticket = sign_ins.mint_ticket(started.handle.as_str(), &session(), NOW).unwrap();
        assert_eq!(sign_ins.redeem(redeem(&ticket, &first.binder_cookie)).unwrap().target, target);
    }
}

#[test]
fn a_binder_that_we_did_not_make_for_this_host_is_replaced() {
    let sign_ins = SignIns::new().unwrap();
    let elsewhere = sign_ins.begin(Begin { host: "records.gw.example", ..begin("/") }).unwrap().binder_cookie;
    let earlier_start = SignIns::new().unwrap().begin(begin("/")).unwrap().binder_cookie;
    let made_up = format!("{}.{}", Token::random().unwrap().as_str(), Token::random().unwrap().as_str());
    for foreign in [elsewhere.as_str(), &earlier_start, &made_up, "", ".", "x"] {
        let started = sign_ins.begin(Begin { binder: Some(foreign), ..begin("/") }).unwrap();
        assert_ne!(started.binder_cookie, foreign);
    }
}

#[test]
fn a_sign_in_is_forgotten_after_ten_minutes() {
    let sign_ins = SignIns::new().unwrap();
    let started = sign_ins.begin(begin("/")).unwrap();
    assert!(sign_ins.get(started.handle.as_str(), NOW.plus_secs(599)).is_some());
    let late = NOW.plus_secs(600);
    assert!(sign_ins.get(started.handle.as_str(), late).is_none());
    assert!(sign_ins.mint_ticket(started.handle.as_str(), &session(), late).is_err());
    sign_ins.begin(Begin { now: late, ..begin("/") }).unwrap();
    assert_eq!(sign_ins.len(), 1);
}

#[test]
fn an_app_of_several_hosts_is_led_through_each_of_them() {
    let sign_ins = SignIns::new().unwrap();
    let assets = "assets.kaipoke.gw.example";
    let started = sign_ins.begin(Begin { remaining_hosts: vec![assets.into()], ..begin("/residents?id=7") }).unwrap();
    let ticket = sign_ins.mint_ticket(started.handle.as_str(), &session(), NOW).unwrap();
    let redeemed = sign_ins.redeem(redeem(&ticket, &started.binder_cookie)).unwrap();
    assert_eq!(redeemed.remaining_hosts, [assets]);
    let next = redeemed.next.unwrap();

    // Nobody has come to the next host yet, so there is no browser to give a ticket to.
    assert_eq!(sign_ins.mint_ticket(next.as_str(), &session(), NOW).unwrap_err(), TicketError::Unknown);
    let bind = |host| Bind { handle: next.as_str(), host, certificate: DEVICE, binder: None, now: NOW };
    assert_eq!(sign_ins.bind(bind(HOST)).unwrap_err(), TicketError::WrongHost);
    let bound = sign_ins.bind(bind(assets)).unwrap();
    assert_eq!(sign_ins.bind(bind(assets)).unwrap_err(), TicketError::Unknown);
    let ticket = sign_ins.mint_ticket(bound.handle.as_str(), &session(), NOW).unwrap();
    let last = sign_ins.redeem(Redeem { host: assets, ..redeem(&ticket, &bound.binder_cookie) }).unwrap();
    assert_eq!((last.target_host.as_str(), last.target.as_str()), (HOST, "/residents?id=7"));
    assert!(last.next.is_none());
}

#[test]
fn who_fills_the_table_loses_their_own_oldest_first() {
    let sign_ins = SignIns::new().unwrap();
    let person = sign_ins.begin(begin("/")).unwrap();
    let stranger = |n: u8| Begin { source: [198, 51, 100, n].into(), ..begin("/") };
    let first = sign_ins.begin(stranger(0)).unwrap();
    for _ in 0..2 * MOST_PER_SOURCE {
        sign_ins.begin(stranger(0)).unwrap();
    }
    assert_eq!(sign_ins.len(), MOST_PER_SOURCE + 1);
    assert!(sign_ins.get(first.handle.as_str(), NOW).is_none());
    assert!(sign_ins.get(person.handle.as_str(), NOW).is_some());
    for n in 0..20 {
        for _ in 0..MOST_PER_SOURCE {
            sign_ins.begin(stranger(n)).unwrap();
        }
    }
    assert!(sign_ins.len() <= MOST);
}

#[test]
fn nothing_shows_handles_tickets_or_targets() {
    let sign_ins = SignIns::new().unwrap();
    let (started, ticket) = ticket(&sign_ins);
    let shown = format!(
        "{sign_ins:?} {:?} {ticket:?} {:?} {:?}",
        started.handle,
        begin("/residents?id=7"),
        redeem(&ticket, &started.binder_cookie)
    );
    for secret in [started.handle.as_str(), ticket.as_str(), &started.binder_cookie, "residents"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let shown = format!("{started:?} {:?}", sign_ins.redeem(redeem(&ticket, &started.binder_cookie)).unwrap());
    assert!(!shown.contains(&started.binder_cookie) && !shown.contains("residents"), "{shown}");
}

#[test]
fn a_target_stays_on_its_host() {
    for good in ["/", "/a/b?c=/d//e", "/a#b", "/%E3%81%82"] {
        assert_eq!(clean_target(good), good);
    }
    let long = format!("/{}", "a".repeat(LONGEST_TARGET));
    for wrong in ["", "a", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nb", "/a b", &long] {
        assert_eq!(clean_target(wrong), "/", "{wrong}");
    }
}

proptest! {
    #[test]
    fn what_is_kept_is_always_a_path_of_the_same_host(target in "\\PC{0,20}|[/\\\\a:.?# \t]{0,12}") {
        let clean = clean_target(&target);
        prop_assert!(clean == "/" || clean == target);
        prop_assert!(clean.starts_with('/') && !clean.starts_with("//") && !clean.contains('\\'));
    }

    /// No string but the one minted redeems or finds anything.
    #[test]
    fn made_up_tickets_and_handles_find_nothing(text in "\\PC{0,50}|[A-Za-z0-9_-]{43}") {
        let sign_ins = SignIns::new().unwrap();
        let (started, _ticket) = ticket(&sign_ins);
        let wrong = Redeem { ticket: &text, host: HOST, certificate: DEVICE, binder: Some(&started.binder_cookie), now: NOW };
        prop_assert_eq!(sign_ins.redeem(wrong).unwrap_err(), TicketError::Unknown);
        prop_assert!(sign_ins.get(&text, NOW).is_none());
    }

    /// Whatever order things come in, the table's indexes agree with each other.
    #[test]
    fn the_table_never_contradicts_itself(steps in prop::collection::vec((0u8..4, 0usize..8, 0i64..400), 0..60)) {
        let sign_ins = SignIns::new().unwrap();
        let mut started: Vec<Started> = Vec::new();
        let mut tickets: Vec<(Token, String)> = Vec::new();
        let mut now = NOW;
        for (step, which, secs) in steps {
            now = now.plus_secs(secs / 8);
            let pick = started.get(which % started.len().max(1));
            match (step, pick) {
                (0, _) | (_, None) => {
                    let source = [198, 51, 100, u8::try_from(which).unwrap()].into();
                    started.push(sign_ins.begin(Begin { source, now, ..begin("/") }).unwrap());
                }
                (1, Some(pick)) => {
                    if let Ok(ticket) = sign_ins.mint_ticket(pick.handle.as_str(), &session(), now) {
                        tickets.push((ticket, pick.binder_cookie.clone()));
                    }
                }
                (2, Some(pick)) => {
                    if let Some((ticket, _)) = tickets.get(which) {
                        let _ = sign_ins.redeem(Redeem { now, ..redeem(ticket, &pick.binder_cookie) });
                    }
                }
                _ => {
                    if let Some((ticket, binder)) = tickets.pop() {
                        let _ = sign_ins.redeem(Redeem { now, ..redeem(&ticket, &binder) });
                    }
                }
            }
            prop_assert!(sign_ins.table().is_consistent());
        }
    }
}
