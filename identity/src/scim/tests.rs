//! Resources and the roster together: what a provider sends, what it gets back, and who is who afterwards.

use serde_json::{Value, json};
use store::Store;
use vocabulary::{Date, PersonId, Timestamp};

use super::*;
use crate::{Identity, IdentityError, Person, Roster, Settings, Standing};

const ORIGIN: &str = "https://scim.gw.example";
const NOW: Timestamp = Timestamp::from_secs(1_793_500_000);

struct World {
    identity: Identity,
    store: Store,
    token: ScimToken,
}

fn settings(document: &ScimDocument) -> Settings {
    let mut errors = Vec::new();
    Settings { scim: document.resolve("gw.example", &mut errors), ..Settings::default() }
}

fn nurses() -> ScimDocument {
    let groups = [("Visiting Nurses".to_owned(), "visiting-nurses".parse().unwrap())].into();
    ScimDocument { groups, ..ScimDocument::default() }
}

fn token(provider: &str) -> ScimToken {
    let made = NewToken::make("t".into(), provider.into(), "users,groups".parse().unwrap(), NOW.plus_secs(60), NOW);
    std::sync::Arc::into_inner(made.unwrap().token).unwrap()
}

fn today() -> Date {
    "2026-11-01".parse().unwrap()
}

/// The status and the body of an answer, and the words of what was recorded.
type Said = (u16, Value, Vec<&'static str>);

impl World {
    fn new(document: &ScimDocument) -> Self {
        let store = Store::in_memory().unwrap();
        let identity = Identity::open(store.clone(), &settings(document)).unwrap();
        Self { identity, store, token: token("entra") }
    }

    async fn ask(&self, method: &str, target: &str, body: Value) -> Said {
        self.ask_as(&self.token, method, target, body, None).await
    }

    async fn ask_as(&self, token: &ScimToken, method: &str, target: &str, body: Value, if_match: Option<&str>) -> Said {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let body = match body {
            Value::Null => Vec::new(),
            body => serde_json::to_vec(&body).unwrap(),
        };
        let request = ScimRequest {
            token,
            method,
            path,
            query,
            if_match,
            if_none_match: None,
            body: &body,
            origin: ORIGIN,
            now: NOW,
            today: today(),
        };
        let writing = self.identity.scim().writing().await;
        match self.identity.scim().answer(&self.identity.roster(), &request, Some(&writing)) {
            Ok(Handled::Answer(answer)) => (answer.status, answer.body.unwrap_or_default(), Vec::new()),
            Ok(Handled::Change(change)) => {
                let words = change.records().iter().map(|r| r.what).collect();
                let (answer, _) = self.identity.carry_out_scim(*change, &writing).unwrap();
                (answer.status, answer.body.unwrap_or_default(), words)
            }
            Err(problem) => (problem.status, problem.body(), Vec::new()),
        }
    }

    async fn make(&self, user_name: &str) -> String {
        let (status, body, _) = self.ask("POST", "/Users", user(user_name)).await;
        assert_eq!(status, 201, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }

    async fn group(&self, name: &str, members: &[&str]) -> String {
        let members: Vec<_> = members.iter().map(|id| json!({ "value": id })).collect();
        let body = json!({ "schemas": [schema::GROUP.id], "displayName": name, "members": members });
        let (status, body, _) = self.ask("POST", "/Groups", body).await;
        assert_eq!(status, 201, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }

    fn person(&self, id: &str) -> Person {
        self.identity.roster().get(&PersonId::new(id).unwrap()).map(|p| Person::clone(p)).unwrap()
    }

    fn groups_of(&self, id: &str) -> Vec<String> {
        self.person(id).groups.iter().map(ToString::to_string).collect()
    }
}

fn user(user_name: &str) -> Value {
    json!({ "schemas": [schema::USER.id], "userName": user_name })
}

fn patch_of(operations: Value) -> Value {
    let mut body = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"] });
    body["Operations"] = operations;
    body
}

/// RFC 7643, 8.2 and 8.3: the full and the enterprise user.
#[tokio::test]
async fn the_users_of_the_rfc_become_people_of_the_roster() {
    let world = World::new(&nurses());
    let full = json!({
        "schemas": [schema::USER.id, schema::ENTERPRISE.id],
        "id": "2819c223-7f76-453a-919d-413861904646",
        "externalId": "701984",
        "userName": "bjensen@example.com",
        "name": { "formatted": "Ms. Barbara J Jensen, III", "familyName": "Jensen", "givenName": "Barbara",
            "middleName": "Jane", "honorificPrefix": "Ms.", "honorificSuffix": "III" },
        "displayName": "Babs Jensen", "nickName": "Babs", "profileUrl": "https://login.example.com/bjensen",
        "emails": [{ "value": "bjensen@example.com", "type": "work", "primary": true },
            { "value": "babs@jensen.org", "type": "home" }],
        "addresses": [{ "streetAddress": "100 Universal City Plaza", "type": "work", "primary": true }],
        "phoneNumbers": [{ "value": "555-555-5555", "type": "work" }],
        "userType": "Employee", "title": "Tour Guide", "preferredLanguage": "en-US", "locale": "en-US",
        "timezone": "America/Los_Angeles", "active": true, "password": "t1meMa$heen",
        "groups": [{ "value": "e9e30dba-f08f-4109-8486-d5c6a331660a", "display": "Tour Guides" }],
        "x509Certificates": [{ "value": "MIIDQzCCAqygAwIBAgICEAAwDQYJKoZIhvcNAQEFBQAwTjELMAkGA1UEBhMCVVMx" }],
        schema::ENTERPRISE.id: { "employeeNumber": "701984", "costCenter": "4130", "department": "Tour Operations",
            "manager": { "value": "26118915-6090-4610-87e4-49d8ca9f808d" } },
        "meta": { "resourceType": "User", "version": "W/\"a330bc54f0671c9\"" },
    });
    let (status, shown, records) = world.ask("POST", "/Users", full).await;
    assert_eq!((status, &records[..]), (201, &["scim-user-created"][..]));
    assert_ne!(shown["id"], "2819c223-7f76-453a-919d-413861904646", "an id is ours to give");
    assert_eq!(shown["externalId"], "701984");
    assert_eq!(shown["schemas"], json!([schema::USER.id, schema::ENTERPRISE.id]));
    assert_eq!(shown[schema::ENTERPRISE.id], json!({ "employeeNumber": "701984", "department": "Tour Operations" }));
    assert_eq!(shown["meta"]["location"], format!("{ORIGIN}/scim/v2/Users/{}", shown["id"].as_str().unwrap()));
    for dropped in ["password", "addresses", "groups", "nickName"] {
        assert_eq!(shown[dropped], Value::Null, "{dropped}");
    }
    let person = world.person("bjensen");
    assert_eq!((person.name.as_str(), person.mail.as_deref()), ("Babs Jensen", Some("bjensen@example.com")));
    assert_eq!(person.facility.as_deref(), Some("Tour Operations"));
    assert_eq!((person.standing(today()), person.groups.len()), (Standing::Active, 0));
    let stored = world.store.transaction(|tx| tx.query("SELECT attributes FROM scim_user", &[])).unwrap();
    assert!(!stored[0].text(0).unwrap().contains("t1meMa"), "a password was stored");

    let minimal = json!({ "schemas": [schema::USER.id], "id": "x", "userName": "mini@example.com" });
    let (status, shown, _) = world.ask("POST", "/Users", minimal).await;
    assert_eq!((status, &shown["active"]), (201, &json!(true)));
    assert_eq!(world.person("mini").name, "mini@example.com");
}

#[tokio::test]
async fn inactive_is_out_and_what_an_operator_locked_stays_locked() {
    let world = World::new(&nurses());
    let id = world.make("sato@x.example").await;
    let (status, shown, records) = world
        .ask(
            "PATCH",
            &format!("/Users/{id}"),
            patch_of(json!([{ "op": "Replace", "path": "active", "value": "False" }])),
        )
        .await;
    assert_eq!((status, &shown["active"], &records[..]), (200, &json!(false), &["scim-user-changed"][..]));
    assert_eq!(world.person("sato").standing(today()), Standing::Locked);

    // An operator's unlock does not undo it, nor does a change of the entry, nor a restart.
    world.identity.unlock(&"sato".parse().unwrap()).unwrap();
    world.identity.update(Person::new("sato".parse().unwrap(), "佐藤")).unwrap();
    assert_eq!(world.person("sato").standing(today()), Standing::Locked);
    let again = Identity::open(world.store.clone(), &settings(&nurses())).unwrap();
    assert_eq!(again.roster().standing(&"sato".parse().unwrap(), today()), Standing::Locked);

    // And the other way round.
    world.identity.lock(&"sato".parse().unwrap()).unwrap();
    let on = patch_of(json!([{ "op": "replace", "value": { "active": true } }]));
    let (status, shown, _) = world.ask("PATCH", &format!("/Users/{id}"), on).await;
    assert_eq!((status, &shown["active"]), (200, &json!(true)));
    assert_eq!(world.person("sato").standing(today()), Standing::Locked);
    world.identity.unlock(&"sato".parse().unwrap()).unwrap();
    assert_eq!(world.person("sato").standing(today()), Standing::Active);
}

#[tokio::test]
async fn leaving_active_out_of_a_replacement_lets_nobody_in_again() {
    let world = World::new(&nurses());
    let id = world.make("sato@x.example").await;
    let off = json!({ "schemas": [schema::USER.id], "userName": "sato@x.example", "active": false });
    assert_eq!(world.ask("PUT", &format!("/Users/{id}"), off).await.0, 200);
    let (status, shown, _) = world
        .ask(
            "PUT",
            &format!("/Users/{id}"),
            json!({
                "schemas": [schema::USER.id], "userName": "sato@x.example", "displayName": "佐藤",
            }),
        )
        .await;
    assert_eq!((status, &shown["active"], &shown["displayName"]), (200, &json!(false), &json!("佐藤")));
}

#[tokio::test]
async fn who_is_deleted_stays_on_the_roster_and_returns_as_the_same_person() {
    let world = World::new(&nurses());
    let id = world.make("sato@x.example").await;
    let group = world.group("Visiting Nurses", &[&id]).await;
    assert_eq!(world.groups_of("sato"), ["visiting-nurses"]);
    let (status, _, records) = world.ask("DELETE", &format!("/Users/{id}"), Value::Null).await;
    assert_eq!((status, &records[..]), (204, &["scim-user-deleted", "scim-groups-taken"][..]));
    let gone = world.person("sato");
    assert_eq!((gone.standing(today()), gone.last_day, gone.groups.len()), (Standing::Locked, Some(today()), 0));
    assert_eq!(world.ask("GET", &format!("/Users/{id}"), Value::Null).await.0, 404);
    assert_eq!(world.ask("DELETE", &format!("/Users/{id}"), Value::Null).await.0, 404);
    assert_eq!(world.ask("GET", &format!("/Groups/{group}"), Value::Null).await.1["members"], Value::Null);

    let (status, back, records) = world.ask("POST", "/Users", user("SATO@x.example")).await;
    assert_eq!((status, &records[..]), (201, &["scim-user-returned"][..]));
    assert_ne!(back["id"], id.as_str(), "an id is never given twice");
    let back = world.person("sato");
    assert_eq!((back.standing(today()), back.last_day, back.groups.len()), (Standing::Active, None, 0));
    assert_eq!(world.identity.roster().len(), 1);
}

/// A last day that an operator set is not the provider's to take, whichever it is.
#[tokio::test]
async fn deleting_and_making_anew_takes_no_last_day_that_an_operator_set() {
    for last_day in ["2026-10-31", "2026-11-01", "2026-11-30"] {
        let world = World::new(&nurses());
        let id = world.make("sato@x.example").await;
        world.identity.retire(&"sato".parse().unwrap(), last_day.parse().unwrap()).unwrap();
        assert_eq!(world.ask("DELETE", &format!("/Users/{id}"), Value::Null).await.0, 204);
        assert_eq!(world.ask("POST", "/Users", user("sato@x.example")).await.0, 201);
        assert_eq!(world.person("sato").last_day, Some(last_day.parse().unwrap()));
    }
}

/// A user name that is given to a successor does not bring the leaver's password and devices back.
#[tokio::test]
async fn a_user_name_of_another_external_id_is_somebody_else() {
    let world = World::new(&nurses());
    let named = |external_id: &str| {
        let mut body = user("sato@x.example");
        body["externalId"] = external_id.into();
        body
    };
    let (_, made, _) = world.ask("POST", "/Users", named("E1")).await;
    world.ask("DELETE", &format!("/Users/{}", made["id"].as_str().unwrap()), Value::Null).await;
    let (status, body, records) = world.ask("POST", "/Users", named("E2")).await;
    assert_eq!((status, &body["scimType"], records.len()), (409, &json!("uniqueness"), 0));
    assert!(body["detail"].as_str().unwrap().contains("sekisho scim release"), "{body}");
    assert_eq!(world.person("sato").standing(today()), Standing::Locked);
    // Who says no externalId, or the same one, is the same person.
    let (status, again, records) = world.ask("POST", "/Users", named("E1")).await;
    assert_eq!((status, &records[..]), (201, &["scim-user-returned"][..]));
    world.ask("DELETE", &format!("/Users/{}", again["id"].as_str().unwrap()), Value::Null).await;

    // What the answer says to do helps.
    let writing = world.identity.scim().writing().await;
    let change = world.identity.scim().release(&"sato".parse().unwrap(), &writing).unwrap();
    world.identity.carry_out_scim(change, &writing).unwrap();
    drop(writing);
    let (status, _, records) = world.ask("POST", "/Users", named("E2")).await;
    assert_eq!((status, &records[..]), (201, &["scim-user-created"][..]));
    assert_eq!(world.person("sato-2").standing(today()), Standing::Active);
    assert_eq!(world.person("sato").standing(today()), Standing::Locked, "a leaver was let in");
    assert!(world.person("sato").locked && !world.person("sato").deactivated);
}

#[tokio::test]
async fn a_patch_that_takes_active_away_lets_nobody_in_and_keeps_nobody_out() {
    for operation in [
        json!({ "op": "remove", "path": "active" }),
        json!({ "op": "replace", "path": "active", "value": null }),
        json!({ "op": "add", "value": { "active": null } }),
        json!({ "op": "remove", "path": format!("{}:active", schema::USER.id) }),
    ] {
        for (active, standing) in [(false, Standing::Locked), (true, Standing::Active)] {
            let world = World::new(&nurses());
            let target = format!("/Users/{}", world.make("sato@x.example").await);
            let said = patch_of(json!([{ "op": "replace", "path": "active", "value": active }]));
            assert_eq!(world.ask("PATCH", &target, said).await.0, 200);
            let (status, shown, _) = world.ask("PATCH", &target, patch_of(json!([operation]))).await;
            assert_eq!((status, &shown["active"]), (200, &Value::Null), "{operation}");
            // Nor by what comes after, nor by a restart.
            let rename = patch_of(json!([{ "op": "add", "path": "displayName", "value": "佐藤" }]));
            assert_eq!(world.ask("PATCH", &target, rename).await.0, 200);
            assert_eq!(world.person("sato").standing(today()), standing, "{operation}");
            let again = Identity::open(world.store.clone(), &settings(&nurses())).unwrap();
            assert_eq!(again.roster().standing(&"sato".parse().unwrap(), today()), standing, "{operation}");
        }
    }
}

/// Sign-ins of other providers find their person by mail address: a taken-over entry keeps the operator's.
#[tokio::test]
async fn an_adopted_entry_keeps_its_mail_address() {
    let world = World::new(&ScimDocument { adopt: true, ..nurses() });
    let mut made = Person::new("sato".parse().unwrap(), "佐藤");
    made.mail = Some("hanako@home.example".into());
    world.identity.add(made).unwrap();
    let mut body = user("sato");
    body["emails"] = json!([{ "value": "mallory@x.example" }]);
    let (status, shown, records) = world.ask("POST", "/Users", body.clone()).await;
    assert_eq!((status, &records[..]), (201, &["scim-user-adopted"][..]), "{shown}");
    let mail = |world: &World| world.person("sato").mail;
    let kept = Some("hanako@home.example".to_owned());
    assert_eq!(mail(&world), kept);
    // Nor later, nor after a restart or a return.
    let target = format!("/Users/{}", shown["id"].as_str().unwrap());
    let world = World { identity: Identity::open(world.store.clone(), &settings(&nurses())).unwrap(), ..world };
    let change = patch_of(json!([{ "op": "replace", "path": "emails", "value": [{ "value": "m2@x.example" }] }]));
    assert_eq!(world.ask("PATCH", &target, change).await.0, 200);
    assert_eq!(mail(&world), kept);
    assert_eq!(world.ask("DELETE", &target, Value::Null).await.0, 204);
    assert_eq!(world.ask("POST", "/Users", body).await.2, ["scim-user-returned"]);
    assert_eq!(mail(&world), kept);
}

#[tokio::test]
async fn who_is_managed_and_who_keeps_somebody_out_is_known() {
    let world = World::new(&nurses());
    let sato: PersonId = "sato".parse().unwrap();
    let scim = world.identity.scim();
    assert!(scim.managed().is_empty());
    let id = world.make("sato@x.example").await;
    world.group("Visiting Nurses", &[&id]).await;
    let by = ManagedBy { provider: "entra".into(), groups: vec!["visiting-nurses".parse().unwrap()] };
    assert_eq!(scim.managed(), Managed::from([(sato.clone(), by)]));
    assert_eq!(scim.kept_out_by(&sato), None);
    assert_eq!(world.ask("DELETE", &format!("/Users/{id}"), Value::Null).await.0, 204);
    assert!(scim.managed().is_empty());
    assert_eq!(scim.kept_out_by(&sato).as_deref(), Some("entra"));
    assert_eq!(Roster::read(&world.store).unwrap().standing(&sato, today()), Standing::Locked);
}

#[tokio::test]
async fn a_group_gives_what_the_configuration_lists_and_nothing_else() {
    let world = World::new(&nurses());
    let (a, b) = (world.make("a@x.example").await, world.make("b@x.example").await);
    let listed = world.group("visiting nurses", &[&a]).await;
    world.group("staff", &[&a, &b]).await;
    assert_eq!(world.groups_of("a"), ["visiting-nurses"]);
    assert_eq!(world.groups_of("b"), [""; 0], "an unlisted group gave something");

    let add = patch_of(json!([{ "op": "Add", "path": "members", "value": [{ "value": b }] }]));
    let (_, shown, records) = world.ask("PATCH", &format!("/Groups/{listed}"), add.clone()).await;
    assert_eq!(shown["members"].as_array().unwrap().len(), 2);
    assert_eq!(records, ["scim-group-changed", "scim-groups-given"]);
    assert_eq!(world.groups_of("b"), ["visiting-nurses"]);
    assert_eq!(world.ask("PATCH", &format!("/Groups/{listed}"), add).await.2, [""; 0], "nothing changed");
    let shown = world.ask("GET", &format!("/Users/{b}"), Value::Null).await.1;
    assert_eq!(shown["groups"].as_array().unwrap().len(), 2);

    let rename = patch_of(json!([{ "op": "replace", "value": { "id": listed, "displayName": "Managers" } }]));
    assert_eq!(
        world.ask("PATCH", &format!("/Groups/{listed}"), rename).await.2,
        ["scim-group-changed", "scim-groups-taken"]
    );
    assert!(world.groups_of("a").is_empty() && world.groups_of("b").is_empty());
}

#[tokio::test]
async fn what_an_operator_gave_a_provider_can_not_take() {
    let world = World::new(&ScimDocument { adopt: true, ..nurses() });
    let mut made = Person::new("sato".parse().unwrap(), "佐藤");
    made.mail = Some("sato@x.example".into());
    made.groups = vec!["visiting-nurses".parse().unwrap(), "managers".parse().unwrap()];
    world.identity.add(made).unwrap();
    let (status, shown, records) = world.ask("POST", "/Users", user("sato@x.example")).await;
    assert_eq!((status, &records[..]), (201, &["scim-user-adopted"][..]), "{shown}");
    let group = world.group("Visiting Nurses", &[shown["id"].as_str().unwrap()]).await;
    assert_eq!(world.ask("DELETE", &format!("/Groups/{group}"), Value::Null).await.0, 204);
    assert_eq!(world.groups_of("sato"), ["visiting-nurses", "managers"]);
}

#[tokio::test]
async fn an_entry_that_an_operator_made_is_not_taken_over_unless_allowed() {
    let world = World::new(&nurses());
    let mut made = Person::new("sato".parse().unwrap(), "佐藤");
    made.mail = Some("Sato@x.example".into());
    world.identity.add(made).unwrap();
    for taken in [user("sato@X.example"), user("sato")] {
        let (status, body, _) = world.ask("POST", "/Users", taken).await;
        assert_eq!((status, &body["scimType"]), (409, &json!("uniqueness")));
    }
    // The same local part elsewhere is somebody else.
    world.make("sato@y.example").await;
    assert_eq!(world.person("sato-2").name, "sato@y.example");
    // Nor by the back door: taking somebody's mail address.
    let id = world.make("other@y.example").await;
    let steal = patch_of(json!([{ "op": "add", "path": "emails", "value": [{ "value": "sato@x.example" }] }]));
    assert_eq!(world.ask("PATCH", &format!("/Users/{id}"), steal).await.0, 409);
    let rename = patch_of(json!([{ "op": "replace", "path": "userName", "value": "SATO@y.example" }]));
    assert_eq!(world.ask("PATCH", &format!("/Users/{id}"), rename).await.0, 409);
}

#[tokio::test]
async fn a_provider_sees_its_own_people_only() {
    let world = World::new(&nurses());
    let id = world.make("sato@x.example").await;
    let other = token("okta");
    let target = format!("/Users/{id}");
    assert_eq!(world.ask_as(&other, "GET", &target, Value::Null, None).await.0, 404);
    assert_eq!(world.ask_as(&other, "DELETE", &target, Value::Null, None).await.0, 404);
    assert_eq!(world.ask_as(&other, "GET", "/Users", Value::Null, None).await.1["totalResults"], 0);
    let group =
        json!({ "schemas": [schema::GROUP.id], "displayName": "Visiting Nurses", "members": [{ "value": id }] });
    assert_eq!(world.ask_as(&other, "POST", "/Groups", group, None).await.0, 400);
    assert_eq!(world.ask_as(&other, "POST", "/Users", user("sato@x.example"), None).await.0, 201, "another person");
    assert_eq!(world.person("sato-2").name, "sato@x.example");
}

#[tokio::test]
async fn lists_are_filtered_paged_and_projected() {
    let world = World::new(&nurses());
    for n in 0..7 {
        let mut body = user(&format!("user{n}@x.example"));
        body["externalId"] = format!("E{n}").into();
        body["emails"] = json!([{ "value": format!("u{n}@mail.example"), "type": "work" }]);
        body[schema::ENTERPRISE.id] = json!({ "department": if n < 3 { "North" } else { "South" } });
        assert_eq!(world.ask("POST", "/Users", body).await.0, 201);
    }
    let count = async |filter: &str| {
        let query = filter.replace(' ', "%20").replace('"', "%22").replace('[', "%5B").replace(']', "%5D");
        world.ask("GET", &format!("/Users?filter={query}"), Value::Null).await.1["totalResults"].as_u64()
    };
    for (filter, found) in [
        (r#"userName eq "USER3@x.example""#, 1),
        (r#"externalId eq "E3""#, 1),
        (r#"externalId eq "e3""#, 0),
        (r#"emails[type eq "work"].value eq "u2@mail.example""#, 1),
        (r#"emails[type eq "home" and value co "u2"]"#, 0),
        (r#"emails co "mail.example""#, 7),
        (r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "north""#, 3),
        (r#"not (userName sw "user1") and active eq true"#, 6),
        (r#"meta.lastModified ge "2020-01-01T00:00:00Z""#, 7),
        (r#"meta.lastModified gt "2030-01-01T00:00:00+09:00""#, 0),
        (r#"userName ne "user3@x.example""#, 6),
        ("displayName pr", 0),
        ("displayName eq null", 7),
        (r#"title eq "x""#, 0),
    ] {
        assert_eq!(count(filter).await, Some(found), "{filter}");
    }
    world.group("Visiting Nurses", &[]).await;
    world.group("Managers", &[]).await;
    for (filter, found) in [
        (r#"displayName eq "visiting NURSES""#, vec!["Visiting Nurses"]),
        (r#"displayName sw "M""#, vec!["Managers"]),
        (r#"displayName eq "Nobody""#, vec![]),
        ("members pr", vec![]),
    ] {
        let query = filter.replace(' ', "%20").replace('"', "%22");
        let (status, listed, _) = world.ask("GET", &format!("/Groups?filter={query}"), Value::Null).await;
        let groups = listed["Resources"].as_array().into_iter().flatten();
        let names: Vec<_> = groups.map(|group| group["displayName"].as_str().unwrap()).collect();
        assert_eq!((status, &listed["totalResults"], &names), (200, &json!(found.len()), &found), "{filter}");
    }
    for wrong in ["/Users?filter=userName", "/Users?filter=nobody%20pr", "/Users?filter=active%20gt%20true"] {
        let (status, body, _) = world.ask("GET", wrong, Value::Null).await;
        assert_eq!((status, &body["scimType"]), (400, &json!("invalidFilter")), "{wrong}");
    }
    let mut seen = Vec::new();
    for start in [1, 4, 7] {
        let (_, page, _) = world.ask("GET", &format!("/Users?startIndex={start}&count=3"), Value::Null).await;
        assert_eq!((&page["totalResults"], &page["startIndex"]), (&json!(7), &json!(start)));
        seen.extend(page["Resources"].as_array().unwrap().iter().map(|u| u["id"].clone()));
    }
    seen.sort_by_key(ToString::to_string);
    seen.dedup();
    assert_eq!(seen.len(), 7);
    let (_, none, _) = world.ask("GET", "/Users?count=0&startIndex=-3", Value::Null).await;
    assert_eq!((&none["totalResults"], &none["Resources"]), (&json!(7), &Value::Null));

    let (_, few, _) = world
        .ask("GET", "/Users?filter=externalId%20eq%20%22E0%22&attributes=userName,emails.value", Value::Null)
        .await;
    let keys: Vec<_> = few["Resources"][0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["schemas", "id", "userName", "emails"]);
    assert_eq!(few["Resources"][0]["emails"], json!([{ "value": "u0@mail.example" }]));
    let search = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "filter": "userName sw \"user\"", "excludedAttributes": ["emails", "id"], "count": 2 });
    let (_, found, _) = world.ask("POST", "/.search", search).await;
    assert_eq!((&found["totalResults"], &found["itemsPerPage"]), (&json!(7), &json!(2)));
    assert_eq!(found["Resources"][0]["emails"], Value::Null);
    assert!(found["Resources"][0]["id"].is_string(), "what is always returned can't be excluded");
}

#[tokio::test]
async fn a_version_that_is_no_longer_there_is_not_changed() {
    let world = World::new(&nurses());
    let id = world.make("sato@x.example").await;
    let target = format!("/Users/{id}");
    let before = world.ask("GET", &target, Value::Null).await.1["meta"]["version"].as_str().unwrap().to_owned();
    let rename = |name: &str| patch_of(json!([{ "op": "replace", "path": "displayName", "value": name }]));
    assert_eq!(world.ask_as(&world.token, "PATCH", &target, rename("A"), Some(&before)).await.0, 200);
    assert_eq!(world.ask_as(&world.token, "PATCH", &target, rename("B"), Some(&before)).await.0, 412);
    assert_eq!(world.ask_as(&world.token, "PATCH", &target, rename("B"), Some("*")).await.0, 200);
}

#[tokio::test]
async fn another_configuration_gives_other_groups_and_a_released_person_is_the_operators() {
    let world = World::new(&nurses());
    let id = world.make("sato@x.example").await;
    world.group("Visiting Nurses", &[&id]).await;
    let elsewhere = [("Visiting Nurses".to_owned(), "nurses-west".parse().unwrap())].into();
    world.identity.apply(&settings(&ScimDocument { groups: elsewhere, ..ScimDocument::default() }));
    let scim = world.identity.scim().clone();
    let writing = scim.writing().await;
    let change = scim.reconcile(&world.identity.roster(), &writing).unwrap();
    let words: Vec<_> = change.records().iter().map(|r| (r.what, r.subject.as_str())).collect();
    assert_eq!(words, [("scim-groups-given", "nurses-west"), ("scim-groups-taken", "visiting-nurses")]);
    world.identity.carry_out_scim(change, &writing).unwrap();
    assert_eq!(world.groups_of("sato"), ["nurses-west"]);
    assert!(scim.reconcile(&world.identity.roster(), &writing).is_none());

    let sato: PersonId = "sato".parse().unwrap();
    let change = scim.release(&sato, &writing).unwrap();
    world.identity.carry_out_scim(change, &writing).unwrap();
    assert!(!scim.manages(&sato) && scim.release(&sato, &writing).is_none());
    drop(writing);
    assert_eq!(world.ask("GET", &format!("/Users/{id}"), Value::Null).await.0, 404);
    assert_eq!(world.groups_of("sato"), ["nurses-west"]);
}

#[tokio::test]
async fn what_is_wrong_is_said_in_the_protocols_form() {
    let world = World::new(&nurses());
    for (method, target, body, status, word) in [
        ("POST", "/Users", json!({ "userName": "x" }), 400, Some("invalidSyntax")),
        ("POST", "/Users", json!({ "schemas": [schema::USER.id] }), 400, Some("invalidValue")),
        (
            "POST",
            "/Users",
            json!({ "schemas": [schema::USER.id], "userName": "a", "USERNAME": "b" }),
            400,
            Some("invalidSyntax"),
        ),
        ("POST", "/Users", json!({ "schemas": [schema::USER.id], "userName": "a\nb" }), 400, Some("invalidValue")),
        ("POST", "/Users", json!([]), 400, Some("invalidSyntax")),
        ("POST", "/Users", Value::Null, 400, Some("invalidSyntax")),
        (
            "POST",
            "/Groups",
            json!({ "schemas": [schema::GROUP.id], "displayName": "G", "members": [{ "value": "nobody" }] }),
            400,
            Some("invalidValue"),
        ),
        (
            "POST",
            "/Groups",
            json!({ "schemas": [schema::GROUP.id], "displayName": "G", "members": [{ "value": "g", "type": "Group" }] }),
            400,
            Some("invalidValue"),
        ),
        ("GET", "/Users?attributes=a&excludedAttributes=b", Value::Null, 400, Some("invalidValue")),
        ("GET", "/Users?count=many", Value::Null, 400, Some("invalidValue")),
        ("GET", "/Users/nobody", Value::Null, 404, None),
        ("GET", "/nothing", Value::Null, 404, None),
        ("GET", "/Schemas?filter=id%20pr", Value::Null, 403, None),
        ("POST", "/Bulk", json!({}), 501, None),
        ("GET", "/Me", Value::Null, 501, None),
        ("DELETE", "/Users", Value::Null, 405, None),
        ("PUT", "/ServiceProviderConfig", json!({}), 405, None),
        ("DELETE", "/Users/.search", Value::Null, 405, None),
    ] {
        let (found, shown, _) = world.ask(method, target, body).await;
        assert_eq!((found, shown["scimType"].as_str()), (status, word), "{method} {target}: {shown}");
        assert_eq!(shown["status"], status.to_string());
        assert_eq!(shown["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
    }
    assert_eq!(world.identity.roster().len(), 0);
}

#[test]
fn a_scope_is_needed_for_each_thing_and_writing_includes_reading() {
    let scopes = |text: &str| text.parse::<Scopes>().unwrap();
    for (method, path, needed) in [
        ("GET", "/Users", "users:read"),
        ("POST", "/Users/.search", "users:read"),
        ("PATCH", "/Users/x", "users:write"),
        ("DELETE", "/Groups/x", "groups:write"),
        ("POST", "/.search", "users:read,groups:read"),
    ] {
        assert_eq!(
            needed_scope(method, path),
            if needed == "users:write" || needed == "groups:write" {
                Scope::ALL.into_iter().find(|s| s.as_str() == needed).map(Scopes::from).unwrap()
            } else {
                scopes(needed)
            },
            "{method} {path}"
        );
    }
    assert!(scopes("users:write").contains(scopes("users:read")));
    assert!(!scopes("users").contains(scopes("groups:read")));
    assert!("users:admin".parse::<Scopes>().is_err() && "".parse::<Scopes>().is_err());
    assert_eq!(scopes("groups,users:read").to_string(), "users:read,groups:read,groups:write");
}

#[test]
fn a_token_is_good_until_it_expires_or_is_revoked_and_is_stored_as_a_hash() -> Result<(), IdentityError> {
    let store = Store::in_memory()?;
    let identity = Identity::open(store.clone(), &settings(&nurses()))?;
    let tokens = identity.scim().tokens();
    let here = "203.0.113.9".parse().unwrap();
    let made = NewToken::make("entra".into(), "entra".into(), Scope::UsersRead.into(), NOW.plus_secs(10), NOW)?;
    let header = format!("bEaReR {}", made.danger_expose());
    assert!(tokens.lookup(&header, here, NOW).is_none(), "in force before it was recorded");
    tokens.insert(&made)?;
    assert_eq!(tokens.lookup(&header, here, NOW.plus_secs(9)).unwrap().id, made.token.id);
    assert!(tokens.lookup(&header, here, NOW.plus_secs(10)).is_none(), "good after its end");
    for wrong in ["", "Bearer", "Bearer x", &header[7..], &header.replace("bEaReR", "Basic"), &format!("{header}x")] {
        assert!(tokens.lookup(wrong, here, NOW).is_none(), "{wrong}");
    }
    tokens.flush()?;
    let secret = made.danger_expose();
    let rows = store.transaction(|tx| tx.query("SELECT * FROM scim_token", &[]))?;
    assert!(!format!("{rows:?} {made:?} {:?}", made.token).contains(&secret["sekisho_scim_".len()..]));

    let again = Identity::open(store, &settings(&nurses()))?;
    let seen = again.scim().tokens().list()[0].summary();
    assert_eq!((seen.last_used, seen.last_used_from), (Some(NOW.plus_secs(9)), Some(here)));
    let held = tokens.lookup(&header, here, NOW).unwrap();
    assert!(tokens.revoke(&held.id)?.is_some() && tokens.revoke(&held.id)?.is_none());
    assert!(tokens.lookup(&header, here, NOW).is_none() && !tokens.is_live(&held, NOW));
    Ok(())
}

/// A request may have waited for others' changes since its token was found good.
#[tokio::test]
async fn a_token_that_ended_while_its_request_waited_changes_nothing() {
    let mut world = World::new(&nurses());
    world.token.revoked = true.into();
    assert_eq!(world.ask("POST", "/Users", user("sato@x.example")).await.0, 401);
    world.token = token("entra");
    world.token.expires = NOW;
    assert_eq!(world.ask("GET", "/Users", Value::Null).await.0, 401);
    assert_eq!(world.identity.roster().len(), 0);
}

#[tokio::test]
async fn ten_thousand_people_are_listed_page_by_page() {
    let world = World::new(&nurses());
    let mut resources = directory::Resources::default();
    for n in 0..10_000u32 {
        let Value::Object(attributes) = json!({ "userName": format!("u{n}@x.example") }) else { return };
        resources.put_user(resource::User {
            id: format!("{n:05}").into(),
            provider: "entra".into(),
            person: PersonId::new(format!("u{n}")).unwrap(),
            attributes,
            created: NOW,
            modified: NOW,
            given: Vec::new(),
            last_day: None,
            deleted: false,
            adopted: false,
            inactive: false,
        });
    }
    world.identity.scim().resources.store(resources.into());
    let mut seen = std::collections::HashSet::new();
    let mut start = 1;
    while seen.len() < 10_000 {
        let (_, page, _) = world.ask("GET", &format!("/Users?startIndex={start}&count=1000"), Value::Null).await;
        assert_eq!(page["totalResults"], 10_000);
        let page = page["Resources"].as_array().unwrap();
        assert_eq!(page.len(), MAX_RESULTS);
        seen.extend(page.iter().map(|u| u["id"].as_str().unwrap().to_owned()));
        start += page.len();
    }
}
