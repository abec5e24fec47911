//! Choices made by bytes, so that whoever changes bytes changes choices. Beyond the end there are zeros.

pub(crate) struct Source<'d>(&'d [u8]);

impl<'d> Source<'d> {
    pub(crate) fn new(data: &'d [u8]) -> Self {
        Self(data)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit
    }

    /// True in `of` cases of 256.
    pub(crate) fn chance(&mut self, of: u8) -> bool {
        self.byte() >= 255 - of
    }

    pub(crate) fn pick<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    /// Those that a byte's bits choose.
    pub(crate) fn some<T: Clone>(&mut self, all: &[T]) -> Vec<T> {
        let bits = self.byte();
        all.iter().enumerate().filter(|(at, _)| bits & (1 << (at % 8)) != 0).map(|(_, one)| one.clone()).collect()
    }

    /// So many bytes, or as many as are left.
    pub(crate) fn take(&mut self, count: usize) -> &'d [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
