//! The bytes between host and guest: a reply anywhere in the memory of a guest, and a request of any parts.

#![no_main]

use greensand_sandbox::fuzzing::{read_reply, write_request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (i64, u64, u64, &[u8], &[u8], &[u8])| {
    let (packed, max_result, seed, memory, entry, arguments) = input;
    read_reply(memory, packed);
    // A place that lies in the memory, so that what is read there is looked at, too.
    let length = memory.len() as u64;
    let start = packed.cast_unsigned().checked_rem(length).unwrap_or(0);
    read_reply(memory, (start << 32 | (length - start)).cast_signed());
    write_request(memory, entry, arguments, max_result, seed);
});
