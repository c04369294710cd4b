use std::ops::AddAssign;

/// What model calls cost, in requests and tokens. Zero tokens where a backend does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenUsage {
    /// Replies that were paid for.
    pub requests: u64,
    /// Tokens of the prompts, those from the endpoint's cache included.
    pub prompt_tokens: u64,
    /// Those of the prompt tokens that the endpoint had in its cache, which many bill at a lower price.
    pub cached_tokens: u64,
    /// Tokens of the replies, hidden reasoning included.
    pub completion_tokens: u64,
    /// Those of the reply tokens that were hidden reasoning.
    pub reasoning_tokens: u64,
}

impl TokenUsage {
    /// Returns prompt and completion tokens together.
    pub fn total_tokens(&self) -> u64 {
        self.prompt_tokens.saturating_add(self.completion_tokens)
    }
}

impl AddAssign for TokenUsage {
    fn add_assign(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.cached_tokens = self.cached_tokens.saturating_add(other.cached_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(other.completion_tokens);
        self.reasoning_tokens = self.reasoning_tokens.saturating_add(other.reasoning_tokens);
    }
}
