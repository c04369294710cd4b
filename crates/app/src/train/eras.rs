use crate::Equipment;

/// What a run works with, epoch by epoch: a fork may change it on the way.
#[derive(Clone)]
pub struct Eras {
    first: Equipment,
    /// In ascending order of their epochs.
    later: Vec<Era>,
}

/// What a run works with from an epoch on.
#[derive(Clone)]
pub(crate) struct Era {
    pub(crate) from: u32,
    pub(crate) equipment: Equipment,
}

impl Eras {
    /// Works with the same all along.
    pub fn one(equipment: Equipment) -> Self {
        Self { first: equipment, later: Vec::new() }
    }

    /// Works with something else from an epoch on, which is after those that were given before.
    #[must_use]
    pub(crate) fn then(mut self, from: u32, equipment: Equipment) -> Self {
        self.later.push(Era { from, equipment });
        self
    }

    /// Returns what the run begins with.
    pub fn first(&self) -> &Equipment {
        &self.first
    }

    /// Returns what the run ends with.
    pub fn last(&self) -> &Equipment {
        self.later.last().map_or(&self.first, |era| &era.equipment)
    }

    pub(crate) fn later(&self) -> impl Iterator<Item = &Era> {
        self.later.iter()
    }
}
