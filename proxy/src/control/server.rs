//! The control socket: below the data folder, for the gate's own user and root.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::{Actor, Command, Reply};

/// A command longer than this is none of ours; a file that follows it counts for itself.
const LONGEST: u64 = 64 * 1024;

/// Makes the socket. Call with the data folder's lock held: a socket that stands there is a dead gate's.
pub(crate) fn listen(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers commands until the task is dropped.
pub(crate) async fn serve<F>(listener: UnixListener, carry_out: Arc<F>)
where
    F: AsyncCommand,
{
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let carry_out = carry_out.clone();
                tokio::spawn(async move {
                    if let Err(error) = converse(stream, &*carry_out).await {
                        tracing::warn!(%error, "a control connection failed");
                    }
                });
            }
            Err(error) => {
                tracing::error!(%error, "the control socket can't accept");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

/// Whoever carries commands out.
#[async_trait::async_trait]
pub(crate) trait AsyncCommand: Send + Sync + 'static {
    async fn carry_out(&self, actor: Actor, command: Command) -> Reply;
}

async fn converse(stream: UnixStream, carry_out: &impl AsyncCommand) -> io::Result<()> {
    let peer = stream.peer_cred()?;
    let own = rustix::process::geteuid().as_raw();
    let (read, mut write) = stream.into_split();
    let reply = if peer.uid() == own || peer.uid() == 0 {
        let mut line = String::new();
        let mut read = BufReader::new(read);
        (&mut read).take(LONGEST).read_line(&mut line).await?;
        match serde_json::from_str::<Command>(&line) {
            Ok(mut command) => match attach(&mut read, &mut command).await? {
                true => carry_out.carry_out(Actor::over_socket(peer.uid()), command).await,
                false => Reply::Refused(format!("the file has more than {} MiB", identity::import::MAX_BYTES >> 20)),
            },
            Err(error) => Reply::Failed(format!("not a command of this version: {error}")),
        }
    } else {
        tracing::warn!(uid = peer.uid(), "a control connection of another user was refused");
        Reply::Refused("only the gate's own user and root may use the control socket".to_owned())
    };
    let mut answer = serde_json::to_vec(&reply).map_err(io::Error::other)?;
    answer.push(b'\n');
    write.write_all(&answer).await?;
    write.shutdown().await
}

/// Reads the file that follows a command, if one does; false: it is too long.
async fn attach(read: &mut (impl AsyncReadExt + Unpin), command: &mut Command) -> io::Result<bool> {
    let Some((size, file)) = command.expects() else { return Ok(true) };
    if size > identity::import::MAX_BYTES {
        return Ok(false);
    }
    file.resize(size, 0);
    read.read_exact(file).await?;
    Ok(true)
}
