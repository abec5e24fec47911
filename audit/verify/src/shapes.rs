//! Which fields follow each other in the objects of leaves: after a few leaves hardly any object is new.
//!
//! A tree of names: what leads from its root to a step is how objects begin, of which all names are in form and none is the
//! same as another. An object that goes along it needs no other check of its names than that they are these. Both ways say
//! the same of every object; this one is quicker.

/// More are not remembered: a log may be made to have ever other objects.
const STEPS_LIMIT: usize = 4096;
/// As many steps at most lead on from one.
const FORK_LIMIT: usize = 12;

#[derive(Debug, Clone)]
pub(crate) struct Shapes {
    /// The root first, then each behind the one that leads to it.
    steps: Vec<Step>,
}

/// A place in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(u32);

#[derive(Debug, Clone, Default)]
struct Step {
    /// A name with its quotes and the colon behind it.
    name: Box<[u8]>,
    /// The first 16 bytes of it, or as many as it has, and which bits of 16 they are.
    begin: u128,
    mask: u128,
    /// Steps that lead on from here; 0 is none.
    first_on: u32,
    /// Another one that leads on from the same place; 0 is none.
    beside: u32,
}

impl Default for Shapes {
    fn default() -> Self {
        Self { steps: vec![Step::default()] }
    }
}

impl Shapes {
    /// Where every object begins.
    pub(crate) const START: Place = Place(0);

    /// The place behind the name that the text begins with, and that name's length with quotes and colon.
    #[inline]
    pub(crate) fn follow(&self, from: Place, text: &[u8]) -> Option<(Place, usize)> {
        let first_16 = text.first_chunk().map(|bytes| u128::from_le_bytes(*bytes));
        self.on_from(from).find_map(|(place, step)| {
            let length = step.name.len();
            let is = match first_16 {
                Some(bytes) if length <= 16 => bytes & step.mask == step.begin,
                Some(bytes) => bytes == step.begin && text.get(16..length) == step.name.get(16..),
                None => text.starts_with(&step.name),
            };
            is.then_some((place, length))
        })
    }

    /// Remembers the names of an object, each with its quotes and colon, that are in form and not the same.
    pub(crate) fn remember<'a>(&mut self, names: impl Iterator<Item = &'a [u8]>) {
        let mut place = Self::START;
        for name in names {
            let known = self.on_from(place).find(|(_, step)| *step.name == *name).map(|(known, _)| known);
            match known.or_else(|| self.lead_on(place, name)) {
                Some(on) => place = on,
                None => return,
            }
        }
    }

    fn on_from(&self, place: Place) -> impl Iterator<Item = (Place, &Step)> {
        let next = move |at: u32| self.steps.get(at as usize).filter(|_| at > 0).map(|step| (Place(at), step));
        let first = self.steps.get(place.0 as usize).and_then(|step| next(step.first_on));
        std::iter::successors(first, move |(_, step)| next(step.beside))
    }

    fn lead_on(&mut self, from: Place, name: &[u8]) -> Option<Place> {
        let new = u32::try_from(self.steps.len()).ok().filter(|new| (*new as usize) < STEPS_LIMIT)?;
        let others = self.on_from(from).count();
        if others >= FORK_LIMIT {
            return None;
        }
        let mut begin = [0; 16];
        let mut mask = [0; 16];
        for ((to, mask), byte) in begin.iter_mut().zip(&mut mask).zip(name) {
            (*to, *mask) = (*byte, u8::MAX);
        }
        let last = self.on_from(from).last().map(|(place, _)| place);
        // What was seen earlier is seen more often.
        match last {
            Some(last) => self.steps.get_mut(last.0 as usize)?.beside = new,
            None => self.steps.get_mut(from.0 as usize)?.first_on = new,
        }
        self.steps.push(Step {
            name: name.into(),
            begin: u128::from_le_bytes(begin),
            mask: u128::from_le_bytes(mask),
            ..Step::default()
        });
        Some(Place(new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(shapes: &Shapes, text: &str) -> Vec<String> {
        let mut place = Shapes::START;
        let mut at = 0;
        let mut names = Vec::new();
        while let Some((on, length)) = shapes.follow(place, &text.as_bytes()[at..]) {
            names.push(text[at..at + length].to_owned());
            (place, at) = (on, at + length);
        }
        names
    }

    #[test]
    fn goes_along_what_was_remembered_and_no_further() {
        let mut shapes = Shapes::default();
        let long = "\"fifteen bytes\":";
        let longer = "\"sixteen bytes, and one more\":";
        for names in [&["\"a\":", "\"b\":"][..], &["\"a\":", "\"bc\":", long], &[longer, "\"a\":"]] {
            shapes.remember(names.iter().map(|name| name.as_bytes()));
        }
        assert_eq!(follow(&shapes, "\"a\":\"b\":\"a\":"), ["\"a\":", "\"b\":"]);
        assert_eq!(follow(&shapes, "\"b\":\"a\":"), [""; 0]);
        assert_eq!(follow(&shapes, &format!("\"a\":\"bc\":{long}")), ["\"a\":", "\"bc\":", long]);
        assert_eq!(
            follow(&shapes, &format!("{longer}\"a\":\"and what follows is longer than 16\"")),
            [longer, "\"a\":"]
        );
        assert_eq!(follow(&shapes, longer), [longer]);
        assert_eq!(follow(&shapes, &longer.replace("more", "less")), [""; 0]);
        assert_eq!(follow(&shapes, &longer[..20]), [""; 0]);
        assert_eq!(follow(&shapes, &long[..15]), [""; 0]);
    }

    #[test]
    fn forgets_nothing_and_does_not_grow_for_ever() {
        let mut shapes = Shapes::default();
        let name = |n: usize| format!("\"{n}\":");
        for begin in 0..10_000 {
            let names: Vec<String> = (begin..begin + 3).map(name).collect();
            shapes.remember(names.iter().map(String::as_bytes));
        }
        for n in 0..10_000 {
            let names = [name(n % 8), name(n)];
            shapes.remember(names.iter().map(String::as_bytes));
        }
        assert!(shapes.steps.len() <= STEPS_LIMIT);
        assert!((0..shapes.steps.len() as u32).all(|at| shapes.on_from(Place(at)).count() <= FORK_LIMIT));
        assert_eq!(follow(&shapes, "\"0\":\"1\":\"2\":").len(), 3);
    }
}
