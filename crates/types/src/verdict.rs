/// What a scorer says of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// 0 (wrong) to 1 (right).
    pub score: f64,
    /// Whether the task counts as solved.
    pub is_satisfied: bool,
    /// The answer that was found in the conversation, if any.
    pub answer: Option<String>,
    /// A sentence that says why.
    pub feedback: String,
}

impl Verdict {
    /// A right answer.
    pub fn satisfied(answer: impl Into<String>, feedback: impl Into<String>) -> Self {
        Self { score: 1.0, is_satisfied: true, answer: Some(answer.into()), feedback: feedback.into() }
    }

    /// A wrong answer, or none.
    pub fn unsatisfied(answer: Option<String>, feedback: impl Into<String>) -> Self {
        Self { score: 0.0, is_satisfied: false, answer, feedback: feedback.into() }
    }
}
