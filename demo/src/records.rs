//! Residents and care notes, in memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::civil::{Date, DateTime};

use crate::wall_clock;

/// More residents than a facility has beds; keeps a test that loops from filling memory.
const RESIDENTS: usize = 2_000;
const NOTES: usize = 10_000;

#[derive(Clone, Debug)]
pub(crate) struct Resident {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) kana: String,
    pub(crate) sex: String,
    pub(crate) birth: Date,
    pub(crate) room: String,
    pub(crate) care_level: String,
    pub(crate) moved_in: Date,
    pub(crate) key_person: String,
    pub(crate) phone: String,
    pub(crate) conditions: String,
    pub(crate) allergy: String,
    pub(crate) meal: String,
    pub(crate) mobility: String,
    pub(crate) plan: String,
    /// Who changed the record last, and when.
    pub(crate) changed: Option<(String, DateTime)>,
}

impl Resident {
    pub(crate) fn age(&self) -> i16 {
        wall_clock::age(self.birth, wall_clock::today())
    }

    pub(crate) fn born(&self) -> String {
        wall_clock::era(self.birth)
    }

    /// The first figure of the room number.
    pub(crate) fn floor(&self) -> &str {
        self.room.get(..1).unwrap_or_default()
    }

    pub(crate) fn initial(&self) -> String {
        self.name.chars().take(1).collect()
    }

    /// For colouring the badge: 0 (要支援) to 5.
    pub(crate) fn care_grade(&self) -> u32 {
        if self.care_level.starts_with("要介護") {
            self.care_level.chars().last().and_then(|c| c.to_digit(10)).unwrap_or_default()
        } else {
            0
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) resident: u32,
    pub(crate) at: DateTime,
    pub(crate) author: String,
    /// 食事, 入浴, バイタル…
    pub(crate) kind: String,
    pub(crate) text: String,
}

impl Note {
    pub(crate) fn when(&self) -> String {
        wall_clock::short(self.at)
    }
}

#[derive(Debug)]
pub(crate) struct Records(Mutex<Shelves>);

#[derive(Debug)]
struct Shelves {
    residents: BTreeMap<u32, Resident>,
    next: u32,
    /// Newest first.
    notes: VecDeque<Note>,
}

impl Records {
    pub(crate) fn new(residents: impl IntoIterator<Item = Resident>, notes: impl IntoIterator<Item = Note>) -> Self {
        let residents: BTreeMap<u32, Resident> = residents.into_iter().map(|each| (each.id, each)).collect();
        let next = residents.last_key_value().map_or(1, |(id, _)| id + 1);
        let mut notes: VecDeque<Note> = notes.into_iter().collect();
        notes.make_contiguous().sort_by_key(|note| std::cmp::Reverse(note.at));
        Self(Mutex::new(Shelves { residents, next, notes }))
    }

    pub(crate) fn count(&self) -> usize {
        self.shelves().residents.len()
    }

    /// Residents whose name, kana or room contains `text` and who live on `floor` (empty: any), by room.
    pub(crate) fn find(&self, text: &str, floor: &str) -> Vec<Resident> {
        let text = text.trim();
        let fits = |each: &&Resident| {
            (floor.is_empty() || each.floor() == floor)
                && [&each.name, &each.kana, &each.room].into_iter().any(|field| field.contains(text))
        };
        let mut found: Vec<Resident> = self.shelves().residents.values().filter(fits).cloned().collect();
        found.sort_by(|a, b| a.room.cmp(&b.room));
        found
    }

    pub(crate) fn get(&self, id: u32) -> Option<Resident> {
        self.shelves().residents.get(&id).cloned()
    }

    /// The new resident's id; `None` if the house is full.
    pub(crate) fn add(&self, mut resident: Resident) -> Option<u32> {
        let mut shelves = self.shelves();
        if shelves.residents.len() >= RESIDENTS {
            return None;
        }
        resident.id = shelves.next;
        shelves.next += 1;
        let id = resident.id;
        shelves.residents.insert(id, resident);
        Some(id)
    }

    /// Changes a record in place; false if there is none.
    pub(crate) fn change(&self, id: u32, change: impl FnOnce(&mut Resident)) -> bool {
        self.shelves().residents.get_mut(&id).map(change).is_some()
    }

    pub(crate) fn remove(&self, id: u32) -> bool {
        let mut shelves = self.shelves();
        shelves.notes.retain(|note| note.resident != id);
        shelves.residents.remove(&id).is_some()
    }

    /// Newest first.
    pub(crate) fn notes_of(&self, id: u32) -> Vec<Note> {
        self.shelves().notes.iter().filter(|note| note.resident == id).cloned().collect()
    }

    /// The newest notes with the resident's name.
    pub(crate) fn latest_notes(&self, count: usize) -> Vec<(Note, String)> {
        let shelves = self.shelves();
        let name = |note: &Note| shelves.residents.get(&note.resident).map(|each| each.name.clone());
        shelves.notes.iter().filter_map(|note| Some((note.clone(), name(note)?))).take(count).collect()
    }

    pub(crate) fn notes_on(&self, day: Date) -> usize {
        self.shelves().notes.iter().filter(|note| note.at.date() == day).count()
    }

    /// False if there is no such resident.
    pub(crate) fn note(&self, note: Note) -> bool {
        let mut shelves = self.shelves();
        if !shelves.residents.contains_key(&note.resident) {
            return false;
        }
        shelves.notes.push_front(note);
        shelves.notes.truncate(NOTES);
        true
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
