//! What a peer sends on HTTP/2, counted by frames (RFC 9113, 4.1 and 6). The protocol is spoken by h2; what it refuses
//! by itself, and what costs work without being a request, no hook of pingora's would tell.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The client's connection preface (RFC 9113, 3.4).
const PREFACE: u32 = 24;
const HEADER: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;

/// Frames that came, by what they are for.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Requests: streams that the peer opened.
    pub(super) opened: AtomicU64,
    /// Streams that the peer gave up.
    pub(super) resets: AtomicU64,
    /// Everything that is neither a request nor a part of a body: settings, pings, window updates, priorities, empty
    /// data, continuations, trailers, resets, unknown frames.
    pub(super) control: AtomicU64,
}

/// Follows frame boundaries in what is read.
#[derive(Debug)]
pub(super) struct Frames {
    /// Bytes of the preface or of a payload that are yet to come.
    skip: u32,
    header: [u8; HEADER],
    have: usize,
    newest: u32,
}

impl Frames {
    pub(super) const fn new() -> Self {
        Self { skip: PREFACE, header: [0; HEADER], have: 0, newest: 0 }
    }

    pub(super) fn read(&mut self, mut bytes: &[u8], counts: &Counts) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = bytes.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
                bytes = &bytes[skipped..];
                // `skipped` is at most `skip`.
                self.skip -= u32::try_from(skipped).unwrap_or(self.skip);
                continue;
            }
            let taken = bytes.len().min(HEADER - self.have);
            self.header[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.have == HEADER {
                self.have = 0;
                self.frame(counts);
            }
        }
    }

    fn frame(&mut self, counts: &Counts) {
        let [l0, l1, l2, kind, _flags, s0, s1, s2, s3] = self.header;
        let length = u32::from_be_bytes([0, l0, l1, l2]);
        let stream = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
        self.skip = length;
        match kind {
            DATA if length > 0 => {}
            HEADERS if stream > self.newest => {
                self.newest = stream;
                counts.opened.fetch_add(1, Relaxed);
            }
            _ => {
                counts.control.fetch_add(1, Relaxed);
                if kind == RST_STREAM {
                    counts.resets.fetch_add(1, Relaxed);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, stream: u32, payload: usize) -> Vec<u8> {
        let mut bytes = u32::try_from(payload).unwrap().to_be_bytes()[1..].to_vec();
        bytes.extend([kind, 0]);
        bytes.extend(stream.to_be_bytes());
        bytes.resize(HEADER + payload, 0xff);
        bytes
    }

    proptest! {
        #[test]
        fn frames_are_counted_however_they_are_cut_up(
            sent in prop::collection::vec((0u8..12, 0u32..9, 0usize..40), 0..40),
            cuts in prop::collection::vec(1usize..30, 1..20),
        ) {
            let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
            let (mut opened, mut resets, mut control, mut newest) = (0, 0, 0, 0);
            for (kind, stream, payload) in sent {
                bytes.extend(frame(kind, stream, payload));
                match (kind, payload) {
                    (HEADERS, _) if stream > newest => { newest = stream; opened += 1; }
                    (DATA, 1..) => {}
                    (RST_STREAM, _) => { resets += 1; control += 1; }
                    _ => control += 1,
                }
            }
            let (mut frames, counts) = (Frames::new(), Counts::default());
            let mut rest = &bytes[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                frames.read(now, &counts);
                rest = later;
            }
            prop_assert_eq!(
                (counts.opened.into_inner(), counts.resets.into_inner(), counts.control.into_inner()),
                (opened, resets, control)
            );
        }
    }
}
