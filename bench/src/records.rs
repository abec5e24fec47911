//! Records of a made-up group of care facilities, as many as are asked for, the same for the same seed.
//!
//! 400 people in three shifts use six apps. Somebody opens a page every eight minutes or so, and with it come its static files
//! and what its scripts fetch; so 10 million records are about a month. A third works outside, on enrolled devices and from
//! changing addresses. Strangers look for holes; now and then somebody mistypes a password, something is refused, a WebSocket
//! lasts for minutes. In a shift each logs in to one, two or three of the apps; one attempt in fifty fails, and a few share an ID.
//!
//! What comes out are the journal's own texts, with numbers as the journal gives them, and the log's leaves that are made of
//! them (`audit/verify/FORMAT.md`).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::fmt::Write as _;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Sunday, 2026-11-01, 06:00 in Tokyo: a shift begins.
pub const START: i64 = 1_793_480_400 * SECOND;

const PEOPLE: usize = 400;
const BOOT: u32 = 1;

/// A record or an outcome, in the order in which the journal numbers them.
#[derive(Clone, Debug)]
pub struct Written {
    pub seq: u64,
    /// Microseconds.
    pub at: i64,
    /// Of an outcome: the number of its request.
    pub of: Option<u64>,
    salt: u64,
    kind: &'static str,
    /// The fields behind the head, each with a comma before it.
    fields: String,
}

impl Written {
    /// As it stands in the journal.
    pub fn payload(&self) -> String {
        let Self { at, salt, kind, fields, .. } = self;
        let of = self.of.map(|of| format!(",\"of\":[{BOOT},{of}]")).unwrap_or_default();
        format!("{{\"v\":1,\"kind\":\"{kind}\",\"at\":{at},\"salt\":\"{salt:016x}\"{of}{fields}}}")
    }

    /// As it is sealed, with its outcome if that came in time; newline included.
    fn leaf(&self, outcome: Option<&Self>) -> String {
        let Self { seq, at, salt, kind, fields, .. } = self;
        let mut leaf = format!("{{\"v\":1,\"boot\":{BOOT},\"seq\":{seq}");
        if let Some(outcome) = outcome {
            let _ = write!(leaf, ",\"outcome_seq\":{}", outcome.seq);
        }
        let _ = write!(leaf, ",\"kind\":\"{kind}\",\"at\":{at},\"salt\":\"{salt:016x}\"");
        if let Some(of) = self.of {
            let _ = write!(leaf, ",\"of\":[{BOOT},{of}]");
        }
        leaf.push_str(fields);
        if let Some(outcome) = outcome {
            let _ = write!(leaf, ",\"outcome\":{{\"at\":{}{}}}", outcome.at, outcome.fields);
        }
        leaf.push_str("}\n");
        leaf
    }
}

/// A person at work.
#[derive(Clone, Debug)]
struct Person {
    id: String,
    apps: [usize; 3],
    /// Works outside, on this device.
    device: Option<(String, String)>,
    agent: &'static str,
    session: String,
    source: String,
    /// Login to each of `apps` in this shift, and how many requests it has had.
    logins: [Option<(String, u64)>; 3],
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Begin(usize),
    Page(usize, i64),
    Fetch(usize, Fetch),
    Stranger,
    Outcome(u64, String),
    /// A login to the app at this place of the person's.
    Login(usize, usize),
    LoginEnd(usize, usize),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fetch {
    app: usize,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Page,
    Static(usize),
    Script,
    Edit,
    Download,
    Socket,
}

const APPS: [&str; 6] = ["kaipoke", "records", "kintone", "codmon", "shifts", "wiki"];
const AGENTS: [&str; 6] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0",
];
const HOLES: [&str; 8] = [
    "/wp-login.php",
    "/.env",
    "/admin/config.php",
    "/phpmyadmin/",
    "/.git/config",
    "/cgi-bin/luci",
    "/actuator/health",
    "/xmlrpc.php",
];

/// What the journal is given, without end.
#[derive(Debug)]
pub struct Records {
    random: Random,
    people: Vec<Person>,
    events: BinaryHeap<Reverse<(i64, u64, Event)>>,
    /// Keeps events of one moment in the order in which they were made.
    made: u64,
    seq: u64,
    statics: Vec<[String; 40]>,
}

impl Records {
    pub fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let statics = (0..APPS.len())
            .map(|_| {
                std::array::from_fn(|n| {
                    let kind = ["js", "css", "png", "woff2", "svg"][n % 5];
                    format!(
                        "/assets/{}-{:08x}.{kind}",
                        ["app", "vendor", "theme", "icons", "print"][n / 8],
                        random.next()
                    )
                })
            })
            .collect();
        let people = (0..PEOPLE)
            .map(|n| Person {
                id: if n % 5 == 0 { format!("staff.{n:03}@sakura-kai.example") } else { format!("{:05}", 20_000 + n) },
                apps: [n % 2, random.below(APPS.len()), random.below(APPS.len())],
                device: (n % 3 == 0).then(|| {
                    (format!("d-{:012x}", random.next() >> 16), format!("{:032x}", u128::from(random.next()) << 60))
                }),
                agent: AGENTS[if n % 3 == 0 { 2 + n % 2 } else { [0, 1, 4, 5][n % 4] }],
                session: String::new(),
                source: String::new(),
                logins: [const { None }; 3],
            })
            .collect();
        let mut records = Self { random, people, events: BinaryHeap::new(), made: 0, seq: 0, statics };
        for person in 0..PEOPLE {
            let begins = START + HOUR * 8 * [0, 1, 2][person % 3] + records.random.up_to(20 * MINUTE);
            records.at(begins, Event::Begin(person));
        }
        records.at(START, Event::Stranger);
        records
    }

    fn at(&mut self, at: i64, event: Event) {
        self.made += 1;
        self.events.push(Reverse((at, self.made, event)));
    }

    fn written(&mut self, at: i64, kind: &'static str, of: Option<u64>, fields: String) -> Written {
        self.seq += 1;
        Written { seq: self.seq, at, of, salt: self.random.next(), kind, fields }
    }

    fn begin(&mut self, at: i64, who: usize) -> Written {
        let number = self.random.next();
        let outside = self.people[who].device.is_some();
        let source = match outside {
            true if number.is_multiple_of(2) => {
                format!("2001:db8:{:x}:{:x}::{:x}", number >> 48, number >> 32 & 0xffff, number >> 16 & 0xff)
            }
            true => format!("198.51.{}.{}", number >> 8 & 0xff, number >> 16 & 0xff),
            false => format!("203.0.113.{}", 10 + who % 5),
        };
        let mistyped = self.random.below(20) == 0;
        let person = &mut self.people[who];
        person.source = source;
        person.session = format!("s-{number:016x}");
        let mut fields = format!(
            ",\"result\":\"{}\",\"person\":\"{}\",\"provider\":\"staff\",\"factors\":{},\"method\":\"password\"",
            if mistyped { "wrong" } else { "ok" },
            person.id,
            1 + u8::from(outside),
        );
        if !mistyped {
            let _ = write!(fields, ",\"session\":\"{}\"", person.session);
        }
        if let Some((device, serial)) = &person.device {
            let _ = write!(fields, ",\"device\":\"{device}\",\"serial\":\"{serial}\"");
        }
        let networks = if outside { "" } else { ",\"networks\":[\"sakura-home\"]" };
        let _ = write!(
            fields,
            ",\"source\":\"{}\"{networks},\"inside\":{},\"user_agent\":\"{}\"",
            person.source, !outside, person.agent
        );
        if mistyped {
            self.at(at + 15 * SECOND, Event::Begin(who));
        } else {
            let gap = self.random.up_to(4 * MINUTE);
            self.at(at + SECOND + gap, Event::Page(who, at + 8 * HOUR));
            // One to three apps a shift.
            for (place, quarter) in (0..1 + self.random.below(3)).zip(1..) {
                self.at(at + SECOND + gap * quarter / 4, Event::Login(who, place));
            }
            // Five days of seven.
            let days = if self.random.below(5) == 0 { 3 } else { 1 };
            let late = self.random.up_to(10 * MINUTE) - 5 * MINUTE;
            self.at(at + days * DAY + late, Event::Begin(who));
        }
        self.written(at, "sign-in", None, fields)
    }

    /// What the app's recipe reads of a login on the wire.
    fn login(&mut self, at: i64, who: usize, place: usize) -> Written {
        let (number, failed) = (self.random.next(), self.random.below(50) == 0);
        // The office's computers have one ID each for all who sit there.
        let shared = who % 40 == 7;
        let person = &mut self.people[who];
        let app = APPS[person.apps[place]];
        let mut fields = format!(",\"app\":\"{app}\",\"result\":\"{}\"", if failed { "failed" } else { "ok" });
        let saas_id = if shared { format!("jimusho{}", who % 3) } else { format!("sk{who:04}") };
        if failed {
            let _ = write!(fields, ",\"cause\":\"wrong-password\",\"request\":[{BOOT},{}]", self.seq);
            let _ = write!(fields, ",\"account\":\"1310{app}\",\"saas_id_hash\":\"{:016x}\"", number ^ 0x5aa5);
        } else {
            let login = format!("l-{number:016x}");
            let _ = write!(fields, ",\"login\":\"{login}\",\"request\":[{BOOT},{}]", self.seq);
            let _ = write!(fields, ",\"account\":\"1310{app}\",\"saas_id\":\"{saas_id}\"");
            person.logins[place] = Some((login, 0));
        }
        let _ = write!(
            fields,
            ",\"person\":\"{}\",\"name\":\"職員 {who:03}\",\"facility\":\"さくらの家 {}\",\"session\":\"{}\"",
            person.id,
            who % 8,
            person.session
        );
        if let Some((device, serial)) = &person.device {
            let _ = write!(fields, ",\"device\":\"{device}\",\"serial\":\"{serial}\"");
        }
        let outside = person.device.is_some();
        let networks = if outside { "" } else { ",\"networks\":[\"sakura-home\"]" };
        let _ = write!(
            fields,
            ",\"source\":\"{}\"{networks},\"inside\":{},\"user_agent\":\"{}\"",
            person.source, !outside, person.agent
        );
        if failed {
            self.at(at + 20 * SECOND, Event::Login(who, place));
        } else {
            let lasts = 5 * HOUR + self.random.up_to(3 * HOUR);
            self.at(at + lasts, Event::LoginEnd(who, place));
        }
        self.written(at, "login", None, fields)
    }

    fn login_end(&mut self, at: i64, who: usize, place: usize) -> Option<Written> {
        let person = &mut self.people[who];
        let (login, requests) = person.logins[place].take()?;
        let (app, id, cause) = (APPS[person.apps[place]], &person.id, ["logout", "idle"][who % 2]);
        let fields = format!(
            ",\"app\":\"{app}\",\"login\":\"{login}\",\"person\":\"{id}\",\"cause\":\"{cause}\",\"ended\":{at},\"requests\":{requests}"
        );
        Some(self.written(at, "login-end", None, fields))
    }

    fn page(&mut self, at: i64, who: usize, until: i64) {
        let app = self.people[who].apps[[0, 0, 0, 1, 2][self.random.below(5)]];
        let mut then = at;
        let mut fetch = |records: &mut Self, after: i64, what| {
            then += after;
            records.at(then, Event::Fetch(who, Fetch { app, what }));
        };
        fetch(self, 0, What::Page);
        fetch(self, 180_000, What::Static(0));
        for _ in 0..6 + self.random.below(6) {
            let (after, file) = (self.random.up_to(25_000), self.random.below(40));
            fetch(self, after, What::Static(file));
        }
        for _ in 0..1 + self.random.below(4) {
            let after = self.random.up_to(400_000);
            fetch(self, after, What::Script);
        }
        match self.random.below(40) {
            0..8 => fetch(self, 90 * SECOND, What::Edit),
            8 => fetch(self, 20 * SECOND, What::Download),
            9 if app == 2 => fetch(self, SECOND, What::Socket),
            _ => {}
        }
        let gap = MINUTE + self.random.up_to(14 * MINUTE);
        if at + gap < until {
            self.at(at + gap, Event::Page(who, until));
        }
    }

    fn fetch(&mut self, at: i64, who: usize, fetch: &Fetch) -> Written {
        let Fetch { app, what } = *fetch;
        let (resident, screen) = (1_000 + self.random.below(600), self.random.below(60));
        let person = &self.people[who];
        let outside = person.device.is_some();
        let page = match app {
            0 => format!("/kaipokebiz/biz/HNC{:06}.do?conversationContext=*", 90_000 + screen * 7),
            2 => format!("/k/{}/show?record=*", 10 + screen),
            _ => format!("/residents/{resident}/{}", ["summary", "vitals", "meals", "care-plan"][screen % 4]),
        };
        let (method, path, action, http_navigation) = match what {
            What::Page => ("GET", page, "view", true),
            What::Static(file) => ("GET", self.statics[app][file].clone(), "view", false),
            What::Script if app == 2 => ("POST", "/k/v1/records.json".to_owned(), "view", false),
            What::Script => ("GET", format!("/api/residents/{resident}/events?since=*"), "view", false),
            What::Edit => ("POST", page, "edit", true),
            What::Download => ("GET", format!("/export/{screen}.csv?month=*"), "download", true),
            What::Socket => ("GET", "/k/notifications".to_owned(), "view", false),
        };
        let refused = outside && what == What::Download;
        let (decision, reason, rule) = match (refused, outside) {
            (true, _) => ("deny", "action-denied", "nobody downloads outside"),
            (_, true) => ("permit", "rule", "visiting nurses"),
            _ => ("permit", "rule", "in the facility"),
        };
        let (number_of_app, app) = (app, APPS[app]);
        let mut fields = String::with_capacity(720);
        let _ = write!(
            fields,
            ",\"app\":\"{app}\",\"host\":\"{app}.gw.sakura-kai.example\",\"method\":\"{method}\",\"path\":\"{path}\",\"action\":\"{action}\",\"guessed\":true,\"decision\":\"{decision}\",\"reason\":\"{reason}\",\"rule\":\"{rule}\",\"person\":\"{}\",\"session\":\"{}\",\"factors\":{}",
            person.id,
            person.session,
            1 + u8::from(outside),
        );
        if let Some((device, serial)) = &person.device {
            let _ = write!(fields, ",\"factor_device\":true,\"device\":\"{device}\",\"serial\":\"{serial}\"");
        }
        let networks = if outside { "" } else { ",\"networks\":[\"sakura-home\"]" };
        let _ = write!(
            fields,
            ",\"source\":\"{}\"{networks},\"inside\":{},\"tls\":\"1.3\",\"http\":\"2\",\"user_agent\":\"{}\"",
            person.source, !outside, person.agent
        );
        if http_navigation {
            fields.push_str(",\"navigation\":true");
        }
        // Recipes name pages, what changes and what is taken out, and say to whom it was done; not what scripts fetch.
        let operation = match what {
            What::Page => Some(["summary", "vitals", "meals", "care-plan"][screen % 4]),
            What::Edit => Some("save"),
            What::Download => Some("export"),
            _ => None,
        };
        if let Some(operation) = operation {
            let _ = write!(fields, ",\"operation\":\"{operation}\"");
            if what != What::Download {
                let _ = write!(fields, ",\"subject\":\"resident/{resident}\"");
            }
        }
        let place = self.people[who].apps.iter().position(|of| *of == number_of_app);
        if let Some((login, requests)) = place.and_then(|place| self.people[who].logins[place].as_mut()) {
            *requests += 1;
            let _ = write!(fields, ",\"login\":\"{login}\"");
        }
        let written = self.written(at, "request", None, fields);
        let took = match what {
            What::Socket => 30 * SECOND + self.random.up_to(20 * MINUTE),
            What::Static(_) => 1_500 + self.random.up_to(20_000),
            _ => 20_000 + self.random.up_to(300_000),
        };
        let end = if refused {
            format!(
                ",\"end\":\"ok\",\"status\":403,\"bytes_in\":0,\"bytes_out\":2210,\"total_us\":{}",
                400 + self.random.up_to(900)
            )
        } else {
            let status = if self.random.below(200) == 0 { 500 } else { [200, 200, 200, 304][self.random.below(4)] };
            let sent = if status == 304 { 0 } else { self.random.up_to(90_000) };
            let received = if method == "POST" { self.random.up_to(2_000) } else { 0 };
            format!(
                ",\"end\":\"ok\",\"status\":{status},\"bytes_in\":{received},\"bytes_out\":{sent},\"upstream_us\":{},\"total_us\":{took}",
                took * 9 / 10
            )
        };
        self.at(at + took, Event::Outcome(written.seq, end));
        written
    }

    fn stranger(&mut self, at: i64) -> Written {
        let number = self.random.next();
        let gap = self.random.up_to(2 * MINUTE);
        self.at(at + gap, Event::Stranger);
        let path = HOLES[self.random.below(HOLES.len())];
        let fields = format!(
            ",\"host\":\"{}.gw.sakura-kai.example\",\"method\":\"GET\",\"path\":\"{path}\",\"action\":\"view\",\"guessed\":true,\"decision\":\"deny\",\"reason\":\"unknown-network\",\"source\":\"100.{}.{}.{}\",\"inside\":false,\"tls\":\"1.3\",\"http\":\"1.1\",\"user_agent\":\"zgrab/0.x\"",
            APPS[self.random.below(APPS.len())],
            64 + (number & 63),
            number >> 8 & 0xff,
            number >> 16 & 0xff,
        );
        let written = self.written(at, "request", None, fields);
        let end = ",\"end\":\"ok\",\"status\":403,\"bytes_in\":0,\"bytes_out\":1874,\"total_us\":412".to_owned();
        self.at(at + 412, Event::Outcome(written.seq, end));
        written
    }
}

impl Iterator for Records {
    type Item = Written;

    fn next(&mut self) -> Option<Written> {
        loop {
            let Reverse((at, _, event)) = self.events.pop()?;
            match event {
                Event::Begin(who) => return Some(self.begin(at, who)),
                Event::Page(who, until) => self.page(at, who, until),
                Event::Fetch(who, fetch) => return Some(self.fetch(at, who, &fetch)),
                Event::Stranger => return Some(self.stranger(at)),
                Event::Login(who, place) => return Some(self.login(at, who, place)),
                Event::LoginEnd(who, place) => {
                    if let Some(end) = self.login_end(at, who, place) {
                        return Some(end);
                    }
                }
                Event::Outcome(of, fields) => return Some(self.written(at, "outcome", Some(of), fields)),
            }
        }
    }
}

/// The leaves that records become, without end; newline included.
#[derive(Debug)]
pub struct Leaves {
    records: Records,
    /// In order; requests wait up to ten seconds for their outcomes.
    waiting: VecDeque<(Written, Option<Written>)>,
    /// Numbers of those that wait without one.
    open: HashMap<u64, ()>,
}

impl Leaves {
    pub fn new(seed: u64) -> Self {
        Self { records: Records::new(seed), waiting: VecDeque::new(), open: HashMap::new() }
    }

    fn is_ready(&self, now: i64) -> bool {
        self.waiting.front().is_some_and(|(first, outcome)| {
            outcome.is_some() || first.kind != "request" || now - first.at >= 10 * SECOND
        })
    }
}

impl Iterator for Leaves {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut now = self.waiting.back().map_or(0, |(last, _)| last.at);
        while !self.is_ready(now) {
            let written = self.records.next()?;
            now = written.at;
            match written.of {
                Some(of) if self.open.remove(&of).is_some() => {
                    let place = self.waiting.partition_point(|(waiting, _)| waiting.seq < of);
                    self.waiting[place].1 = Some(written);
                }
                _ => {
                    if written.kind == "request" {
                        self.open.insert(written.seq, ());
                    }
                    self.waiting.push_back((written, None));
                }
            }
        }
        let (first, outcome) = self.waiting.pop_front()?;
        self.open.remove(&first.seq);
        Some(first.leaf(outcome.as_ref()))
    }
}

/// SplitMix64 (Steele, Lea, Flood, 2014).
#[derive(Clone, Copy, Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn up_to(&mut self, end: i64) -> i64 {
        (self.next() % end.unsigned_abs()).cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_records_and_every_number_occurs_once() {
        assert!(Leaves::new(7).take(2_000).eq(Leaves::new(7).take(2_000)));
        assert!(Leaves::new(7).take(2_000).ne(Leaves::new(8).take(2_000)));
        assert!(Records::new(7).take(2_000).zip(1..).all(|(written, n)| written.seq == n));

        let mut seen = std::collections::BTreeSet::new();
        let mut last = 0;
        for leaf in Leaves::new(7).take(20_000) {
            let leaf: serde_json::Value = serde_json::from_str(&leaf).unwrap();
            let seq = leaf["seq"].as_u64().unwrap();
            assert!(seq > last && seen.insert(seq));
            last = seq;
            seen.extend(leaf["outcome_seq"].as_u64());
        }
        let missing = (1..last).filter(|n| !seen.contains(n)).count();
        assert_eq!(missing, 0);
    }
}
