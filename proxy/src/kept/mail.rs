//! A mail to people, who file it.

use apps::words::{checkpoint_mail, checkpoint_subject};
use audit::Checkpoint;
use audit::kept::Mail;
use lettre::Message;
use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Attachment, Body, MultiPart, SinglePart};

use super::place::{Brought, Failure};
use super::webhook::hex;
use crate::forward::{Resolver, RootsError};
use crate::mail::Postman;

/// Sends mail.
#[derive(Debug)]
pub(super) struct Mailer {
    postman: Postman,
}

impl Mailer {
    pub(super) fn new(id: &str, mail: Mail, resolver: &Resolver) -> Result<Self, RootsError> {
        let setting = format!("audit.checkpoints.kept[{id}].server");
        Ok(Self { postman: Postman::new(mail, setting, resolver)? })
    }

    pub(super) async fn bring(&self, checkpoint: &Checkpoint) -> Result<Brought, Failure> {
        let word = self.postman.send(&self.message(checkpoint)?).await.map_err(Failure::no)?;
        Ok(Brought { receipt: None, word: super::one_line(&word) })
    }

    /// The checkpoint in the text and attached. Sent again it has the same ID, by which mail systems know it.
    fn message(&self, checkpoint: &Checkpoint) -> Result<Message, Failure> {
        let (origin, size, note) = (checkpoint.origin.as_str(), checkpoint.size, checkpoint.as_str());
        let digest = ring::digest::digest(&ring::digest::SHA256, note.as_bytes());
        let mut builder = Message::builder()
            .message_id(Some(format!("<checkpoint-{}@{}>", hex(&digest.as_ref()[..16]), self.postman.domain())))
            .from(self.postman.sender().parse().map_err(Failure::no)?)
            .subject(checkpoint_subject(origin, size));
        for to in self.postman.receivers() {
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
}
