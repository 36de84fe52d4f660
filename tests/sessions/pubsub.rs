//! The example of the bare fan-out: who hears whom, and what comes back.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::thread::JoinHandle;

use tokio::sync::watch;

use crate::raw::{BINARY, CLOSE, CONTINUATION, PING, PONG, Raw, TEXT, frame, head};
use crate::service::PubSub;

/// The example in this process; dropping it ends it.
struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start() -> Running {
        let (stop, stopped) = watch::channel(false);
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let threads = runtime.block_on(async {
                let any = SocketAddr::from(([127, 0, 0, 1], 0));
                let (server, threads) = PubSub::bind(any, NonZeroUsize::new(2)).await.unwrap();
                tell.send(server.address().unwrap()).unwrap();
                server.serve(stopped).await;
                threads
            });
            threads.end();
        });
        Running { address: told.recv().unwrap(), stop, thread: Some(thread) }
    }

    fn connect(&self, path: &str) -> Raw {
        Raw::connect_to(self.address, path)
    }

    /// A subscriber that is heard by the server already, and so hears what is published from now on.
    fn subscribe(&self) -> Raw {
        let mut raw = self.connect("/sub");
        raw.send(&frame(PING, true, b""));
        assert_eq!(raw.frame().opcode, PONG);
        raw
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking(), "the example had panicked");
    }
}

#[test]
fn every_subscriber_hears_every_text_of_every_publisher_in_order() {
    let server = Running::start();
    let mut subscribers = [0; 5].map(|_| server.subscribe());
    let (mut one, mut other) = (server.connect("/pub"), server.connect("/pub"));
    for number in 0..100 {
        one.say(&format!("one {number}"));
        other.say(&format!("other {number}"));
        other.send(&frame(BINARY, true, b"not for subscribers"));
    }
    for subscriber in &mut subscribers {
        let mut next = [0, 0];
        while next != [100, 100] {
            let got = subscriber.frame();
            let text = String::from_utf8(got.payload).unwrap();
            let (who, number) = text.split_once(' ').unwrap();
            let at = usize::from(who == "other");
            assert_eq!((got.opcode, number), (TEXT, &*next[at].to_string()), "{text}");
            next[at] += 1;
        }
    }
}

#[test]
fn who_talks_on_sub_is_heard_by_nobody_and_other_addresses_are_not_found() {
    let server = Running::start();
    let (mut hears, mut publishes) = (server.subscribe(), server.connect("/pub"));
    hears.say("does anybody hear me?");
    publishes.say("yes");
    assert_eq!(&*hears.frame().payload, b"yes");
    let mut lost = Raw::socket(server.address);
    lost.send(crate::raw::upgrade("/other", "").as_bytes());
    assert!(lost.head().starts_with("HTTP/1.1 404 "));
}

#[test]
fn an_echo_returns_text_and_bytes_of_any_length_up_to_64_mib_and_no_more() {
    let server = Running::start();
    let mut raw = server.connect("/echo");
    for length in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        for opcode in [TEXT, BINARY] {
            let payload = vec![b'x'; length];
            raw.send(&frame(opcode, true, &payload));
            let got = raw.frame();
            assert!((got.opcode, got.payload) == (opcode, payload), "{opcode} {length}");
        }
    }
    raw.send(&frame(BINARY, false, b"in "));
    raw.send(&frame(CONTINUATION, true, b"two parts"));
    assert_eq!(&*raw.frame().payload, b"in two parts");

    let largest: Vec<u8> = (0..MOST).map(|at| u8::try_from(at % 251).unwrap()).collect();
    raw.send(&frame(BINARY, true, &largest));
    assert!(raw.frame().payload == largest, "64 MiB come back as they went");
    raw.send(&head(BINARY, true, MOST + 1));
    raw.send(&[0; 4]);
    let got = raw.frame();
    assert_eq!((got.opcode, &got.payload[..2]), (CLOSE, &1009_u16.to_be_bytes()[..]));
}

/// The largest message.
const MOST: usize = 64 << 20;
