//! The proxies beside the gate, each with its configuration.

use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::pki::{APP_HOST, ORIGIN_HOST, Pki};
use crate::plan::PingoraPlan;
use crate::process::{PROXY_CORE, Running, free_address, sibling};

/// What every peer is started with.
#[derive(Clone, Debug)]
pub struct Setting {
    /// A folder for configurations, logs and sockets.
    pub folder: PathBuf,
    pub pki: Pki,
    /// Speaks TLS as [`ORIGIN_HOST`], HTTP/1.1.
    pub origin: SocketAddr,
}

/// A proxy that stands and waits for clients.
#[derive(Debug)]
pub struct Peer {
    pub name: &'static str,
    pub address: SocketAddr,
    /// SNI and Host.
    pub host: String,
    /// What clients send as `Cookie`; each peer gets one of the same length, so that all parse as much.
    pub cookie: String,
    /// The trust anchor of its server certificate, if not the bench's own.
    pub ca: Option<PathBuf>,
    /// The client certificate to present, if not the bench's own.
    pub client: Option<crate::plan::KeyPair>,
    pub processes: Vec<Running>,
}

impl Peer {
    pub fn new(name: &'static str, address: SocketAddr, processes: Vec<Running>) -> Self {
        let cookie = format!("hidamari_session={}; __Host-sekisho={}", "5".repeat(64), "a".repeat(43));
        Self { name, address, host: APP_HOST.to_owned(), cookie, ca: None, client: None, processes }
    }

    pub fn pids(&self) -> Vec<u32> {
        self.processes.iter().map(Running::pid).collect()
    }
}

/// nginx with an address list and an access log.
///
/// # Errors
/// nginx is missing or refuses its configuration.
pub fn nginx(setting: &Setting) -> Result<Peer> {
    let address = free_address()?;
    let process = start_nginx(setting, "nginx", address, &nginx_site(setting, address, "", ""))?;
    Ok(Peer::new("nginx", address, vec![process]))
}

/// The same, asking another nginx about every request.
///
/// # Errors
/// nginx is missing or refuses its configuration.
pub fn nginx_auth_request(setting: &Setting) -> Result<Peer> {
    let judge_address = free_address()?;
    let judge = format!(
        "server {{ listen {judge_address}; location / {{ return 204; }} }}
    access_log {}/judge-access.log;",
        setting.folder.display()
    );
    let judge = start_nginx(setting, "nginx-judge", judge_address, &judge)?;
    let address = free_address()?;
    let upstream =
        format!("upstream judge {{ server {judge_address}; keepalive 128; keepalive_requests 1000000000; }}");
    let ask = "auth_request /_judge;
        location = /_judge { internal; proxy_pass http://judge; proxy_http_version 1.1;
            proxy_set_header Connection \"\"; proxy_pass_request_body off; proxy_set_header Content-Length \"\";
            proxy_set_header X-Original-URI $request_uri; }";
    let process = start_nginx(setting, "nginx-auth", address, &nginx_site(setting, address, &upstream, ask))?;
    Ok(Peer::new("nginx_auth_request", address, vec![process, judge]))
}

fn nginx_site(setting: &Setting, address: SocketAddr, upstream: &str, inside: &str) -> String {
    let Setting { folder, pki, origin } = setting;
    format!(
        "access_log {folder}/access-{port}.log combined;
    upstream origin {{ server {origin}; keepalive 128; keepalive_requests 1000000000; }}
    {upstream}
    server {{
        listen {address} ssl http2 backlog=4096;
        server_name {APP_HOST};
        ssl_certificate {chain}; ssl_certificate_key {key};
        ssl_protocols TLSv1.3; ssl_session_tickets off; ssl_session_cache off;
        ssl_client_certificate {client_ca}; ssl_verify_client optional;
        allow 127.0.0.0/8; deny all;
        {inside}
        location / {{
            proxy_pass https://origin; proxy_http_version 1.1; proxy_set_header Connection \"\";
            proxy_set_header Host {ORIGIN_HOST};
            proxy_ssl_verify on; proxy_ssl_trusted_certificate {site_ca}; proxy_ssl_name {ORIGIN_HOST};
            proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.3;
        }}
    }}",
        folder = folder.display(),
        port = address.port(),
        chain = pki.server.chain.display(),
        key = pki.server.key.display(),
        client_ca = pki.client_ca.display(),
        site_ca = pki.site_ca.display(),
    )
}

fn start_nginx(setting: &Setting, name: &str, address: SocketAddr, site: &str) -> Result<Running> {
    let folder = setting.folder.join(name);
    fs::create_dir_all(&folder)?;
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {}/{kind};\n    ", folder.display()))
        .concat();
    let configuration = format!(
        "daemon off; worker_processes 1; {user} pid {folder}/pid; error_log {folder}/error.log warn;
events {{ worker_connections 20000; }}
http {{
    {temporary}keepalive_timeout 600s; keepalive_requests 1000000000; client_header_timeout 600s;
    tcp_nodelay on; default_type text/plain;
    {site}
}}
",
        folder = folder.display()
    );
    let path = folder.join("nginx.conf");
    fs::write(&path, configuration)?;
    let program = program("nginx");
    let error_log = folder.join("error.log");
    let command = [
        program.as_os_str(),
        OsStr::new("-p"),
        folder.as_os_str(),
        OsStr::new("-e"),
        error_log.as_os_str(),
        OsStr::new("-c"),
        path.as_os_str(),
    ];
    let mut process = Running::start(PROXY_CORE, name, &setting.folder, &command)?;
    process.wait_for(address)?;
    Ok(process)
}

/// HAProxy with an address list.
///
/// # Errors
/// HAProxy is missing or refuses its configuration.
pub fn haproxy(setting: &Setting) -> Result<Peer> {
    let Setting { folder, pki, origin } = setting;
    let address = free_address()?;
    let configuration = format!(
        "global
    nbthread 1
    maxconn 6000
    tune.ssl.cachesize 0
    ssl-default-bind-options ssl-min-ver TLSv1.3 no-tls-tickets
    ssl-default-server-options ssl-min-ver TLSv1.3
defaults
    mode http
    timeout connect 10s
    timeout client 600s
    timeout server 60s
    timeout http-keep-alive 600s
    http-reuse always
frontend people
    bind {address} backlog 4096 ssl crt {bundle} ca-file {client_ca} verify optional alpn h2,http/1.1
    acl inside src 127.0.0.0/8
    http-request deny unless inside
    default_backend saas
backend saas
    http-request set-header Host {ORIGIN_HOST}
    server origin {origin} pool-max-conn 256 ssl verify required ca-file {site_ca} sni str({ORIGIN_HOST}) verifyhost {ORIGIN_HOST} alpn http/1.1
",
        bundle = pki.server_bundle.display(),
        client_ca = pki.client_ca.display(),
        site_ca = pki.site_ca.display(),
    );
    let path = folder.join("haproxy.cfg");
    fs::write(&path, configuration)?;
    let program = program("haproxy");
    let command = [program.as_os_str(), OsStr::new("-db"), OsStr::new("-f"), path.as_os_str()];
    let mut process = Running::start(PROXY_CORE, "haproxy", folder, &command)?;
    process.wait_for(address)?;
    Ok(Peer::new("haproxy", address, vec![process]))
}

/// Pingora alone.
///
/// # Errors
/// `raw-pingora` is not built or can't start.
pub fn raw_pingora(setting: &Setting) -> Result<Peer> {
    let address = free_address()?;
    let plan = PingoraPlan {
        listen: address,
        server: setting.pki.server.clone(),
        client_ca: setting.pki.client_ca.clone(),
        origin: setting.origin,
        origin_name: ORIGIN_HOST.to_owned(),
        origin_ca: setting.pki.site_ca.clone(),
        folder: setting.folder.clone(),
    };
    let (program, plan) = (sibling("raw-pingora")?, serde_json::to_string(&plan)?);
    let command = [program.as_os_str(), OsStr::new(&plan)];
    let mut process = Running::start(PROXY_CORE, "raw-pingora", &setting.folder, &command)?;
    process.wait_for(address)?;
    Ok(Peer::new("pingora", address, vec![process]))
}

/// Debian keeps daemons in `/usr/sbin`, which is not on everybody's path.
fn program(name: &str) -> PathBuf {
    let path = Path::new("/usr/sbin").join(name);
    if path.exists() { path } else { PathBuf::from(name) }
}
