//! A mail to people, over SMTP.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use apps::words::{checkpoint_mail, checkpoint_subject};
use audit::Checkpoint;
use audit::kept::{Mail, MailSecurity, Secret, SecretSource};
use lettre::Message;
use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Attachment, Body, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, AsyncTokioStream, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::extension::ClientId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::place::{Brought, Failure};
use super::webhook::hex;
use crate::forward::{Outbound, Resolver, RootsError, roots};

/// Sends mail.
#[derive(Debug)]
pub(super) struct Mailer {
    mail: Mail,
    outbound: Outbound,
}

impl Mailer {
    pub(super) fn new(mail: Mail, resolver: &Resolver) -> Result<Self, RootsError> {
        let outbound = Outbound::new(resolver.clone(), &mail.server.roots, &[])?;
        Ok(Self { mail, outbound })
    }

    pub(super) async fn bring(&self, checkpoint: &Checkpoint) -> Result<Brought, Failure> {
        let message = self.message(checkpoint)?;
        let credentials = match &self.mail.account {
            Some((user, source)) => {
                Some(Credentials::new(user.clone(), secret(source).await?.danger_expose().to_owned()))
            }
            None => None,
        };
        let mut connection = self.connect().await?;
        if let Some(credentials) = credentials {
            let ways = [Mechanism::Plain, Mechanism::Login];
            connection.auth(&ways, &credentials).await.map_err(Failure::no)?;
        }
        let answer = connection.send(message.envelope(), &message.formatted()).await.map_err(Failure::no)?;
        // It has the mail; how the conversation ends changes nothing.
        let _ = connection.quit().await;
        let said = answer.message().collect::<Vec<_>>().join(" ");
        Ok(Brought { receipt: None, word: super::one_line(&format!("{} {said}", answer.code())) })
    }

    /// A connection over which a mail may be sent: with TLS, unless it is to this machine.
    async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let Mail { host, port, security, .. } = &self.mail;
        let hello = ClientId::Domain(self.domain().to_owned());
        let stream = self.outbound.reach(host, *port, *security == MailSecurity::None).await.map_err(Failure::no)?;
        if *security == MailSecurity::Tls {
            let secured = Secured(self.outbound.secure(host, stream).await.map_err(Failure::no)?);
            return AsyncSmtpConnection::connect_with_transport(Box::new(secured), &hello).await.map_err(Failure::no);
        }
        let connected = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello).await;
        let mut connection = connected.map_err(Failure::no)?;
        if *security == MailSecurity::Starttls {
            let parameters = self.parameters()?;
            // A server that does not offer it gets nothing.
            connection.starttls(parameters, &hello).await.map_err(Failure::no)?;
        }
        Ok(connection)
    }

    fn parameters(&self) -> Result<TlsParameters, Failure> {
        let mut builder = TlsParameters::builder(self.mail.host.trim_matches(['[', ']']).to_owned())
            .certificate_store(CertificateStore::None);
        for root in roots(&self.mail.server.roots).map_err(Failure::no)? {
            builder = builder.add_root_certificate(Certificate::from_der(root.to_vec()).map_err(Failure::no)?);
        }
        builder.build_rustls().map_err(Failure::no)
    }

    /// The checkpoint in the text and attached. Sent again it has the same ID, by which mail systems know it.
    fn message(&self, checkpoint: &Checkpoint) -> Result<Message, Failure> {
        let (origin, size, note) = (checkpoint.origin.as_str(), checkpoint.size, checkpoint.as_str());
        let digest = ring::digest::digest(&ring::digest::SHA256, note.as_bytes());
        let mut builder = Message::builder()
            .message_id(Some(format!("<checkpoint-{}@{}>", hex(&digest.as_ref()[..16]), self.domain())))
            .from(self.mail.from.parse().map_err(Failure::no)?)
            .subject(checkpoint_subject(origin, size));
        for to in &self.mail.to {
            builder = builder.to(to.parse().map_err(Failure::no)?);
        }
        // Byte for byte: as text its line ends would be the mail's.
        let body = Body::new_with_encoding(note.as_bytes().to_vec(), ContentTransferEncoding::Base64);
        let body = body.map_err(|_| Failure::no("the checkpoint could not be attached"))?;
        let kind = ContentType::parse("application/octet-stream").map_err(Failure::no)?;
        let attachment = Attachment::new(format!("{size}.checkpoint")).body(body, kind);
        let text = SinglePart::plain(checkpoint_mail(origin, size, note));
        builder.multipart(MultiPart::mixed().singlepart(text).singlepart(attachment)).map_err(Failure::no)
    }

    fn domain(&self) -> &str {
        self.mail.from.rsplit_once('@').map_or("localhost", |(_, domain)| domain)
    }
}

/// Read anew each time, so that a changed one needs no restart.
pub(super) async fn secret(source: &SecretSource) -> Result<Secret, Failure> {
    let source = source.clone();
    let read = tokio::task::spawn_blocking(move || {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(std::path::PathBuf::from);
        source.read(credentials.as_deref())
    });
    read.await.map_err(Failure::no)?.map_err(Failure::no)
}

/// TLS from the first byte on, as lettre takes a connection.
struct Secured(TlsStream<TcpStream>);

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secured")
    }
}

impl AsyncTokioStream for Secured {
    fn peer_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.get_ref().0.peer_addr()
    }
}

impl AsyncRead for Secured {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
