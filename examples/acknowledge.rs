//! Publishes private events at a rate, and says how long each waited for its acknowledgement: for the
//! disk, that is, which many of them share.
//!
//! ```sh
//! export JWT_SECRET=$(openssl rand -hex 32)
//! tickcast serve --data-dir ./data --listen 127.0.0.1:3000 &
//! cargo run --release --example acknowledge -- --rate 5000 --users 100000 --for 20 \
//!     --token "$(tickcast token --user backend --scope publish)"
//! ```

#![allow(clippy::print_stdout, reason = "a program says what it found")]

use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use clap::Parser;
use hdrhistogram::Histogram;
use tickcast::clock::FineClock;

/// Publishes private events at a rate, and says how long each waited for its acknowledgement.
#[derive(Clone, Debug, Parser)]
struct Options {
    /// Where the server listens.
    #[arg(long, default_value = "127.0.0.1:3000")]
    address: SocketAddr,
    /// A token whose scope holds `publish`.
    #[arg(long)]
    token: String,
    /// Events a second, over all connections.
    #[arg(long, default_value_t = 5_000)]
    rate: u64,
    /// Users that they are for, each drawn by lot.
    #[arg(long, default_value_t = 100_000)]
    users: u64,
    /// Connections that publish.
    #[arg(long, default_value_t = 4)]
    connections: u64,
    /// Seconds.
    #[arg(long = "for", default_value_t = 20)]
    seconds: u64,
}

/// What a connection found.
struct Found {
    waits: Histogram<u64>,
    refused: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let clock = FineClock::start();
    let run = |seed| {
        let options = options.clone();
        std::thread::spawn(move || publish(&options, clock, seed).map_err(|error| error.to_string()))
    };
    let threads: Vec<_> = (0..options.connections).map(run).collect();
    let mut all = Histogram::<u64>::new(3)?;
    let mut refused = 0;
    for thread in threads {
        let found = thread.join().map_err(|_| "a publisher had panicked")??;
        all.add(&found.waits)?;
        refused += found.refused;
    }
    let millis = |quantile| Duration::from_nanos(all.value_at_quantile(quantile)).as_secs_f64() * 1_000.0;
    println!(
        "{} events, {} a second, {refused} refused; acknowledged after {:.1} ms (p50), {:.1} ms (p90), {:.1} ms (p99), {:.1} ms (most)",
        all.len(),
        all.len() / options.seconds.max(1),
        millis(0.5),
        millis(0.9),
        millis(0.99),
        millis(1.0),
    );
    Ok(())
}

/// One connection: sends a tick's worth of events in one write, while a thread hears the answers.
fn publish(options: &Options, clock: FineClock, seed: u64) -> Result<Found, Box<dyn Error>> {
    let stream = connect(options)?;
    let (mut writer, reader) = (stream.try_clone()?, stream);
    let ticks = options.seconds * 1_000 / TICK_MS;
    // Over all connections and ticks exactly the rate, however it divides.
    let due = |tick: u64| {
        let all = options.rate * TICK_MS * tick / 1_000;
        all * (seed + 1) / options.connections - all * seed / options.connections
    };
    let expected = due(ticks);
    let hearing =
        std::thread::spawn(move || hear(reader, clock, expected).map_err(|error| error.to_string()));
    let mut random = fastrand::Rng::with_seed(seed);
    let (begin, mut sent, mut wire) = (clock.now(), 0, Vec::new());
    for tick in 1..=ticks {
        let at = begin + tick * TICK_MS * 1_000_000;
        std::thread::sleep(Duration::from_nanos(at.saturating_sub(clock.now())));
        wire.clear();
        while sent < due(tick) {
            sent += 1;
            append(&event(clock.now(), random.u64(..options.users), sent), &mut wire)?;
        }
        writer.write_all(&wire)?;
    }
    Ok(hearing.join().map_err(|_| "a listener had panicked")??)
}

/// An order of about 300 bytes; its `id` is when it was sent.
fn event(now: u64, user: u64, number: u64) -> String {
    format!(
        r#"{{"id":{now},"type":"order.created","userId":"user{user}","data":{{"orderId":"{}","symbol":"BTC/USDT","side":"BUY","type":"LIMIT","price":"45000.00","quantity":"1.50000000","filledQuantity":"0.00000000","status":"NEW","clientOrderId":"c-{number}","timeInForce":"GTC","createdAt":1732000000000,"updatedAt":1732000000000}}}}"#,
        number % 3
    )
}

/// Appends a text message with a mask of zeros: nothing on the way caches these.
fn append(text: &str, wire: &mut Vec<u8>) -> Result<(), Box<dyn Error>> {
    wire.extend_from_slice(&[0x81, 0x80 | 126]);
    wire.extend_from_slice(&u16::try_from(text.len())?.to_be_bytes());
    wire.extend_from_slice(&[0; 4]);
    wire.extend_from_slice(text.as_bytes());
    Ok(())
}

fn hear(stream: TcpStream, clock: FineClock, expected: u64) -> Result<Found, Box<dyn Error>> {
    let mut stream = BufReader::new(stream);
    let mut found = Found { waits: Histogram::new(3)?, refused: 0 };
    let mut payload = Vec::new();
    for _ in 0..expected {
        let [_, short] = read(&mut stream)?;
        let length = match short {
            126 => u16::from_be_bytes(read(&mut stream)?),
            short => u16::from(short),
        };
        payload.resize(usize::from(length), 0);
        stream.read_exact(&mut payload)?;
        let answer: serde_json::Value = serde_json::from_slice(&payload)?;
        let sent = answer["id"].as_u64().ok_or("an answer without its id")?;
        found.waits.record(clock.now().saturating_sub(sent))?;
        found.refused += u64::from(answer["ok"] != true);
    }
    Ok(found)
}

fn read<const N: usize>(stream: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn connect(options: &Options) -> Result<TcpStream, Box<dyn Error>> {
    let mut stream = TcpStream::connect(options.address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let (address, token) = (options.address, &options.token);
    write!(
        stream,
        "GET /publish HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )?;
    // Nothing follows the head before something is published: no byte behind it is lost with the buffer.
    let mut head = BufReader::new(stream.try_clone()?);
    let mut status = String::new();
    head.read_line(&mut status)?;
    let mut line = status.clone();
    while !line.trim().is_empty() {
        line.clear();
        head.read_line(&mut line)?;
    }
    if status.contains(" 101 ") { Ok(stream) } else { Err(status.trim().into()) }
}

/// How often events are sent, in milliseconds.
const TICK_MS: u64 = 10;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
