//! Mail to people, over SMTP: one message, one conversation with the configured server.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use audit::kept::{Mail, MailSecurity, Secret, SecretSource};
use lettre::Message;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, AsyncTokioStream, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::extension::ClientId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::forward::{Outbound, Resolver, RootsError, roots};

/// A mail was not taken.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct MailError(String);

impl MailError {
    fn new(why: impl fmt::Display) -> Self {
        Self(why.to_string())
    }
}

/// Brings mail to a server.
#[derive(Debug)]
pub(crate) struct Postman {
    mail: Mail,
    /// The setting that names the server.
    setting: String,
    outbound: Outbound,
}

impl Postman {
    /// `setting`: which one names the server, for messages.
    pub(crate) fn new(mail: Mail, setting: String, resolver: &Resolver) -> Result<Self, RootsError> {
        let outbound = Outbound::new(resolver.clone(), &mail.server.roots, &[])?;
        Ok(Self { mail, setting, outbound })
    }

    /// The receivers of the configuration.
    pub(crate) fn receivers(&self) -> &[String] {
        &self.mail.to
    }

    pub(crate) fn sender(&self) -> &str {
        &self.mail.from
    }

    /// What the server said when it took the message.
    pub(crate) async fn send(&self, message: &Message) -> Result<String, MailError> {
        let credentials = match &self.mail.account {
            Some((user, source)) => {
                Some(Credentials::new(user.clone(), secret(source).await?.danger_expose().to_owned()))
            }
            None => None,
        };
        let mut connection = self.connect().await?;
        if let Some(credentials) = credentials {
            let ways = [Mechanism::Plain, Mechanism::Login];
            connection.auth(&ways, &credentials).await.map_err(MailError::new)?;
        }
        let answer = connection.send(message.envelope(), &message.formatted()).await.map_err(MailError::new)?;
        // It has the mail; how the conversation ends changes nothing.
        let _ = connection.quit().await;
        let said = answer.message().collect::<Vec<_>>().join(" ");
        Ok(format!("{} {said}", answer.code()))
    }

    /// A connection over which a mail may be sent: with TLS, unless it is to this machine.
    async fn connect(&self) -> Result<AsyncSmtpConnection, MailError> {
        let Mail { host, port, security, .. } = &self.mail;
        let hello = ClientId::Domain(self.domain().to_owned());
        let stream = self.outbound.reach(host, *port, *security == MailSecurity::None).await;
        let stream = stream.map_err(|error| MailError(format!("{host}:{port} (`{}`): {error}", self.setting)))?;
        if *security == MailSecurity::Tls {
            let secured = Secured(self.outbound.secure(host, stream).await.map_err(MailError::new)?);
            let connected = AsyncSmtpConnection::connect_with_transport(Box::new(secured), &hello).await;
            return connected.map_err(MailError::new);
        }
        let connected = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello).await;
        let mut connection = connected.map_err(MailError::new)?;
        if *security == MailSecurity::Starttls {
            let parameters = self.parameters()?;
            // A server that does not offer it gets nothing.
            connection.starttls(parameters, &hello).await.map_err(MailError::new)?;
        }
        Ok(connection)
    }

    fn parameters(&self) -> Result<TlsParameters, MailError> {
        let mut builder = TlsParameters::builder(self.mail.host.trim_matches(['[', ']']).to_owned())
            .certificate_store(CertificateStore::None);
        for root in roots(&self.mail.server.roots).map_err(MailError::new)? {
            builder = builder.add_root_certificate(Certificate::from_der(root.to_vec()).map_err(MailError::new)?);
        }
        builder.build_rustls().map_err(MailError::new)
    }

    /// Of the sender's address.
    pub(crate) fn domain(&self) -> &str {
        self.mail.from.rsplit_once('@').map_or("localhost", |(_, domain)| domain)
    }
}

/// Read anew each time, so that a changed one needs no restart.
pub(crate) async fn secret(source: &SecretSource) -> Result<Secret, MailError> {
    let source = source.clone();
    let read = tokio::task::spawn_blocking(move || {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(std::path::PathBuf::from);
        source.read(credentials.as_deref())
    });
    read.await.map_err(MailError::new)?.map_err(MailError::new)
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
