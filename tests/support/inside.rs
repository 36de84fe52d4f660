//! A stage without sockets and threads: one conversation and a shard, and a clock that is turned.
#![allow(dead_code, reason = "no test uses all of it")]
#![allow(unreachable_pub, reason = "every test is a crate of its own, and this belongs to several")]

use std::collections::VecDeque;
use std::sync::Arc;

use tickcast::encode::Frame;
use tickcast::market::{Event, Millis, Symbols, Topic};
use tickcast::session::{Action, Conversation, Progress, Said, Subscriptions};
use tickcast::shard::{Broadcast, Join, Joined, Leave, Outlet, Shard, ShardConfig};
use tickcast::state::Board;

use crate::raw::parse;
use crate::transcript::Stage;

/// One client of one shard.
pub struct Inside {
    symbols: Arc<Symbols>,
    shard: Shard,
    conversation: Box<dyn Conversation>,
    subscriptions: Subscriptions,
    now: Millis,
    told: Told,
    heard: VecDeque<String>,
    known: Vec<(&'static str, String)>,
}

#[derive(Default)]
struct Told(Vec<Tell>);

enum Tell {
    Broadcast(Broadcast),
    Joined(Joined),
}

impl Outlet for Told {
    fn broadcast(&mut self, _: u16, broadcast: Broadcast) {
        self.0.push(Tell::Broadcast(broadcast));
    }

    fn joined(&mut self, _: u16, joined: Joined) {
        self.0.push(Tell::Joined(joined));
    }
}

impl Inside {
    /// Begins a conversation over these symbols, none of which has been heard of yet.
    pub fn new(
        symbols: &[String],
        converse: impl FnOnce(Arc<Symbols>, Millis) -> Box<dyn Conversation>,
    ) -> Inside {
        let all = Arc::new(Symbols::new(100));
        symbols.iter().for_each(|symbol| _ = all.add(symbol).unwrap());
        let mut inside = Inside {
            shard: Shard::new(all.clone(), Arc::new(Board::default()), ShardConfig::default(), "e1"),
            conversation: converse(all.clone(), START),
            symbols: all,
            subscriptions: Subscriptions::default(),
            now: START,
            told: Told::default(),
            heard: VecDeque::new(),
            known: Vec::new(),
        };
        let mut actions = Vec::new();
        inside.conversation.begin(&mut inside.subscriptions, &mut actions);
        inside.act(actions);
        inside
    }

    /// What transcripts can say by name, as it is when the conversation begins.
    pub fn knowing(self, known: impl FnOnce(Millis) -> Vec<(&'static str, String)>) -> Inside {
        Inside { known: known(self.now), ..self }
    }

    fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Reply(frame) => self.hears(&frame),
                Action::Join { channel, .. } if !is_a_market(channel.topic) => {
                    self.subscriptions.answered(channel);
                    self.subscriptions.set_progress(channel, Progress::Live);
                }
                Action::Join { channel, since } => {
                    let join = Join { channel, worker: 0, connection: 0, since, missed: None };
                    self.shard.join(self.now, &join, &mut self.told);
                }
                Action::Leave { channel } if !is_a_market(channel.topic) => {}
                Action::Leave { channel } => self.shard.leave(Leave { channel, worker: 0 }),
                Action::Publish(broadcast) => self.told.0.push(Tell::Broadcast(broadcast)),
                Action::End(end) => self.heard.push_back(format!("closed: {end:?}")),
            }
            self.settle();
        }
    }

    /// What a worker does: nothing is heard of a topic before the answer to its join.
    fn settle(&mut self) {
        for told in std::mem::take(&mut self.told.0) {
            match told {
                Tell::Joined(joined) => {
                    if self.subscriptions.answered(joined.channel).is_some() {
                        self.subscriptions.set_progress(joined.channel, Progress::Live);
                        joined.frames.iter().for_each(|frame| self.hears(frame));
                    }
                }
                Tell::Broadcast(broadcast) => {
                    if self.subscriptions.progress(broadcast.channel) == Some(Progress::Live) {
                        self.hears(&broadcast.frame);
                    }
                }
            }
        }
    }

    fn hears(&mut self, frame: &Frame) {
        // Several messages may leave as one.
        let mut bytes = &frame.bytes()[..];
        while let Some((got, length)) = parse(bytes) {
            self.heard.push_back(String::from_utf8(got.payload).unwrap());
            bytes = &bytes[length..];
        }
        assert!(bytes.is_empty(), "whole messages");
    }

    fn next_due(&self) -> Option<Millis> {
        [self.shard.next_due(), self.conversation.next_due()].into_iter().flatten().min()
    }

    fn turn(&mut self) {
        self.shard.advance(self.now, &mut self.told);
        self.settle();
        if self.conversation.next_due().is_some_and(|due| due <= self.now) {
            let mut actions = Vec::new();
            self.conversation.advance(self.now, &mut self.subscriptions, &mut actions);
            self.act(actions);
        }
    }
}

impl Stage for Inside {
    fn now(&self) -> Millis {
        self.now
    }

    fn known(&self) -> Vec<(&'static str, String)> {
        self.known.clone()
    }

    fn say(&mut self, text: &str) {
        let mut actions = Vec::new();
        self.conversation.receive(self.now, Said::Text(text), &mut self.subscriptions, &mut actions);
        self.act(actions);
    }

    fn happen(&mut self, symbol: &str, event: Event) {
        let symbol = self.symbols.with(|table| table.id(symbol)).expect("a symbol of `: symbols`");
        self.turn();
        self.shard.apply(self.now, symbol, event, &mut self.told);
        self.shard.end_turn();
        self.settle();
    }

    fn pass(&mut self, by: Millis) {
        let until = self.now + by;
        while let Some(due) = self.next_due().filter(|&due| due <= until) {
            self.now = self.now.max(due);
            self.turn();
        }
        self.now = until;
    }

    /// Whoever waits lets time pass.
    fn hear(&mut self) -> Option<String> {
        let until = self.now + PATIENCE;
        while self.heard.is_empty() {
            let due = self.next_due().filter(|&due| due <= until)?;
            self.now = self.now.max(due);
            self.turn();
        }
        self.heard.pop_front()
    }

    fn left_over(&mut self) -> Option<String> {
        self.heard.pop_front()
    }
}

/// Whether a shard tells of it. Of the others nothing is heard here.
fn is_a_market(topic: Topic) -> bool {
    !matches!(topic, Topic::Room(_) | Topic::Account(_))
}

/// Nobody waits longer for what comes at its own time.
const PATIENCE: Millis = 1_000;

/// 2024-11-19 07:07:00 UTC: a whole minute.
const START: Millis = 1_732_000_020_000;
