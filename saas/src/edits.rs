//! What changes in a head, computed before anything is touched.
//!
//! The proxy's header type keeps the names' spelling beside the map, so edits are handed over as values and
//! applied through its own methods. The usual request needs no allocation for the lists.

use http::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

/// Changes to a head. Apply in the order of the fields: remove, set, append.
#[derive(Clone, Default)]
pub struct Edits {
    /// Every value of these names goes.
    pub remove: SmallVec<[HeaderName; 6]>,
    /// These names have this one value afterwards.
    pub set: SmallVec<[(HeaderName, HeaderValue); 6]>,
    /// These values are added to what the name has; a name of several values that changes also stands in `remove`.
    pub append: SmallVec<[(HeaderName, HeaderValue); 2]>,
}

/// Names only: values may be cookies.
impl std::fmt::Debug for Edits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edits")
            .field("remove", &self.remove)
            .field("set", &self.set.iter().map(|(n, _)| n).collect::<Vec<_>>())
            .field("append", &self.append.iter().map(|(n, _)| n).collect::<Vec<_>>())
            .finish()
    }
}

impl Edits {
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.append.is_empty()
    }

    /// Applies them to a plain header map.
    pub fn apply(self, headers: &mut HeaderMap) {
        for name in self.remove {
            headers.remove(name);
        }
        for (name, value) in self.set {
            headers.insert(name, value);
        }
        for (name, value) in self.append {
            headers.append(name, value);
        }
    }
}
