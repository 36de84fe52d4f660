//! The body of an answer: parts that are sent one behind the other without being put together.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// A whole body, in parts that others may share: many polls are answered with the same bytes.
#[derive(Clone, Debug, Default)]
pub struct Content {
    parts: VecDeque<Bytes>,
}

impl From<Vec<Bytes>> for Content {
    fn from(parts: Vec<Bytes>) -> Content {
        Content { parts: parts.into() }
    }
}

impl From<Bytes> for Content {
    fn from(whole: Bytes) -> Content {
        Content { parts: VecDeque::from([whole]) }
    }
}

impl From<String> for Content {
    fn from(whole: String) -> Content {
        Bytes::from(whole).into()
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.parts.pop_front().map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.parts.iter().map(|part| part.len() as u64).sum())
    }
}
