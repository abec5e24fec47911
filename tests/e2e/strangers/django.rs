//! Django's admin behind gunicorn and nginx: people added, changed, found and deleted.

use std::process::Command;

use fantoccini::key::Key;

use crate::harness::run;

use super::server::{Stranger, assets, python};
use super::{LOGIN, LOGIN_PASSWORD, Setup, Visit, assert_logged_in, assert_named, assert_recorded, compare};

const SETTINGS: &str = "site_settings";
const COLLEAGUES_PASSWORD: &str = "kaki-no-tane-88-tsubu";
const NEW_PASSWORD: &str = "kuri-no-hana-99-tsubu";

async fn start() -> Stranger {
    let python = python();
    let mut site = Stranger::prepare("django");
    let folder = site.folder().to_owned();
    let host = site.host();
    let command = || {
        let mut command = Command::new(&python);
        command
            .env("DJANGO_SETTINGS_MODULE", SETTINGS)
            .env("PYTHONPATH", assets().join("django"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("SITE_FOLDER", &folder)
            .env("SITE_HOST", &host)
            .env("SITE_SECRET", "only-for-this-test, and long enough for Django's own check")
            .env("SITE_PASSWORD", LOGIN_PASSWORD)
            .env("HOME", &folder);
        command
    };
    let prepared = command().arg(assets().join("django/prepare.py")).arg(LOGIN).output().unwrap();
    assert!(prepared.status.success(), "{}", String::from_utf8_lossy(&prepared.stderr));
    let socket = folder.join("gunicorn.sock");
    site.run(
        "gunicorn",
        command()
            .args(["-m", "gunicorn", "--workers", "1", "--threads", "4", "--bind"])
            .arg(format!("unix:{}", socket.display()))
            .arg("django.core.wsgi:get_wsgi_application()"),
    );
    let files = command().args(["-c", "import django.contrib.admin as a; print(a.__path__[0])"]).output().unwrap();
    let files = String::from_utf8(files.stdout).unwrap();
    site.run_nginx(&[("static", format!("{}/static", files.trim()))]);
    let site = site.ready().await;
    crate::harness::eventually("gunicorn", async || socket.exists().then_some(())).await;
    site
}

/// An administrator adds a colleague and a group for her, finds her, deletes her, and changes her own password.
async fn scenario(visit: &mut Visit<'_>) {
    visit.open("/admin/").await;
    visit.fill("[name=username]", LOGIN).await;
    visit.fill("[name=password]", "not her password").await;
    visit.note_secrets("[name=csrfmiddlewaretoken]").await;
    visit.click("#login-form [type=submit]").await;
    visit.until_in(".errornote", "correct").await;
    visit.fill("[name=username]", LOGIN).await;
    visit.fill("[name=password]", LOGIN_PASSWORD).await;
    visit.note_secrets("[name=csrfmiddlewaretoken]").await;
    visit.click("#login-form [type=submit]").await;
    visit.until_in("#user-tools", LOGIN).await;
    visit.note_secrets("[name=csrfmiddlewaretoken]").await;
    visit.shot("home").await;

    visit.click(".model-user .addlink").await;
    visit.fill("[name=username]", "tanaka").await;
    visit.fill("[name=password1]", COLLEAGUES_PASSWORD).await;
    visit.fill("[name=password2]", COLLEAGUES_PASSWORD).await;
    visit.note_secrets("[name=csrfmiddlewaretoken], [name^=password]").await;
    visit.click("[name=_continue], [name=_save]").await;
    visit.fill("[name=first_name]", "実").await;

    // A group is added in a window of its own, which tells the one that opened it. Pop-ups want a real click.
    let client = visit.chromium.client.clone();
    let opener = client.window().await.unwrap();
    visit.chromium.press_when_possible("#add_id_groups").await;
    let popup = crate::harness::eventually("the window", async || {
        client.windows().await.unwrap().into_iter().find(|window| *window != opener)
    });
    client.switch_to_window(popup.await).await.unwrap();
    visit.fill("[name=name]", "night shift").await;
    visit.click("[name=_save]").await;
    client.switch_to_window(opener).await.unwrap();
    visit.until_in("#id_groups_to option", "night shift").await;
    visit.shot("person").await;
    visit.click("[name=_save]").await;
    visit.until_in(".messagelist", "changed successfully").await;

    visit.fill("#searchbar", "tanaka").await;
    visit.keys(&[Key::Enter]).await;
    visit.until("return location.search.includes('q=tanaka')").await;
    visit.click("#changelist-filter a[href*='is_staff__exact=0']").await;
    visit.until("return location.search.includes('is_staff__exact=0') && document.readyState === 'complete'").await;
    visit.until_in("#result_list", "tanaka").await;
    visit.shot("found").await;
    visit.click("#result_list .action-select").await;
    visit.chromium.press_when_possible("select[name=action] option[value=delete_selected]").await;
    visit.click("button[name=index]").await;
    visit.until_in("#content", "Are you sure").await;
    visit.shot("sure").await;
    visit.click("#content form [type=submit]").await;
    visit.until_in(".messagelist", "Successfully deleted 1 user").await;

    visit.click("#user-tools a[href*='password_change']").await;
    visit.fill("[name=old_password]", LOGIN_PASSWORD).await;
    visit.fill("[name=new_password1]", NEW_PASSWORD).await;
    visit.fill("[name=new_password2]", NEW_PASSWORD).await;
    visit.note_secrets("[name=csrfmiddlewaretoken], [name*=password]").await;
    visit.click("#content form [type=submit]").await;
    visit.until_in("#content", "Your password was changed").await;
    visit.note_secrets("[name=csrfmiddlewaretoken]").await;
    visit.click("#logout-form button").await;
    visit.until_in("#content", "Log in again").await;
    visit.shot("out").await;
}

#[test]
fn djangos_admin_works_as_without_the_gate() {
    // Before the test's time begins: the first time it takes a minute.
    python();
    run(async {
        let setup = Setup { home: "/admin/", actions: "[]", without_cookies: &[], full_addresses: &[] };
        let recorded = compare(start, setup, scenario).await;
        for (action, method, path) in [
            ("view", "GET", "/admin/auth/user/?is_staff__exact=*&q=*"),
            ("login", "POST", "/admin/login/?next=*"),
            ("edit", "POST", "/admin/auth/user/2/change/"),
            ("edit", "POST", "/admin/password_change/"),
        ] {
            assert_recorded(&recorded, action, method, path);
        }
        assert_logged_in(&recorded);
        for (operation, subject) in [
            ("home", None),
            ("people", None),
            ("person-add", None),
            ("person-change", Some("person/2")),
            ("people-delete", None),
            ("group-add", None),
            ("password-change", None),
        ] {
            assert_named(&recorded, operation, subject);
        }
    });
}
