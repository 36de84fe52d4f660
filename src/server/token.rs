//! Where a request carries its token.

use hyper::Request;
use hyper::header::AUTHORIZATION;

/// The token of a request: `Authorization: Bearer`, else `?token=`. An empty one is none. Tokens are
/// made of characters that a query carries as they are (RFC 7515, section 2).
pub(super) fn of<B>(request: &Request<B>) -> Option<&str> {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    // A header that is no bearer token is a wrong token, not none.
    let bearer = header.map(|value| {
        let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
        if scheme.eq_ignore_ascii_case("bearer") { rest.trim() } else { value }
    });
    let query = request.uri().query().unwrap_or_default();
    let asked = query.split('&').find_map(|pair| pair.strip_prefix("token="));
    bearer.filter(|token| !token.is_empty()).or(asked).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, header: Option<&str>, token: Option<&str>) {
        let mut request = Request::get(path);
        if let Some(header) = header {
            request = request.header(AUTHORIZATION, header);
        }
        assert_eq!(of(&request.body(()).unwrap()), token, "{path} {header:?}");
    }

    #[test]
    fn a_token_stands_in_the_header_or_the_query_and_an_empty_one_is_none() {
        check("/ws", None, None);
        check("/ws?token=", Some("Bearer "), None);
        check("/ws?a=b&token=abc", None, Some("abc"));
        check("/ws?token=abc", Some("bearer def"), Some("def"));
        check("/ws", Some("Basic abc"), Some("Basic abc"));
    }
}
