//! Names for ids, as they are known now. What people were called then stands in the record of their sign-ins and logins.

use std::path::Path;

use audit::Called;
use cert_authority::Inventory;
use identity::Roster;
use store::Store;
use vocabulary::{DeviceId, PersonId};

use super::complain;

#[derive(Default)]
pub(super) struct Names {
    pub(super) roster: Roster,
    inventory: Option<Inventory>,
}

impl Names {
    pub(super) fn open(data: &Path) -> Self {
        let path = data.join("state.db");
        if !path.exists() {
            return Self::default();
        }
        let opened = || -> anyhow::Result<Self> {
            let store = Store::open_to_read(&path)?;
            Ok(Self { roster: Roster::read(&store)?, inventory: Some(Inventory::open(&store)?) })
        };
        // The record can be read without names.
        opened().unwrap_or_else(|error| {
            complain(format_args!("sekisho: names are left out, the state can't be read: {error:#}"));
            Self::default()
        })
    }

    /// Name and facility.
    pub(super) fn person(&self, id: &PersonId) -> Option<(String, Option<String>)> {
        self.roster.get(id).map(|person| (person.name.clone(), person.facility.clone()))
    }

    /// As the roster has it now.
    pub(super) fn called(&self, person: Option<&PersonId>) -> Called {
        let (name, facility) = person.and_then(|id| self.person(id)).unzip();
        Called { name, facility: facility.flatten() }
    }

    pub(super) fn device(&self, id: &DeviceId) -> Option<String> {
        Some(self.inventory.as_ref()?.by_id(id)?.name.clone())
    }
}
