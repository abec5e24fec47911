//! A witness's cosignature (C2SP tlog-witness).

use audit::kept::witness::{request, size_of_conflict};
use audit::kept::{Contradiction, Receipt, Witness};
use audit::{Checkpoint, LogFolder};
use http::{Method, Request, Response, StatusCode, header};

use super::place::{Brought, Failure};
use crate::forward::{Outbound, Plain, Resolver, RootsError};

/// Asks a witness to cosign.
#[derive(Debug)]
pub(super) struct Witnessed {
    witness: Witness,
    log: LogFolder,
    outbound: Outbound,
}

impl Witnessed {
    pub(super) fn new(witness: Witness, log: LogFolder, resolver: &Resolver) -> Result<Self, RootsError> {
        let outbound = Outbound::new(resolver.clone(), &witness.server.roots, &["http/1.1"])?;
        Ok(Self { witness, log, outbound })
    }

    /// `old`: the size that the witness cosigned last, as far as we know.
    pub(super) async fn bring(&self, checkpoint: &Checkpoint, old: u64) -> Result<Brought, Failure> {
        // A log that was rolled back has nothing to prove; the witness says what it holds.
        let old = if old > checkpoint.size { 0 } else { old };
        let mut answer = self.ask(checkpoint, old).await?;
        let mut held = old;
        if answer.status() == StatusCode::CONFLICT {
            let size = std::str::from_utf8(answer.body()).ok().and_then(size_of_conflict);
            held = size.ok_or_else(|| Failure::no("it answered 409 without the size that it holds"))?;
            if held > checkpoint.size {
                return Err(Contradiction::RolledBack { held, size: checkpoint.size }.into());
            }
            answer = self.ask(checkpoint, held).await?;
        }
        let host = self.witness.url.host();
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::UNPROCESSABLE_ENTITY => {
                return Err(Contradiction::Forked { held, size: checkpoint.size }.into());
            }
            StatusCode::NOT_FOUND => {
                let origin = &checkpoint.origin;
                return Err(Failure::no(format!("{host} does not know the log {origin}; its operator has to add it")));
            }
            StatusCode::FORBIDDEN => {
                return Err(Failure::no(format!(
                    "{host} does not know the key of this log; give it what log.vkey says"
                )));
            }
            status => return Err(Failure::no(format!("{host} answered {}", status.as_u16()))),
        }
        let lines = std::str::from_utf8(answer.body()).map_err(|_| Failure::no("the answer is not text"))?;
        let cosignature = self.witness.key.verify(checkpoint, lines).map_err(Failure::no)?;
        let note = checkpoint.with_signatures(&cosignature.line);
        let receipt = Receipt { note: note.as_str().to_owned(), timestamp: None };
        let (name, at) = (self.witness.key.name(), cosignature.at);
        Ok(Brought { receipt: Some(receipt), word: format!("cosigned by {name} {at}") })
    }

    async fn ask(&self, checkpoint: &Checkpoint, old: u64) -> Result<Response<Vec<u8>>, Failure> {
        let (log, size) = (self.log.clone(), checkpoint.size);
        let proof = tokio::task::spawn_blocking(move || log.hashes(size).consistency_proof(old));
        let proof = proof.await.map_err(Failure::no)?.map_err(Failure::no)?;
        let body = request(old, &proof, checkpoint).map_err(Failure::no)?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/add-checkpoint", self.witness.url.danger_expose()))
            .header(header::CONTENT_TYPE, "text/plain; charset=utf-8")
            .body(body.into_bytes())
            .map_err(Failure::no)?;
        let answer = self.outbound.send(request, Plain::Loopback).await;
        answer.map_err(|error| Failure::unanswered(&self.witness.url, error))
    }
}
