//! 書類: uploads of any size, streamed to temporary files, and their downloads.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use askama::Template;
use axum::body::Body;
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::accounts::SignedIn;
use crate::pages::{self, Page};
use crate::state::App;
use crate::{seeds, wall_clock};

/// Entries of the list; the oldest gives way.
const LISTED: usize = 1_000;
const CHUNK: usize = 64 * 1024;
/// Types a browser may show in place; everything else is a download.
const SHOWN: [&str; 4] = ["application/pdf", "image/png", "image/jpeg", "text/plain"];

#[derive(Clone, Debug, Serialize)]
pub(crate) struct StoredFile {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    pub(crate) by: String,
    pub(crate) at: String,
    /// False where there was no room left for the content.
    pub(crate) kept: bool,
}

impl StoredFile {
    /// `1.5 MB`
    pub(crate) fn size(&self) -> String {
        let mut size = self.bytes as f64;
        for unit in ["B", "KB", "MB", "GB"] {
            if size < 1000.0 {
                return if unit == "B" { format!("{size} {unit}") } else { format!("{size:.1} {unit}") };
            }
            size /= 1000.0;
        }
        format!("{size:.1} TB")
    }

    pub(crate) fn short_hash(&self) -> &str {
        self.sha256.get(..12).unwrap_or_default()
    }

    pub(crate) fn shown(&self) -> bool {
        self.kept && SHOWN.contains(&self.kind.as_str())
    }
}

#[derive(Debug)]
pub(crate) struct Files {
    folder: TempDir,
    /// Bytes that may still be kept.
    room: AtomicU64,
    next: AtomicU64,
    list: Mutex<BTreeMap<u64, StoredFile>>,
}

impl Files {
    pub(crate) fn new(room: u64) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("hidamari-").tempdir()?;
        let files = Self { folder, room: AtomicU64::new(room), next: AtomicU64::new(1), list: Mutex::default() };
        for (name, kind, content) in seeds::documents() {
            let id = files.next.fetch_add(1, Ordering::Relaxed);
            std::fs::write(files.path(id), &content)?;
            let digest = ring::digest::digest(&SHA256, &content);
            files.list(StoredFile {
                id,
                name: name.to_owned(),
                kind: kind.to_owned(),
                bytes: content.len() as u64,
                sha256: hex(digest.as_ref()),
                by: "佐藤 美咲".to_owned(),
                at: wall_clock::short(wall_clock::now()),
                kept: true,
            });
        }
        Ok(files)
    }

    pub(crate) fn count(&self) -> usize {
        self.shelf().len()
    }

    fn list(&self, file: StoredFile) {
        let oldest = {
            let mut shelf = self.shelf();
            shelf.insert(file.id, file);
            if shelf.len() > LISTED { shelf.pop_first() } else { None }
        };
        if let Some((_, file)) = oldest {
            self.discard(&file);
        }
    }

    fn get(&self, id: u64) -> Option<StoredFile> {
        self.shelf().get(&id).cloned()
    }

    fn all(&self) -> Vec<StoredFile> {
        self.shelf().values().rev().cloned().collect()
    }

    fn remove(&self, id: u64) -> bool {
        let removed = self.shelf().remove(&id);
        if let Some(file) = &removed {
            self.discard(file);
        }
        removed.is_some()
    }

    fn discard(&self, file: &StoredFile) {
        if file.kept && std::fs::remove_file(self.path(file.id)).is_ok() {
            self.room.fetch_add(file.bytes, Ordering::Relaxed);
        }
    }

    /// Takes `bytes` of the room, if there are as many.
    fn take(&self, bytes: u64) -> bool {
        self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(bytes)).is_ok()
    }

    fn path(&self, id: u64) -> PathBuf {
        self.folder.path().join(id.to_string())
    }

    fn shelf(&self) -> MutexGuard<'_, BTreeMap<u64, StoredFile>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file on its way in. Gives its room and its temporary file back if it never gets to the list.
struct Incoming<'a> {
    files: &'a Files,
    id: u64,
    bytes: u64,
    taken: u64,
    digest: Context,
    file: Option<tokio::fs::File>,
    listed: bool,
}

impl<'a> Incoming<'a> {
    async fn begin(files: &'a Files) -> Self {
        let id = files.next.fetch_add(1, Ordering::Relaxed);
        let file = tokio::fs::File::create(files.path(id)).await.ok();
        Self { files, id, bytes: 0, taken: 0, digest: Context::new(&SHA256), file, listed: false }
    }

    async fn write(&mut self, chunk: &[u8]) {
        self.digest.update(chunk);
        self.bytes += chunk.len() as u64;
        let Some(file) = &mut self.file else { return };
        if self.files.take(chunk.len() as u64) {
            self.taken += chunk.len() as u64;
            if file.write_all(chunk).await.is_ok() {
                return;
            }
        }
        self.give_up();
    }

    fn give_up(&mut self) {
        self.file = None;
        let _ = std::fs::remove_file(self.files.path(self.id));
        self.files.room.fetch_add(std::mem::take(&mut self.taken), Ordering::Relaxed);
    }

    async fn finish(mut self, name: String, kind: String, by: &str) -> StoredFile {
        if let Some(file) = &mut self.file
            && file.flush().await.is_err()
        {
            self.give_up();
        }
        let digest = std::mem::replace(&mut self.digest, Context::new(&SHA256)).finish();
        let file = StoredFile {
            id: self.id,
            name,
            kind,
            bytes: self.bytes,
            sha256: hex(digest.as_ref()),
            by: by.to_owned(),
            at: wall_clock::short(wall_clock::now()),
            kept: self.file.is_some(),
        };
        self.listed = true;
        self.files.list(file.clone());
        file
    }
}

impl Drop for Incoming<'_> {
    fn drop(&mut self) {
        if !self.listed {
            self.give_up();
        }
    }
}

#[derive(Template)]
#[template(path = "files.html")]
struct List {
    page: Page,
    files: Vec<StoredFile>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Done {
    done: String,
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    SignedIn(account): SignedIn,
    Query(Done { done }): Query<Done>,
) -> Response {
    let page = Page::new(&app, Some(account), "書類", "files").done(&done);
    pages::show(StatusCode::OK, &List { page, files: app.files.all() })
}

/// `multipart/form-data`, every part with a file name. Answers a browser with the list, others with JSON.
pub(crate) async fn upload(
    State(app): State<Arc<App>>,
    SignedIn(account): SignedIn,
    headers: HeaderMap,
    mut parts: Multipart,
) -> Response {
    let mut stored = Vec::new();
    let result = loop {
        match parts.next_field().await {
            Ok(Some(field)) => match receive(&app.files, field, account.name).await {
                Ok(file) => stored.extend(file),
                Err(error) => break Err(error),
            },
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    if result.is_err() {
        let text = "送信が途中で切れました。もう一度お試しください。";
        return pages::message(&app, Some(account), StatusCode::BAD_REQUEST, "保存できませんでした", text);
    }
    if headers.get(header::ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"application/json")) {
        return (StatusCode::CREATED, axum::Json(serde_json::json!({ "files": stored }))).into_response();
    }
    let word = if stored.is_empty() { "" } else { "?done=uploaded" };
    pages::see_other(&app.site, &format!("/files{word}"))
}

async fn receive(files: &Files, mut field: Field<'_>, by: &str) -> Result<Option<StoredFile>, MultipartError> {
    let Some(name) = field.file_name().map(plain_name).filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let kind = field.content_type().unwrap_or("application/octet-stream").to_owned();
    let kind = if kind.len() <= 100 && kind.bytes().all(|b| b.is_ascii_graphic()) { kind } else { String::new() };
    let mut incoming = Incoming::begin(files).await;
    while let Some(chunk) = field.chunk().await? {
        incoming.write(&chunk).await;
    }
    Ok(Some(incoming.finish(name, kind, by).await))
}

/// The last part of a path, without characters that break headers or lists, at most 120 characters.
fn plain_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    last.chars().filter(|c| !c.is_control()).take(120).collect::<String>().trim().to_owned()
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct How {
    /// `?inline=1` shows a PDF or picture in place instead of offering it as a download.
    inline: u8,
}

pub(crate) async fn download(
    State(app): State<Arc<App>>,
    SignedIn(account): SignedIn,
    Path(id): Path<u64>,
    Query(How { inline }): Query<How>,
) -> Response {
    let Some(file) = app.files.get(id) else {
        return pages::missing(&app, Some(account));
    };
    let content = if file.kept { tokio::fs::File::open(app.files.path(id)).await.ok() } else { None };
    let Some(content) = content else {
        let text = "容量の都合により、このファイルの内容は保管されていません。";
        return pages::message(&app, Some(account), StatusCode::GONE, "内容がありません", text);
    };
    let inline = inline == 1 && file.shown();
    let kind = if inline { file.kind.as_str() } else { "application/octet-stream" };
    let body = stream::unfold(content, |mut content| async move {
        let mut chunk = Vec::with_capacity(CHUNK);
        match content.read_buf(&mut chunk).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(chunk), content)),
            Err(error) => Some((Err(error), content)),
        }
    });
    let mut response = Body::from_stream(body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(kind).unwrap_or(HeaderValue::from_static("text/plain")));
    headers.insert(header::CONTENT_LENGTH, file.bytes.into());
    let way = if inline { "inline" } else { "attachment" };
    headers.insert(header::CONTENT_DISPOSITION, pages::disposition(way, &file.name));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    response
}

pub(crate) async fn delete(State(app): State<Arc<App>>, SignedIn(account): SignedIn, Path(id): Path<u64>) -> Response {
    if app.files.remove(id) {
        pages::see_other(&app.site, "/files?done=file-deleted")
    } else {
        pages::missing(&app, Some(account))
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::plain_name;

    #[test]
    fn a_file_name_is_only_a_name() {
        assert_eq!(plain_name("C:\\書類\\計画.pdf"), "計画.pdf");
        assert_eq!(plain_name("../../etc/passwd"), "passwd");
        assert_eq!(plain_name("a\r\nb.txt"), "ab.txt");
        assert_eq!(plain_name("/"), "");
    }
}
