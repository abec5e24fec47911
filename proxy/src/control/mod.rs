//! Changes to a gate's state: the commands, carrying them out, and the socket over which they reach a running
//! gate. Each is recorded, durably, before it takes effect.

mod client;
mod command;
mod devices;
mod execute;
mod factors;
mod links;
mod roster;
mod roster_file;
mod scim;
mod server;

pub(crate) use client::{ClientError, ask};
pub(crate) use command::{Actor, Command, Import, NewDevice, NewInvitation, NewPerson, NewScimToken, Reply};
pub(crate) use execute::{Refused, change, execute, reading, record_ends, record_when_possible, sign_out};
pub(crate) use server::{AsyncCommand, listen, serve};

/// Bytes as JSON carries them here: base64 (RFC 4648, 4).
pub(crate) fn json_from_bytes(bytes: &[u8]) -> serde_json::Value {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes).into()
}

pub(crate) fn bytes_from_json(value: &serde_json::Value) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(value.as_str()?).ok()
}
