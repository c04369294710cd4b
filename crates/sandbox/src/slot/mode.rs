/// Where the instance of a call comes from. Every call has one to itself, whatever the mode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum InstanceMode {
    /// One that another call had, with everything put back that a call can change: as new, byte by byte, and many times
    /// faster. After a trap, a limit or a growth of memory the next call has a new one.
    #[default]
    Pristine,
    /// As `Pristine`, and each time everything is compared with a new one. Slow; a difference is a fault of the host.
    Verified,
    /// A new one.
    Fresh,
}

impl InstanceMode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Pristine, Self::Verified, Self::Fresh];

    /// Returns the mode of a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == word)
    }

    /// Returns the word for the mode, as it stands in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pristine => "pristine",
            Self::Verified => "verified",
            Self::Fresh => "fresh",
        }
    }
}

/// How the instances of a sandbox come about, and how often each way was gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceUse {
    /// The mode in force.
    pub mode: InstanceMode,
    /// Why it is not the one that was asked for, if it is not.
    pub fallback: Option<String>,
    /// Instances that were made.
    pub made: u64,
    /// Instances that were made as new after a call.
    pub restored: u64,
}
