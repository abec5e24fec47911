//! Histories, against naive ones, and whether it matters in which layer their records lie.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use vocabulary::{LoginId, PersonId, Timestamp};

use super::model::{Happened, PEOPLE, filters, tokyo};
use super::written::WrittenLog;
use super::{AppLogin, Happening, History, Query};
use crate::{Entry, Filter, Index, LoginEnd, Position, Record};

fn logins(history: &History, query: Query) -> Vec<AppLogin> {
    history.logins(query).unwrap().collect::<Result<_, _>>().unwrap()
}

/// By looking at everything.
fn naive_logins(all: &[Entry], filter: &Filter) -> Vec<AppLogin> {
    let mut ends: BTreeMap<LoginId, Arc<LoginEnd>> = BTreeMap::new();
    for entry in all {
        if let Record::LoginEnd(end) = &entry.record
            && filter.person.is_none_or_is(end.person.as_ref())
            && filter.app.is_none_or_is(Some(&end.app))
            && filter.from.is_none_or(|from| entry.at >= from)
            && filter.to.is_none_or(|to| entry.at < to.plus_secs(45 * 86_400))
        {
            ends.insert(end.login.clone(), Arc::new(end.clone()));
        }
    }
    let fitting = all.iter().filter(|entry| Filter { kinds: Vec::new(), ..filter.clone() }.takes(entry));
    fitting
        .filter_map(|entry| match &entry.record {
            Record::Login(login) => Some(AppLogin {
                position: entry.position,
                at: entry.at,
                login: (**login).clone(),
                end: login.login.as_ref().and_then(|id| ends.get(id)).cloned(),
            }),
            _ => None,
        })
        .collect()
}

trait NoneOr<T> {
    fn is_none_or_is(&self, there: Option<&T>) -> bool;
}

impl<T: PartialEq> NoneOr<T> for Option<T> {
    fn is_none_or_is(&self, there: Option<&T>) -> bool {
        self.as_ref().is_none_or(|wanted| there == Some(wanted))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn histories_are_the_same_wherever_their_records_lie(
        seed: u64, many in 50usize..2_500, mut filter in filters(), ends in any::<[prop::sample::Index; 3]>(),
        part in 20usize..400, limit in 1usize..20,
    ) {
        let happened = Happened::by_chance(seed, many);
        let size = happened.len() + 1;
        let (layered, plain) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let [kept, sealed, indexed] = ends.map(|end| end.index(size));
        happened.lay_out(layered.path(), (kept, sealed, indexed), part);
        happened.lay_out(plain.path(), (0, 0, 0), 1);
        let (history, plain) = (History::new(layered.path()), History::new(plain.path()));
        // Logins have none of these.
        filter = Filter { action: None, decision: None, reason: None, rule: None, path: None, ..filter };
        filter = Filter { operation: None, subject: None, named: false, ..filter };

        let query = Query { filter: filter.clone(), ..Query::default() };
        let mut expected = naive_logins(&happened.expected(&Filter::default()), &filter);
        prop_assert_eq!(&logins(&history, query.clone()), &expected);
        expected.reverse();
        expected.truncate(limit);
        prop_assert_eq!(&logins(&history, Query { newest_first: true, limit: Some(limit), ..query }), &expected);

        prop_assert_eq!(history.shared_ids(filter.clone()).unwrap(), plain.shared_ids(filter.clone()).unwrap());
        let coverage = |history: &History| history.coverage(filter.clone(), 5).unwrap();
        prop_assert_eq!(coverage(&history), coverage(&plain));
        let person: PersonId = PEOPLE[limit % 3].parse().unwrap();
        let day = |history: &History| history.timeline(&person, filter.from, filter.to).unwrap();
        prop_assert_eq!(day(&history), day(&plain));
        let mut names = history.names(filter.from, filter.to, None).unwrap();
        let mut plain_names = plain.names(filter.from, filter.to, Some(&person)).unwrap();
        let all = happened.expected(&Filter { from: filter.from, to: filter.to, ..Filter::default() });
        for entry in all.iter().step_by(17) {
            prop_assert_eq!(
                names.at(&person, entry.position).unwrap(), plain_names.at(&person, entry.position).unwrap()
            );
        }
    }
}

#[test]
fn kept_leaves_of_many_kinds_come_in_order_and_once() {
    let happened = Happened::by_chance(5, 9_000);
    let dir = tempfile::tempdir().unwrap();
    happened.lay_out(dir.path(), (happened.len(), happened.len(), usize::MAX), 3_000);
    let history = History::new(dir.path());
    for kinds in [&["sign-in", "sign-out", "login", "login-end", "change"][..], &["change", "sign-in"], &["login"]] {
        for person in [None, Some(PEOPLE[0].parse().unwrap())] {
            let kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
            let filter = Filter { kinds, person, ..Filter::default() };
            let mut expected = happened.expected(&filter);
            assert!(expected.len() > 60, "more than are read at once: {}", expected.len());
            for newest_first in [false, true] {
                let query = Query { filter: filter.clone(), newest_first, ..Query::default() };
                let read: Vec<Entry> = history.read(query).unwrap().collect::<Result<_, _>>().unwrap();
                assert_eq!(read, expected);
                expected.reverse();
            }
        }
    }
}

/// Seconds after the start, kind, fields.
fn written(audit: &Path, records: &[(i64, &str, &str)]) -> History {
    let leaves: Vec<String> = records
        .iter()
        .zip(1..)
        .map(|((secs, kind, fields), seq)| {
            let head = format!("\"at\":{},\"salt\":\"00112233aabbccdd\"", secs * 1_000_000);
            format!("{{\"v\":1,\"boot\":1,\"seq\":{seq},\"kind\":\"{kind}\",{head},{fields}}}\n")
        })
        .collect();
    WrittenLog::new(audit).seal(leaves.iter().map(String::as_bytes));
    Index::open(audit, tokyo()).unwrap().append(0, leaves.iter().map(String::as_bytes)).unwrap();
    History::new(audit)
}

const AT: &str = r#""source":"192.0.2.1","inside":true"#;

fn request(app: &str, more: &str) -> String {
    format!(
        r#""app":"{app}","host":"h","method":"GET","path":"/a/17","action":"view","decision":"permit","reason":"rule","person":"sato","session":"s-1",{AT},"http":"2"{more},"outcome":{{"at":1,"end":"ok","status":200}}"#
    )
}

#[test]
fn a_day_is_told_in_lines() {
    let (named, plain) =
        (request("kaipoke", r#","operation":"care-plan","subject":"resident/7""#), request("kaipoke", ""));
    let login = format!(
        r#""app":"kaipoke","result":"ok","login":"l-1","request":[1,2],"saas_id":"kyoyu","person":"sato",{AT}"#
    );
    let sign_in = format!(r#""result":"ok","person":"sato","provider":"staff","factors":1,"session":"s-1",{AT}"#);
    let others = plain.replace("sato", "0012");
    let dir = tempfile::tempdir().unwrap();
    let history = written(
        dir.path(),
        &[
            (0, "sign-in", &sign_in),
            (5, "login", &login),
            (6, "request", &plain),
            (6, "request", &others),
            (7, "request", &plain),
            (8, "request", &named),
            (9, "request", &named),
            (9 + 901, "request", &named),
            (
                920,
                "login-end",
                r#""app":"kaipoke","login":"l-1","person":"sato","cause":"logout","ended":918000000,"requests":5"#,
            ),
            (925, "sign-out", r#""person":"sato","session":"s-1","cause":"idle""#),
            (9_000, "request", &plain),
        ],
    );
    let sato = "sato".parse().unwrap();
    let told = |from: Option<i64>, to: Option<i64>| -> Vec<String> {
        let at = |secs: Option<i64>| secs.map(Timestamp::from_secs);
        let moments = history.timeline(&sato, at(from), at(to)).unwrap();
        let tell = |what: &Happening| match what {
            Happening::SignIn(_) => "in".to_owned(),
            Happening::SignOut(_) => "out".to_owned(),
            Happening::Login(login) => format!("login {}", login.saas_id.as_deref().unwrap_or("-")),
            Happening::LoginEnd(end) => end.cause.clone(),
            Happening::Change(_) => "change".to_owned(),
            Happening::Operation { step, times, last } => {
                format!(
                    "{} {} x{times} to {}",
                    step.operation.as_deref().unwrap(),
                    step.subject.as_deref().unwrap(),
                    last.secs()
                )
            }
            Happening::Unnamed { requests, last, .. } => format!("unnamed x{requests} to {}", last.secs()),
            Happening::Gap { until } => format!("gap to {}", until.secs()),
        };
        moments.iter().map(|moment| format!("{} {}", moment.at.secs(), tell(&moment.what))).collect()
    };
    assert_eq!(
        told(None, None),
        [
            "0 in",
            "5 login kyoyu",
            "6 unnamed x2 to 7",
            "8 care-plan resident/7 x2 to 9",
            "9 gap to 910",
            "910 care-plan resident/7 x1 to 910",
            "920 logout",
            "925 out",
            "9000 unnamed x1 to 9000",
        ]
    );
    assert_eq!(told(Some(6), Some(9)), ["6 unnamed x2 to 7", "8 care-plan resident/7 x1 to 8"]);
    let logins = logins(&history, Query::default());
    assert_eq!((logins.len(), logins[0].duration_secs(), logins[0].is_open()), (1, Some(913), false));
    // It ended after the time asked for.
    let filter = Filter { to: Some(Timestamp::from_secs(10)), ..Filter::default() };
    assert_eq!(super::histories_tests::logins(&history, Query { filter, ..Query::default() }), logins);
    let coverage = history.coverage(Filter { app: "kaipoke".parse().ok(), ..Filter::default() }, 9).unwrap();
    assert_eq!((coverage.requests, coverage.named, coverage.unnamed.len()), (7, 3, 1));
    assert_eq!((coverage.unnamed[0].path.as_str(), coverage.unnamed[0].requests), ("/a/*", 4));
}

#[test]
fn who_shares_an_id_is_told_and_a_failure_shares_nothing() {
    let login = |person: &str, id: &str, result: &str| {
        format!(
            r#""app":"kaipoke","result":"{result}","request":[1,2],"account":"hojin","saas_id":"{id}","person":"{person}",{AT}"#
        )
    };
    let dir = tempfile::tempdir().unwrap();
    let history = written(
        dir.path(),
        &[
            (1, "login", &login("sato", "kyoyu", "ok")),
            (2, "login", &login("0012", "kyoyu", "ok")),
            (3, "login", &login("sato", "kyoyu", "failed")),
            (4, "login", &login("sato", "sato1", "ok")),
            (5, "login", &login("suzuki", "suzuki1", "ok")),
            (6, "login", &login("0012", "suzuki1", "failed")),
            (7, "login", &login("sato", "kyoyu", "ok")),
        ],
    );
    let shared = history.shared_ids(Filter::default()).unwrap();
    let tell = |uses: &[super::Use]| -> Vec<String> {
        let secs = |at: Timestamp| at.secs();
        uses.iter()
            .map(|u| {
                format!("{} {} {}+{} {}-{}", u.account.id, u.person, u.logins, u.failed, secs(u.first), secs(u.last))
            })
            .collect()
    };
    assert_eq!(tell(&shared.by_several), ["kyoyu 0012 1+0 2-2", "kyoyu sato 2+1 1-7"]);
    assert_eq!(tell(&shared.several_of_one), ["kyoyu sato 2+1 1-7", "sato1 sato 1+0 4-4"]);
}

#[test]
fn people_are_called_what_they_were_called_then() {
    let sign_in = |name: &str| {
        format!(r#""result":"ok","person":"sato","name":"{name}","provider":"staff","factors":1,"session":"s-1",{AT}"#)
    };
    let (before, after, plain) = (sign_in("佐藤"), sign_in("田中"), request("kaipoke", ""));
    let dir = tempfile::tempdir().unwrap();
    let history = written(
        dir.path(),
        &[
            (1, "request", &plain),
            (2, "sign-in", &before),
            (3, "request", &plain),
            (4, "sign-in", &after),
            (5, "request", &plain),
        ],
    );
    for from in [None, Some(3), Some(5)] {
        let mut names = history.names(from.map(Timestamp::from_secs), None, None).unwrap();
        let mut name = |seq| {
            let called = names.at(&"sato".parse().unwrap(), Position { boot: 1, seq }).unwrap();
            called.and_then(|called| called.name.clone())
        };
        assert_eq!(name(5).as_deref(), Some("田中"), "{from:?}");
        if from != Some(5) {
            assert_eq!(name(3).as_deref(), Some("佐藤"), "{from:?}");
        }
        if from.is_none() {
            assert_eq!(name(1), None);
        }
    }
}

#[test]
fn a_kept_leaf_that_was_tampered_with_is_read_from_the_log_instead() {
    let login = format!(
        r#""app":"kaipoke","result":"ok","login":"l-1","request":[1,2],"saas_id":"kyoyu","person":"sato",{AT}"#
    );
    let dir = tempfile::tempdir().unwrap();
    let history = written(dir.path(), &[(1, "login", &login)]);
    let file = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| p.extension().is_some_and(|e| e == "db"));
    let connection = rusqlite::Connection::open(file.unwrap()).unwrap();
    let changed =
        connection.execute("UPDATE kept SET data = CAST(replace(CAST(data AS TEXT), 'kyoyu', 'other') AS BLOB)", ());
    assert_eq!(changed.unwrap(), 1);
    assert_eq!(logins(&history, Query::default())[0].login.saas_id.as_deref(), Some("kyoyu"));
}
