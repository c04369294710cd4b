//! The request and the reply, as bytes: see "Request" and "Reply" in the contract.

/// What the host asks for. The parts are valid as long as the request's memory, which is never freed.
pub struct Request<'a> {
    pub form: Form,
    pub encoding: Encoding,
    pub max_result: usize,
    pub seed: u64,
    pub code: &'a [u8],
    pub entry: &'a str,
    pub arguments: &'a [u8],
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Source,
    Compiled,
}

/// How values that JSON cannot hold are treated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Strict,
    Tagged,
}

const HEADER: usize = 32;

impl<'a> Request<'a> {
    /// Reads a request; `None` when its lengths do not fit, which only a faulty host sends.
    pub fn read(bytes: &'a [u8]) -> Option<Request<'a>> {
        let word = |at: usize| -> Option<usize> {
            Some(u32::from_le_bytes(bytes.get(4 * at..4 * at + 4)?.try_into().ok()?) as usize)
        };
        let seed = u64::from_le_bytes(bytes.get(24..HEADER)?.try_into().ok()?);
        let code_end = HEADER.checked_add(word(3)?)?;
        let entry_end = code_end.checked_add(word(4)?)?;
        let arguments_end = entry_end.checked_add(word(5)?)?;
        Some(Request {
            form: if word(0)? == 0 { Form::Source } else { Form::Compiled },
            encoding: if word(1)? & 1 == 0 { Encoding::Strict } else { Encoding::Tagged },
            max_result: word(2)?,
            seed,
            code: bytes.get(HEADER..code_end)?,
            entry: str::from_utf8(bytes.get(code_end..entry_end)?).ok()?,
            arguments: bytes.get(entry_end..arguments_end)?,
        })
    }
}

/// What came of it, by its number in the contract. Nothing here ends the interpreter, so 7 (exited) is missing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Returned = 0,
    Raised = 1,
    BadSource = 2,
    BadEntry = 3,
    BadArguments = 4,
    BadResult = 5,
    TooLarge = 6,
}

/// With [`Kind::Raised`]: the error is the engine's "out of memory".
pub const OUT_OF_MEMORY: u32 = 1;
/// With [`Kind::Raised`]: the error is how the shim reports a refused capability.
pub const REFUSED: u32 = 2;

pub struct Reply {
    pub kind: Kind,
    pub flags: u32,
    pub message: String,
    pub payload: Vec<u8>,
}

impl Reply {
    pub fn new(kind: Kind, message: impl Into<String>) -> Reply {
        Reply { kind, flags: 0, message: message.into(), payload: Vec::new() }
    }

    pub fn returned(payload: Vec<u8>) -> Reply {
        Reply { kind: Kind::Returned, flags: 0, message: String::new(), payload }
    }

    /// Lays the reply out in memory that is never freed, and gives its place to the host.
    pub fn send(self) -> u64 {
        let message = crate::text::bounded(&self.message, crate::text::MAX_MESSAGE);
        let mut bytes = Vec::with_capacity(12 + message.len() + self.payload.len());
        bytes.extend((self.kind as u32).to_le_bytes());
        bytes.extend(self.flags.to_le_bytes());
        bytes.extend((message.len() as u32).to_le_bytes());
        bytes.extend(message.as_bytes());
        bytes.extend(&self.payload);
        let bytes = bytes.leak();
        (bytes.as_ptr() as usize as u64) << 32 | bytes.len() as u64
    }
}
