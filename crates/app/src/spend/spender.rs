use std::fmt;

use greensand_llm::Role;

/// What tokens are spent on: one of the two models that talk, or the vectors of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Spender {
    /// The model that solves tasks.
    Assistant,
    /// The model that changes functions.
    Optimizer,
    /// The model of embeddings, where one is configured.
    Embeddings,
}

impl Spender {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Assistant, Self::Optimizer, Self::Embeddings];

    /// Returns the word for it, as it stands in reports and in what a run keeps.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Assistant => Role::Assistant.as_str(),
            Self::Optimizer => Role::Optimizer.as_str(),
            Self::Embeddings => "embeddings",
        }
    }

    /// Returns the one of a word.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|spender| spender.as_str() == word)
    }

    /// Returns the section of the settings that its model stands in.
    pub(crate) fn section(self) -> &'static str {
        match self {
            Self::Assistant => "model",
            Self::Optimizer => "optimizer.model",
            Self::Embeddings => "embeddings",
        }
    }
}

impl From<Role> for Spender {
    fn from(role: Role) -> Self {
        match role {
            Role::Assistant => Self::Assistant,
            Role::Optimizer => Self::Optimizer,
        }
    }
}

impl fmt::Display for Spender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
