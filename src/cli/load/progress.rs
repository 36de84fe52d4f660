//! Shows how far a run is, where somebody looks.

use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::tally::Control;

/// A line on the terminal that goes when the run is over. Where there is no terminal there is no line.
pub(super) struct Progress<'a> {
    bar: ProgressBar,
    control: &'a Control,
    messages: u64,
}

impl<'a> Progress<'a> {
    pub(super) fn new(control: &'a Control) -> Progress<'a> {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
        if let Ok(style) = ProgressStyle::with_template("{msg:>32} [{bar:32}] {pos}/{len}{prefix}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Progress { bar, control, messages: 0 }
    }

    /// Something begins that has `length` steps.
    pub(super) fn begin(&self, what: &'static str, length: u64) {
        self.bar.reset();
        self.bar.set_length(length);
        self.bar.set_message(what);
    }

    /// It is at that step, `since` after it was last told.
    pub(super) fn at(&mut self, step: u64, since: Duration) {
        self.bar.set_position(step);
        let messages = self.control.messages.load(Ordering::Relaxed);
        let heard = u128::from(messages - self.messages) * 1_000;
        let a_second = heard.checked_div(since.as_millis()).unwrap_or(0);
        self.messages = messages;
        let open = self.control.open.load(Ordering::Relaxed);
        self.bar.set_prefix(format!("  {open} open, {a_second} messages/s"));
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
