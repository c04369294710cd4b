//! A function as a core module, in plain Rust: it keeps the guest contract by hand, with nothing but the standard
//! library. `README.md` says how to build and call it.

/// Where the reply lies after a call.
static mut REPLY: Vec<u8> = Vec::new();

/// Makes room for a request; it is never freed, for the instance lives for one call.
#[unsafe(no_mangle)]
extern "C" fn gs_alloc(length: u32) -> *mut u8 {
    Vec::leak(vec![0; length as usize]).as_mut_ptr()
}

/// Answers a request: entry and arguments in, a reply out.
#[unsafe(no_mangle)]
extern "C" fn gs_invoke(request: *const u8, length: u32) -> u64 {
    // SAFETY: the host has written the request there, and nothing else runs in this instance.
    let request = unsafe { std::slice::from_raw_parts(request, length as usize) };
    let field = |at: usize| u32::from_le_bytes(request[at..at + 4].try_into().expect("a request has a header")) as usize;
    let (code, entry) = (field(12), field(16));
    let name = &request[32 + code..][..entry];
    let arguments = String::from_utf8_lossy(&request[32 + code + entry..]);
    match name {
        b"mean" => match numbers(&arguments) {
            Some(numbers) if !numbers.is_empty() => {
                let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
                println!("{} numbers", numbers.len());
                reply(RETURNED, "", &format!("{mean:?}"))
            }
            Some(_) => reply(RAISED, "mean of nothing", ""),
            None => reply(BAD_ARGUMENTS, "`mean` takes numbers", ""),
        },
        _ => reply(BAD_ENTRY, "there is only `mean`", ""),
    }
}

/// What may become of a request.
const RETURNED: u32 = 0;
const RAISED: u32 = 1;
const BAD_ENTRY: u32 = 3;
const BAD_ARGUMENTS: u32 = 4;

/// Reads an array of numbers. A real function would use a JSON library.
fn numbers(arguments: &str) -> Option<Vec<f64>> {
    let list = arguments.trim().strip_prefix('[')?.strip_suffix(']')?;
    let items = list.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(|item| item.parse().ok()).collect()
}

/// Writes a reply and returns its place: pointer in the upper half, length in the lower.
fn reply(kind: u32, message: &str, payload: &str) -> u64 {
    let fields = [kind, 0, message.len() as u32];
    let mut bytes: Vec<u8> = fields.into_iter().flat_map(u32::to_le_bytes).collect();
    bytes.extend(message.bytes().chain(payload.bytes()));
    let place = (bytes.as_ptr() as u64) << 32 | bytes.len() as u64;
    // SAFETY: there is one thread, and nobody holds a reference to what was there.
    unsafe { REPLY = bytes };
    place
}
