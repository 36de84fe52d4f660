//! `/socket.io/`: the gateways, and `/stats`, which tells admins who is on one of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use serde_json::json;

use super::Market;
use crate::auth::{Tokens, audit};
use crate::config::Config;
use crate::dialect::Dialect;
use crate::dialect::tradewithai::{EVERYBODY, connection_count};
use crate::engine::Engine;
use crate::fanout::ToWorker;
use crate::market::{Accounts, Millis};
use crate::server::Door;
use crate::server::answer::{Answer, body, error};
use crate::server::engineio::Endpoint;
use crate::session::gateway::{Gateway, GatewayLimits, Gateways};
use crate::session::{engineio, socketio};
use crate::shard::{Broadcast, Class};

/// The gateways' address, and what all their clients share.
pub(super) struct SocketIo {
    endpoint: Endpoint,
    gateway: Arc<Gateway>,
}

impl SocketIo {
    pub(super) fn new(
        config: &Config,
        engine: &Engine,
        accounts: Arc<Accounts>,
        tokens: Arc<Tokens>,
    ) -> SocketIo {
        let knobs = &config.socketio;
        let gateway = Arc::new(Gateway {
            symbols: engine.symbols().clone(),
            accounts,
            rooms: engine.rooms().clone(),
            tokens,
            presence: Arc::default(),
            limits: GatewayLimits {
                subscriptions: config.limits.subscriptions.get(),
                maven_messages: knobs.maven_messages_per_minute.get(),
                tradewithai_messages: knobs.tradewithai_messages_per_minute.get(),
            },
            dev: config.dev,
        });
        let options = engineio::Options {
            ping_interval: millis(knobs.ping_interval),
            ping_timeout: millis(knobs.ping_timeout),
            max_payload: knobs.max_payload.get(),
            ..engineio::Options::default()
        };
        let connect = socketio::Options {
            connect_timeout: millis(knobs.connect_timeout),
            max_payload: knobs.max_payload.get(),
            ..socketio::Options::default()
        };
        let shared = gateway.clone();
        let endpoint = Endpoint::new(options, move |arrival, now| {
            let gateways = Gateways::new(shared.clone(), arrival.token.clone());
            Box::new(socketio::SocketIo::new(Arc::new(gateways), connect, now))
        });
        SocketIo { endpoint, gateway }
    }

    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        door: &Arc<Door>,
    ) -> Answer {
        self.endpoint.answer(request, peer, door).await
    }

    /// Tells TradeWithAI's clients how many they are, where that has changed.
    pub(super) fn tell_count(&self, door: &Door, now: Millis) {
        let Some(count) = self.gateway.presence.changed_count() else { return };
        let frame = connection_count(count, now);
        for inbox in door.workers().inboxes() {
            let channel = Dialect::TradeWithAi.of(EVERYBODY);
            let broadcast = Broadcast { channel, class: Class::Conflated, follows: 0, frame: frame.clone() };
            // A worker that is full of other things is told a second later, with all others.
            if inbox.try_send(ToWorker::Broadcast(broadcast)).is_err() {
                self.gateway.presence.tell_again();
            }
        }
    }
}

impl Market {
    /// `/stats`: TradeWithAI's clients, for admins.
    pub(super) fn stats(&self, request: &Request<Incoming>, peer: SocketAddr) -> Answer {
        let grant = match self.grant(request, peer, "/stats") {
            Ok(Some(grant)) if grant.is_admin() => grant,
            Ok(Some(grant)) => {
                audit::forbidden(Some(grant.user()), "/stats", "scope admin");
                return error(StatusCode::FORBIDDEN, "FORBIDDEN", "this needs a token with scope admin");
            }
            Ok(None) => {
                return error(
                    StatusCode::UNAUTHORIZED,
                    "UNAUTHORIZED",
                    "this needs a token with scope admin",
                );
            }
            Err(refusal) => return refusal,
        };
        drop(grant);
        let clients = self.socketio.gateway.presence.clients();
        let total: usize = clients.iter().map(|(_, client)| client.subscriptions.len()).sum();
        let shown: Vec<_> = clients
            .iter()
            .map(|(id, client)| {
                json!({"id": id, "userId": &*client.user, "email": client.email.as_deref(), "subscriptions": client.subscriptions})
            })
            .collect();
        body(
            StatusCode::OK,
            &json!({"connectedClients": clients.len(), "totalSubscriptions": total, "clients": shown}),
        )
    }
}

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX / 2)
}
