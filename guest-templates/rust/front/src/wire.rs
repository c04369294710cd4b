//! Requests and replies, as the contract lays them out.

/// What is asked, as far as it matters here.
pub struct Request<'a> {
    pub code: &'a str,
    pub entry: &'a str,
}

/// What is answered.
#[derive(Debug)]
pub struct Reply {
    kind: u32,
    message: String,
    payload: String,
}

/// Makes room that is never freed.
pub fn alloc(len: u32) -> u32 {
    let mut room: Vec<u8> = Vec::new();
    if room.try_reserve_exact(len as usize).is_err() {
        return 0;
    }
    room.leak().as_mut_ptr() as u32
}

impl<'a> Request<'a> {
    /// Reads a request out of its bytes.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(32)?;
        let field =
            |index: usize| head.get(index * 4..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes) as usize);
        let (code, rest) = rest.split_at_checked(field(3)?)?;
        let entry = rest.get(..field(4)?)?;
        Some(Self { code: std::str::from_utf8(code).ok()?, entry: std::str::from_utf8(entry).ok()? })
    }
}

impl Reply {
    pub fn returned(payload: String) -> Self {
        Self { kind: 0, message: String::new(), payload }
    }

    pub fn bad_source(message: impl Into<String>) -> Self {
        Self { kind: 2, message: message.into(), payload: String::new() }
    }

    pub fn bad_entry(message: impl Into<String>) -> Self {
        Self { kind: 3, message: message.into(), payload: String::new() }
    }

    /// Leaves the reply in memory and returns its packed place.
    pub fn leak(self) -> u64 {
        let message = &self.message[..self.message.floor_char_boundary(4096)];
        let head = [self.kind, 0, message.len() as u32].map(u32::to_le_bytes);
        let bytes = [head.as_flattened(), message.as_bytes(), self.payload.as_bytes()].concat().leak();
        (bytes.as_ptr() as u64) << 32 | bytes.len() as u64
    }
}
