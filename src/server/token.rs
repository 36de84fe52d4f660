//! Where a request carries its token: the query, or the `Authorization` header.

use std::borrow::Cow;

use hyper::Request;
use hyper::header::AUTHORIZATION;

/// The token that `request` presents. Absent and empty are none; anything else is one, so that a
/// wrong token is refused and never treated as none.
pub(crate) fn presented<B>(request: &Request<B>) -> Option<Cow<'_, str>> {
    let query = request.uri().query().unwrap_or_default();
    let named = query.split('&').find_map(|pair| pair.strip_prefix("token="));
    if let Some(token) = named.filter(|token| !token.is_empty()) {
        return Some(unescaped(token));
    }
    let header = request.headers().get(AUTHORIZATION)?;
    let text = header.to_str().unwrap_or("not text").trim();
    let bearer = text.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("bearer "));
    match bearer {
        Some(_) => Some(text[7..].trim().into()),
        None if text.eq_ignore_ascii_case("bearer") || text.is_empty() => None,
        None => Some(text.into()),
    }
    .filter(|token: &Cow<'_, str>| !token.is_empty())
}

/// Undoes `%41`; what is no such escape stays, and is then no token.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return text.into();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped =
            digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, header: Option<&str>, expect: Option<&str>) {
        let mut request = Request::get(format!("/v1/ws{query}"));
        if let Some(header) = header {
            request = request.header(AUTHORIZATION, header);
        }
        assert_eq!(presented(&request.body(()).unwrap()).as_deref(), expect);
    }

    #[test]
    fn a_token_is_in_the_query_or_the_header_and_empty_is_none() {
        check("", None, None);
        check("?token=", None, None);
        check("?payload=string&token=a.b.c", None, Some("a.b.c"));
        check("?token=a%2Eb%2ec%", None, Some("a.b.c%"));
        check("", Some("Bearer a.b.c"), Some("a.b.c"));
        check("?token=", Some("bearer  a.b.c "), Some("a.b.c"));
        check("?token=x", Some("Bearer a.b.c"), Some("x"));
        check("", Some("Bearer "), None);
        check("", Some("Basic dXNlcg=="), Some("Basic dXNlcg=="));
    }
}
