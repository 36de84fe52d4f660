//! A server that checks tokens with a key set in a file, and what all tests do with it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use tickcast::config::{Config, Secrets};

use crate::listener::{Listener, Place, knock};
use crate::oracle::{Dialect, User};
use crate::raw::Raw;
use crate::running::{Running, now};
use crate::tokens::{AUDIENCE, Token, write_keys};

/// The server and its files.
pub(crate) struct Stage {
    pub(crate) server: Running,
    keys: PathBuf,
    _folder: TempDir,
}

/// Has tokens checked with this key set.
pub(crate) fn with_keys(config: &mut Config, keys: &Path) {
    config.auth.audience = Some(AUDIENCE.into());
    let jwt_jwks = Some(keys.to_str().unwrap().to_owned());
    config.secrets = Secrets { jwt_jwks, ..Secrets::default() };
}

impl Stage {
    /// A server with the keys as they are before the rotation, a journal, and two rooms.
    pub(crate) fn start() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys.json");
        write_keys(&keys, false);
        let server = Running::start(|config| {
            with_keys(config, &keys);
            config.data_dir = Some(folder.path().join("data"));
            config.rooms.public = vec!["news".into()];
            config.rooms.users = vec!["lounge".into()];
        });
        Stage { server, keys, _folder: folder }
    }

    /// One of the keys goes.
    pub(crate) fn rotate(&self) {
        write_keys(&self.keys, true);
        self.server.read_keys();
    }

    /// Somebody who has to be let in comes.
    pub(crate) fn enter(&self, dialect: Dialect, token: Token, place: Place) -> Listener {
        match knock(self.server.address, dialect, token.text().as_deref(), place) {
            Ok(listener) => listener,
            Err(outside) => panic!("{dialect:?} with {token:?} is refused: {}", outside.answer),
        }
    }

    /// Publishes all of these at once. When this returns they are on their way to everybody.
    pub(crate) fn publish(&self, objects: impl IntoIterator<Item = Value>) {
        let body = Value::from_iter(objects).to_string();
        let token = Token::Good(User::Backend).text().unwrap();
        let mut raw = Raw::socket(self.server.address);
        let length = body.len();
        let head = format!(
            "POST /publish HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n"
        );
        raw.send(head.as_bytes());
        raw.send(body.as_bytes());
        let head = raw.head();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let answer: Value = serde_json::from_slice(&raw.rest()).unwrap();
        assert_eq!(answer["rejected"], json!([]));
    }
}

/// A trade to be published.
pub(crate) fn trade(symbol: &str, id: u32, price: &str) -> Value {
    json!({"type": "trade", "symbol": symbol, "price": price, "quantity": "1", "tradeId": id,
        "timestamp": now(), "side": "BUY"})
}

/// An order to be published, with its number as its mark.
pub(crate) fn order(user: User, id: u32) -> Value {
    let data = json!({"orderId": id, "mark": id.to_string()});
    json!({"type": "order.created", "userId": user.name(), "data": data})
}
