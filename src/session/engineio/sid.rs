//! The name of a session: a secret, and which worker owns it.

use std::fmt;

/// A session's name: whoever knows it can speak for the client.
///
/// Its first part is the number of the worker that owns the session, so that a request finds its way
/// without a registry that all share; the rest is random.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sid {
    worker: u16,
    random: [u8; RANDOM],
}

impl Sid {
    /// A name that nobody can guess, for a session on this worker.
    ///
    /// # Errors
    /// When the system has no random numbers to give.
    pub fn random(worker: u16) -> Result<Sid, getrandom::Error> {
        let mut random = [0; RANDOM];
        getrandom::fill(&mut random)?;
        Ok(Sid { worker, random })
    }

    /// Reads a name; `None` where it is none of ours.
    pub fn read(text: &str) -> Option<Sid> {
        let bytes: [u8; RANDOM + 2] = from_text(text.as_bytes().first_chunk()?)?;
        let (worker, random) = bytes.split_first_chunk()?;
        let sid = Sid { worker: u16::from_be_bytes(*worker), random: random.try_into().ok()? };
        (text.len() == TEXT).then_some(sid)
    }

    /// The number of the worker that owns it.
    pub const fn worker(self) -> u16 {
        self.worker
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; RANDOM + 2];
        let (worker, random) = bytes.split_at_mut(2);
        worker.copy_from_slice(&self.worker.to_be_bytes());
        random.copy_from_slice(&self.random);
        for three in bytes.chunks_exact(3) {
            let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
            for shift in [18, 12, 6, 0] {
                f.write_str(char::from(ALPHABET[(bits >> shift & 63) as usize]).encode_utf8(&mut [0; 1]))?;
            }
        }
        Ok(())
    }
}

/// The secret part stands in no log.
impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sid({}…)", self.worker)
    }
}

fn from_text(text: &[u8; TEXT]) -> Option<[u8; RANDOM + 2]> {
    let mut bytes = [0; RANDOM + 2];
    for (four, three) in text.chunks_exact(4).zip(bytes.chunks_exact_mut(3)) {
        let mut bits = 0_u32;
        for letter in four {
            let value = ALPHABET.iter().position(|known| known == letter)?;
            bits = bits << 6 | u32::try_from(value).ok()?;
        }
        three.copy_from_slice(&bits.to_be_bytes()[1..]);
    }
    Some(bytes)
}

/// Random bytes in a name: 128 bits. With the worker's two they are a multiple of three.
const RANDOM: usize = 16;

/// Letters that a name is written in.
const TEXT: usize = 24;

/// base64url: none of it needs an escape in an address.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_and_leads_to_its_worker() {
        for worker in [0, 1, 63, 64, u16::MAX] {
            let sid = Sid::random(worker).unwrap();
            let text = sid.to_string();
            assert_eq!(text.len(), 24);
            assert_eq!(Sid::read(&text), Some(sid));
            assert_eq!(sid.worker(), worker);
            assert_ne!(Sid::random(worker).unwrap(), sid);
        }
    }

    #[test]
    fn what_is_no_name_of_ours_is_none() {
        for text in
            ["", "abc", "abcdefghijklmnopqrstuvw", "abcdefghijklmnopqrstuvwxy", "abcdefghijklmnopqrstuvw/"]
        {
            assert_eq!(Sid::read(text), None, "{text}");
        }
    }

    #[test]
    fn the_secret_stands_in_no_log() {
        let sid = Sid::random(3).unwrap();
        assert_eq!(format!("{sid:?}"), "Sid(3…)");
    }
}
