//! The venue's sockets: HTTP, the upgrade, one reader and one writer for each client.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use fastwebsockets::upgrade::{UpgradeFut, upgrade};
use fastwebsockets::{Frame, OpCode, Role, WebSocket};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{Out, RestMischief, Seen, Shared};

type Answer = Response<BoxBody<Bytes, Infallible>>;
type Stream = TokioIo<hyper::upgrade::Upgraded>;

pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((tcp, _)) = listener.accept().await {
        let shared = shared.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| answer(request, shared.clone()));
            let http =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(tcp), service);
            // A client that goes away in the middle is what this venue is for.
            let _ = http.with_upgrades().await;
        });
    }
}

async fn answer(mut request: Request<Incoming>, shared: Arc<Shared>) -> Result<Answer, Infallible> {
    let path = request.uri().path().to_owned();
    if !fastwebsockets::upgrade::is_upgrade_request(&request) {
        return Ok(rest(&request, &shared).await);
    }
    if let Some((status, seconds)) = shared.lock().refuse_sockets {
        return Ok(text(status, Some(seconds), String::new()));
    }
    let (response, upgraded) = upgrade(&mut request).unwrap();
    tokio::spawn(client(upgraded, path, shared));
    Ok(response.map(BodyExt::boxed))
}

async fn rest(request: &Request<Incoming>, shared: &Shared) -> Answer {
    let path = request.uri().path_and_query().unwrap().to_string();
    let is_depth = path.contains("/depth?");
    let mischief = shared.act(|state| {
        state.log.requests.push((Instant::now(), path.clone()));
        state.rest.pop_front()
    });
    match &mischief {
        Some(RestMischief::Status(status, retry_after)) => {
            return text(*status, *retry_after, r#"{"code":-1003,"msg":"no"}"#.into());
        }
        Some(RestMischief::Garbage(body)) => {
            return Response::new(Full::new(Bytes::from(body.clone())).boxed());
        }
        Some(RestMischief::Late(late)) => sleep(*late).await,
        Some(RestMischief::Old) | None => {}
    }
    let state = shared.lock();
    if !is_depth {
        return text(200, None, state.market.instruments());
    }
    let symbol = path.split("symbol=").nth(1).and_then(|rest| rest.split('&').next()).unwrap_or_default();
    match state.market.snapshot(symbol, mischief == Some(RestMischief::Old)) {
        Some(book) => text(200, None, book),
        None => text(400, None, r#"{"code":-1121,"msg":"Invalid symbol."}"#.into()),
    }
}

fn text(status: u16, retry_after: Option<u64>, body: String) -> Answer {
    let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap());
    if let Some(seconds) = retry_after {
        response = response.header("Retry-After", seconds);
    }
    response.body(Full::new(Bytes::from(body)).boxed()).unwrap()
}

async fn client(upgraded: UpgradeFut, path: String, shared: Arc<Shared>) {
    let Ok(socket) = upgraded.await else { return };
    let (read, write) = tokio::io::split(socket.into_inner());
    let (out, queue) = mpsc::channel(16_384);
    let at = shared.act(|state| {
        state.outs.push(out.clone());
        state.log.connections.push(Seen {
            path,
            open: true,
            streams: BTreeSet::new(),
            frames: Vec::new(),
            pongs: Vec::new(),
            closed_with: None,
            broke: None,
        });
        state.log.connections.len() - 1
    });
    tokio::select! {
        () = listen(read, at, &shared, &out) => {}
        () = speak(write, queue) => {}
    }
    shared.act(|state| state.log.connections[at].open = false);
}

async fn listen(read: ReadHalf<Stream>, at: usize, shared: &Shared, out: &mpsc::Sender<Out>) {
    let mut socket = WebSocket::after_handshake(tokio::io::join(read, tokio::io::sink()), Role::Server);
    socket.set_auto_pong(false);
    socket.set_auto_close(false);
    while let Ok(frame) = socket.read_frame().await {
        let (opcode, payload) = (frame.opcode, frame.payload.to_vec());
        let end = shared.act(|state| {
            let limits = state.limits;
            let seen = &mut state.log.connections[at];
            seen.frames.push(Instant::now());
            if seen.busiest(limits.window) > limits.messages {
                seen.broke = Some("messages");
            }
            match opcode {
                OpCode::Pong => seen.pongs.push(payload),
                OpCode::Close => {
                    seen.closed_with = payload.get(..2).map(|code| u16::from_be_bytes([code[0], code[1]]));
                }
                OpCode::Text => {
                    let answer = subscribe(seen, &payload);
                    if seen.streams.len() > limits.streams {
                        seen.broke = Some("streams");
                    }
                    if !state.silent && !state.mute {
                        let _ = out.try_send(Out::Text(answer));
                    }
                }
                OpCode::Binary | OpCode::Continuation | OpCode::Ping => {}
            }
            let seen = &state.log.connections[at];
            seen.broke.is_some() || seen.closed_with.is_some()
        });
        if end {
            return;
        }
    }
}

fn subscribe(seen: &mut Seen, payload: &[u8]) -> String {
    let request: serde_json::Value = serde_json::from_slice(payload).unwrap();
    assert_eq!(request["method"], "SUBSCRIBE");
    let streams = request["params"].as_array().unwrap();
    seen.streams.extend(streams.iter().map(|stream| stream.as_str().unwrap().to_owned()));
    format!(r#"{{"result":null,"id":{}}}"#, request["id"])
}

async fn speak(write: WriteHalf<Stream>, mut queue: mpsc::Receiver<Out>) {
    let mut socket = WebSocket::after_handshake(tokio::io::join(tokio::io::empty(), write), Role::Server);
    while let Some(out) = queue.recv().await {
        let frame = match out {
            Out::Text(text) => Frame::text(text.into_bytes().into()),
            Out::Binary(bytes) => Frame::binary(bytes.into()),
            Out::Ping(payload) => Frame::new(true, OpCode::Ping, None, payload.into()),
            Out::Close(code, reason) => Frame::close(code, reason.as_bytes()),
            Out::Drop => return,
        };
        let is_close = frame.opcode == OpCode::Close;
        if socket.write_frame(frame).await.is_err() || is_close {
            let _ = socket.into_inner().shutdown().await;
            return;
        }
    }
}
