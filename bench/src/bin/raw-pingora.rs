//! Pingora and nothing else: TLS, optional client certificates, HTTP/1.1 and HTTP/2, one thread, one upstream. What the
//! gate does on top of this is what it costs.

use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use async_trait::async_trait;
use pingora_core::listeners::tls::TlsSettings;
use pingora_core::server::Server;
use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};
use rustls::server::WebPkiClientVerifier;
use sekisho_bench::pki;
use sekisho_bench::plan::PingoraPlan;

struct Pass {
    peer: HttpPeer,
}

#[async_trait]
impl ProxyHttp for Pass {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> pingora_core::Result<Box<HttpPeer>> {
        Ok(Box::new(self.peer.clone()))
    }
}

fn main() -> Result<()> {
    let plan: PingoraPlan = serde_json::from_str(&std::env::args().nth(1).context("a plan is needed")?)?;
    rustls::crypto::ring::default_provider().install_default().map_err(|_| anyhow!("a crypto provider was there"))?;
    let text = |path: &std::path::Path| path.to_str().map(str::to_owned).context("a path that is not UTF-8");

    let configuration = ServerConf {
        threads: 1,
        ca_file: Some(text(&plan.origin_ca)?),
        pid_file: text(&plan.folder.join("pingora.pid"))?,
        upgrade_sock: text(&plan.folder.join("pingora.sock"))?,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, configuration);
    server.bootstrap();

    let verifier =
        WebPkiClientVerifier::builder(Arc::new(pki::roots(&plan.client_ca)?)).allow_unauthenticated().build()?;
    let mut tls = TlsSettings::intermediate(&text(&plan.server.chain)?, &text(&plan.server.key)?)
        .map_err(|error| anyhow!("{error}"))?;
    tls.set_client_cert_verifier(verifier);
    tls.enable_h2();

    let peer = HttpPeer::new(plan.origin, true, plan.origin_name);
    let mut service = http_proxy_service(&server.configuration, Pass { peer });
    service.add_tls_with_settings(&plan.listen.to_string(), None, tls);
    server.add_service(service);
    server.run_forever()
}
