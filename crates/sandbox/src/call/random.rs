//! The randomness of a call.

use greensand_types::EntropyGrant;

/// Fills a guest's buffers: from a generator seeded by the call, or from the host's entropy where that is granted.
pub(crate) struct CallRandom(Source);

enum Source {
    /// BLAKE3 as a stream: the same on every machine and in every version of this crate.
    Seeded(Box<blake3::OutputReader>),
    Real,
}

impl CallRandom {
    /// The randomness of a call with this seed.
    pub(crate) fn new(grant: EntropyGrant, seed: u64) -> Self {
        match grant {
            EntropyGrant::Seeded => {
                let mut hasher = blake3::Hasher::new_derive_key("greensand sandbox: the randomness of a call");
                hasher.update(&seed.to_le_bytes());
                Self(Source::Seeded(Box::new(hasher.finalize_xof())))
            }
            EntropyGrant::Real => Self(Source::Real),
        }
    }

    /// Fills a buffer.
    ///
    /// # Errors
    /// When the host has no entropy to give.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<(), getrandom::Error> {
        match &mut self.0 {
            Source::Seeded(stream) => {
                stream.fill(buffer);
                Ok(())
            }
            Source::Real => getrandom::fill(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(seed: u64, lengths: &[usize]) -> Vec<u8> {
        let mut random = CallRandom::new(EntropyGrant::Seeded, seed);
        let mut drawn = Vec::new();
        for length in lengths {
            let mut buffer = vec![0; *length];
            random.fill(&mut buffer).unwrap();
            drawn.extend(buffer);
        }
        drawn
    }

    #[test]
    fn a_seed_decides_the_stream() {
        assert_eq!(draw(7, &[100]), draw(7, &[1, 99]));
        assert_ne!(draw(7, &[100]), draw(8, &[100]));
    }
}
