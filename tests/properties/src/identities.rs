use std::net::{IpAddr, Ipv4Addr};

use cert_authority::{DeviceKey, Fingerprint, parse_client_certificate};
use identity::{Begin, Bind, Redeem, SignIns};
use vocabulary::{SessionId, Timestamp};

use crate::source::Source;

/// Steps of several browsers on several hosts, and a second book of what each ticket is good for.
pub fn tickets(data: &[u8]) {
    #[derive(Clone)]
    struct Handle {
        text: String,
        host: &'static str,
        binder: Option<String>,
        certificate: Option<[u8; 32]>,
        made: i64,
        ticket: Option<(String, i64, SessionId)>,
        remaining: Vec<&'static str>,
    }
    const HOSTS: [&str; 3] = ["a.gw.example", "b.gw.example", "b.a.gw.example"];
    let sign_ins = SignIns::new().unwrap();
    let mut source = Source::new(data);
    let mut now = 1_000;
    let mut handles: Vec<Handle> = Vec::new();
    let mut binders: Vec<String> = vec![String::new(), "x.y".to_owned()];
    let mut spent: Vec<String> = vec!["A".repeat(43), String::new()];
    let certificates = [None, Some([1; 32]), Some([2; 32])];
    while !source.is_empty() {
        let host = source.pick(&HOSTS);
        let certificate = source.pick(&certificates);
        let binder = source.pick(&binders);
        let bound_elsewhere = |binder: &str, host: &str| {
            // A binder is worth something on the host it was made for.
            binder.split_once('@').is_none_or(|(of, _)| of != host)
        };
        let bare = |binder: &str| binder.split_once('@').map_or(binder.to_owned(), |(_, value)| value.to_owned());
        let at = Timestamp::from_secs(now);
        match source.below(5) {
            0 => {
                let remaining: Vec<&'static str> = if source.chance(80) { vec!["b.a.gw.example"] } else { Vec::new() };
                let shown = bare(&binder);
                let started = sign_ins
                    .begin(Begin {
                        host,
                        target: "/x",
                        certificate,
                        remaining_hosts: remaining.iter().map(|host| (*host).to_owned()).collect(),
                        binder: Some(&shown),
                        within: None,
                        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
                        now: at,
                    })
                    .unwrap();
                if bound_elsewhere(&binder, host) {
                    assert_ne!(started.binder_cookie, shown, "a binder of another host was taken");
                } else {
                    assert_eq!(started.binder_cookie, shown, "a browser lost its binder");
                }
                binders.push(format!("{host}@{}", started.binder_cookie));
                handles.push(Handle {
                    text: started.handle.as_str().to_owned(),
                    host,
                    binder: Some(started.binder_cookie),
                    certificate,
                    made: now,
                    ticket: None,
                    remaining,
                });
            }
            1 => {
                let Some(index) = handles.len().checked_sub(1).map(|last| source.below(last + 1)) else { continue };
                let session = SessionId::new(format!("s-{now}-{index}")).unwrap();
                let handle = &mut handles[index];
                let minted = sign_ins.mint_ticket(&handle.text, &session, at);
                let may = now < handle.made + 600 && handle.binder.is_some();
                assert_eq!(minted.is_ok(), may, "minted");
                if let Ok(ticket) = minted
                    && let Some((earlier, ..)) = handle.ticket.replace((ticket.as_str().to_owned(), now, session))
                {
                    spent.push(earlier);
                }
            }
            2 | 3 => {
                let live: Vec<usize> = (0..handles.len()).filter(|at| handles[*at].ticket.is_some()).collect();
                let choice = source.below(live.len() + spent.len());
                let (owner, ticket) = match live.get(choice) {
                    Some(index) => (Some(*index), handles[*index].ticket.clone().unwrap().0),
                    None => (None, spent[choice - live.len()].clone()),
                };
                // Mostly with what fits, so that something is redeemed at all.
                let fits = source.chance(160);
                let (host, certificate, shown) = match owner.filter(|_| fits).map(|index| &handles[index]) {
                    Some(handle) => (handle.host, handle.certificate, handle.binder.clone().unwrap_or_default()),
                    None => (host, certificate, bare(&binder)),
                };
                let redeemed =
                    sign_ins.redeem(Redeem { ticket: &ticket, host, certificate, binder: Some(&shown), now: at });
                let good = owner.is_some_and(|index| {
                    let handle = &handles[index];
                    let (_, minted, _) = handle.ticket.clone().unwrap();
                    now < minted + 30
                        && now < handle.made + 600
                        && handle.host == host
                        && handle.certificate == certificate
                        && handle.binder.as_deref() == Some(&shown)
                });
                assert_eq!(redeemed.is_ok(), good, "redeemed");
                let Some(index) = owner else { continue };
                spent.push(ticket);
                let (_, _, session) = handles[index].ticket.take().unwrap();
                if let Ok(redeemed) = redeemed {
                    assert_eq!(redeemed.session, session, "somebody else's session");
                    let done = handles.swap_remove(index);
                    assert_eq!(redeemed.next.is_some(), !done.remaining.is_empty());
                    if let (Some(next), Some((host, rest))) = (redeemed.next, done.remaining.split_first()) {
                        handles.push(Handle {
                            text: next.as_str().to_owned(),
                            host,
                            binder: None,
                            certificate: None,
                            made: now,
                            ticket: None,
                            remaining: rest.to_vec(),
                        });
                    }
                }
            }
            _ => {
                now += i64::from(source.byte()) / 4;
                let Some(index) = handles.len().checked_sub(1).map(|last| source.below(last + 1)) else { continue };
                let handle = &mut handles[index];
                let shown = bare(&binder);
                let bound = sign_ins.bind(Bind {
                    handle: &handle.text,
                    host,
                    certificate,
                    binder: Some(&shown),
                    now: Timestamp::from_secs(now),
                });
                let may = now < handle.made + 600 && handle.host == host && handle.binder.is_none();
                assert_eq!(bound.is_ok(), may, "bound");
                if let Ok(bound) = bound {
                    binders.push(format!("{host}@{}", bound.binder_cookie));
                    handle.binder = Some(bound.binder_cookie);
                    handle.certificate = certificate;
                }
            }
        }
        // Small enough to be picked by one byte.
        binders.truncate(40);
        spent.truncate(60);
        if handles.len() > 60 {
            return;
        }
    }
}

pub fn certificate(data: &[u8]) {
    let Ok(read) = parse_client_certificate(data) else { return };
    assert!(data.len() <= 16 << 10);
    assert!(read.name.chars().count() <= 64 && !read.name.chars().any(char::is_control), "{:?}", read.name);
    // Certificate, TBSCertificate, [0] version, serialNumber; signature, issuer, validity.
    let walk = || -> Option<(Vec<u8>, Vec<u8>, Vec<u8>)> {
        let (tag, certificate, rest) = element(data)?;
        assert!(tag == 0x30 && rest.is_empty(), "something stands behind the certificate");
        let (_, tbs, _) = element(certificate)?;
        let (tag, first, mut rest) = element(tbs)?;
        let mut serial = first;
        // The parser takes a primitive tag for it too; the handshake, which comes first, does not.
        if tag == 0xa0 || tag == 0x80 {
            (_, serial, rest) = element(rest)?;
        }
        let (_, _, rest) = element(rest)?;
        let (_, _, rest) = element(rest)?;
        let (_, validity, _) = element(rest)?;
        let (_, from, rest) = element(validity)?;
        let (_, until, _) = element(rest)?;
        Some((serial.to_vec(), from.to_vec(), until.to_vec()))
    };
    let (serial, from, until) = walk().expect("what was read has no such structure");
    let digits: Vec<u8> = serial.iter().copied().skip_while(|b| *b == 0).collect();
    let read_digits: Vec<u8> = read.serial.to_bytes().iter().copied().skip_while(|b| *b == 0).collect();
    assert_eq!(read_digits, digits);
    assert!(!digits.is_empty(), "no number");
    for (at, text) in [(read.not_before, from), (read.not_after, until)] {
        let text = String::from_utf8(text).expect("a time that is no text");
        // UTCTime has two digits of the year, GeneralizedTime four.
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        let year = at.secs().div_euclid(31_556_952) + 1970;
        let said: i64 = if digits.len() < 14 { digits[..2].parse().unwrap() } else { digits[2..4].parse().unwrap() };
        assert!(
            (year - said).rem_euclid(100) <= 1 || (year - said).rem_euclid(100) == 99,
            "{text} is read as the year {year}"
        );
    }
}

/// A request of a stranger for a certificate: the key that is certified is the one in it, and whoever sent it has it.
pub fn signing_request(data: &[u8]) {
    let Ok(key) = DeviceKey::from_csr(data) else { return };
    assert!(data.len() <= 16 << 10);
    // In PEM and in base64 it is read as well; here it is the bytes that are walked.
    if data.first() != Some(&0x30) {
        return;
    }
    // CertificationRequest, CertificationRequestInfo; version, subject, subjectPKInfo (RFC 2986 §4).
    let walk = || -> Option<(&[u8], &[u8])> {
        let (_, request, rest) = element(data)?;
        assert!(rest.is_empty(), "something stands behind the request");
        let (_, info, _) = element(request)?;
        let (_, _, rest) = element(info)?;
        let (_, _, after_subject) = element(rest)?;
        let (_, _, rest) = element(after_subject)?;
        Some((info, &after_subject[..after_subject.len() - rest.len()]))
    };
    let (info, spki) = walk().expect("what was read has no such structure");
    assert_eq!(key.fingerprint(), Fingerprint::of(spki), "another key than the one asked for");
    // The signature is over all of it: nobody can change a request on its way, least of all its key.
    let start = info.as_ptr() as usize - data.as_ptr() as usize;
    for step in 0..8 {
        let mut changed = data.to_vec();
        changed[start + (info.len() - 1) * step / 7] ^= 1 << step;
        assert!(DeviceKey::from_csr(&changed).is_err(), "a changed request was taken");
    }
}

/// Tag, content and what follows of one DER element.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        short @ ..0x80 => (usize::from(*short), rest),
        long => {
            let count = usize::from(long & 0x7f);
            let (bytes, rest) = rest.split_at_checked(count)?;
            (bytes.iter().try_fold(0usize, |sum, b| sum.checked_mul(256)?.checked_add(usize::from(*b)))?, rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}
