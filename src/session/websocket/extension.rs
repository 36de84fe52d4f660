//! What is agreed on compression when a WebSocket is opened (RFC 6455, section 9.1; RFC 7692,
//! sections 5 and 7.1).

use thiserror::Error;

use crate::encode::Window;

/// permessage-deflate as it was agreed: no message refers to one before it, in either direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// How far back what the server sends may refer.
    pub window: Window,
}

/// A client's list of extensions cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "Sec-WebSocket-Extensions cannot be read: name extensions as `permessage-deflate; client_max_window_bits`"
)]
pub struct Malformed;

impl Agreed {
    /// What is taken of a client's offers, given the values of its Sec-WebSocket-Extensions headers:
    /// the first that can be honoured, or none.
    ///
    /// # Errors
    /// [`Malformed`] where one of them is no list of extensions.
    pub fn on<'a>(headers: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<Agreed>, Malformed> {
        let mut agreed = None;
        for header in headers {
            let mut rest = Rest(header);
            loop {
                if let Some(offer) = rest.offer()? {
                    agreed = agreed.or(offer.judge());
                }
                rest.skip_space();
                match rest.next() {
                    None => break,
                    Some(b',') => {}
                    Some(_) => return Err(Malformed),
                }
            }
        }
        Ok(agreed)
    }

    /// The answer's Sec-WebSocket-Extensions. Both sides begin each message anew although the client
    /// may not have asked for it, which a server may impose.
    pub const fn answer(self) -> &'static str {
        match self.window {
            Window::Wide => "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            Window::Narrow => {
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9"
            }
        }
    }
}

/// An extension with its parameters.
struct Offer {
    name: Vec<u8>,
    parameters: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Offer {
    /// Takes or declines one offer (RFC 7692, section 7): whatever is unknown, given twice or has a
    /// value that it may not have declines it as a whole.
    fn judge(&self) -> Option<Agreed> {
        if self.name != b"permessage-deflate" {
            return None;
        }
        let mut window = Window::Wide;
        for (at, (name, value)) in self.parameters.iter().enumerate() {
            if self.parameters[..at].iter().any(|(earlier, _)| earlier == name) {
                return None;
            }
            match (&name[..], value) {
                (b"server_no_context_takeover" | b"client_no_context_takeover", None) => {}
                // The client says that it could be held to a smaller window. It need not.
                (b"client_max_window_bits", None) => {}
                (b"client_max_window_bits", Some(value)) => _ = bits(value)?,
                (b"server_max_window_bits", Some(value)) => match bits(value)? {
                    // A compressor for 256 bytes there is none.
                    8 => return None,
                    15 => {}
                    _ => window = Window::Narrow,
                },
                _ => return None,
            }
        }
        Some(Agreed { window })
    }
}

/// 8 to 15, without leading zeros.
fn bits(value: &[u8]) -> Option<u8> {
    match value {
        [digit @ b'8'..=b'9'] => Some(digit - b'0'),
        [b'1', digit @ b'0'..=b'5'] => Some(10 + digit - b'0'),
        _ => None,
    }
}

/// What of a header has not been read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    /// One element of the list. It may be empty, as in any list of HTTP.
    fn offer(&mut self) -> Result<Option<Offer>, Malformed> {
        self.skip_space();
        if matches!(self.0.first(), None | Some(b',')) {
            return Ok(None);
        }
        let mut offer = Offer { name: self.token()?, parameters: Vec::new() };
        loop {
            self.skip_space();
            if self.0.first() != Some(&b';') {
                return Ok(Some(offer));
            }
            self.next();
            self.skip_space();
            let name = self.token()?;
            self.skip_space();
            let value = match self.0.first() {
                Some(b'=') => {
                    self.next();
                    self.skip_space();
                    Some(if self.0.first() == Some(&b'"') { self.quoted()? } else { self.token()? })
                }
                _ => None,
            };
            offer.parameters.push((name, value));
        }
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn skip_space(&mut self) {
        while matches!(self.0.first(), Some(b' ' | b'\t')) {
            self.next();
        }
    }

    fn token(&mut self) -> Result<Vec<u8>, Malformed> {
        let length = self.0.iter().take_while(|byte| is_token(**byte)).count();
        let (token, rest) = self.0.split_at(length);
        self.0 = rest;
        if token.is_empty() { Err(Malformed) } else { Ok(token.to_vec()) }
    }

    /// A token in quotes, of which any byte may be escaped.
    fn quoted(&mut self) -> Result<Vec<u8>, Malformed> {
        let mut token = Vec::new();
        self.next();
        loop {
            match self.next().ok_or(Malformed)? {
                b'"' if token.is_empty() => return Err(Malformed),
                b'"' => return Ok(token),
                b'\\' => token.extend(self.next().filter(|byte| is_token(*byte))),
                byte if is_token(byte) => token.push(byte),
                _ => return Err(Malformed),
            }
        }
    }
}

/// What a token consists of (RFC 9110, section 5.6.2).
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Result<Option<Agreed>, Malformed> = Ok(Some(Agreed { window: Window::Wide }));
    const NARROW: Result<Option<Agreed>, Malformed> = Ok(Some(Agreed { window: Window::Narrow }));

    #[track_caller]
    fn check(header: &str, expected: Result<Option<Agreed>, Malformed>) {
        assert_eq!(Agreed::on([header.as_bytes()]), expected, "{header}");
    }

    #[test]
    fn rfc_7692_7_1_every_offer_that_can_be_honoured_is_taken() {
        check("permessage-deflate", WIDE);
        check("permessage-deflate; client_max_window_bits", WIDE);
        check("permessage-deflate; client_no_context_takeover; server_no_context_takeover", WIDE);
        check("permessage-deflate;client_max_window_bits=8;server_max_window_bits=15", WIDE);
        check(" permessage-deflate ;\tserver_max_window_bits = \"15\" ", WIDE);
        for bits in 9..15 {
            check(&format!("permessage-deflate; server_max_window_bits={bits}"), NARROW);
        }
        check(r#"permessage-deflate; server_max_window_bits="1\0""#, NARROW);
    }

    #[test]
    fn rfc_7692_7_an_offer_with_what_is_unknown_given_twice_or_out_of_range_is_declined() {
        for parameters in [
            "unknown",
            "server_no_context_takeover=1",
            "client_no_context_takeover=true",
            "server_no_context_takeover; server_no_context_takeover",
            "client_max_window_bits; client_max_window_bits=10",
            "server_max_window_bits=10; server_max_window_bits=10",
            "server_max_window_bits",
            "server_max_window_bits=8",
            "server_max_window_bits=7",
            "server_max_window_bits=16",
            "server_max_window_bits=010",
            "server_max_window_bits=ten",
            "client_max_window_bits=7",
            "client_max_window_bits=16",
            "client_max_window_bits=09",
        ] {
            check(&format!("permessage-deflate; {parameters}"), Ok(None));
        }
        check("x-webkit-deflate-frame", Ok(None));
        check("", Ok(None));
        assert_eq!(Agreed::on([]), Ok(None));
    }

    #[test]
    fn rfc_7692_5_of_several_offers_the_first_that_can_be_honoured_is_taken() {
        let narrow = "permessage-deflate; server_max_window_bits=10, permessage-deflate";
        check(narrow, NARROW);
        check(
            "permessage-deflate; server_max_window_bits=8, permessage-deflate; client_max_window_bits",
            WIDE,
        );
        check(
            "bbf-usp, permessage-deflate; unknown=1, , permessage-deflate; server_max_window_bits=9",
            NARROW,
        );
        let headers: [&[u8]; 3] =
            [b"other", b"permessage-deflate; server_max_window_bits=12", b"permessage-deflate"];
        assert_eq!(Agreed::on(headers), NARROW);
    }

    #[test]
    fn rfc_6455_9_1_what_is_no_list_of_extensions_is_refused() {
        for header in [
            ";",
            "permessage-deflate;",
            "permessage-deflate; =1",
            "permessage-deflate; a=",
            "permessage-deflate; a=\"",
            "permessage-deflate; a=\"\"",
            "permessage-deflate; a=\"b c\"",
            "permessage-deflate client_max_window_bits",
            "permessage/deflate",
            "permessage-deflate, permessage-deflate; a=b=c",
            "caf\u{e9}",
        ] {
            check(header, Err(Malformed));
        }
    }
}
