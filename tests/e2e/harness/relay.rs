//! The way to the SaaS, which can break.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Open,
    /// Who connects is hung up on, and who was connected too.
    Down,
    /// A kilobyte every 20 ms.
    Slow,
    /// Nothing arrives any more.
    Silent,
}

pub(crate) struct Relay {
    pub(crate) port: u16,
    way: Arc<watch::Sender<Way>>,
}

impl Relay {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let way = Arc::new(watch::Sender::new(Way::Open));
        let shared = way.clone();
        tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                let mut way = shared.subscribe();
                if *way.borrow() == Way::Down {
                    continue;
                }
                tokio::spawn(async move {
                    let Ok(to) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                    let ((mut from_read, mut from_write), (mut to_read, mut to_write)) =
                        (from.into_split(), to.into_split());
                    let (there, back) = (way.clone(), way.clone());
                    tokio::select! {
                        () = pass(&mut from_read, &mut to_write, there) => {}
                        () = pass(&mut to_read, &mut from_write, back) => {}
                        _ = way.wait_for(|way| *way == Way::Down) => {}
                    }
                });
            }
        });
        Self { port: own, way }
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

async fn pass(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    mut way: watch::Receiver<Way>,
) {
    let mut buffer = vec![0; 16_384];
    loop {
        let most = if *way.borrow() == Way::Slow { 1_024 } else { buffer.len() };
        let Ok(read @ 1..) = from.read(&mut buffer[..most]).await else { return };
        if *way.borrow() == Way::Slow {
            // How slow it is is the point; nobody waits for it to be over.
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        if way.wait_for(|way| *way != Way::Silent).await.is_err() || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
