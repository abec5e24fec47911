//! `sekisho demo`: a care SaaS, the gate in front of it and a few staff, on this machine's loopback alone.
//!
//! Everything in it is the real thing but the SaaS's content: the same gate, the same authority, the same journal.
//! It lives in a folder of its own, new every time, and goes with the process.

mod stage;
mod tour;

use std::process::ExitCode;

use clap::Args;

use crate::cli::say;
use crate::serve;
use stage::Stage;

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Walk the whole story as a client, print each step, and end
    #[arg(long)]
    tour: bool,
    /// The gate's port; another one is taken if it is in use
    #[arg(long, default_value_t = 8443)]
    port: u16,
    /// Links of the SaaS name its own hosts instead of being relative
    #[arg(long)]
    absolute_links: bool,
}

pub(crate) fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    serve::install_crypto()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let code = runtime.block_on(async {
        let stage = Stage::set(args.port, args.absolute_links).await?;
        if args.tour {
            let told = tour::walk(&stage).await;
            stage.strike().await?;
            return told;
        }
        describe(&stage);
        stage.until_told_to_stop().await?;
        Ok(ExitCode::SUCCESS)
    })?;
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    Ok(code)
}

fn describe(stage: &Stage) {
    let app = stage.app_url("/");
    let root = stage.path("server-root.pem");
    say(format_args!(
        "
ひだまりケア, a care SaaS, now stands behind a gate on this machine.

  Open          {app}
                (the browser warns once: the certificate comes from the bundled authority, whose root is
                 {root})
  Sign in as    {}
  Or choose ひだまり認証 there, an identity provider, with the same IDs and passwords.
  Then, to the SaaS itself, as sato / Himawari-2026.

127.0.0.1 is the facility's network; 127.0.0.2 stands for the world outside. With curl:

  # in the facility, nobody signed in: asked to sign in (401; a browser is led to the sign-in page)
  curl -si --cacert {root} {app} | head -n 1
  # outside, without a device: refused (403)
  curl -si --interface 127.0.0.2 --cacert {root} {app} | head -n 1
  # outside, with suzuki's phone: asked to sign in (401)
  curl -si --interface 127.0.0.2 --cacert {root} --cert-type P12 --cert {}:{} {app} | head -n 1

What happened is in the record: who was in the SaaS under which of its logins, what they opened, and every request.
A device is shut out with one command:

  {program} audit logins --config {config}
  {program} audit person sato --config {config}
  {program} audit requests --config {config}
  {program} device revoke {} --config {config}

Ctrl-C ends it. Metrics: http://{}/metrics
",
        stage
            .people()
            .iter()
            .map(|p| format!("{} / {}   ({})", p.id, p.password, p.who))
            .collect::<Vec<_>>()
            .join("\n                "),
        stage.path("suzuki-phone.p12"),
        stage.phone().password,
        stage.phone().id,
        stage.metrics(),
        config = stage.path("sekisho.yaml"),
        program = program(),
    ));
}

/// How the reader started us, so that the lines can be pasted.
fn program() -> String {
    std::env::current_exe().map_or_else(|_| "sekisho".to_owned(), |path| path.display().to_string())
}
