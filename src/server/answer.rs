//! Answers to HTTP requests.

use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::json;

use super::Content;

/// An answer that is whole.
pub type Answer = Response<Content>;

/// A JSON answer that nobody may keep.
pub fn body(status: StatusCode, value: &serde_json::Value) -> Answer {
    let mut answer = Response::new(Content::from(value.to_string()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// An error as every address here tells it.
pub fn error(status: StatusCode, code: &str, message: &str) -> Answer {
    body(status, &json!({"code": code, "message": message}))
}

/// The address is right, the method is not; `allow` are those that are.
pub fn wrong_method(allow: &'static str) -> Answer {
    let message = format!("this address answers {allow}");
    let mut answer = error(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", &message);
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    answer
}
