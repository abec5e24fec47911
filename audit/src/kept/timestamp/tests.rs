use super::*;

#[test]
fn times_are_read_with_and_without_fractions() {
    let read = |text: &str| time(text.as_bytes()).map(|at| at.to_string());
    assert_eq!(read("20261101000512Z").as_deref(), Some("2026-11-01T00:05:12.000000Z"));
    assert_eq!(read("20261101000512.25Z").as_deref(), Some("2026-11-01T00:05:12.250000Z"));
    for wrong in ["20261101000512", "2026110100051Z", "20261301000512Z", "20261101000512.Z", "2026110100051xZ"] {
        assert_eq!(read(wrong), None, "{wrong}");
    }
}
