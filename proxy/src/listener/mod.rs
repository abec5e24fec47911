//! The first station: TCP, TLS and the life of a connection.
//!
//! Connections are accepted, limited and timed here; what they carry is read by pingora and judged request by
//! request in [`crate::line`]. Nothing here decides who may do what.

mod accept;
mod client_certificate;
mod connection;
mod frames;
mod places;
mod stream;
mod tls;
mod watchdog;

pub(crate) use accept::{Listening, bind, serve};
pub(crate) use client_certificate::Presented;
pub(crate) use connection::{Connection, Cut, Ended, Registry};
pub(crate) use places::Limits;
pub(crate) use tls::{Certificates, TlsError, TlsOptions, certified_key, server_config};
pub(crate) use watchdog::{Patience, watch};
