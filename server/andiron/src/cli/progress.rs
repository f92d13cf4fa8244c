//! How far a long command is: a bar on a terminal, a line now and then elsewhere. On standard error.

use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::output::{counted, grouped, note};

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// What has been done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    /// Records or documents.
    pub(crate) records: u64,
    /// Bytes of the file.
    pub(crate) bytes: u64,
}

/// The progress of one command.
pub(crate) struct Progress {
    verb: &'static str,
    noun: &'static str,
    bytes: Option<u64>,
    began: Instant,
    /// `None` if there is no terminal.
    bar: Option<ProgressBar>,
    last_line: Mutex<Instant>,
}

impl Progress {
    /// Begins; `bytes` is the size of the whole, if anybody knows.
    pub(crate) fn begin(verb: &'static str, bytes: Option<u64>, noun: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let (bar, template) = match bytes {
                Some(bytes) => (
                    ProgressBar::new(bytes),
                    "{prefix} {bar:30} {percent:>3} %  {msg}  {eta} left",
                ),
                None => (ProgressBar::no_length(), "{prefix} {spinner}  {msg}"),
            };
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
            bar.set_prefix(verb);
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar
        });
        let now = Instant::now();
        Self {
            verb,
            noun,
            bytes,
            began: now,
            bar,
            last_line: Mutex::new(now),
        }
    }

    /// Shows how far it is.
    pub(crate) fn advance(&self, done: Done) {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate for people"
        )]
        let rate = (done.records as f64 / self.began.elapsed().as_secs_f64().max(0.001)) as u64;
        let text = format!("{}, {}/s", counted(done.records, self.noun), grouped(rate));
        match &self.bar {
            Some(bar) => {
                bar.set_position(done.bytes);
                bar.set_message(text);
            }
            None => {
                // A poisoned lock would mean that writing a line panicked; then there is nothing to show either.
                let Ok(mut last) = self.last_line.lock() else {
                    return;
                };
                if last.elapsed() >= LINE_EVERY {
                    *last = Instant::now();
                    let share = match self.bytes {
                        Some(bytes) if bytes > 0 => format!(", {} %", done.bytes.min(bytes) * 100 / bytes),
                        _ => String::new(),
                    };
                    note(&format!("{} {text}{share}", self.verb));
                }
            }
        }
    }

    /// Writes a line without tearing the bar.
    pub(crate) fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| note(line)),
            None => note(line),
        }
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
