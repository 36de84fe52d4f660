//! One HTTP GET on a connection of its own, within a deadline and a limit of bytes.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::time::timeout;

use super::connect::{AGENT, ConnectError, Connector, Endpoint, retry_after};

/// What a request may cost us.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RestLimits {
    /// For the connection.
    pub(crate) connect: Duration,
    /// For all of it, from the connection to the last byte.
    pub(crate) whole: Duration,
    /// The longest body.
    pub(crate) body_bytes: usize,
}

/// What the server said.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// HTTP status.
    pub(crate) status: u16,
    /// How long it asks us to stay away.
    pub(crate) retry_after: Option<Duration>,
    /// The body, whatever the status.
    pub(crate) body: Bytes,
}

/// Asks `endpoint` for `path`.
pub(crate) async fn get(
    connector: &Connector,
    endpoint: &Endpoint,
    path: &str,
    limits: RestLimits,
) -> Result<Answer, RestError> {
    let late = |_| RestError::TooSlow { within: limits.whole };
    timeout(limits.whole, get_unhurried(connector, endpoint, path, limits)).await.map_err(late)?
}

async fn get_unhurried(
    connector: &Connector,
    endpoint: &Endpoint,
    path: &str,
    limits: RestLimits,
) -> Result<Answer, RestError> {
    let stream = connector.open(endpoint, limits.connect).await?;
    let request = Request::get(endpoint.path(path))
        .header(HOST, endpoint.authority())
        .header(USER_AGENT, AGENT)
        .header(ACCEPT, "application/json")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(ConnectError::Request)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(ConnectError::Http)?;
    let exchange = async move { collect(sender.send_request(request).await?, limits.body_bytes).await };
    tokio::pin!(connection);
    tokio::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        // The connection may be over before the last bytes of the body were taken out of it.
        ended = &mut connection => {
            ended?;
            exchange.await
        }
    }
}

async fn collect(response: Response<Incoming>, limit: usize) -> Result<Answer, RestError> {
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers());
    let body = Limited::new(response.into_body(), limit).collect().await.map_err(|error| match error
        .downcast::<hyper::Error>(
    ) {
        Ok(error) => RestError::Connect(ConnectError::Http(*error)),
        Err(error) => {
            debug_assert!(error.is::<LengthLimitError>());
            RestError::TooLong { limit }
        }
    })?;
    Ok(Answer { status, retry_after, body: body.to_bytes() })
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum RestError {
    /// It did not end in time.
    #[error("the request took longer than {within:?}")]
    TooSlow {
        /// The deadline.
        within: Duration,
    },
    /// The answer's body is too long.
    #[error("the answer is longer than {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// The connection could not be made, or broke.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

impl From<hyper::Error> for RestError {
    fn from(error: hyper::Error) -> RestError {
        RestError::Connect(ConnectError::Http(error))
    }
}
