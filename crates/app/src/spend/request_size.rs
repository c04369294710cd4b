use greensand_llm::{ChatReply, ChatRequest, EmbeddingRequest};
use greensand_types::{Message, TokenUsage};

/// Bytes that one token stands for at least, times two: English has about four to a token, code about three, and digits and
/// Chinese two to three.
const TWICE_BYTES_PER_TOKEN: u64 = 5;
/// Tokens around each message and each tool.
const TOKENS_AROUND: u64 = 12;
/// How long a reply is taken to be where no `max_tokens` bounds it and none was longer.
pub(super) const ASSUMED_REPLY_TOKENS: u64 = 2_048;

/// Returns an upper estimate of what a request will use: its text at five bytes for two tokens, and a reply of `max_tokens`;
/// without that, of twice the longest reply so far, and at least 2,048 tokens.
pub(super) fn estimate_at_most(request: &ChatRequest, longest_reply: u64) -> TokenUsage {
    let reply = match request.sampling.max_tokens {
        Some(bound) => u64::from(bound),
        None => longest_reply.saturating_mul(2).max(ASSUMED_REPLY_TOKENS),
    };
    TokenUsage { requests: 1, prompt_tokens: prompt_tokens(request), completion_tokens: reply, ..TokenUsage::default() }
}

/// Returns an upper estimate of what a request for vectors will use: its texts at five bytes for two tokens, and no reply.
pub(super) fn estimate_of_texts(request: &EmbeddingRequest) -> TokenUsage {
    let prompt_tokens = request.texts.iter().map(|text| tokens_of(text.len()) + TOKENS_AROUND).sum();
    TokenUsage { requests: 1, prompt_tokens, ..TokenUsage::default() }
}

/// Returns what vectors have used, in the same way as [`credible_usage`].
pub(super) fn credible_usage_of_texts(request: &EmbeddingRequest, said: TokenUsage) -> TokenUsage {
    let estimate = estimate_of_texts(request);
    let prompt_tokens = credible_prompt(said.prompt_tokens, estimate.prompt_tokens);
    TokenUsage { requests: said.requests, prompt_tokens, ..TokenUsage::default() }
}

/// No reply has more tokens than this, whatever its endpoint says.
const MOST_REPLY_TOKENS: u64 = 10_000_000;
/// What an endpoint may put around a prompt of its own, in tokens.
const MOST_ADDED_TOKENS: u64 = 1_000_000;

/// Returns what a reply has used: what its endpoint says, where that can be, and else an estimate. An endpoint that says nothing, or
/// nonsense, must neither slip past a cap nor end a run that it costs nothing.
pub(super) fn credible_usage(request: &ChatRequest, reply: &ChatReply) -> TokenUsage {
    let (said, estimate) = (reply.usage, estimate_of_reply(request, reply));
    let prompt_tokens = credible_prompt(said.prompt_tokens, estimate.prompt_tokens);
    let completion_tokens = match said.completion_tokens {
        0 => estimate.completion_tokens,
        tokens if tokens > MOST_REPLY_TOKENS => estimate.completion_tokens,
        tokens => tokens,
    };
    TokenUsage {
        requests: said.requests,
        prompt_tokens,
        completion_tokens,
        cached_tokens: said.cached_tokens.min(prompt_tokens),
        reasoning_tokens: said.reasoning_tokens.min(completion_tokens),
    }
}

fn credible_prompt(said: u64, estimate: u64) -> u64 {
    let most = estimate.saturating_mul(10).saturating_add(MOST_ADDED_TOKENS);
    if said == 0 || said > most { estimate } else { said }
}

/// Returns what a reply has probably used, by its text.
fn estimate_of_reply(request: &ChatRequest, reply: &ChatReply) -> TokenUsage {
    let calls: usize = reply.calls.iter().map(|call| call.name.len() + call.arguments.len()).sum();
    TokenUsage {
        requests: 1,
        prompt_tokens: prompt_tokens(request),
        completion_tokens: tokens_of(reply.text.len() + calls),
        ..TokenUsage::default()
    }
}

fn prompt_tokens(request: &ChatRequest) -> u64 {
    let messages = request.messages.iter().map(message_bytes);
    let tools =
        request.tools.iter().map(|tool| tool.name.len() + tool.description.len() + tool.parameters.to_string().len());
    messages.chain(tools).map(|bytes| tokens_of(bytes) + TOKENS_AROUND).sum()
}

fn message_bytes(message: &Message) -> usize {
    match message {
        Message::System { text } | Message::User { text } => text.len(),
        Message::Assistant { text, calls } => {
            text.len() + calls.iter().map(|call| call.name.len() + call.arguments.len()).sum::<usize>()
        }
        Message::Tool { call: _, content } => content.len(),
    }
}

fn tokens_of(bytes: usize) -> u64 {
    (u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(2)).div_ceil(TWICE_BYTES_PER_TOKEN)
}

#[cfg(test)]
mod tests {
    use greensand_llm::{FinishReason, Role, Sampling};

    use super::*;

    fn check(said: (u64, u64), expected: (u64, u64)) {
        let request = ChatRequest {
            role: Role::Assistant,
            task: None,
            turn: 0,
            epoch: 0,
            repeat: 0,
            functions: Vec::new(),
            messages: vec![Message::User { text: "a question of forty-one characters, or so".into() }],
            tools: Vec::new(),
            sampling: Sampling::default(),
        };
        let usage = TokenUsage {
            requests: 1,
            prompt_tokens: said.0,
            completion_tokens: said.1,
            cached_tokens: u64::MAX,
            reasoning_tokens: 1,
        };
        let reply = ChatReply { text: "ten bytes.".into(), calls: Vec::new(), finish: FinishReason::Stop, usage };
        let credible = credible_usage(&request, &reply);
        assert_eq!((credible.prompt_tokens, credible.completion_tokens), expected, "{said:?}");
        assert!(credible.cached_tokens <= credible.prompt_tokens && credible.requests == 1);
    }

    #[test]
    fn what_an_endpoint_says_is_taken_where_it_can_be() {
        check((30, 7), (30, 7));
        check((900_000, 9_000_000), (900_000, 9_000_000));
    }

    #[test]
    fn what_it_leaves_out_or_cannot_mean_is_estimated() {
        check((0, 0), (29, 4));
        check((30, 0), (30, 4));
        check((0, 7), (29, 7));
        check((u64::MAX, u64::MAX), (29, 4));
    }

    #[test]
    fn vectors_are_counted_by_their_texts_and_have_no_reply() {
        let request = EmbeddingRequest { epoch: 0, texts: vec!["12345".into(), "1234567890".into()] };
        let estimate = estimate_of_texts(&request);
        assert_eq!((estimate.requests, estimate.prompt_tokens, estimate.completion_tokens), (1, 2 + 4 + 24, 0));
        for (said, expected) in [(7, 7), (0, 30), (u64::MAX, 30)] {
            let said = TokenUsage { requests: 1, prompt_tokens: said, completion_tokens: 9, ..TokenUsage::default() };
            let credible = credible_usage_of_texts(&request, said);
            assert_eq!((credible.prompt_tokens, credible.completion_tokens), (expected, 0));
        }
    }
}
