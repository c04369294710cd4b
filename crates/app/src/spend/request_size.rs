use greensand_llm::{ChatReply, ChatRequest};
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

/// Returns what a reply has probably used, for an endpoint that does not say.
pub(super) fn estimate_of_reply(request: &ChatRequest, reply: &ChatReply) -> TokenUsage {
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
