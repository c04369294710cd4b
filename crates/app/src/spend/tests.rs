use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use greensand_llm::{
    ChatReply, ChatRequest, EmbeddingModel, EmbeddingRequest, Embeddings, FinishReason, ModelBackend, ModelError,
    ModelErrorKind, Role, Sampling,
};
use greensand_types::{BoxFuture, Message, TokenUsage};
use proptest::prelude::*;

use super::*;
use crate::spend::metered::{MeteredBackend, Silence};

fn request(role: Role, turn: u32, text: &str, max_tokens: Option<u32>) -> ChatRequest {
    ChatRequest {
        role,
        task: None,
        turn,
        epoch: 0,
        repeat: 0,
        functions: Vec::new(),
        messages: vec![Message::User { text: text.into() }],
        tools: Vec::new(),
        sampling: Sampling { max_tokens, ..Sampling::default() },
    }
}

fn used(prompt_tokens: u64, completion_tokens: u64) -> TokenUsage {
    TokenUsage { requests: 1, prompt_tokens, completion_tokens, ..TokenUsage::default() }
}

/// A dollar for a million tokens of the prompt, two for the reply.
fn priced() -> Prices {
    let price =
        Price { input: Money::of_dollars(1.0), cached_input: Money::of_dollars(1.0), output: Money::of_dollars(2.0) };
    let price = RolePrice::Priced { price, source: "the test".into() };
    Prices { assistant: price.clone(), optimizer: price, embeddings: None }
}

fn ledger(max_calls: Option<u64>, max_tokens: Option<u64>, max_usd: Option<f64>) -> Ledger {
    Ledger::new(Caps { max_usd: max_usd.map(Money::of_dollars), max_tokens, max_calls, no_cap: false }, priced())
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    futures::executor::block_on(future)
}

fn refused(ledger: &Ledger, request: &ChatRequest) -> Option<Cap> {
    match block_on(ledger.reserve(request)) {
        Ok(reservation) => {
            reservation.give_back();
            None
        }
        Err(Refusal::Spent(spent)) => Some(spent.cap),
        Err(Refusal::Uncapped(uncapped)) => panic!("{uncapped}"),
    }
}

#[test]
fn both_roles_share_the_calls() {
    let ledger = ledger(Some(2), None, None);
    for role in Role::ALL {
        block_on(ledger.reserve(&request(role, 0, "q", None))).unwrap().settle(used(10, 5));
    }
    assert_eq!(refused(&ledger, &request(Role::Optimizer, 1, "q", None)), Some(Cap::Calls(2)));
    assert_eq!(ledger.spent().to_string(), "2 calls, 30 tokens, $0.00004");
    assert_eq!(ledger.spent_on(Role::Assistant).calls, 1);
}

#[test]
fn what_was_given_back_costs_nothing_and_what_was_cut_off_its_estimate() {
    let ledger = ledger(Some(10), None, None);
    let request = request(Role::Assistant, 0, "12345678", Some(100));
    block_on(ledger.reserve(&request)).unwrap().give_back();
    assert_eq!(ledger.spent(), Spent::NOTHING);
    drop(block_on(ledger.reserve(&request)).unwrap());
    let RoleSpend { calls, cut_off, usage } = ledger.spent_on(Role::Assistant);
    // Eight bytes at five for two tokens, what stands around a message, and the bound of the reply.
    assert_eq!((calls, cut_off, usage.prompt_tokens, usage.completion_tokens), (1, 1, 4 + 12, 100));
}

#[test]
fn a_request_waits_for_what_is_in_flight_and_is_refused_only_alone() {
    let ledger = ledger(None, Some(300), None);
    let request = request(Role::Assistant, 0, "", Some(100));
    let (first, second) = (block_on(ledger.reserve(&request)).unwrap(), block_on(ledger.reserve(&request)).unwrap());
    let mut third = Box::pin(ledger.reserve(&request));
    let mut look = || futures::FutureExt::now_or_never(&mut third);
    assert!(look().is_none(), "336 tokens would be more than 300");
    first.settle(used(10, 10));
    let third = look().unwrap().unwrap();
    third.settle(used(10, 80));
    second.settle(used(10, 80));
    // A hundred are left, and the next may take 112.
    assert_eq!(refused(&ledger, &request), Some(Cap::Tokens(300)));
}

#[test]
fn once_refused_nothing_more_is_sent() {
    let ledger = ledger(None, Some(1_000), None);
    let large = request(Role::Assistant, 0, "", Some(2_000));
    assert!(refused(&ledger, &large).is_some());
    assert!(refused(&ledger, &request(Role::Assistant, 0, "", Some(1))).is_some());
}

#[test]
fn without_a_bound_a_reply_is_taken_to_be_twice_the_longest() {
    let ledger = ledger(None, Some(1_000_000), None);
    let open = request(Role::Assistant, 0, "", None);
    drop(block_on(ledger.reserve(&open)).unwrap());
    assert_eq!(ledger.spent_on(Role::Assistant).usage.completion_tokens, 2_048);
    block_on(ledger.reserve(&open)).unwrap().settle(used(0, 5_000));
    drop(block_on(ledger.reserve(&open)).unwrap());
    assert_eq!(ledger.spent_on(Role::Assistant).usage.completion_tokens, 2_048 + 5_000 + 10_000);
}

#[test]
fn an_evaluation_begins_only_if_the_budget_covers_it() {
    let ledger = ledger(Some(20), None, None);
    assert!(ledger.cover(20).is_ok(), "a call for each task, as long as nothing is known");
    for turn in 0..3 {
        block_on(ledger.reserve(&request(Role::Assistant, turn, "q", None))).unwrap().settle(used(10, 5));
    }
    // One conversation took three calls; 17 are left.
    assert!(ledger.cover(5).is_ok());
    let refusal = ledger.cover(6).unwrap_err();
    assert_eq!((refusal.cap, refusal.needed.calls, refusal.tasks), (Cap::Calls(20), 18, Some(6)));
    assert_eq!(ledger.refusal(), Some(refusal));
}

#[test]
fn what_a_run_has_kept_counts_when_it_is_taken_up_again() {
    let ledger = ledger(Some(3), None, None);
    ledger.restore(Role::Assistant, 0, 0, used(10, 5));
    ledger.restore(Role::Optimizer, 1, 0, used(10, 5));
    assert_eq!(ledger.spent().calls, 2);
    assert_eq!(refused(&ledger, &request(Role::Assistant, 0, "q", None)), None);
    ledger.restore(Role::Assistant, 1, 0, used(10, 5));
    assert_eq!(refused(&ledger, &request(Role::Assistant, 0, "q", None)), Some(Cap::Calls(3)));
}

#[test]
fn what_costs_money_without_a_cap_is_never_sent() {
    let ledger = Ledger::new(Caps::default(), priced());
    let refusal = block_on(ledger.reserve(&request(Role::Assistant, 0, "q", None))).unwrap_err();
    assert!(matches!(refusal, Refusal::Uncapped(Uncapped::NoCap { spender: Spender::Assistant, .. })), "{refusal}");
}

/// Texts of 24 tokens as they are estimated, at a price of their own.
fn texts() -> EmbeddingRequest {
    EmbeddingRequest { epoch: 0, texts: vec!["twelve and eighteen bytes long".into()] }
}

fn priced_with_embeddings() -> Prices {
    let price = Price { input: Money::of_dollars(10.0), ..Price::default() };
    Prices { embeddings: Some(RolePrice::Priced { price, source: "the test".into() }), ..priced() }
}

#[test]
fn vectors_share_the_caps_of_the_models() {
    let max_usd = Some(Money::of_dollars(0.0005));
    let ledger = Ledger::new(Caps { max_usd, ..Caps::default() }, priced_with_embeddings());
    let reserved = block_on(ledger.reserve_embeddings(&texts())).unwrap();
    assert_eq!(reserved.estimate(), TokenUsage { requests: 1, prompt_tokens: 24, ..TokenUsage::default() });
    drop(reserved);
    block_on(ledger.reserve_embeddings(&texts())).unwrap().settle(used(20, 0));
    let RoleSpend { calls, cut_off, usage } = ledger.spent_on(Spender::Embeddings);
    assert_eq!((calls, cut_off, usage.prompt_tokens), (2, 1, 44));
    assert_eq!(ledger.spent().money, Some(Money::of_nano_dollars(440_000)));
    // 60 millionths are left, and 24 tokens would take 240.
    let refusal = block_on(ledger.reserve_embeddings(&texts())).unwrap_err();
    assert!(matches!(refusal, Refusal::Spent(BudgetSpent { cap: Cap::Money(_), .. })), "{refusal}");
    assert!(
        refused(&ledger, &request(Role::Assistant, 0, "", Some(1))).is_some(),
        "once refused, nothing more is sent"
    );
}

#[test]
fn vectors_that_cost_money_need_a_cap_before_anything_is_sent() {
    let ledger =
        Ledger::new(Caps::default(), Prices { assistant: free(), optimizer: free(), ..priced_with_embeddings() });
    let refusal = ledger.allow(&[Role::Assistant]).unwrap_err();
    assert!(matches!(refusal, Uncapped::NoCap { spender: Spender::Embeddings, .. }), "{refusal}");
    let unknown = Some(RolePrice::Unknown { reason: "r".into() });
    let caps = Caps { max_usd: Some(Money::of_dollars(1.0)), ..Caps::default() };
    let ledger = Ledger::new(caps, Prices { assistant: free(), optimizer: free(), embeddings: unknown });
    let refusal = ledger.allow(&[]).unwrap_err();
    assert_eq!(
        refusal.hint(),
        "set `input_price` (dollars for a million tokens) under `[embeddings]` in the project file, or bound the work with \
         `--max-tokens` or `--max-calls` instead"
    );
}

fn free() -> RolePrice {
    RolePrice::Free { reason: "r".into() }
}

/// Gives every text the same vector, or is cut off, and counts how often it was asked.
struct Direction {
    asked: AtomicU64,
    cut_off: u64,
}

impl EmbeddingModel for Direction {
    fn label(&self) -> String {
        "direction".into()
    }

    fn identity(&self) -> String {
        self.label()
    }

    fn embed<'a>(&'a self, request: &'a EmbeddingRequest) -> BoxFuture<'a, Result<Embeddings, ModelError>> {
        Box::pin(async {
            if self.asked.fetch_add(1, Ordering::SeqCst) < self.cut_off {
                return Err(ModelError::new(ModelErrorKind::TimedOut, "cut off"));
            }
            Ok(Embeddings { vectors: vec![vec![1.0]; request.texts.len()], usage: used(0, 0) })
        })
    }
}

#[test]
fn vectors_are_asked_for_again_when_they_were_cut_off_and_each_attempt_counts() {
    let model = Arc::new(Direction { asked: AtomicU64::new(0), cut_off: 1 });
    let ledger = Arc::new(ledger(Some(9), None, None));
    let metered = MeteredEmbeddings::new(Arc::clone(&model) as Arc<dyn EmbeddingModel>, Arc::clone(&ledger), 4);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let embeddings = runtime.block_on(metered.embed(&texts())).unwrap();
    assert_eq!((embeddings.vectors.len(), embeddings.usage.prompt_tokens), (1, 24), "counted by the text");
    let RoleSpend { calls, cut_off, usage } = ledger.spent_on(Spender::Embeddings);
    assert_eq!((calls, cut_off, usage.prompt_tokens, model.asked.load(Ordering::SeqCst)), (2, 1, 48, 2));
}

/// Replies, or faults, and counts how often it was asked.
struct Endpoint {
    asked: AtomicU64,
    usage: TokenUsage,
    /// One in so many requests fails; none with 0.
    faults: u64,
    kind: ModelErrorKind,
}

impl ModelBackend for Endpoint {
    fn label(&self) -> String {
        "endpoint".into()
    }

    fn chat<'a>(&'a self, _request: &'a ChatRequest) -> BoxFuture<'a, Result<ChatReply, ModelError>> {
        Box::pin(async {
            let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
            // Others get the chance to ask while this is in flight.
            tokio::task::yield_now().await;
            if self.faults > 0 && number.is_multiple_of(self.faults) {
                return Err(ModelError::new(self.kind, "fault"));
            }
            let text = "five tokens or so".to_owned();
            Ok(ChatReply { text, calls: Vec::new(), finish: FinishReason::Stop, usage: self.usage })
        })
    }
}

fn endpoint(usage: TokenUsage) -> Arc<Endpoint> {
    Arc::new(Endpoint { asked: AtomicU64::new(0), usage, faults: 0, kind: ModelErrorKind::TimedOut })
}

/// Asks from many threads until everybody is refused.
fn exhaust(endpoint: &Arc<Endpoint>, ledger: &Arc<Ledger>, threads: usize, request: &ChatRequest) {
    let backend: Arc<dyn ModelBackend> = Arc::clone(endpoint) as Arc<dyn ModelBackend>;
    let backend = MeteredBackend::new(backend, Arc::clone(ledger), Silence::Unsaid);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (backend, role) = (&backend, Role::ALL[thread % 2]);
            let request = ChatRequest { role, ..request.clone() };
            scope.spawn(move || {
                block_on(async {
                    loop {
                        match backend.chat(&request).await {
                            Err(error) if error.kind() == ModelErrorKind::BudgetSpent => return,
                            Ok(_) | Err(_) => {}
                        }
                    }
                });
            });
        }
    });
}

#[test]
fn an_endpoint_that_does_not_say_its_tokens_is_counted_by_the_text() {
    let (endpoint, ledger) = (endpoint(used(0, 0)), Arc::new(ledger(None, Some(5_000), None)));
    exhaust(&endpoint, &ledger, 1, &request(Role::Assistant, 0, "What is this?", Some(50)));
    let asked = endpoint.asked.load(Ordering::SeqCst);
    // 18 for the prompt and 7 for the reply; 68 are reserved.
    assert_eq!(ledger.spent().tokens, asked * 25);
    assert!((4_932..=5_000).contains(&(asked * 25)), "{asked}");
}

#[test]
fn a_request_that_is_sent_again_is_covered_and_counted_each_time() {
    let (mut endpoint, ledger) = (endpoint(used(10, 5)), Arc::new(ledger(Some(3), None, None)));
    Arc::get_mut(&mut endpoint).unwrap().faults = 1;
    let backend: Arc<dyn ModelBackend> = Arc::clone(&endpoint) as Arc<dyn ModelBackend>;
    let backend = MeteredBackend::new(backend, Arc::clone(&ledger), Silence::Unsaid).resending(4);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let error = runtime.block_on(backend.chat(&request(Role::Assistant, 0, "q", None))).unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::BudgetSpent, "five attempts do not fit under a cap of three");
    assert_eq!((endpoint.asked.load(Ordering::SeqCst), ledger.spent().calls), (3, 3));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_cap_is_ever_passed_by_however_many_threads(
        threads in 1_usize..17,
        calls in prop::option::of(0_u64..60),
        tokens in 0_u64..4_000,
        micro_dollars in 0_u32..4_000,
        faults in 0_u64..5,
        is_billed in any::<bool>(),
        reply in 0_u64..41,
    ) {
        let max_usd = f64::from(micro_dollars) / 1e6;
        let ledger = Arc::new(ledger(calls, Some(tokens), Some(max_usd)));
        let kind = if is_billed { ModelErrorKind::TimedOut } else { ModelErrorKind::RateLimited };
        // Faults that cost nothing go on forever only if every request is one.
        let faults = if faults == 1 { 0 } else { faults };
        let endpoint = Arc::new(Endpoint { asked: AtomicU64::new(0), usage: used(12, reply), faults, kind });
        exhaust(&endpoint, &ledger, threads, &request(Role::Assistant, 0, "", Some(40)));

        let spent = ledger.spent();
        let asked = endpoint.asked.load(Ordering::SeqCst);
        let failed = asked.checked_div(faults).unwrap_or(0);
        prop_assert_eq!(spent.calls, if is_billed { asked } else { asked - failed });
        prop_assert!(calls.is_none_or(|most| spent.calls <= most));
        prop_assert!(spent.tokens <= tokens && spent.money <= Some(Money::of_dollars(max_usd)));
        // Nobody was refused as long as there was room for a whole request.
        let room = |left: u64, needed: u64| left >= needed;
        let (input, output) = (12 * 1_000, 40 * 2_000);
        let left = Money::of_dollars(max_usd).minus(spent.money.unwrap_or_default()).nano_dollars();
        prop_assert!(
            calls.is_some_and(|most| spent.calls == most) || !room(tokens - spent.tokens, 52) || !room(left, input + output)
        );
    }
}
