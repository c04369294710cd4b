//! The bytes that host and guest exchange, as `guest-templates/ABI.md` lays them out.

/// The version of the guest contract that this host keeps.
pub(crate) const CONTRACT: u32 = 2;

/// What a guest is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Check and compile the source.
    Prepare,
    /// Run the top level and say what the entry takes.
    Describe,
    /// Run the top level and call the entry.
    Invoke,
    /// Run the source as a script.
    Run,
}

impl Verb {
    /// How many there are.
    pub(super) const COUNT: usize = 4;

    /// Says whether it runs a compiled form as well as source text.
    pub(super) fn takes_compiled_form(self) -> bool {
        match self {
            Self::Describe | Self::Invoke => true,
            Self::Prepare | Self::Run => false,
        }
    }

    /// Returns the export that does it.
    pub(super) fn export(self) -> &'static str {
        match self {
            Self::Prepare => "gs_prepare",
            Self::Describe => "gs_describe",
            Self::Invoke => "gs_invoke",
            Self::Run => "gs_run",
        }
    }
}

/// What the code of a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Source text.
    Source,
    /// What the guest's own `gs_prepare` made of it.
    Compiled,
}

/// A request, apart from how it is laid out.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) form: Form,
    pub(crate) is_tagged: bool,
    pub(crate) max_result: u64,
    pub(crate) seed: u64,
    pub(crate) code: &'a [u8],
    pub(crate) entry: &'a [u8],
    pub(crate) arguments: &'a [u8],
}

impl Request<'_> {
    /// Returns the request as bytes, or nothing when a field is longer than the contract can say.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let form = match self.form {
            Form::Source => 0,
            Form::Compiled => 1_u32,
        };
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).ok();
        let fields = [
            form,
            u32::from(self.is_tagged),
            u32::try_from(self.max_result).unwrap_or(u32::MAX),
            length(self.code)?,
            length(self.entry)?,
            length(self.arguments)?,
        ];
        let parts = [self.code, self.entry, self.arguments];
        let mut bytes = Vec::with_capacity(32 + parts.iter().map(|part| part.len()).sum::<usize>());
        fields.iter().for_each(|field| bytes.extend_from_slice(&field.to_le_bytes()));
        bytes.extend_from_slice(&self.seed.to_le_bytes());
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        Some(bytes)
    }
}

/// A reply, as it lies in the guest's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reply<'a> {
    pub(crate) kind: ReplyKind,
    pub(crate) is_out_of_memory: bool,
    pub(crate) is_refusal: bool,
    pub(crate) message: &'a [u8],
    pub(crate) payload: &'a [u8],
}

/// What a guest says became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReplyKind {
    Returned,
    Raised,
    BadSource,
    BadEntry,
    BadArguments,
    BadResult,
    TooLarge,
    Exited,
}

impl<'a> Reply<'a> {
    /// Reads a reply out of the guest's memory, or nothing when it is not one.
    pub(crate) fn decode(memory: &'a [u8], packed: i64) -> Option<Self> {
        let packed = packed.cast_unsigned();
        let start = usize::try_from(packed >> 32).ok()?;
        let length = usize::try_from(packed & 0xffff_ffff).ok()?;
        let bytes = memory.get(start..start.checked_add(length)?)?;
        let (kind, bytes) = take_u32(bytes)?;
        let (flags, bytes) = take_u32(bytes)?;
        let (message_length, bytes) = take_u32(bytes)?;
        let (message, payload) = bytes.split_at_checked(usize::try_from(message_length).ok()?)?;
        let kind = ReplyKind::of(kind)?;
        Some(Self { kind, is_out_of_memory: flags & 1 != 0, is_refusal: flags & 2 != 0, message, payload })
    }
}

impl ReplyKind {
    fn of(kind: u32) -> Option<Self> {
        Some(match kind {
            0 => Self::Returned,
            1 => Self::Raised,
            2 => Self::BadSource,
            3 => Self::BadEntry,
            4 => Self::BadArguments,
            5 => Self::BadResult,
            6 => Self::TooLarge,
            7 => Self::Exited,
            _ => return None,
        })
    }
}

fn take_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (field, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*field), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(start: u64, length: u64) -> i64 {
        (start << 32 | length).cast_signed()
    }

    #[test]
    fn a_request_lies_as_the_contract_says() {
        let (code, entry, arguments) = (b"code", b"f", b"[]");
        let request = Request { form: Form::Compiled, is_tagged: true, max_result: 9, seed: 5, code, entry, arguments };
        let expected = [
            &[1, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0][..],
            &[5, 0, 0, 0, 0, 0, 0, 0],
            b"codef[]",
        ];
        assert_eq!(request.encode().unwrap(), expected.concat());
    }

    #[test]
    fn a_reply_is_read_within_its_bounds() {
        let memory = [&[0xff][..], &[1, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0], b"hitrace"].concat();
        let reply = Reply::decode(&memory, packed(1, 19)).unwrap();
        assert_eq!(reply.kind, ReplyKind::Raised);
        assert_eq!((reply.is_out_of_memory, reply.is_refusal), (true, true));
        assert_eq!((reply.message, reply.payload), (b"hi".as_slice(), b"trace".as_slice()));
    }

    #[test]
    fn a_reply_that_lies_about_its_place_or_parts_is_none() {
        let memory = [&[9, 0, 0, 0][..], &[0; 4], &[0xff; 4], &[0; 20]].concat();
        for (start, length) in
            [(0, 12), (0, 11), (0, 0), (0, 33), (32, 12), (u64::from(u32::MAX), 0xffff_ffff), (33, 0)]
        {
            assert_eq!(Reply::decode(&memory, packed(start, length)), None, "{start} {length}");
        }
    }
}
