//! A witness, written from C2SP tlog-witness and tlog-cosignature and RFC 9162 (2.1.4.2), with nothing of ours.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{StatusCode, header};
use ring::digest::{SHA256, digest};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use vocabulary::{Clock as _, SystemClock};

type Hash = [u8; 32];

/// What it does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mischief {
    None,
    /// It signs with another key under its name.
    OtherKey,
    /// It signs another tree head.
    OtherText,
}

#[derive(Clone)]
pub(super) struct Witness(Arc<Mutex<Inner>>);

struct Inner {
    name: &'static str,
    key: Ed25519KeyPair,
    /// Origin and key (`0x01 ‖ …`) of the log that it knows.
    log: Option<(String, Vec<u8>)>,
    held: Option<(u64, Hash)>,
    mischief: Mischief,
    /// Old size, new size and status of each request.
    asked: Vec<(u64, u64, u16)>,
}

impl Witness {
    pub(super) fn new(name: &'static str) -> Self {
        let key = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
        let inner = Inner { name, key, log: None, held: None, mischief: Mischief::None, asked: Vec::new() };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// Its verifier key, as its operator would publish it.
    pub(super) fn key(&self) -> String {
        let own = self.0.lock().unwrap();
        let public = [&[4], own.key.public_key().as_ref()].concat();
        format!("{}+{}+{}", own.name, hex(&own.id(&own.key)), STANDARD.encode(public))
    }

    /// Learns the log's key, as `log.vkey` has it.
    pub(super) fn knows(&self, vkey: &str) {
        let mut parts = vkey.trim().splitn(3, '+');
        let (origin, key) = (parts.next().unwrap(), parts.nth(1).unwrap());
        self.0.lock().unwrap().log = Some((origin.to_owned(), STANDARD.decode(key).unwrap()));
    }

    pub(super) fn misbehave(&self, mischief: Mischief) {
        self.0.lock().unwrap().mischief = mischief;
    }

    /// From now on it holds this; `None`: it knows of nothing.
    pub(super) fn hold(&self, held: Option<(u64, Hash)>) {
        self.0.lock().unwrap().held = held;
    }

    pub(super) fn asked(&self) -> Vec<(u64, u64, u16)> {
        self.0.lock().unwrap().asked.clone()
    }

    pub(super) fn app(&self) -> Router {
        let post = async |State(own): State<Self>, body: String| own.0.lock().unwrap().add_checkpoint(&body);
        Router::new().route("/add-checkpoint", axum::routing::post(post)).with_state(self.clone())
    }

    /// Whether the key of the log that it knows signed a note.
    pub(super) fn vouches_for_log(&self, note: &str) -> bool {
        let own = self.0.lock().unwrap();
        let (origin, key) = own.log.as_ref().unwrap();
        is_signed(note, origin, key)
    }

    /// Whether a note holds a cosignature of this witness that holds.
    pub(super) fn cosigned(&self, note: &str) -> bool {
        let own = self.0.lock().unwrap();
        let at = note.rfind("\n\n").unwrap();
        let (text, signatures) = (&note[..=at], &note[at + 2..]);
        let prefix = format!("\u{2014} {} ", own.name);
        signatures.lines().filter_map(|line| line.strip_prefix(&prefix)).any(|signature| {
            let bytes = STANDARD.decode(signature).unwrap();
            let time = u64::from_be_bytes(bytes[4..12].try_into().unwrap());
            let message = format!("cosignature/v1\ntime {time}\n{text}");
            let key = UnparsedPublicKey::new(&ED25519, own.key.public_key().as_ref().to_vec());
            bytes[..4] == own.id(&own.key) && key.verify(message.as_bytes(), &bytes[12..]).is_ok()
        })
    }
}

impl Inner {
    fn id(&self, key: &Ed25519KeyPair) -> [u8; 4] {
        let named = [self.name.as_bytes(), &[b'\n', 4], key.public_key().as_ref()].concat();
        digest(&SHA256, &named).as_ref()[..4].try_into().unwrap()
    }

    fn add_checkpoint(&mut self, body: &str) -> Response {
        let (head, checkpoint) = body.split_once("\n\n").unwrap();
        let mut lines = head.lines();
        let old: u64 = lines.next().unwrap().strip_prefix("old ").unwrap().parse().unwrap();
        let proof: Vec<Hash> = lines.map(|line| STANDARD.decode(line).unwrap().try_into().unwrap()).collect();
        assert!(proof.len() <= 63);
        let mut fields = checkpoint.lines();
        let (origin, size) = (fields.next().unwrap(), fields.next().unwrap().parse().unwrap());
        let root: Hash = STANDARD.decode(fields.next().unwrap()).unwrap().try_into().unwrap();
        let response = self.judge(old, &proof, checkpoint, origin, size, root);
        self.asked.push((old, size, response.status().as_u16()));
        response
    }

    fn judge(&mut self, old: u64, proof: &[Hash], checkpoint: &str, origin: &str, size: u64, root: Hash) -> Response {
        let known = self.log.as_ref().filter(|(known, _)| known == origin);
        let Some((_, key)) = known else { return StatusCode::NOT_FOUND.into_response() };
        let at = checkpoint.rfind("\n\n").unwrap();
        let text = &checkpoint[..=at];
        if !is_signed(checkpoint, origin, key) {
            return StatusCode::FORBIDDEN.into_response();
        }
        if old > size {
            return StatusCode::BAD_REQUEST.into_response();
        }
        let held = self.held.map_or(0, |(size, _)| size);
        if old != held {
            let kind = [(header::CONTENT_TYPE, "text/x.tlog.size")];
            return (StatusCode::CONFLICT, kind, format!("{held}\n")).into_response();
        }
        let goes_on = match self.held {
            None | Some((0, _)) => proof.is_empty(),
            Some((held, before)) => is_consistent(held, before, size, root, proof),
        };
        if !goes_on {
            return StatusCode::UNPROCESSABLE_ENTITY.into_response();
        }
        self.held = Some((size, root));
        let other = Ed25519KeyPair::from_seed_unchecked(&[10; 32]).unwrap();
        let key = if self.mischief == Mischief::OtherKey { &other } else { &self.key };
        let time = u64::try_from(SystemClock.now().secs()).unwrap();
        let text = match self.mischief {
            Mischief::OtherText => text.replacen(&format!("\n{size}\n"), &format!("\n{}\n", size + 1), 1),
            _ => text.to_owned(),
        };
        let signature = key.sign(format!("cosignature/v1\ntime {time}\n{text}").as_bytes());
        // Under its own name and ID, whatever it signed with.
        let bytes = [&self.id(&self.key)[..], &time.to_be_bytes(), signature.as_ref()].concat();
        let stranger = format!("\u{2014} somebody.example/else {}\n", STANDARD.encode([0; 76]));
        format!("{stranger}\u{2014} {} {}\n", self.name, STANDARD.encode(bytes)).into_response()
    }
}

/// C2SP signed-note: by this key (`0x01 ‖ …`) under this name.
fn is_signed(note: &str, name: &str, key: &[u8]) -> bool {
    let at = note.rfind("\n\n").unwrap();
    let (text, signatures) = (&note[..=at], &note[at + 2..]);
    let prefix = format!("\u{2014} {name} ");
    let id = digest(&SHA256, &[name.as_bytes(), b"\n", key].concat());
    signatures.lines().filter_map(|line| line.strip_prefix(&prefix)).any(|signature| {
        let bytes = STANDARD.decode(signature).unwrap();
        let key = UnparsedPublicKey::new(&ED25519, &key[1..]);
        bytes[..4] == id.as_ref()[..4] && key.verify(text.as_bytes(), &bytes[4..]).is_ok()
    })
}

/// RFC 9162, 2.1.4.2.
fn is_consistent(first: u64, first_hash: Hash, second: u64, second_hash: Hash, proof: &[Hash]) -> bool {
    if first == second {
        return proof.is_empty() && first_hash == second_hash;
    }
    let mut path = proof.to_vec();
    if first.is_power_of_two() {
        path.insert(0, first_hash);
    }
    let Some((start, rest)) = path.split_first() else { return false };
    let (mut f, mut s) = (first - 1, second - 1);
    while f & 1 == 1 {
        (f, s) = (f >> 1, s >> 1);
    }
    let (mut fr, mut sr) = (*start, *start);
    for c in rest {
        if s == 0 {
            return false;
        }
        if f & 1 == 1 || f == s {
            (fr, sr) = (node(*c, fr), node(*c, sr));
            while f & 1 == 0 && f != 0 {
                (f, s) = (f >> 1, s >> 1);
            }
        } else {
            sr = node(sr, *c);
        }
        (f, s) = (f >> 1, s >> 1);
    }
    s == 0 && fr == first_hash && sr == second_hash
}

fn node(left: Hash, right: Hash) -> Hash {
    digest(&SHA256, &[&[1], &left[..], &right].concat()).as_ref().try_into().unwrap()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
