//! What people try in order to be taken for somebody who asks for something else.

/// One request. In `host` and `target` AUTHORITY stands for the app's authority, PORT for its port.
pub(crate) struct Case {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) host: String,
    pub(crate) lines: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Case {
    /// For the table.
    pub(crate) fn name(&self) -> String {
        let mut name = format!("{} {}", self.method, self.target.escape_debug());
        if self.host != "AUTHORITY" {
            name.push_str(&format!(" at {}", self.host));
        }
        for (header, value) in &self.lines {
            name.push_str(&format!(" {header}: {value}"));
        }
        if !self.body.is_empty() {
            name.push_str(&format!(" {:?}", self.body.chars().take(60).collect::<String>()));
        }
        name
    }
}

fn of(method: &'static str, target: &str) -> Case {
    Case { method, target: target.to_owned(), host: "AUTHORITY".to_owned(), lines: Vec::new(), body: String::new() }
}

fn get(target: &str) -> Case {
    of("GET", target)
}

fn with(case: Case, header: &str, value: &str) -> Case {
    let mut case = case;
    case.lines.push((header.to_owned(), value.to_owned()));
    case
}

fn form(target: &str, content_type: &str, body: &str) -> Case {
    Case { body: body.to_owned(), ..with(of("POST", target), "Content-Type", content_type) }
}

/// What must pass and be served as what it is; else nothing here is worth anything.
pub(crate) fn controls() -> Vec<Case> {
    ["/public/page", "/%70ublic/%70age", "/public/page?x=/../admin/page", "/residents/7", "/api/page", "/v2/page"]
        .map(get)
        .into_iter()
        .chain([of("POST", "/residents/7"), form("/residents/7", FORM, "name=x")])
        .collect()
}

const FORM: &str = "application/x-www-form-urlencoded";

/// From a folder that is open to an area that is not.
pub(crate) fn traversals() -> Vec<Case> {
    const DOTS: [&str; 24] = [
        "..",
        "%2e%2e",
        ".%2E",
        "%2e.",
        "%252e%252e",
        "..;",
        "..;x=y",
        "%2e%2e;",
        "..%3b",
        ";..",
        ";x/..",
        "..%00",
        "..%0a",
        "..%09",
        "..%20",
        "...",
        "....//",
        "%c0%ae%c0%ae",
        "%u002e%u002e",
        "%ef%bc%8e%ef%bc%8e",
        "．．",
        "‥",
        "..%c2%a0",
        "..#",
    ];
    const SLASHES: [&str; 16] = [
        "/",
        "//",
        "%2f",
        "%2F",
        "\\",
        "%5c",
        "%5C",
        "%252f",
        "%255c",
        "%c0%af",
        "%u002f",
        "／",
        "%ef%bc%8f",
        "¥",
        "/./",
        "/;/",
    ];
    let all = DOTS
        .iter()
        .flat_map(|dots| SLASHES.iter().map(move |slash| get(&format!("/public{slash}{dots}{slash}admin/page"))));
    let from = ["/files", "/api", "/v2", "/public/x/..", "/residents/7/..", "/files..", "/api..", "/v2.."];
    let more = from.iter().flat_map(|from| {
        ["/../staff/salary", "/..;/staff/salary", "/%2e%2e/staff/salary", "%2f..%2fstaff%2fsalary", "/staff/salary"]
            .map(|to| get(&format!("{from}{to}")))
    });
    all.chain(more).collect()
}

/// The areas themselves, spelled so that a rule may not know them.
pub(crate) fn spellings() -> Vec<Case> {
    let spellings = |folder: &str, name: &str, method: &'static str| {
        let (first, rest) = folder.split_at(1);
        let (upper, title) = (folder.to_uppercase(), format!("{}{rest}", first.to_uppercase()));
        let hex = format!("%{:02x}{rest}", first.as_bytes()[0]);
        let hex_twice = format!("%25{:02x}{rest}", first.as_bytes()[0]);
        [
            format!("/{folder}/{name}"),
            format!("/{upper}/{name}"),
            format!("/{title}/{}", name.to_uppercase()),
            format!("/{hex}/{name}"),
            format!("/{}/{name}", hex.to_uppercase()),
            format!("/{hex_twice}/{name}"),
            format!("/%u00{:02x}{rest}/{name}", first.as_bytes()[0]),
            format!("//{folder}/{name}"),
            format!("///{folder}///{name}"),
            format!("/{folder}//{name}"),
            format!("/./{folder}/{name}"),
            format!("/%2e/{folder}/{name}"),
            format!("/{folder}/./{name}"),
            format!("/;/{folder}/{name}"),
            format!("/;x=y/{folder}/{name}"),
            format!("/x/..;/{folder}/{name}"),
            format!("/.;/{folder}/{name}"),
            format!("/{folder};/{name}"),
            format!("/{folder};jsessionid=0123456789ABCDEF/{name}"),
            format!("/{folder};x=y;z/{name};jsessionid=1"),
            format!("/{folder};x=%2e%2e/{name}"),
            format!("/{folder};%2f../{name}"),
            format!("/{folder}%3b/{name}"),
            format!("/{folder}/{name};"),
            format!("/{folder}/{name};.css"),
            format!("/{folder}/{name}%3b.css"),
            format!("/{folder}/;x/{name}"),
            format!("/{folder}\\{name}"),
            format!("/{folder}%5c{name}"),
            format!("\\{folder}\\{name}"),
            format!("/\\{folder}/{name}"),
            format!("/{folder}%2f{name}"),
            format!("/{folder}%2F{name}"),
            format!("/%2f{folder}/{name}"),
            format!("/{folder}%252f{name}"),
            format!("/{folder}./{name}"),
            format!("/{folder}%20/{name}"),
            format!("/%20{folder}/{name}"),
            format!("/{folder} /{name}"),
            format!("/{folder}%c2%a0/{name}"),
            format!("/{folder}%00/{name}"),
            format!("/{folder}%09/{name}"),
            format!("/{folder}%0d%0a/{name}"),
            format!("/{folder}\t/{name}"),
            format!("/{folder}/{name}/"),
            format!("/{folder}/{name}."),
            format!("/{folder}/{name}%2e"),
            format!("/{folder}/{name}/."),
            format!("/{folder}/{name}%20"),
            format!("/{folder}/{name}%00.css"),
            format!("/{folder}/{name}%0a"),
            format!("/{folder}/{name}::$DATA"),
            format!("/{folder}/{name}?"),
            format!("/{folder}/{name}?.css"),
            format!("/{folder}/{name}%3f.css"),
            format!("/{folder}/{name}%3F"),
            format!("/{folder}/{name}#"),
            format!("/{folder}/{name}%23"),
            format!("/{folder}/{name}#/../public/page"),
            format!("/public/page?/../{folder}/{name}"),
            format!("/public/page%3f/../../{folder}/{name}"),
            format!("/public/page#/../../{folder}/{name}"),
            format!("/{folder}/{name}%"),
            format!("/{folder}/{name}%zz"),
            format!("/{folder}/%e2%80%8b{name}"),
            format!("/{folder}/{name}/x"),
            format!("/{folder}/{name}.json"),
            format!("/{folder}/{name}*"),
            format!("https://AUTHORITY/{folder}/{name}"),
            format!("http://AUTHORITY/{folder}/{name}"),
            format!("HTTPS://AUTHORITY//{folder}/{name}"),
            format!("https://AUTHORITY/public/../{folder}/{name}"),
            format!("https://AUTHORITY\\{folder}\\{name}"),
            format!("{folder}/{name}"),
            format!("./{folder}/{name}"),
            format!("?/{folder}/{name}"),
        ]
        .map(|target| of(method, &target))
    };
    let mut cases: Vec<Case> = spellings("admin", "page", "GET").into();
    cases.extend(spellings("staff", "salary", "GET"));
    cases.extend(spellings("residents", "7/delete", "POST"));
    for method in ["HEAD", "get", "Get", "GET\u{b}", "OPTIONS", "TRACE", "PUT", "PATCH", "PROPFIND", "FOO", "DELETE"] {
        cases.push(of(method, "/admin/page"));
        cases.push(of(method, "/residents/7"));
    }
    cases
}

/// The host, in every way that may lead elsewhere.
pub(crate) fn hosts() -> Vec<Case> {
    let hosts = [
        "HIDAMARI.GW.LOCALHOST:PORT",
        "hidamari.gw.localhost",
        "hidamari.gw.localhost:",
        "hidamari.gw.localhost:1",
        "hidamari.gw.localhost:0PORT",
        "hidamari.gw.localhost:99999",
        "hidamari.gw.localhost.:PORT",
        "hidamari.gw.localhost..",
        "hidamari.gw.localhost:PORT:PORT",
        "x@hidamari.gw.localhost:PORT",
        "hidamari.gw.localhost:PORT@evil.example",
        "hidamari.gw.localhost:PORT#",
        "hidamari.gw.localhost:PORT/admin",
        "hidamari.gw.localhost:PORT?x",
        "hidamari.gw.localhost\\evil.example",
        "hidamari%2egw.localhost:PORT",
        "hidamari.gw.localhost%00",
        "hidamari。gw。localhost:PORT",
        "ｈidamari.gw.localhost:PORT",
        "hidamarı.gw.localhost:PORT",
        "xn--hidamari-x4e.gw.localhost:PORT",
        "xn--hidamari-.gw.localhost:PORT",
        "hidamari_.gw.localhost:PORT",
        ".hidamari.gw.localhost:PORT",
        "evil.hidamari.gw.localhost:PORT",
        "assets.hidamari.gw.localhost:PORT",
        "login.gw.localhost:PORT",
        "gw.localhost:PORT",
        "hidamari-care.localhost",
        "127.0.0.1:PORT",
        "[::1]:PORT",
        "[hidamari.gw.localhost]:PORT",
        "hidamari.gw.localhost, evil.example",
        "hidamari.gw.localhost evil.example",
        "evil.example",
        "",
    ];
    let targets = [
        "https://AUTHORITY/public/page",
        "https://HIDAMARI.GW.LOCALHOST:PORT/public/page",
        "https://hidamari.gw.localhost/public/page",
        "https://x@AUTHORITY/public/page",
        "https://x:y@AUTHORITY/public/page",
        "https://AUTHORITY@evil.example/public/page",
        "https://evil.example/public/page",
        "https://evil.example#AUTHORITY/public/page",
        "https://AUTHORITY.evil.example/public/page",
        "https://AUTHORITY./public/page",
        "https://AUTHORITY:443/public/page",
        "https://AUTHORITY\\@evil.example/public/page",
        "https:///public/page",
        "https:/public/page",
        "https:public/page",
        "//AUTHORITY/public/page",
        "//evil.example/public/page",
        "/\\evil.example/public/page",
        "ftp://AUTHORITY/public/page",
        "AUTHORITY",
        "*",
        "",
    ];
    let mut cases: Vec<Case> =
        hosts.into_iter().map(|host| Case { host: host.to_owned(), ..get("/public/page") }).collect();
    cases.extend(targets.map(get));
    cases.push(with(get("/public/page"), "Host", "evil.example"));
    cases.push(with(get("/public/page"), "Host", "AUTHORITY"));
    cases
}

/// Headers that ask for something else than the request line does.
pub(crate) fn headers() -> Vec<Case> {
    const NAMES: [&str; 29] = [
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Original-URI",
        "X-Original-Path",
        "X-Override-URL",
        "X-Request-URI",
        "X-Proxy-URL",
        "X-HTTP-DestinationURL",
        "X-HTTP-Path-Override",
        "X-Forwarded-Prefix",
        "X-Forwarded-Path",
        "X-Forwarded-Uri",
        "X-Forwarded-Method",
        "X-Forwarded-Host",
        "X-Forwarded-Server",
        "X-Forwarded",
        "Forwarded",
        "X-Host",
        "X-HTTP-Host-Override",
        "X-Script-Name",
        "X-Path-Info",
        "X-Envoy-Original-Path",
        "X-Accel-Redirect",
        "X-Accel-Mapping",
        "X-Sendfile-Type",
        "X-Middleware-Subrequest",
        "X-Matched-Path",
        "X-Invoke-Path",
        "X_Original_URL",
    ];
    NAMES.iter().map(|name| with(get("/public/page"), name, "/admin/page")).collect()
}

/// POSTs that a SaaS may execute as something else, without what only their body says.
pub(crate) fn overrides() -> Vec<Case> {
    let mut cases = Vec::new();
    for name in [
        "X-HTTP-Method-Override",
        "x-http-method-override",
        "X-HTTP-Method",
        "X-Method-Override",
        "X_HTTP_Method_Override",
        "X-Http_Method-Override",
        "HTTP-Method-Override",
        "Method-Override",
        "X-Override-Method",
        "X-Method",
        "X-Requested-Method",
        "X-Tunneled-Method",
        "X-Forwarded-Method",
    ] {
        for value in ["DELETE", "delete", "GET", ""] {
            cases.push(with(of("POST", "/residents/7"), name, value));
        }
        cases.push(with(get("/residents/7"), name, "DELETE"));
    }
    cases.push(with(
        with(of("POST", "/residents/7"), "X-HTTP-Method-Override", "PUT"),
        "X-HTTP-Method-Override",
        "DELETE",
    ));
    for query in [
        "_method=DELETE",
        "_method=delete",
        "x=y&_method=DELETE",
        "x=y;_method=DELETE",
        "_METHOD=DELETE",
        "%5fmethod=DELETE",
        "_%6dethod=%44ELETE",
        "_method=PUT&_method=DELETE",
        "_method%00=DELETE",
        "+_method=DELETE",
        "%20_method=DELETE",
        ".method=DELETE",
        "[method=DELETE",
        " method=DELETE",
        "_method[]=DELETE",
        "_method",
        "X-HTTP-Method-Override=DELETE",
        "&&_method=DELETE",
        "?_method=DELETE",
    ] {
        cases.push(of("POST", &format!("/residents/7?{query}")));
        cases.push(get(&format!("/residents/7?{query}")));
    }
    cases.push(of("POST", "/residents/7;_method=DELETE"));
    cases
}

/// What the head doesn't tell: the body names the method.
pub(crate) fn bodies() -> Vec<Case> {
    let part = "--b\r\nContent-Disposition: form-data; name=\"_method\"\r\n\r\nDELETE\r\n--b--\r\n";
    vec![
        form("/residents/7", FORM, "_method=DELETE"),
        form("/residents/7", FORM, "x=y&%5Fmethod=delete"),
        form("/residents/7", "multipart/form-data; boundary=b", part),
        form("/residents/7", "application/json", "{\"_method\":\"DELETE\"}"),
    ]
}
