//! Promises and timers: what a function waits for.
//!
//! Time is the call's own: waiting for a timer moves its clock and takes none. A function is waited for until its
//! promise settles; what is still pending then is dropped with the instance.

use std::ffi::c_void;

use crate::engine::{self, Thrown, Value, context, q, runtime, take_exception, throw};
use crate::error;
use crate::host;
use crate::realm::state;

/// A call that waits for its time.
pub struct Timer {
    pub id: u32,
    /// Nanoseconds of the call's clock.
    pub due: i64,
    /// Between two calls, of one that repeats.
    pub interval: Option<i64>,
    pub callback: Value,
    pub arguments: Vec<Value>,
}

/// A promise that was rejected while nobody listened.
pub struct Rejection {
    promise: Value,
    reason: Value,
}

/// Why a promise did not give a value.
pub enum Unsettled {
    Rejected(Value),
    /// Nothing is left that could settle it.
    Never,
}

/// Waits for a promise.
pub fn settled(promise: Value) -> Result<Value, Unsettled> {
    loop {
        run_ready();
        match unsafe { q::JS_PromiseState(context(), promise.raw()) } {
            q::JSPromiseStateEnum_JS_PROMISE_FULFILLED => return Ok(result(&promise)),
            q::JSPromiseStateEnum_JS_PROMISE_REJECTED => {
                state(|state| state.rejections.retain(|rejection| !rejection.promise.is(&promise)));
                return Err(Unsettled::Rejected(result(&promise)));
            }
            _ => {}
        }
        if !run_next_timer() {
            return Err(Unsettled::Never);
        }
    }
}

fn result(promise: &Value) -> Value {
    Value::owned(unsafe { q::JS_PromiseResult(context(), promise.raw()) }).unwrap_or(Value::UNDEFINED)
}

/// Runs the jobs that are ready, and those that they make ready.
pub fn run_ready() {
    let mut of = std::ptr::null_mut();
    while unsafe { q::JS_IsJobPending(runtime()) } {
        if unsafe { q::JS_ExecutePendingJob(runtime(), &mut of) } < 0 {
            // Only a callback of `queueMicrotask` can throw here.
            uncaught(&take_exception());
        }
    }
}

/// Runs everything that is left, as long as there is any.
pub fn run_all() {
    run_ready();
    while run_next_timer() {
        run_ready();
    }
}

/// Waits for the timer that is due next and calls it; false when there is none.
fn run_next_timer() -> bool {
    let next = state(|state| {
        let timers = &mut state.timers;
        let at = (0..timers.len()).min_by_key(|at| (timers[*at].due, timers[*at].id))?;
        Some(match timers[at].interval {
            None => timers.swap_remove(at),
            Some(interval) => {
                let Timer { id, due, ref callback, ref arguments, .. } = timers[at];
                let (callback, arguments) = (callback.clone(), arguments.clone());
                timers[at].due = due.saturating_add(interval);
                Timer { id, due, interval: None, callback, arguments }
            }
        })
    });
    let Some(timer) = next else { return false };
    host::sleep(timer.due - host::clock());
    if let Err(Thrown) = timer.callback.call(&Value::UNDEFINED, &timer.arguments) {
        uncaught(&take_exception());
    }
    true
}

/// Adds a timer; gives its number.
pub fn add_timer(callback: Value, arguments: Vec<Value>, milliseconds: f64, repeats: bool) -> u32 {
    // As everywhere: what is not a positive number of a reasonable size is the shortest time.
    let milliseconds = if (1.0..=2_147_483_647.0).contains(&milliseconds) { milliseconds.trunc() } else { 1.0 };
    let nanoseconds = milliseconds as i64 * 1_000_000;
    let due = host::clock().saturating_add(nanoseconds);
    state(|state| {
        state.timers_made += 1;
        let id = state.timers_made;
        state.timers.push(Timer { id, due, interval: repeats.then_some(nanoseconds), callback, arguments });
        id
    })
}

pub fn remove_timer(id: u32) {
    let removed = state(|state| {
        let at = state.timers.iter().position(|timer| timer.id == id)?;
        Some(state.timers.swap_remove(at))
    });
    drop(removed);
}

/// Called by the engine when a promise is rejected without a listener, and when one comes late.
pub unsafe extern "C" fn track_rejection(
    _: *mut q::JSContext,
    promise: q::JSValue,
    reason: q::JSValue,
    is_handled: bool,
    _: *mut c_void,
) {
    const MOST: usize = 100;
    let promise = Value::borrowed(promise);
    let reason = Value::borrowed(reason);
    state(|state| {
        if is_handled {
            state.rejections.retain(|rejection| !rejection.promise.is(&promise));
        } else if state.rejections.len() < MOST {
            state.rejections.push(Rejection { promise, reason });
        }
    });
}

/// Notes the rejections that nobody listened to on standard error.
pub fn report_rejections() {
    for Rejection { reason, .. } in state(|state| std::mem::take(&mut state.rejections)) {
        let note = format!("unhandled rejection: {}\n", error::message(&reason));
        host::write(host::STDERR, note.as_bytes());
    }
}

fn uncaught(exception: &Value) {
    let note = format!("uncaught in a callback: {}\n", error::message(exception));
    host::write(host::STDERR, note.as_bytes());
}

/// Makes the reason of an [`Unsettled`] the pending exception.
pub fn raise(unsettled: Unsettled, what: &str) -> Thrown {
    match unsettled {
        Unsettled::Rejected(reason) => throw(reason),
        Unsettled::Never => {
            let text = format!("{what} never settles: no timer and no job is left that could settle it");
            match error::new_error(&text, None) {
                Ok(error) => engine::throw(error),
                Err(Thrown) => Thrown,
            }
        }
    }
}
