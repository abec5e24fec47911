use super::*;
use crate::device::LastSeen;
use crate::{Fingerprint, Serial, Status};

const NOW: Timestamp = Timestamp::from_secs(1_793_491_200);
const DAY: Duration = INVITATION_VALIDITY;

fn wants() -> InvitationFor {
    InvitationFor {
        kind: DeviceKind::Byod,
        owner: Some(PersonId::new("hanako").unwrap()),
        groups: Vec::new(),
        name: None,
        approval: Approval::Outside,
        unattended: false,
    }
}

fn ask(code: &str) -> Ask {
    Ask {
        code: code.to_owned(),
        at: NOW,
        person: Some(PersonId::new("hanako").unwrap()),
        session: Some(SessionId::new("s-1").unwrap()),
        key: None,
        source: "192.0.2.1".to_owned(),
        os: Some(Os::Ios),
        name: "花子のiPhone".to_owned(),
        approved: None,
    }
}

fn device(number: u128) -> Device {
    Device {
        id: DeviceId::new(format!("d-{number}")).unwrap(),
        serial: Serial::from_bytes(&number.to_be_bytes()).unwrap(),
        fingerprint: Some(Fingerprint::of(&number.to_be_bytes())),
        former: None,
        owner: Some(PersonId::new("hanako").unwrap()),
        groups: Vec::new(),
        name: "花子のiPhone".to_owned(),
        kind: DeviceKind::Byod,
        os: Some(Os::Ios),
        not_before: NOW,
        not_after: NOW.plus_secs(86_400),
        status: Status::Active,
        last_seen: LastSeen::default(),
    }
}

fn opened(store: &Store) -> (Inventory, Invitations) {
    let inventory = Inventory::open(store).unwrap();
    let invitations = inventory.invitations().unwrap();
    (inventory, invitations)
}

fn invited(invitations: &Invitations) -> NewInvitation {
    let new = Invitation::make(wants(), "os:0", NOW, DAY).unwrap();
    invitations.add(&new.invitation).unwrap();
    new
}

#[test]
fn a_link_leads_to_its_invitation_and_no_other_does() {
    let store = Store::in_memory().unwrap();
    let (_, invitations) = opened(&store);
    let new = invited(&invitations);
    assert_eq!(*invitations.by_token(&new.token).unwrap(), new.invitation);
    let mut guess = new.token.to_string();
    guess.replace_range(..1, if guess.starts_with('a') { "b" } else { "a" });
    for wrong in [&guess, "", &new.token[1..], &format!("{}a", *new.token), &new.token.to_ascii_uppercase()] {
        assert!(invitations.by_token(wrong).is_none(), "{wrong}");
    }
    assert!(!format!("{new:?}").contains(&**new.token), "a secret is not shown");
    let again = opened(&store).1;
    assert_eq!(again.list(), [Arc::new(new.invitation.clone())]);
    assert_eq!(*again.by_token(&new.token).unwrap(), new.invitation, "after a restart as before");
    let rows = store.transaction(|tx| tx.query("SELECT body FROM invitation", &[])).unwrap();
    assert!(!rows[0].text(0).unwrap().contains(&**new.token), "the state database does not hold the link");
}

#[test]
fn a_device_and_the_end_of_its_invitation_are_one_step() {
    let store = Store::in_memory().unwrap();
    let (inventory, invitations) = opened(&store);
    let new = invited(&invitations);
    let claim = invitations.claim(&new.invitation.id).unwrap();
    assert!(invitations.claim(&new.invitation.id).is_none(), "one at a time");
    // The disk fails: neither happens.
    store.transaction(|tx| tx.execute("ALTER TABLE device RENAME TO elsewhere", &[])).unwrap();
    assert!(invitations.redeem(&claim, &inventory, &device(1), NOW).is_err());
    assert!(invitations.by_token(&new.token).unwrap().is_unspent());
    assert!(opened_elsewhere(&store).unwrap().is_unspent());
    store.transaction(|tx| tx.execute("ALTER TABLE elsewhere RENAME TO device", &[])).unwrap();
    invitations.redeem(&claim, &inventory, &device(1), NOW).unwrap();
    drop(claim);
    for (inventory, invitations) in [(inventory.clone(), invitations.clone()), opened(&store)] {
        assert!(inventory.by_id(&device(1).id).is_some());
        assert_eq!(invitations.by_token(&new.token).unwrap().word(NOW), "used");
        let claim = invitations.claim(&new.invitation.id).unwrap();
        let twice = invitations.redeem(&claim, &inventory, &device(2), NOW);
        assert!(matches!(twice, Err(CertError::Spent(_))));
        assert!(inventory.by_id(&device(2).id).is_none());
    }
}

/// The only invitation there is, as the state database has it.
fn opened_elsewhere(store: &Store) -> Option<Arc<Invitation>> {
    Invitations::open(store).unwrap().list().pop()
}

#[test]
fn one_that_is_over_or_withdrawn_lets_nobody_in() {
    let store = Store::in_memory().unwrap();
    let (inventory, invitations) = opened(&store);
    let (late, withdrawn) = (invited(&invitations).invitation, invited(&invitations).invitation);
    invitations.withdraw(&withdrawn.id, "os:0", NOW).unwrap();
    for (id, at) in [(&late.id, late.expires_at), (&withdrawn.id, NOW)] {
        let claim = invitations.claim(id).unwrap();
        assert!(matches!(invitations.redeem(&claim, &inventory, &device(1), at), Err(CertError::Spent(_))));
    }
    assert!(inventory.list().is_empty());
    assert_eq!(invitations.get(&late.id).unwrap().word(late.expires_at), "expired");
    assert!(matches!(invitations.withdraw(&withdrawn.id, "os:0", NOW), Err(CertError::Spent(_))));
    invitations.sweep(late.expires_at.plus_secs(KEPT_SECS)).unwrap();
    assert!(invitations.list().is_empty() && opened(&store).1.list().is_empty());
}

#[test]
fn an_approval_is_for_who_asked_under_its_code() {
    let store = Store::in_memory().unwrap();
    let (_, invitations) = opened(&store);
    let id = invited(&invitations).invitation.id;
    invitations.ask(&id, ask("ABC234"), false).unwrap();
    invitations.ask(&id, ask("XYZ789"), false).unwrap();
    assert!(invitations.waiting("ABC234", NOW).is_none(), "asked again, the first code is gone");
    assert!(invitations.approve(&id, "ABC234", "os:0", NOW).is_err());
    assert_eq!(invitations.waiting("xyz789", NOW).unwrap().id, id);
    invitations.approve(&id, "XYZ789", "os:0", NOW).unwrap();
    assert!(invitations.ask(&id, ask("QQQ222"), false).is_err(), "what was approved is not taken over");
    let program = Ask { session: None, person: None, key: Some("00".to_owned()), ..ask("PPP222") };
    assert!(invitations.ask(&id, program, true).is_err(), "a program takes no person's place");
    let read = opened(&store).1.get(&id).unwrap();
    assert_eq!(read.ask().unwrap().approved, Some(Approved { at: NOW, by: "os:0".to_owned() }));
    assert_eq!(read, invitations.get(&id).unwrap());
    invitations.ask(&id, ask("RRR333"), true).unwrap();
    assert!(invitations.get(&id).unwrap().ask().unwrap().approved.is_none(), "asked anew, approved anew");
    invitations.decline(&id, "os:0", NOW).unwrap();
    assert_eq!(invitations.get(&id).unwrap().word(NOW), "declined");
}

#[test]
fn what_does_not_fit_together_is_no_invitation() {
    let wrong = [
        InvitationFor { owner: None, ..wants() },
        InvitationFor { kind: DeviceKind::Shared, ..wants() },
        InvitationFor { kind: DeviceKind::Machine, owner: None, ..wants() },
        InvitationFor { kind: DeviceKind::Machine, owner: None, name: Some("two words".to_owned()), ..wants() },
        InvitationFor { name: Some("a\nb".to_owned()), ..wants() },
        InvitationFor { groups: vec![GroupName::new("staff").unwrap()], ..wants() },
    ];
    for wants in wrong {
        assert!(Invitation::make(wants.clone(), "os:0", NOW, DAY).is_err(), "{wants:?}");
    }
    for validity in [Duration::from_secs(59), INVITATION_VALIDITY_MAX + DAY] {
        assert!(Invitation::make(wants(), "os:0", NOW, validity).is_err());
    }
}
