//! Debian's DokuWiki: pages, media, search, revisions.

use std::process::Command;

use fantoccini::key::Key;

use serde_json::json;

use crate::harness::{eventually, run};

use super::server::{Stranger, assets};
use super::{LOGIN, LOGIN_PASSWORD, Setup, Visit, assert_logged_in, assert_named, assert_recorded, compare};

/// A PNG of one pixel.
const PICTURE: [u8; 69] = [
    0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0, 1, 8, 2,
    0, 0, 0, 0x90, 0x77, 0x53, 0xDE, 0, 0, 0, 12, b'I', b'D', b'A', b'T', 8, 0xD7, 0x63, 0xF8, 0xCF, 0xC0, 0, 0, 3, 1,
    1, 0, 0x18, 0xDD, 0x8D, 0xB0, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xAE, 0x42, 0x60, 0x82,
];

async fn start() -> Stranger {
    let software = std::path::Path::new("/usr/share/dokuwiki/doku.php");
    assert!(software.exists(), "DokuWiki is missing; `deploy/setup.sh test` installs it");
    let mut wiki = Stranger::prepare("dokuwiki");
    let folder = wiki.folder().to_owned();
    let from = assets().join("dokuwiki");
    std::fs::create_dir(folder.join("conf")).unwrap();
    for file in ["local.php", "acl.auth.php", "plugins.local.php", "mime.local.conf"] {
        std::fs::copy(from.join(file), folder.join("conf").join(file)).unwrap();
    }
    for kind in "attic cache index locks log media media_attic media_meta meta pages tmp".split(' ') {
        std::fs::create_dir_all(folder.join("data").join(kind)).unwrap();
    }
    let hash = Command::new("openssl").args(["passwd", "-6", LOGIN_PASSWORD]).output();
    let hash = String::from_utf8(hash.expect("openssl is missing; `make test` installs it").stdout).unwrap();
    let users = format!("# <?php exit()?>\n{LOGIN}:{}:佐藤 花子:hanako@sakura-kai.example:user\n", hash.trim());
    std::fs::write(folder.join("conf/users.auth.php"), users).unwrap();
    wiki.run(
        "php",
        Command::new("php-cgi")
            .arg("-b")
            .arg(folder.join("php.sock"))
            .arg("-d")
            .arg(format!("auto_prepend_file={}", from.join("before.php").display()))
            .env("WIKI_FOLDER", &folder)
            .env("PHP_FCGI_CHILDREN", "3"),
    );
    wiki.run_nginx(&[]);
    wiki.ready().await
}

/// A nurse writes a page with a picture and a table, finds it, compares its revisions.
async fn scenario(visit: &mut Visit<'_>) {
    visit.open("/doku.php?id=ward:nights").await;
    visit.fill("#dw__login [name=u]", LOGIN).await;
    visit.fill("#dw__login [name=p]", "not her password").await;
    visit.click("#dw__login button").await;
    visit.until_in(".error", "password").await;
    visit.fill("#dw__login [name=u]", LOGIN).await;
    visit.fill("#dw__login [name=p]", LOGIN_PASSWORD).await;
    visit.click("#dw__login button").await;
    visit.until_in("#dokuwiki__usertools", "Log Out").await;
    visit.note_secrets("[name=sectok]").await;

    visit.click("#dokuwiki__pagetools a[href*='do=edit']").await;
    visit.fill("#wiki__text", "====== Night rounds ======\nThree rounds.\n").await;
    visit.click("button[name='do[preview]']").await;
    visit.until_in(".preview h1", "Night rounds").await;
    visit.note_secrets("[name=sectok]").await;
    visit.click("button[name='do[save]']").await;
    visit.until_in(".mode_show #dokuwiki__content h1", "Night rounds").await;
    visit.shot("saved").await;

    // A picture and a table are uploaded by the media manager's script.
    visit.open("/doku.php?id=ward:nights&do=media&ns=ward").await;
    visit.click("a[href*='tab_files=upload']").await;
    for (file, bytes) in [("map.png", &PICTURE[..]), ("plan.csv", "room,rounds\n203,3\n".as_bytes())] {
        let path = visit.stranger.folder().join(file);
        std::fs::write(&path, bytes).unwrap();
        visit.chromium.find(".qq-uploader input[type=file]").await.send_keys(path.to_str().unwrap()).await.unwrap();
    }
    visit.click("#mediamanager__upload_button").await;
    visit.until("return document.querySelectorAll('.qq-upload-success').length === 2").await;
    visit.shot("uploaded").await;
    visit.open("/doku.php?id=ward:nights&do=edit").await;
    visit
        .fill("#wiki__text", "====== Night rounds ======\nFive rounds.\n{{ward:map.png?40}} {{ward:plan.csv}}\n")
        .await;
    visit.click("button[name='do[save]']").await;
    visit
        .until("return [...document.images].some(i => i.src.includes('map.png') && i.complete && i.naturalWidth > 0)")
        .await;
    visit.secrets.insert("Five rounds".to_owned());
    visit.shot("page").await;

    // The table comes as a file.
    let downloads = visit.chromium.home.path().join("downloads");
    let allow = json!({ "behavior": "allow", "downloadPath": downloads });
    visit.chromium.devtools("Browser.setDownloadBehavior", allow).await;
    visit.click("a.mediafile[href*='plan.csv']").await;
    let saved = downloads.join("plan.csv");
    eventually("the table is saved", async || {
        (std::fs::read_to_string(&saved).ok()? == "room,rounds\n203,3\n").then_some(())
    })
    .await;

    // Suggestions while typing, then the search.
    visit.fill("#qsearch__in", "nig").await;
    visit.until_in("#qsearch__out a", "nights").await;
    visit.fill("#qsearch__in", "rounds").await;
    visit.keys(&[Key::Enter]).await;
    visit.until_in(".search_fullpage_result", "Five rounds").await;
    visit.shot("search").await;

    visit.open("/doku.php?id=ward:nights").await;
    visit.click("#dokuwiki__pagetools a[href*='do=revisions']").await;
    visit.click("#page__revisions a.diff_link").await;
    visit.until_in("table.diff", "Five").await;
    visit.shot("revisions").await;
    visit.click("#dokuwiki__usertools a[href*='do=logout']").await;
    visit.chromium.find("#dw__login").await;
}

#[test]
fn dokuwiki_works_as_without_the_gate() {
    run(async {
        let setup = Setup {
            home: "/doku.php",
            actions: "[]",
            without_cookies: &["/lib/exe/manifest.php"],
            full_addresses: &[
                "a href: https://HOST/doku.php?id=*&do=*&rev2%5B0%5D=*&rev2%5B1%5D=*&difftype=*",
                "link href: https://HOST/doku.php?id=*",
            ],
        };
        let recorded = compare(start, setup, scenario).await;
        for (action, method, path) in [
            ("view", "GET", "/doku.php?id=*"),
            ("edit", "POST", "/doku.php?id=*&do=*"),
            ("upload", "POST", "/lib/exe/ajax.php?tab_files=*&tab_details=*&do=*&ns=*&sectok=*&*&call=*&qqfile=*&ow=*"),
            ("download", "GET", "/lib/exe/fetch.php?media=*"),
        ] {
            assert_recorded(&recorded, action, method, path);
        }
        assert_logged_in(&recorded);
        for (operation, subject) in [
            ("page", Some("page/ward:nights")),
            ("page-save", Some("page/ward:nights")),
            ("media", Some("media/ward:map.png")),
            ("revisions", Some("page/ward:nights")),
            ("search", None),
        ] {
            assert_named(&recorded, operation, subject);
        }
    });
}
