//! A packet and the binary messages that belong to it, put together as they come.

use super::packet::{Malformed, Packet};
use crate::session::Said;

/// What has come of a packet whose attachments are on their way.
///
/// Invariant: never more than `limit` bytes of attachments.
#[derive(Debug)]
pub(super) struct Assembly {
    begun: Option<Begun>,
    limit: usize,
}

#[derive(Debug)]
struct Begun {
    text: String,
    wanted: usize,
    attachments: Vec<Vec<u8>>,
}

/// What a message completes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Whole<'a> {
    /// Nothing yet.
    Not,
    /// A packet that is text alone.
    Text(Packet<'a>),
    /// The text of a packet, and its attachments.
    Attached(String, Vec<Vec<u8>>),
}

impl Assembly {
    pub(super) const fn new(limit: usize) -> Assembly {
        Assembly { begun: None, limit }
    }

    /// Whether attachments are to come.
    pub(super) const fn is_waiting(&self) -> bool {
        self.begun.is_some()
    }

    /// Takes a message.
    pub(super) fn take<'a>(&mut self, said: Said<'a>) -> Result<Whole<'a>, Malformed> {
        match said {
            Said::Text(_) if self.is_waiting() => Err(Malformed::TextInstead),
            Said::Text(text) => {
                let packet = Packet::read(text)?;
                if packet.attachments == 0 {
                    return Ok(Whole::Text(packet));
                }
                let (text, wanted) = (text.to_owned(), packet.attachments);
                self.begun = Some(Begun { text, wanted, attachments: Vec::new() });
                Ok(Whole::Not)
            }
            Said::Binary(bytes) => {
                let begun = self.begun.as_mut().ok_or(Malformed::StrayAttachment)?;
                let held: usize = begun.attachments.iter().map(Vec::len).sum();
                if held + bytes.len() > self.limit {
                    return Err(Malformed::TooLarge);
                }
                begun.attachments.push(bytes.to_vec());
                match self.begun.take_if(|begun| begun.attachments.len() == begun.wanted) {
                    None => Ok(Whole::Not),
                    Some(whole) => {
                        Packet::read(&whole.text)?.check_placeholders()?;
                        Ok(Whole::Attached(whole.text, whole.attachments))
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = r#"52-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;

    #[test]
    fn a_packet_is_whole_with_its_last_attachment() {
        let mut assembly = Assembly::new(100);
        assert_eq!(assembly.take(Said::Text(HEADER)), Ok(Whole::Not));
        assert_eq!(assembly.take(Said::Binary(&[1])), Ok(Whole::Not));
        assert!(assembly.is_waiting());
        let whole = Whole::Attached(HEADER.into(), vec![vec![1], vec![2, 3]]);
        assert_eq!(assembly.take(Said::Binary(&[2, 3])), Ok(whole));
        assert!(!assembly.is_waiting());
        assert!(matches!(assembly.take(Said::Text("2[\"b\"]")), Ok(Whole::Text(_))));
    }

    #[test]
    fn text_or_bytes_out_of_order_are_refused() {
        let mut assembly = Assembly::new(100);
        assert_eq!(assembly.take(Said::Binary(&[1])), Err(Malformed::StrayAttachment));
        assert_eq!(assembly.take(Said::Text(HEADER)), Ok(Whole::Not));
        assert_eq!(assembly.take(Said::Text("2[\"b\"]")), Err(Malformed::TextInstead));
    }

    #[test]
    fn attachments_are_bounded_together() {
        let mut assembly = Assembly::new(100);
        assert_eq!(assembly.take(Said::Text(HEADER)), Ok(Whole::Not));
        assert_eq!(assembly.take(Said::Binary(&[1; 60])), Ok(Whole::Not));
        assert_eq!(assembly.take(Said::Binary(&[1; 41])), Err(Malformed::TooLarge));
    }
}
