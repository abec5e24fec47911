//! The tables of this crate, step by step. A step that has been released is never changed.

use store::Migration;

pub(crate) const OWNER: &str = "identity";

pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration {
        name: "roster",
        // `groups` holds one name per line: names hold no line breaks.
        sql: "CREATE TABLE person (
                id TEXT PRIMARY KEY, name TEXT NOT NULL, kana TEXT, mail TEXT, facility TEXT, groups TEXT NOT NULL,
                first_day TEXT, last_day TEXT, locked BIGINT NOT NULL)",
    },
    Migration {
        name: "directory",
        // `long`: the password has 13 characters or more and stands without a second factor.
        // `totp_step`: the newest step a code was accepted for; no code of it or before it is accepted again.
        sql: "CREATE TABLE credential (
                person TEXT PRIMARY KEY REFERENCES person (id), password TEXT NOT NULL, long BIGINT NOT NULL,
                changed BIGINT NOT NULL, totp BYTEA, totp_pending BYTEA, totp_step BIGINT NOT NULL);
              CREATE TABLE known_source (
                person TEXT NOT NULL REFERENCES person (id), source TEXT NOT NULL, seen BIGINT NOT NULL,
                PRIMARY KEY (person, source))",
    },
    Migration {
        name: "sessions",
        // `hash`: SHA-256 over host and token; the token itself is nowhere but in the browser.
        sql: "CREATE TABLE session (
                id TEXT PRIMARY KEY, person TEXT NOT NULL, factors BIGINT NOT NULL, device TEXT, source TEXT NOT NULL,
                started BIGINT NOT NULL, active BIGINT NOT NULL);
              CREATE TABLE session_token (
                hash BYTEA PRIMARY KEY, session TEXT NOT NULL REFERENCES session (id) ON DELETE CASCADE,
                host TEXT NOT NULL, made BIGINT NOT NULL);
              CREATE INDEX session_token_session ON session_token (session)",
    },
    Migration {
        name: "oidc",
        // `session_account`: for sessions begun at a provider. `groups` holds one name per line; `signed_in` is when
        // the person signed in there, if the provider said so.
        sql: "CREATE TABLE link (
                issuer TEXT NOT NULL, subject TEXT NOT NULL, person TEXT NOT NULL REFERENCES person (id) ON DELETE CASCADE,
                made BIGINT NOT NULL, PRIMARY KEY (issuer, subject));
              CREATE TABLE session_account (
                session TEXT PRIMARY KEY REFERENCES session (id) ON DELETE CASCADE, provider TEXT NOT NULL,
                issuer TEXT NOT NULL, subject TEXT NOT NULL, sid TEXT, groups TEXT NOT NULL, signed_in BIGINT)",
    },
    Migration {
        name: "second factors",
        // `due`: somebody else set the password, and the person has to choose another one.
        // `handle`: 128 random bits, what authenticators know the person by. `credential`: the public key with its
        // counter, as JSON.
        // `recovery_code`: argon2id of the code with the person's salt; a used one is deleted.
        sql: "ALTER TABLE credential ADD COLUMN due BIGINT NOT NULL DEFAULT 0;
              CREATE TABLE passkey_user (
                person TEXT PRIMARY KEY REFERENCES person (id), handle BYTEA NOT NULL UNIQUE);
              CREATE TABLE passkey (
                id TEXT PRIMARY KEY, person TEXT NOT NULL REFERENCES passkey_user (person), name TEXT NOT NULL,
                credential_id BYTEA NOT NULL UNIQUE, credential TEXT NOT NULL, added BIGINT NOT NULL, used BIGINT);
              CREATE TABLE recovery_code (
                person TEXT NOT NULL REFERENCES person (id), salt BYTEA NOT NULL, hash BYTEA NOT NULL,
                PRIMARY KEY (person, hash))",
    },
    Migration {
        name: "browsers and notices",
        // `identity_key`: marks cookies that say whose a browser's data are; it opens nothing.
        // `digest`: which text was acknowledged.
        sql: "CREATE TABLE identity_key (name TEXT PRIMARY KEY, bytes BYTEA NOT NULL);
              CREATE TABLE acknowledgement (
                session TEXT PRIMARY KEY, person TEXT NOT NULL, digest TEXT NOT NULL, at BIGINT NOT NULL);
              CREATE INDEX acknowledgement_person ON acknowledgement (person)",
    },
];
