//! JupyterLab with its own TLS: a notebook whose cells run over the kernel's WebSocket.

use std::process::Command;

use fantoccini::key::Key;

use crate::harness::{eventually, run};

use super::server::{Stranger, assets, python};
use super::{LOGIN_PASSWORD, Setup, Visit, assert_recorded, compare};

async fn start() -> Stranger {
    let mut lab = Stranger::prepare("jupyter");
    let folder = lab.folder().to_owned();
    for (file, to) in
        [("ward.ipynb", "notebooks"), ("jupyter_server_config.py", "config"), ("page_config.json", "config/labconfig")]
    {
        std::fs::create_dir_all(folder.join(to)).unwrap();
        std::fs::copy(assets().join("jupyter").join(file), folder.join(to).join(file)).unwrap();
    }
    let (host, port) = (lab.host(), lab.port().to_string());
    lab.run(
        "lab",
        Command::new(python())
            .args(["-m", "jupyterlab"])
            .env("JUPYTER_CONFIG_DIR", folder.join("config"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("LAB_FOLDER", &folder)
            .env("LAB_HOST", host)
            .env("LAB_PORT", port)
            .env("LAB_PASSWORD", LOGIN_PASSWORD)
            .env("HOME", &folder),
    );
    lab.ready().await
}

/// Opens the notebook, runs a cell, saves, comes back to the same kernel and runs the next.
async fn scenario(visit: &mut Visit<'_>) {
    visit.open("/lab/tree/ward.ipynb").await;
    visit.fill("[name=password]", LOGIN_PASSWORD).await;
    visit.note_secrets("[name=_xsrf]").await;
    visit.click("#login_submit").await;
    run_cell(visit, 0, "巡視 10 回").await;
    visit.note_secrets("[name=_xsrf]").await;
    visit.secrets.insert("巡視".to_owned());
    save(visit, "10").await;
    visit.shot("run").await;

    visit.chromium.client.refresh().await.unwrap();
    run_cell(visit, 1, "remembered 3").await;
    save(visit, "remembered 3").await;
    visit.shot("again").await;
    visit.open("/logout").await;
    visit.chromium.until_text("Successfully logged out").await;
}

/// Once the kernel is there and idle.
async fn run_cell(visit: &Visit<'_>, cell: usize, output: &str) {
    visit.until_in("#jp-main-statusbar", "Python 3 (ipykernel) | Idle").await;
    let focus = format!(
        "const c = document.querySelectorAll('.jp-Notebook .jp-CodeCell .cm-content')[{cell}]; \
         if (c) c.focus(); return document.activeElement === c"
    );
    visit.until(&focus).await;
    visit.keys(&[Key::Shift, Key::Enter, Key::Null]).await;
    visit.until_in(".jp-OutputArea-output", output).await;
}

async fn save(visit: &Visit<'_>, output: &str) {
    let path = visit.stranger.folder().join("notebooks/ward.ipynb");
    let active = visit.chromium.client.active_element().await.unwrap();
    active.send_keys(&format!("{}s{}", char::from(Key::Control), char::from(Key::Null))).await.unwrap();
    eventually("the notebook is saved", async || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let (_, outputs) = text.split_once("\"outputs\"")?;
        outputs.contains(output).then_some(())
    })
    .await;
}

#[test]
fn jupyterlab_works_as_without_the_gate() {
    // Before the test's time begins: the first time it takes a minute.
    python();
    run(async {
        let setup = Setup {
            home: "/lab",
            actions: r#"[
                { path: /login, methods: [POST], action: login },
                { path: "/api/kernels/*/channels", action: edit },
                { path: /api/events/subscribe, action: view } ]"#,
            without_cookies: &[],
            full_addresses: &[],
        };
        let recorded = compare(start, setup, scenario).await;
        for (action, method, path) in [
            ("login", "POST", "/login?next=*"),
            ("view", "GET", "/lab/tree/ward.ipynb"),
            ("view", "GET", "/api/events/subscribe"),
            ("edit", "PUT", "/api/contents/ward.ipynb?*"),
        ] {
            assert_recorded(&recorded, action, method, path);
        }
        let kernel = recorded.requests.iter().find(|r| r["path"].as_str().unwrap().ends_with("/channels?session_id=*"));
        let kernel = kernel.expect("the kernel's WebSocket is not recorded");
        assert_eq!((&kernel["action"], &kernel["outcome"]["status"]), (&"edit".into(), &101.into()), "{kernel}");
    });
}
