//! A tickcast process whose output is read with a deadline, and which does not outlive its test.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

/// What a finished process said.
pub(crate) struct Done {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A command without the environment of whoever runs the tests.
pub(crate) fn tickcast(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickcast"));
    command.env_clear().args(args).stdin(Stdio::null());
    command
}

/// Runs to the end.
pub(crate) fn run(args: &[&str]) -> Done {
    let output = tickcast(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Done { status: output.status, out: text(output.stdout), err: text(output.stderr) }
}

/// A process at work; killed when it is dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) out: Receiver<String>,
    pub(crate) err: Receiver<String>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Running {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = lines(child.stdout.take().unwrap());
        let err = lines(child.stderr.take().unwrap());
        Running { child, out, err }
    }

    /// A server on a free port, and where it listens.
    pub(crate) fn serve(args: &[&str]) -> (Running, SocketAddr) {
        let all: Vec<_> = ["serve", "--listen", "127.0.0.1:0"].iter().chain(args).copied().collect();
        let running = Running::start(tickcast(&all));
        let address = running.address();
        (running, address)
    }

    /// The address in the line that says that it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        let line = await_line(&self.err, "listening");
        let word = line.split_whitespace().find_map(|word| word.strip_prefix("address=")).unwrap();
        word.parse().unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        // Its lines end when it does.
        while self.err.recv_timeout(PATIENCE).is_ok() {}
        self.child.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The next line that holds `part`.
pub(crate) fn await_line(lines: &Receiver<String>, part: &str) -> String {
    let mut seen = Vec::new();
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) if line.contains(part) => return line,
            Ok(line) => seen.push(line),
            Err(_) => panic!("no line with {part:?} among {seen:#?}"),
        }
    }
}

/// The recordings beside the project.
pub(crate) fn data() -> Option<PathBuf> {
    let data = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data"));
    if data.is_dir() {
        return Some(data);
    }
    println!("SKIPPED: no recordings at {}", data.display());
    None
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (tell, told) = sync_channel(100_000);
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            // Nobody listens any more: the rest is read so that the process is not held up.
            let _ = tell.try_send(line);
        }
    });
    told
}

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Looks again and again until something holds.
pub(crate) fn until(mut holds: impl FnMut() -> bool) {
    for _ in 0..PATIENCE.as_millis() {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("waited in vain");
}
