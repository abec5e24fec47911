//! The SaaS as its users' browsers see it: over TLS, under its own names.

#![allow(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use demo::{Handle, Links, Options};
use futures_util::{SinkExt, StreamExt, stream};
use http::{Method, Request, Response, StatusCode, Version, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Message;

const HOST: &str = "hidamari.test";
const FORM: &str = "application/x-www-form-urlencoded";
type Body = BoxBody<Bytes, std::io::Error>;

/// A running SaaS and the certificate its clients trust.
struct House {
    saas: Handle,
    trusted: CertificateDer<'static>,
}

impl House {
    async fn open(options: Options) -> Self {
        let made = rcgen::generate_simple_self_signed([HOST.to_owned(), format!("assets.{HOST}")]).unwrap();
        let trusted = made.cert.der().clone();
        let tls = ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![trusted.clone()], PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap())
            .unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let saas = demo::serve(listener, tls, Options { host: HOST.to_owned(), ..options }).unwrap();
        Self { saas, trusted }
    }

    async fn tls(&self, protocol: &[u8]) -> tokio_rustls::client::TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.trusted.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let address: SocketAddr = self.saas.addr();
        let stream = TcpStream::connect(address).await.unwrap();
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(HOST).unwrap(), stream).await.unwrap()
    }

    /// One request on a connection of its own, HTTP/1.1.
    async fn send(&self, request: Request<Body>) -> Response<Incoming> {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(self.tls(b"http/1.1").await)).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    }

    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let host = self.saas.origin().strip_prefix("https://").unwrap();
        Request::builder().method(method).uri(path).header(header::HOST, host).header(header::ACCEPT, "text/html")
    }

    async fn get(&self, path: &str, cookie: &str) -> Response<Incoming> {
        self.send(self.request(Method::GET, path).header(header::COOKIE, cookie).body(empty()).unwrap()).await
    }

    async fn post(&self, path: &str, cookie: &str, form: &str) -> Response<Incoming> {
        let request =
            self.request(Method::POST, path).header(header::COOKIE, cookie).header(header::CONTENT_TYPE, FORM);
        self.send(request.body(full(form.to_owned())).unwrap()).await
    }

    /// The session cookie of `login_id`.
    async fn sign_in(&self, login_id: &str) -> String {
        let account = demo::ACCOUNTS.iter().find(|account| account.login_id == login_id).unwrap();
        let response = self.post("/login", "", &format!("login_id={login_id}&password={}", account.password)).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        let cookie = response.headers().get(header::SET_COOKIE).unwrap().to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }
}

fn empty() -> Body {
    full("")
}

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

async fn text(response: Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

async fn json(response: Response<Incoming>) -> Value {
    serde_json::from_str(&text(response).await).unwrap()
}

fn location(response: &Response<Incoming>) -> &str {
    response.headers().get(header::LOCATION).unwrap().to_str().unwrap()
}

#[tokio::test]
async fn a_deep_link_survives_the_login() {
    let house = House::open(Options::default()).await;
    let response = house.get("/residents?q=%E5%B1%B1&floor=2", "").await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(location(&response), "/login?next=/residents%3Fq%3D%25E5%25B1%25B1%26floor%3D2");

    let form = "login_id=sato&password=Himawari-2026&next=/residents%3Fq%3D%25E5%25B1%25B1%26floor%3D2";
    let response = house.post("/login", "", form).await;
    assert_eq!(location(&response), "/residents?q=%E5%B1%B1&floor=2");
    let cookies: Vec<_> = response.headers().get_all(header::SET_COOKIE).iter().map(|c| c.to_str().unwrap()).collect();
    assert!(cookies[0].starts_with("hidamari_session=") && !cookies[0].contains("Domain"), "{cookies:?}");
    assert!(cookies[1].contains("Domain=hidamari.test;"), "{cookies:?}");

    let cookie = cookies[0].split(';').next().unwrap();
    let page = text(house.get("/residents?q=%E5%B1%B1&floor=2", cookie).await).await;
    assert!(page.contains("山田 花子") && !page.contains("高橋 正雄"));
}

#[tokio::test]
async fn a_wrong_password_opens_nothing() {
    let house = House::open(Options::default()).await;
    for form in ["login_id=sato&password=no", "login_id=nobody&password=Himawari-2026"] {
        let response = house.post("/login", "", form).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert!(!response.headers().contains_key(header::SET_COOKIE));
    }
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let house = House::open(Options::default()).await;
    let cookie = house.sign_in("suzuki").await;
    assert_eq!(house.get("/", &cookie).await.status(), StatusCode::OK);
    house.post("/logout", &cookie, "").await;
    assert_eq!(house.get("/", &cookie).await.status(), StatusCode::SEE_OTHER);
    let mut fetch = house.request(Method::GET, "/api/summary").header(header::COOKIE, cookie).body(empty()).unwrap();
    fetch.headers_mut().insert(header::ACCEPT, "application/json".parse().unwrap());
    assert_eq!(house.send(fetch).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn records_are_edited_noted_and_only_a_manager_deletes_them() {
    let house = House::open(Options::default()).await;
    let staff = house.sign_in("suzuki").await;
    let fields = "name=%E5%B1%B1%E7%94%B0&birth=1937-04-03&room=299&care_level=%E8%A6%81%E4%BB%8B%E8%AD%B73";
    assert_eq!(location(&house.post("/residents/101", &staff, fields).await), "/residents/101?done=saved");
    assert!(text(house.get("/residents/101", &staff).await).await.contains("299号室"));
    assert_eq!(house.post("/residents/101", &staff, "name=").await.status(), StatusCode::UNPROCESSABLE_ENTITY);

    let note = "kind=%E6%A7%98%E5%AD%90&text=%3Cb%3Etest";
    assert_eq!(house.post("/residents/101/notes", &staff, note).await.status(), StatusCode::SEE_OTHER);
    assert!(text(house.get("/residents/101", &staff).await).await.contains("&#60;b&#62;test"));

    let before = house.saas.residents();
    assert_eq!(house.post("/residents/101/delete", &staff, "").await.status(), StatusCode::FORBIDDEN);
    assert_eq!(house.saas.residents(), before);
    let manager = house.sign_in("sato").await;
    assert!(text(house.get("/residents/101/delete", &manager).await).await.contains("取り消せません"));
    assert_eq!(house.saas.residents(), before, "the confirmation deletes nothing");
    assert_eq!(location(&house.post("/residents/101/delete", &manager, "").await), "/residents?done=deleted");
    assert_eq!(house.saas.residents(), before - 1);
    assert_eq!(house.get("/residents/101", &manager).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_form_from_another_site_is_refused() {
    let house = House::open(Options::default()).await;
    let cookie = house.sign_in("sato").await;
    let send = async |origin: &str| {
        let request = house.request(Method::POST, "/residents/102/delete").header(header::COOKIE, &cookie);
        house.send(request.header(header::ORIGIN, origin).body(empty()).unwrap()).await.status()
    };
    let before = house.saas.residents();
    assert_eq!(send("https://hidamari.gw.example").await, StatusCode::FORBIDDEN);
    assert_eq!(send("null").await, StatusCode::FORBIDDEN);
    assert_eq!(house.saas.residents(), before);
    assert_eq!(send(house.saas.origin()).await, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn the_export_is_a_download_that_excel_reads() {
    let house = House::open(Options::default()).await;
    let cookie = house.sign_in("sato").await;
    let response = house.get("/residents/export", &cookie).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/csv; charset=utf-8");
    assert!(response.headers()[header::CONTENT_DISPOSITION].to_str().unwrap().starts_with("attachment; filename="));
    let csv = text(response).await;
    assert!(csv.starts_with("\u{feff}利用者番号,氏名"));
    assert_eq!(csv.matches("\r\n").count(), house.saas.residents() + 1);
}

/// A multipart body of one file with `bytes` zero bytes, made as it is sent.
fn multipart(bytes: usize) -> Body {
    let head = "--cut\r\nContent-Disposition: form-data; name=\"file\"; filename=\"C:\\\\計画.bin\"\r\n\
                Content-Type: application/octet-stream\r\n\r\n";
    let chunk = Bytes::from(vec![0u8; 65536]);
    let content = (0..bytes / chunk.len()).map(move |_| chunk.clone());
    let pieces =
        std::iter::once(Bytes::from(head)).chain(content).chain(std::iter::once(Bytes::from("\r\n--cut--\r\n")));
    BodyExt::boxed(StreamBody::new(stream::iter(pieces.map(|piece| Ok(Frame::data(piece))))))
}

async fn upload(house: &House, cookie: &str, bytes: usize) -> Value {
    let request = house.request(Method::POST, "/files").header(header::COOKIE, cookie);
    let mut request =
        request.header(header::CONTENT_TYPE, "multipart/form-data; boundary=cut").body(multipart(bytes)).unwrap();
    request.headers_mut().insert(header::ACCEPT, "application/json".parse().unwrap());
    let response = house.send(request).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    json(response).await["files"][0].clone()
}

#[tokio::test]
async fn an_upload_of_any_size_comes_back_as_it_went_in() {
    let house = House::open(Options::default()).await;
    let cookie = house.sign_in("sakura-kyoyo").await;
    let bytes = 24 << 20;
    let file = upload(&house, &cookie, bytes).await;
    let hash = ring::digest::digest(&ring::digest::SHA256, &vec![0u8; bytes]);
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(file["name"], "計画.bin");
    assert_eq!(file["bytes"], bytes);
    assert_eq!(file["sha256"], hash.as_str());
    let path = format!("/files/{}", file["id"]);
    let response = house.get(&path, &cookie).await;
    assert_eq!(response.headers()[header::CONTENT_LENGTH], bytes.to_string().as_str());
    assert!(response.headers()[header::CONTENT_DISPOSITION].to_str().unwrap().starts_with("attachment"));
    let back = response.into_body().collect().await.unwrap().to_bytes();
    assert!(back.len() == bytes && back.iter().all(|byte| *byte == 0));
    assert_eq!(house.post(&format!("{path}/delete"), &cookie, "").await.status(), StatusCode::SEE_OTHER);
    assert_eq!(house.get(&path, &cookie).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_does_not_fit_is_counted_and_hashed_only() {
    let house = House::open(Options { keep_bytes: 100_000, ..Options::default() }).await;
    let cookie = house.sign_in("sato").await;
    let file = upload(&house, &cookie, 1 << 20).await;
    assert_eq!((&file["bytes"], &file["kept"]), (&(1 << 20).into(), &false.into()));
    assert_eq!(house.get(&format!("/files/{}", file["id"]), &cookie).await.status(), StatusCode::GONE);
    // The room it could not use is free again.
    assert_eq!(upload(&house, &cookie, 65536).await["kept"], true);
}

#[tokio::test]
async fn a_document_is_shown_in_place_only_where_asked() {
    let house = House::open(Options::default()).await;
    let cookie = house.sign_in("sato").await;
    let shown = house.get("/files/2?inline=1", &cookie).await;
    assert_eq!(shown.headers()[header::CONTENT_TYPE], "application/pdf");
    assert!(shown.headers()[header::CONTENT_DISPOSITION].to_str().unwrap().starts_with("inline"));
    assert!(text(shown).await.starts_with("%PDF-1.4"));
    let saved = house.get("/files/2", &cookie).await;
    assert_eq!(saved.headers()[header::CONTENT_TYPE], "application/octet-stream");
}

async fn socket(
    house: &House,
    cookie: &str,
    origin: &str,
) -> Result<
    tokio_tungstenite::WebSocketStream<tokio_rustls::client::TlsStream<TcpStream>>,
    tokio_tungstenite::tungstenite::Error,
> {
    let host = house.saas.origin().strip_prefix("https://").unwrap();
    let request = Request::builder()
        .uri(format!("wss://{host}/notices/ws"))
        .header("host", host)
        .header("origin", origin)
        .header("cookie", cookie)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(())
        .unwrap();
    tokio_tungstenite::client_async(request, house.tls(b"http/1.1").await).await.map(|(socket, _)| socket)
}

#[tokio::test]
async fn a_notice_reaches_everybody_on_the_page() {
    let house = House::open(Options::default()).await;
    let cookie = house.sign_in("tanaka").await;
    let mut sender = socket(&house, &cookie, house.saas.origin()).await.unwrap();
    let mut reader = socket(&house, &cookie, house.saas.origin()).await.unwrap();
    sender.send(Message::text("203号室、検温お願いします")).await.unwrap();
    let heard = async {
        while let Some(Ok(message)) = reader.next().await {
            let Message::Text(text) = message else { continue };
            let notice: Value = serde_json::from_str(&text).unwrap();
            if notice["text"] == "203号室、検温お願いします" {
                assert_eq!(notice["author"], "田中 由美");
                return true;
            }
        }
        false
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), heard).await.unwrap());
    assert_eq!(house.saas.open_streams(), 2);
    // Stopping ends open sockets, too.
    house.saas.shutdown().await;
    while let Some(Ok(_)) = reader.next().await {}
}

#[tokio::test]
async fn a_socket_from_another_origin_or_without_a_session_is_refused() {
    let house = House::open(Options::default()).await;
    let cookie = house.sign_in("tanaka").await;
    assert!(socket(&house, &cookie, "https://evil.example").await.is_err());
    assert!(socket(&house, "", house.saas.origin()).await.is_err());
    assert_eq!(house.saas.open_streams(), 0);
}

#[tokio::test]
async fn sensors_report_every_bed_and_then_go_on() {
    let house = House::open(Options { sensor_interval: Duration::from_millis(5), ..Options::default() }).await;
    let cookie = house.sign_in("tanaka").await;
    let response = house.get("/sensors/events", &cookie).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    let mut body = response.into_body().into_data_stream();
    let mut heard = String::new();
    while heard.matches("event: reading").count() < house.saas.residents() + 3 {
        let chunk = tokio::time::timeout(Duration::from_secs(10), body.next()).await.unwrap().unwrap().unwrap();
        heard.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert_eq!(heard.matches("id: 0\n").count(), house.saas.residents());
}

#[tokio::test]
async fn each_host_serves_only_what_is_its_own() {
    let house = House::open(Options::default()).await;
    let ask = async |host: &str, path: &str| {
        let request = Request::builder().uri(path).header(header::HOST, host).body(empty()).unwrap();
        house.send(request).await
    };
    let style = ask("assets.hidamari.test", "/assets/app.css").await;
    assert_eq!(style.status(), StatusCode::OK);
    assert_eq!(style.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], house.saas.origin());
    assert_eq!(ask("assets.hidamari.test", "/residents").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(ask("hidamari.test", "/assets/app.css").await.status(), StatusCode::OK);
    assert_eq!(ask("hidamari.gw.example", "/").await.status(), StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn links_are_host_relative_unless_told_otherwise() {
    let relative = House::open(Options::default()).await;
    let page = text(relative.get("/login", "").await).await;
    assert!(!page.contains("https://"), "{page}");
    let absolute = House::open(Options { links: Links::Absolute, ..Options::default() }).await;
    let page = text(absolute.get("/login", "").await).await;
    assert!(page.contains(&format!("href=\"{}/assets/app.css\"", absolute.saas.assets_origin())), "{page}");
    assert!(page.contains(&format!("action=\"{}/login\"", absolute.saas.origin())));
    let away = absolute.get("/", "").await;
    assert_eq!(location(&away), format!("{}/login?next=/", absolute.saas.origin()));
}

#[tokio::test]
async fn h2_works_and_every_request_is_seen_with_its_marker() {
    let house = House::open(Options::default()).await;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(house.tls(b"h2").await))
            .await
            .unwrap();
    tokio::spawn(connection);
    for number in 0..3 {
        let uri = format!("{}/echo?n={number}", house.saas.origin());
        let request = Request::builder().method(Method::PUT).uri(uri).header(demo::MARKER_HEADER, number.to_string());
        let answer = json(sender.send_request(request.body(full("abc")).unwrap()).await.unwrap()).await;
        assert_eq!(answer["body_bytes"], 3);
        assert_eq!(answer["body_sha256"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(answer["version"], "HTTP/2.0");
    }
    let seen = house.saas.seen();
    assert_eq!(seen.iter().map(|each| each.marker.as_deref()).collect::<Vec<_>>(), [Some("0"), Some("1"), Some("2")]);
    assert_eq!((seen[1].path.as_str(), &seen[1].method, seen[1].version), ("/echo?n=1", &Method::PUT, Version::HTTP_2));
    assert_eq!((house.saas.connections_accepted(), house.saas.handshakes()), (1, 1));
    house.saas.forget_seen();
    assert_eq!((house.saas.seen().len(), house.saas.seen_total()), (0, 3));
}

#[tokio::test]
async fn the_probes_answer_as_told() {
    let house = House::open(Options::default()).await;
    let path = "/reply?status=201&header=Set-Cookie:a%3D1&header=Set-Cookie:b%3D2&body=ok";
    let response = house.get(path, "").await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(response.headers().get_all(header::SET_COOKIE).iter().count(), 2);
    assert_eq!(text(response).await, "ok");
    assert_eq!(house.get("/reply?header=X:a%0d%0ab", "").await.status(), StatusCode::BAD_REQUEST);

    for (query, framed) in [("", true), ("&chunked=1", false)] {
        let response = house.get(&format!("/big?bytes=200000{query}"), "").await;
        assert_eq!(response.headers().contains_key(header::CONTENT_LENGTH), framed);
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        assert!(bytes.len() == 200_000 && (0..200_000u64).all(|n| u64::from(bytes[n as usize]) == (n + n / 251) % 256));
    }
    assert_eq!(text(house.get("/drip?chunks=3&ms=1", "").await).await, "1\n2\n3\n");
    assert_eq!(house.get("/slow?ms=1", "").await.status(), StatusCode::OK);
}
