//! What the queue alone costs: from handing work to a worker to having its answer, by one caller that waits for each.
//!
//!     cargo bench -p greensand-sandbox --bench queue
//!
//! `empty` is the hand-off and nothing else, at the pace of a caller that asks again at once. `after a pause` asks when the
//! workers sleep. `beside a flood` is the latency of one tenant while another keeps its whole room full of work that takes
//! 20 us: with turns it waits for little more than one such piece of work.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench ends where something unexpected is found")]

#[allow(dead_code, unused_imports, reason = "the module as it stands, without the crate around it")]
#[path = "../src/worker/mod.rs"]
mod worker;

use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use futures::stream::{FuturesUnordered, StreamExt};
use greensand_types::Tenant;
use worker::{QueueBounds, WorkerPool};

const CALLS: usize = 20_000;

fn main() {
    let workers = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let bounds = QueueBounds { total: 64 * workers, per_tenant: 32 * workers, running_per_tenant: workers };
    let pool = WorkerPool::start(workers, bounds, 1 << 20).unwrap();
    let quiet: Tenant = "quiet".parse().unwrap();
    measure("empty", || block_on(pool.run(&quiet, |_| black_box(1))).unwrap());
    measure("work of 20 us", || block_on(pool.run(&quiet, |_| spin(20))).unwrap());
    measure_after("after a pause", Duration::from_micros(300), || {
        block_on(pool.run(&quiet, |_| black_box(1))).unwrap()
    });

    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| block_on(flood(&pool, &is_over)));
        measure("work of 20 us, beside a flood", || block_on(pool.run(&quiet, |_| spin(20))).unwrap());
        is_over.store(true, Ordering::Relaxed);
    });
}

/// Keeps a thousand pieces of work asked for until it is over.
async fn flood(pool: &WorkerPool, is_over: &AtomicBool) {
    let flooding: Tenant = "flooding".parse().unwrap();
    let ask = || pool.run(&flooding, |_: &worker::Cancellation| spin(20));
    let mut asked: FuturesUnordered<_> = (0..1000).map(|_| ask()).collect();
    while let Some(answer) = asked.next().await {
        answer.unwrap();
        if !is_over.load(Ordering::Relaxed) {
            asked.push(ask());
        }
    }
}

fn spin(microseconds: u64) {
    let until = Instant::now() + Duration::from_micros(microseconds);
    while Instant::now() < until {
        spin_loop();
    }
}

fn measure<T>(name: &str, call: impl FnMut() -> T) {
    measure_after(name, Duration::ZERO, call);
}

fn measure_after<T>(name: &str, pause: Duration, mut call: impl FnMut() -> T) {
    let mut times: Vec<Duration> = (0..CALLS)
        .map(|_| {
            if !pause.is_zero() {
                thread::sleep(pause);
            }
            let started = Instant::now();
            black_box(call());
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 1000];
    println!("{name:32} p50 {:>9.1?}  p99 {:>9.1?}  p99.9 {:>9.1?}", at(500), at(990), at(999));
}
