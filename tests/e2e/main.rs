//! End to end: the real binary, real TLS, a real SaaS behind it, as the people who use it meet it.
//!
//! | file | what it shows |
//! |---|---|
//! | `listener.rs` | TLS 1.3, no resumption, names, slow clients (promises 3, 5, 8) |
//! | `sign_in.rs` | one sign-in for all, tickets, sign-out, throttling, passwords and codes |
//! | `oidc.rs` | single sign-on: there and back, whose account it is, tokens that must not be believed |
//! | `oidc_logout.rs` | signing out here, at the provider, and by word of the provider |
//! | `oidc_foreign.rs` | a provider nobody here wrote, in headless Chromium |
//! | `sessions.rs` | own sessions, several tabs, late steps, cookies switched off, the notice |
//! | `held_forms.rs` | a form posted after the session ended (promise 4) |
//! | `shared_devices.rs` | the ward's tablet; nobody inherits the SaaS session of the one before |
//! | `devices.rs` | certificates: whose, revoked, expired; what is cut, and how soon (promise 3) |
//! | `enrolment.rs` | invitations, approval, download, renewal, leavers, machines |
//! | `policy.rs` | default deny, rules and actions, `policy explain`, `check`, reload (promise 2) |
//! | `forwarding.rs` | what reaches the SaaS and what comes back: headers, cookies, bodies, streams (promise 5) |
//! | `upstream.rs` | a SaaS that is silent, breaks off or lies; the HTTP that is spoken to it |
//! | `attack.rs` | bytes that two servers could take for different requests |
//! | `downgrade.rs` | the same on HTTP/2 |
//! | `floods.rs` | who is silent, sends in masses, or takes nothing: others are served, and what it costs is bounded |
//! | `faults.rs` | the SaaS, names, the disk, the clock, descriptors, memory, the processor: taken away while people work |
//! | `exchanges.rs` | upgrades, pipelining, interim answers and early ends on both sides |
//! | `impostor.rs` | cookies, tickets and handles that are forged, swapped, replayed or planted; headers that claim somebody |
//! | `certificates.rs` | client certificates no authority should sign; server names and hosts that don't fit |
//! | `neighbours.rs` | scripts of a SaaS, in Chromium: cookies for other apps, too many of them, a service worker |
//! | `bypass/` | targets, hosts and headers that mean one thing to the rules and another to nginx, Apache and Tomcat |
//! | `checkpoints/` | checkpoints kept elsewhere: mail, webhooks, files, time stamps, witnesses, and what goes wrong with each |
//! | `record.rs` | what is in the record |
//! | `log.rs` | the sealed log: taken home, verified, put back to an older state, served (promise 6) |
//! | `histories.rs` | logins to the SaaS, operations, a person's day, shared IDs, coverage: on the command line, before and after sealing |
//! | `history.rs` | records found again: filters, pages, spreadsheets, the index; looking is recorded |
//! | `secrets.rs` | secrets in every place where one can stand, and every place searched for them (promise 4) |
//! | `durability.rs` | kill, full and read-only disks, floods (promise 1) |
//! | `roster.rs` | files, leavers, locks, and the gate's own login history |
//! | `time.rs` | midnight, daylight saving, idleness, tickets, a clock that leaps back |
//! | `operation.rs` | start, stop, reload, metrics, the command line |
//! | `scim.rs` | an identity provider pushes people and groups; an independent suite checks the protocol |
//! | `browser.rs` | headless Chromium signs in, works, signs out |
//! | `strangers/` | DokuWiki, Django's admin and JupyterLab, with and without the gate, in headless Chromium |
//! | `factors.rs` | second factors: set up, used, lost, counted; passwords changed by their owners |
//! | `passkeys.rs` | headless Chromium with a virtual authenticator: added, used, removed; without scripts |
//! | `webkit.rs` | WebKit does the same |
//! | `demo_tour.rs` | `sekisho demo --tour` |

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic: that is how it fails")]

mod attack;
mod browser;
mod bypass;
mod certificates;
mod checkpoints;
mod demo_tour;
mod devices;
mod downgrade;
mod durability;
mod enrolment;
mod enrolment_foreign;
mod exchanges;
mod factors;
mod faults;
mod floods;
mod forwarding;
mod harness;
mod held_forms;
mod histories;
mod history;
mod impostor;
mod listener;
mod log;
mod neighbours;
mod oidc;
mod oidc_foreign;
mod oidc_logout;
mod operation;
mod passkeys;
mod policy;
mod record;
mod roster;
mod saas_logins;
mod scim;
mod secrets;
mod sessions;
mod shared_devices;
mod sign_in;
mod strangers;
mod time;
mod upstream;
mod webkit;
