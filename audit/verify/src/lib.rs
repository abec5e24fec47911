//! Verifies the log.
