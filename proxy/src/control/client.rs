//! Asking a running gate.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::{Command, Reply};

/// Longer than any command takes: a hundred thousand people imported, each with a record, on a slow disk.
const PATIENCE: Duration = Duration::from_secs(600);

#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("no gate is running")]
    NotRunning,
    #[error("the gate's control socket can't be used: {0}")]
    Socket(std::io::Error),
    #[error("the gate answered something else than expected: {0}")]
    Answer(serde_json::Error),
    #[error("the gate closed the connection without an answer; its log says why")]
    NoAnswer,
}

pub(crate) fn ask(socket: &Path, command: &Command) -> Result<Reply, ClientError> {
    let mut stream = UnixStream::connect(socket).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => ClientError::NotRunning,
        _ => ClientError::Socket(e),
    })?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(ClientError::Socket)?;
    let mut line = serde_json::to_vec(command).map_err(ClientError::Answer)?;
    line.push(b'\n');
    // Whoever refuses may close before all of it is sent; its answer says why.
    if let Err(error) = stream.write_all(&line).and_then(|()| stream.write_all(command.attachment()))
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        return Err(ClientError::Socket(error));
    }
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).map_err(ClientError::Socket)?;
    if answer.is_empty() {
        return Err(ClientError::NoAnswer);
    }
    serde_json::from_str(&answer).map_err(ClientError::Answer)
}
