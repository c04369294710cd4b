//! Every setting of wasmtime, with its reason.
//!
//! Two engines exist: the one that runs calls, and a short-lived one that starts a guest once while its image is
//! made. They agree in everything that a guest can observe. What wasmtime leaves out by feature of the crate (threads,
//! garbage collection, component model, async, profiling, other compilers) is left out in the root manifest.
//!
//! | setting | value | why |
//! |---|---|---|
//! | compiler | Cranelift, for speed | the only tier-1 compiler; its neighbours had the escapes |
//! | proposals | what the usual compilers emit today | each further one is attack surface that no guest needs |
//! | NaN | canonical | the same call gives the same bits on every machine |
//! | epoch interruption | on | ends loops and long built-ins; half the cost of counting instructions |
//! | signals-based traps, guard pages, reservations | defaults | switching them off also drops Spectre mitigations |
//! | pooling allocator, copy-on-write images | on | an instance is a slot and a mapping, not an allocation and a copy |
//! | page-map scan, `keep_resident` | where the kernel has it | resetting a slot touches dirty pages only; without the scan keeping pages resident is a copy of the whole memory |
//! | dense image size | 256 MiB; 1 MiB for modules | an interpreter's snapshot must be mapped as one image, whatever its holes; a module must not fill the cache with its holes |
//! | wasm stack | 32 MiB | recursion in C code ends in the language's own error before it reaches the end of this stack |
//! | address map, unwind info, backtraces | off | nobody reads them: messages are written by us, traces by the guest |

use std::hash::{Hash, Hasher};

use crate::call::{COMPONENT_MEMORIES, COMPONENT_PARTS};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, RegallocAlgorithm,
    Strategy, WasmFeatures,
};

use crate::slot::KEPT_PER_THREAD;

/// What the wasm code of one call may use of its thread's stack, in bytes.
const MAX_WASM_STACK: usize = 32 << 20;

/// What the host functions called at the end of a wasm stack may use.
const HOST_STACK: usize = 16 << 20;

/// The stack of a thread that runs one guest at a time.
pub(crate) const THREAD_STACK: usize = MAX_WASM_STACK + HOST_STACK;

/// Returns the stack of a thread whose guests call others up to `depth` deep: each of them may use a whole wasm stack.
///
/// It is address space; what no guest has used takes no memory.
pub(crate) fn thread_stack(depth: u32) -> usize {
    THREAD_STACK.saturating_add((MAX_WASM_STACK + (1 << 20)).saturating_mul(depth as usize))
}

/// Counts the revisions of what this crate does to a module before it runs and that no wasmtime setting shows.
///
/// Raise it when `gs_init` would leave another memory behind, or when stored code would not fit: kept images are
/// then made anew.
const REVISION: u32 = 1;

/// Dirty memory of a slot that is kept resident for the next call, in bytes: above what an interpreter dirties.
const KEEP_RESIDENT: usize = 16 << 20;

/// Threads that compile the files of packages, each on an instance of its own, while workers go on with calls.
pub(crate) const PACKAGE_COMPILERS: usize = 2;

/// Says whether the kernel tells which pages of an instance a call has changed (`PAGEMAP_SCAN`, Linux 6.7).
///
/// Where it does not, every call has a fresh instance, and calls are slower.
pub fn scans_changed_pages() -> bool {
    PoolingAllocationConfig::is_pagemap_scan_available()
}

/// Up to how many bytes the data of an untrusted module becomes an image, however many holes it has. Above, it does where half
/// of it is no hole; other data is copied when an instance is made.
const UNTRUSTED_IMAGE: u64 = 1 << 20;

/// How many images can have an instance that nobody enters; those of further ones are never used again.
const MOST_IMAGES: usize = 64;

/// Starts the engine that runs calls, which may call others up to `depth` deep.
pub(crate) fn for_calls(workers: usize, depth: u32) -> wasmtime::Result<Engine> {
    // One slot per worker and per call nested in its call, and as many again for instances whose teardown another thread
    // still waits for.
    let slots = workers.saturating_mul(depth as usize + 1).saturating_mul(2);
    let slots = u32::try_from(slots.saturating_add(2 * PACKAGE_COMPILERS)).unwrap_or(u32::MAX);
    // Besides: the idle instances of each worker, and those to which restored ones are compared.
    let idle = workers.saturating_mul(KEPT_PER_THREAD).saturating_add(MOST_IMAGES);
    let idle = u32::try_from(idle).unwrap_or(u32::MAX);
    // A call of a component takes several of them.
    let parts = u32::try_from(COMPONENT_PARTS).unwrap_or(u32::MAX);
    let memories = u32::try_from(COMPONENT_MEMORIES).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(slots.saturating_mul(parts).saturating_add(idle))
        .total_memories(slots.saturating_mul(memories).saturating_add(idle))
        .total_tables(slots.saturating_mul(parts).saturating_add(idle))
        .total_component_instances(slots)
        .max_core_instances_per_component(parts)
        .max_memories_per_component(memories)
        .max_tables_per_component(parts)
        .max_component_instance_size(1 << 20)
        .max_core_instance_size(4 << 20)
        .max_memories_per_module(1)
        .max_tables_per_module(1)
        .table_elements(65_536)
        .max_memory_size(1 << 32)
        .max_unused_warm_slots(slots);
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Auto).linear_memory_keep_resident(KEEP_RESIDENT).table_keep_resident(1 << 20);
    }
    let mut config = common();
    config.cranelift_opt_level(OptLevel::Speed).allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}

/// Starts an engine that runs a guest's start once: compiles fast, allocates on demand.
///
/// Its code is that of guests which this repository ships (packages are data to it), and is thrown away; the code of calls never takes these shortcuts.
pub(crate) fn for_start() -> wasmtime::Result<Engine> {
    let mut config = common();
    config
        .cranelift_opt_level(OptLevel::None)
        .cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass)
        .allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Engine::new(&config)
}

/// Starts an engine that compiles for the one that runs calls, in another process: it has no room for instances.
///
/// What it compiles is untrusted, so it takes one processor from the calls beside it, and few bytes do not become much code.
pub(crate) fn for_compiling(opt_level: OptLevel) -> wasmtime::Result<Engine> {
    let mut config = common();
    config
        .cranelift_opt_level(opt_level)
        .allocation_strategy(InstanceAllocationStrategy::OnDemand)
        .parallel_compilation(false)
        .memory_guaranteed_dense_image_size(UNTRUSTED_IMAGE);
    Engine::new(&config)
}

/// Returns a digest of everything that decides whether kept native code fits an engine.
pub(crate) fn fingerprint(engine: &Engine) -> [u8; 32] {
    let mut hasher = DigestHasher(blake3::Hasher::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    REVISION.hash(&mut hasher);
    *hasher.0.finalize().as_bytes()
}

fn common() -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .wasm_features(refused_proposals(), false)
        .cranelift_nan_canonicalization(true)
        .signals_based_traps(true)
        .epoch_interruption(true)
        .max_wasm_stack(MAX_WASM_STACK)
        // No call runs on such a stack; the engine only insists that they agree.
        .async_stack_size(THREAD_STACK)
        .memory_init_cow(true)
        .memory_guaranteed_dense_image_size(256 << 20)
        .generate_address_map(false)
        .native_unwind_info(false)
        .wasm_backtrace_max_frames(None);
    config
}

fn refused_proposals() -> WasmFeatures {
    WasmFeatures::THREADS
        | WasmFeatures::SHARED_EVERYTHING_THREADS
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::RELAXED_SIMD
        | WasmFeatures::MULTI_MEMORY
        | WasmFeatures::MEMORY64
        | WasmFeatures::FUNCTION_REFERENCES
        | WasmFeatures::GC
        | WasmFeatures::EXCEPTIONS
        | WasmFeatures::LEGACY_EXCEPTIONS
        | WasmFeatures::STACK_SWITCHING
        | WasmFeatures::CUSTOM_PAGE_SIZES
        | WasmFeatures::WIDE_ARITHMETIC
        | WasmFeatures::CM_ASYNC
        | WasmFeatures::CM_ERROR_CONTEXT
        | WasmFeatures::CM_THREADING
        | WasmFeatures::CM_GC
        | WasmFeatures::CM_MAP
        | WasmFeatures::CM_VALUES
        | WasmFeatures::CM_NESTED_NAMES
        | WasmFeatures::CM_FIXED_LENGTH_LISTS
}

/// Hashes into a digest that is the same in every build of this crate, which the standard hasher does not promise.
struct DigestHasher(blake3::Hasher);

impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.finalize();
        u64::from_le_bytes(std::array::from_fn(|index| digest.as_bytes()[index]))
    }
}
