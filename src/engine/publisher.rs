//! The door for publications: each object is judged, sent where it belongs, and answered for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError};
use serde::Serialize;
use tokio::sync::oneshot;

use super::EngineSink;
use super::ledger::{Item, LedgerInput, NOT_DURABLE, Outcome};
use super::rate::PublishRate;
use crate::ingest::Sink;
use crate::ingest::publish::{BookOrder, Kind, Market, Object, Rejection, Seen, Verdict, split};
use crate::market::{BookKind, Event, Millis, Rooms, StaleReason, SymbolId, Symbols};

/// Takes publications in. Cheap to clone.
#[derive(Clone)]
pub struct Publisher {
    symbols: Arc<Symbols>,
    rooms: Arc<Rooms>,
    ledger: Sender<LedgerInput>,
    sink: EngineSink,
    /// Held while a publication's market objects go to the shards, so that they arrive in the order
    /// in which they were judged. The ledger does the same for what is not of a market.
    markets: Arc<Mutex<Markets>>,
    rate: Arc<PublishRate>,
    most: usize,
}

/// What was published of markets so far.
#[derive(Default)]
struct Markets {
    books: BookOrder,
    seen: Seen,
}

/// A market object that was understood.
struct MarketObject {
    /// Its place in the publication.
    at: usize,
    event_id: Option<Box<str>>,
    symbol: SymbolId,
    market: Market,
}

/// What became of a publication.
#[derive(Debug, Default, Serialize)]
pub struct Published {
    /// How many objects were taken.
    pub accepted: usize,
    /// Those that were not.
    pub rejected: Vec<Rejected>,
    /// The number of each in its own topic; none for what is not kept.
    pub seqs: Vec<Option<u64>>,
}

/// An object that was not taken.
#[derive(Debug, Serialize)]
pub struct Rejected {
    /// Its place in the publication, from 0.
    pub index: usize,
    /// Why.
    #[serde(flatten)]
    pub rejection: Rejection,
}

impl Published {
    /// Whether nothing was taken because nothing can be made durable now.
    pub fn is_unavailable(&self) -> bool {
        self.accepted == 0
            && self.rejected.iter().any(|rejected| [NOT_DURABLE, BUSY].contains(&rejected.rejection.code))
    }

    /// Whether nothing was taken because its publisher published too much.
    pub fn is_too_often(&self) -> bool {
        self.accepted == 0 && self.rejected.iter().any(|rejected| rejected.rejection.code == RATE_LIMITED)
    }

    fn refused(rejection: Rejection) -> Published {
        Published { rejected: vec![Rejected { index: 0, rejection }], ..Published::default() }
    }
}

impl Publisher {
    pub(super) fn new(
        symbols: Arc<Symbols>,
        rooms: Arc<Rooms>,
        ledger: Sender<LedgerInput>,
        sink: EngineSink,
        limits: &crate::config::Publish,
    ) -> Publisher {
        let rate = Arc::new(PublishRate::new(limits.objects_per_second.get()));
        Publisher { symbols, rooms, ledger, sink, markets: Arc::default(), rate, most: limits.objects.get() }
    }

    /// Takes a body in: one object, a list, or one a line. When this returns, every private object
    /// that is not among the rejected is on disk.
    pub async fn publish(&self, now: Millis, body: &str) -> Published {
        self.publish_body(now, None, body).await
    }

    /// The same within the rate of `publisher`: what is beyond it is rejected.
    pub async fn publish_from(&self, now: Millis, publisher: &Arc<str>, body: &str) -> Published {
        self.publish_body(now, Some(publisher), body).await
    }

    async fn publish_body(&self, now: Millis, publisher: Option<&Arc<str>>, body: &str) -> Published {
        let texts = match split(body) {
            Ok(texts) => texts,
            Err(rejection) => return Published::refused(rejection),
        };
        if texts.len() > self.most {
            let message = format!("{} objects at once, at most {} are taken", texts.len(), self.most);
            return Published::refused(Rejection::new("TOO_MANY", message));
        }
        let mut published = Published::default();
        let outcomes = match publisher {
            Some(publisher) => self.publish_all_from(now, publisher, &texts).await,
            None => self.publish_all(now, &texts).await,
        };
        for (index, outcome) in outcomes.into_iter().enumerate() {
            published.seqs.push(outcome.as_ref().ok().copied().flatten());
            match outcome {
                Ok(_) => published.accepted += 1,
                Err(rejection) => published.rejected.push(Rejected { index, rejection }),
            }
        }
        published
    }

    /// [`Publisher::publish_from`] for objects that are split already; the outcomes are in their order.
    pub async fn publish_all_from(&self, now: Millis, publisher: &Arc<str>, texts: &[&str]) -> Vec<Outcome> {
        let allowed = self.rate.take(now, publisher, texts.len());
        let mut outcomes = self.publish_all(now, &texts[..allowed]).await;
        let rejection = || {
            let message = "more objects than publish.objects_per_second: publish it again in a second";
            Err(Rejection::new(RATE_LIMITED, message))
        };
        outcomes.resize_with(texts.len(), rejection);
        outcomes
    }

    /// The same for objects that are split already; the outcomes are in their order.
    pub async fn publish_all(&self, now: Millis, texts: &[&str]) -> Vec<Outcome> {
        let table = self.symbols.table();
        let find = |name: &str| table.id(name);
        let (mut outcomes, mut markets) = (Vec::with_capacity(texts.len()), Vec::new());
        let (mut items, mut places) = (Vec::new(), Vec::new());
        for (at, text) in texts.iter().enumerate() {
            let read = Object::read(text, now, &find);
            outcomes.push(read.and_then(|object| {
                match self.sorted(object)? {
                    Sorted::Market(event_id, symbol, market) => {
                        markets.push(MarketObject { at, event_id, symbol, market });
                    }
                    Sorted::Ledger(item) => {
                        places.push(at);
                        items.push(item);
                    }
                }
                Ok(None)
            }));
        }
        self.markets(now, markets, &mut outcomes).await;
        for (at, outcome) in places.into_iter().zip(self.to_ledger(items).await) {
            outcomes[at] = outcome;
        }
        outcomes
    }

    fn sorted(&self, object: Object) -> Result<Sorted, Rejection> {
        let event_id = object.event_id;
        Ok(match object.kind {
            Kind::Market(symbol, market) => Sorted::Market(event_id, symbol, market),
            Kind::Private(private) => Sorted::Ledger(Item::Private {
                user: private.user,
                event: private.event,
                strategy: private.strategy,
                data: private.data,
                event_id,
            }),
            Kind::User { user, event, data } => Sorted::Ledger(Item::User { user, event, data, event_id }),
            Kind::Room { room, event, data } => {
                let unknown = || {
                    let message = "there is no such room: name it in rooms.public or rooms.users";
                    Rejection::new("UNKNOWN_ROOM", message)
                };
                let (room, _) = self.rooms.find(&room).ok_or_else(unknown)?;
                Sorted::Ledger(Item::Room { room, event, data, event_id })
            }
        })
    }

    /// Hands market objects to their shards. That may wait for a shard, and must not hold up the
    /// other requests meanwhile.
    async fn markets(&self, now: Millis, objects: Vec<MarketObject>, outcomes: &mut [Outcome]) {
        if objects.is_empty() {
            return;
        }
        let (mut sink, markets) = (self.sink.clone(), self.markets.clone());
        let put = move || {
            let mut markets = markets.lock().unwrap_or_else(PoisonError::into_inner);
            let put = |object: MarketObject| (object.at, markets.put(&mut sink, now, object));
            objects.into_iter().map(put).collect::<Vec<_>>()
        };
        // It ends in a panic only where the engine goes down.
        for (at, put) in tokio::task::spawn_blocking(put).await.unwrap_or_default() {
            if let Err(rejection) = put {
                outcomes[at] = Err(rejection);
            }
        }
    }

    async fn to_ledger(&self, items: Vec<Item>) -> Vec<Outcome> {
        if items.is_empty() {
            return Vec::new();
        }
        let count = items.len();
        let gone = || vec![Err(Rejection::new(NOT_DURABLE, "the server is going down")); count];
        let (answer, answered) = oneshot::channel();
        let mut input = LedgerInput::Publish(items, answer);
        for _ in 0..TRIES {
            match self.ledger.try_send(input) {
                Ok(()) => return answered.await.unwrap_or_else(|_| gone()),
                Err(TrySendError::Full(back)) => input = back,
                Err(TrySendError::Disconnected(_)) => return gone(),
            }
            tokio::time::sleep(TRY_AGAIN).await;
        }
        vec![Err(Rejection::new(BUSY, "more is published than the disk takes: try again")); count]
    }
}

enum Sorted {
    Market(Option<Box<str>>, SymbolId, Market),
    Ledger(Item),
}

impl Markets {
    /// Hands an object to its shard, unless it was handed over before.
    fn put(&mut self, sink: &mut EngineSink, now: Millis, object: MarketObject) -> Result<(), Rejection> {
        let MarketObject { event_id, symbol, market, .. } = object;
        let Some(event_id) = event_id else { return self.put_new(sink, now, symbol, market) };
        let scope = format!("symbol {}", symbol.0);
        if !self.seen.knows(now, &scope, &event_id) {
            self.put_new(sink, now, symbol, market)?;
            self.seen.add(now, &scope, &event_id);
        }
        Ok(())
    }

    fn put_new(
        &mut self,
        sink: &mut EngineSink,
        now: Millis,
        symbol: SymbolId,
        market: Market,
    ) -> Result<(), Rejection> {
        match market {
            Market::Trade(trade) => sink.put(symbol, now, Event::Trade(trade)),
            Market::Ticker(ticker) => sink.put(symbol, now, Event::Ticker(ticker)),
            Market::Book(mut change) => match self.books.judge(symbol, &mut change) {
                Ok(Verdict::Apply) => sink.put(symbol, now, Event::Book(change)),
                Ok(Verdict::Ignore) => {}
                Err(rejection) => {
                    if rejection.code == "GAP" {
                        debug_assert!(change.kind == BookKind::Delta);
                        sink.put(symbol, now, Event::Stale(StaleReason::Gap));
                    }
                    return Err(rejection);
                }
            },
        }
        Ok(())
    }
}

const BUSY: &str = "BUSY";
const RATE_LIMITED: &str = "RATE_LIMITED";

/// How often, and how long apart, the ledger is asked for room: for five seconds in all.
const TRIES: usize = 2_500;
const TRY_AGAIN: Duration = Duration::from_millis(2);
