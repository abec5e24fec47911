//! Descriptors: every connection takes one, and another while its request is at a SaaS. Who runs out of them can't open
//! the journal's next file either, so there must never be more connections than descriptors for them.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For the journal, the database, our own sockets, name lookups, and idle connections to SaaS.
const OWN: u64 = 1_024;

/// Takes as many descriptors as the process may have, and returns for how many connections they last.
pub(crate) fn connections(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    if limit.current.is_some_and(|current| current < most) {
        // Where it can't be raised, what is there is counted with.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
    let there = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let last = last_for(there);
    if last < wanted {
        tracing::warn!(
            descriptors = there,
            connections = last,
            wanted,
            "too few descriptors for `gateway.limits.max_connections`; raise the limit (LimitNOFILE, ulimit -Hn) to {}",
            OWN + 2 * u64::try_from(wanted).unwrap_or(u64::MAX / 4),
        );
    }
    last.min(wanted)
}

fn last_for(descriptors: u64) -> usize {
    let own = OWN.min(descriptors / 2);
    usize::try_from((descriptors - own) / 2).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_descriptor_for_each_connection_and_its_way_on() {
        assert_eq!(last_for(65_536), 32_256);
        assert_eq!(last_for(1_024), 256);
        assert_eq!(last_for(0), 1);
        for descriptors in [0, 1, 200, 1_024, 20_000, u64::MAX] {
            assert!((last_for(descriptors) as u64).saturating_mul(2) <= descriptors.max(2));
        }
    }
}
