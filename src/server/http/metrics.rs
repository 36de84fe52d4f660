//! `/metrics`: what the threads have counted, in the text that Prometheus reads.

use std::fmt;

use hyper::Response;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::Market;
use crate::clock::Clock;
use crate::dialect::Dialect;
use crate::fanout::TopicCounts;
use crate::metrics::{CONVERSATIONS, Count, EVENT_KINDS, Histogram, TOPIC_CLASSES, WorkerMeter, class};
use crate::server::answer::Answer;
use crate::server::{Content, Door};
use crate::state::BookStatus;

/// One reading of everything.
#[derive(Debug, Default)]
struct Reading {
    families: Vec<Family>,
    latency: Vec<(String, Latency)>,
    commits: Option<Latency>,
}

/// A metric and its values, each with its labels.
#[derive(Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    values: Vec<(Vec<(&'static str, String)>, i64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Only rises.
    Counter,
    /// Stands as it stands.
    Gauge,
}

/// A histogram in seconds.
#[derive(Debug)]
struct Latency {
    buckets: Vec<(f64, u64)>,
    sum: f64,
}

impl Market {
    pub(super) fn metrics(&self, door: &Door) -> Answer {
        let mut registry = Registry::with_prefix("tickcast");
        registry.register_collector(Box::new(self.read_meters(door)));
        let mut text = String::with_capacity(8 << 10);
        // Writing to a text does not fail.
        let _ = text::encode(&mut text, &registry);
        let mut answer = Response::new(Content::from(text));
        let own = answer.headers_mut();
        own.insert(CONTENT_TYPE, HeaderValue::from_static(OPENMETRICS));
        own.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer
    }

    fn read_meters(&self, door: &Door) -> Reading {
        let mut reading = Reading::default();
        self.read_shards(&mut reading);
        self.read_books(&mut reading);
        self.read_sources(&mut reading);
        self.read_live(&mut reading);
        read_workers(self.engine.workers().meters(), &mut reading);
        reading.commits = Some(Latency::of(&self.engine.ledger_meter().commits));
        self.read_slow(&mut reading);
        self.read_refusals(&mut reading);
        let clients = i64::try_from(door.admission().present()).unwrap_or(i64::MAX);
        reading.add("clients", "Clients that hold a place", Kind::Gauge, vec![(vec![], clients)]);
        reading
    }

    /// What became of messages that were not simply sent.
    fn read_slow(&self, reading: &mut Reading) {
        let counts = self.engine.workers().counts();
        let by_class = |pick: fn(&TopicCounts) -> u64| {
            let mut sums = [0; TOPIC_CLASSES.len()];
            counts.topics.iter().for_each(|(topic, counts)| sums[class(*topic)] += pick(counts));
            TOPIC_CLASSES.iter().zip(sums).map(|(name, sum)| (label("class", name), signed(sum))).collect()
        };
        let help = "Messages left out for a slow client and taken in by a later one";
        reading.add("merged", help, Kind::Counter, by_class(|topic| topic.merged));
        let help = "Messages that found no room and ended a slow client";
        reading.add("dropped", help, Kind::Counter, by_class(|topic| topic.dropped));
        let help = "Messages that were compressed, once for all who got them so";
        reading.add("compressions", help, Kind::Counter, vec![(vec![], signed(counts.compressions))]);
    }

    fn read_refusals(&self, reading: &mut Reading) {
        let refusals = self.tokens.refusals();
        let values = refusals.map(|(refused, count)| (label("reason", refused.reason()), signed(count)));
        reading.add("token_refusals", "Tokens that were refused, by reason", Kind::Counter, values.collect());
    }

    fn read_shards(&self, reading: &mut Reading) {
        let meters = self.engine.meters();
        let sum = |pick: &dyn Fn(&crate::metrics::ShardMeter) -> u64| {
            signed(meters.iter().map(|meter| pick(meter)).sum::<u64>())
        };
        let events = EVENT_KINDS.iter().enumerate();
        let events = events.map(|(at, kind)| (label("kind", kind), sum(&|meter| meter.events[at].read())));
        reading.add("events", "Events that shards took in", Kind::Counter, events.collect());
        let frames = TOPIC_CLASSES.iter().enumerate();
        let frames = frames.map(|(at, class)| (label("class", class), sum(&|meter| meter.frames[at].read())));
        let help = "Frames that shards handed to workers, once for each worker with listeners";
        reading.add("updates", help, Kind::Counter, frames.collect());
        let questions = sum(&|meter| meter.questions.read());
        reading.add(
            "history_questions",
            "Questions about the past",
            Kind::Counter,
            vec![(vec![], questions)],
        );
        let not_kept = sum(&|meter| meter.bars_not_kept.read());
        let help = "Closed bars that were not kept, because too many waited for the disk";
        reading.add("bars_not_kept", help, Kind::Counter, vec![(vec![], not_kept)]);
        let encodes = by_dialect(|dialect| sum(&|meter| meter.encodes[dialect].read()));
        let help = "Messages encoded, once for all who listen in the dialect";
        reading.add("encodes", help, Kind::Counter, encodes);
    }

    fn read_sources(&self, reading: &mut Reading) {
        let (mut rates, mut ages) = (Vec::new(), Vec::new());
        let now = Clock::start().now();
        for (source, events, newest) in self.engine.sources().read() {
            if newest > 0 {
                ages.push((label("source", &source), now.saturating_sub(signed(newest))));
            }
            rates.push((label("source", &source), signed(events)));
        }
        reading.add("source_events", "Events that a source put in", Kind::Counter, rates);
        if !ages.is_empty() {
            let help = "Milliseconds since the newest event of a source was received";
            reading.add("source_age_milliseconds", help, Kind::Gauge, ages);
        }
    }

    fn read_books(&self, reading: &mut Reading) {
        let mut states = [("empty", 0), ("good", 0), ("crossed", 0), ("stale", 0)];
        self.engine.board().each(|_, cells| {
            let at = match cells.book.with(|book| book.status) {
                BookStatus::Empty => 0,
                BookStatus::Good => 1,
                BookStatus::Crossed => 2,
                BookStatus::Stale(_) => 3,
            };
            states[at].1 += 1;
        });
        let values = states.map(|(state, count)| (label("state", state), count)).to_vec();
        reading.add("books", "Books, by how they stand", Kind::Gauge, values);
    }

    /// The live source's; all zero where there is none.
    fn read_live(&self, reading: &mut Reading) {
        let live = self.engine.live();
        let numbers = [
            ("messages", live.messages.read()),
            ("bad_messages", live.bad_messages.read()),
            ("connects", live.connects.read()),
            ("ends", live.ends.read()),
            ("interruptions", live.interruptions.read()),
            ("renewals", live.renewals.read()),
            ("refused", live.refused.read()),
            ("resyncs_asked", live.snapshots_asked.read()),
            ("resyncs_taken", live.snapshots_taken.read()),
            ("rest_failures", live.rest_failures.read()),
            ("holds", live.holds.read()),
        ];
        let values = numbers.map(|(what, number)| (label("what", what), signed(number))).to_vec();
        reading.add("source", "What the live source did and met", Kind::Counter, values);
    }
}

fn read_workers(meters: &[WorkerMeter], reading: &mut Reading) {
    type Pick = fn(&WorkerMeter) -> &Count;
    let numbers: [(&str, &str, Kind, Pick); 8] = [
        ("rounds", "Rounds in which something was sent", Kind::Counter, |meter| &meter.rounds),
        ("broadcasts", "Frames that workers sent to some client", Kind::Counter, |meter| &meter.broadcasts),
        ("writes", "Calls that wrote rounds to sockets", Kind::Counter, |meter| &meter.writes),
        (
            "deliveries",
            "Frames that clients were given, at once or into their outboxes",
            Kind::Counter,
            |meter| &meter.frames,
        ),
        ("sent_bytes", "Bytes that sockets took in those writes", Kind::Counter, |meter| &meter.bytes),
        ("writes_cut_short", "Writes of which a socket did not take all", Kind::Counter, |meter| {
            &meter.cut_short
        }),
        ("slow_closes", "Clients closed because they were too slow", Kind::Counter, |meter| {
            &meter.slow_closes
        }),
        ("outbox_bytes", "Bytes that wait for slow clients", Kind::Gauge, |meter| &meter.outbox_bytes),
    ];
    let named = || (0..).map(|worker: usize| worker.to_string()).zip(meters);
    for (name, help, kind, pick) in numbers {
        let value = |(worker, meter)| (vec![("worker", worker)], signed(pick(meter).read()));
        reading.add(name, help, kind, named().map(value).collect());
    }
    let connections = named().flat_map(|(worker, meter)| {
        let labels = move |kind: &str| vec![("worker", worker.clone()), ("dialect", kind.to_owned())];
        let counts = CONVERSATIONS.iter().zip(&meter.connections);
        counts.map(move |(kind, count)| (labels(kind), signed(count.read())))
    });
    let help = "Connections of each worker; those of socketio speak one dialect or two";
    reading.add("connections", help, Kind::Gauge, connections.collect());
    let subscriptions = by_dialect(|dialect| {
        signed(meters.iter().map(|meter| meter.subscriptions[dialect].read()).sum::<u64>())
    });
    reading.add("subscriptions", "Subscriptions, by dialect", Kind::Gauge, subscriptions);
    reading.latency = named().map(|(worker, meter)| (worker, Latency::of(&meter.latency))).collect();
}

/// A value for each dialect, by its number.
fn by_dialect(value: impl Fn(usize) -> i64) -> Vec<(Vec<(&'static str, String)>, i64)> {
    let name = |dialect: &Dialect| format!("{dialect:?}").to_lowercase();
    Dialect::ALL.iter().map(|dialect| (label("dialect", &name(dialect)), value(*dialect as usize))).collect()
}

impl Latency {
    #[allow(clippy::cast_precision_loss, reason = "seconds, for a graph")]
    fn of(histogram: &Histogram) -> Latency {
        let seconds = |nanos: u64| nanos as f64 / 1e9;
        let edge = |(edge, count): (Option<u64>, u64)| (edge.map_or(f64::INFINITY, seconds), count);
        let buckets = histogram.read().into_iter().map(edge).collect();
        Latency { buckets, sum: seconds(histogram.sum()) }
    }
}

impl Reading {
    fn add(
        &mut self,
        name: &'static str,
        help: &'static str,
        kind: Kind,
        values: Vec<(Vec<(&'static str, String)>, i64)>,
    ) {
        self.families.push(Family { name, help, kind, values });
    }
}

impl Collector for Reading {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for Family { name, help, kind, values } in &self.families {
            let kind_of = match kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
            };
            let mut family = encoder.encode_descriptor(name, help, None, kind_of)?;
            if let [(labels, value)] = &values[..]
                && labels.is_empty()
            {
                write(*kind, *value, family)?;
                continue;
            }
            for (labels, value) in values {
                write(*kind, *value, family.encode_family(&labels.as_slice())?)?;
            }
        }
        let help = "From the begin of a shard's turn to the end of the round that wrote what it published";
        let kind = MetricType::Histogram;
        let mut family = encoder.encode_descriptor("publish_to_write_seconds", help, None, kind)?;
        for (worker, Latency { buckets, sum }) in &self.latency {
            let count = buckets.iter().map(|(_, count)| count).sum();
            let labels = [("worker", worker.as_str())];
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)?;
        }
        if let Some(Latency { buckets, sum }) = &self.commits {
            let help = "From the begin of a group of private events to its being on disk";
            let mut family = encoder.encode_descriptor("journal_commit_seconds", help, None, kind)?;
            let count = buckets.iter().map(|(_, count)| count).sum();
            family.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)?;
        }
        Ok(())
    }
}

fn write(kind: Kind, value: i64, encoder: MetricEncoder<'_>) -> fmt::Result {
    match kind {
        Kind::Counter => ConstCounter::new(value.unsigned_abs()).encode(encoder),
        Kind::Gauge => ConstGauge::new(value).encode(encoder),
    }
}

fn label(name: &'static str, value: &str) -> Vec<(&'static str, String)> {
    vec![(name, value.to_owned())]
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What Prometheus asks for first, and this is.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
