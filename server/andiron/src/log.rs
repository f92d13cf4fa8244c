//! Log lines: text for people on a terminal, JSON for programs elsewhere, both to standard error.
//!
//! Whatever comes from a client has its control characters escaped, so that nobody writes lines of their own into the
//! log or colours into a terminal.

use std::fmt::{self, Write as _};
use std::io::IsTerminal as _;
use std::time::{SystemTime, UNIX_EPOCH};

use andiron_protocol::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{LogFormat, LogLevel};

/// Starts logging for this process, and has panics logged. A second call changes nothing.
pub(crate) fn start(format: LogFormat, level: LogLevel) {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // Our own crates at the level asked for; what libraries say about their inner life is noise below a warning.
    let filter = Targets::new()
        .with_target("andiron", level)
        .with_default(level.min(LevelFilter::WARN));
    let is_terminal = std::io::stderr().is_terminal();
    let as_text = match format {
        LogFormat::Auto => is_terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let started = if as_text {
        let lines = lines.event_format(TextLines { colours: is_terminal });
        tracing_subscriber::registry().with(lines).with(filter).try_init()
    } else {
        let lines = lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false);
        tracing_subscriber::registry().with(lines).with(filter).try_init()
    };
    if started.is_ok() {
        log_panics();
    }
}

fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("a panic without a message");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        let backtrace = std::backtrace::Backtrace::capture();
        let backtrace = match backtrace.status() {
            std::backtrace::BacktraceStatus::Captured => Some(backtrace.to_string()),
            _ => None,
        };
        tracing::error!(
            target: "andiron",
            place,
            thread = thread.name().unwrap_or("unnamed"),
            backtrace,
            "panic: {message}"
        );
    }));
}

/// `TIME LEVEL message name=value …`, a line an event.
struct TextLines {
    colours: bool,
}

impl<S, N> FormatEvent<S, N> for TextLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        let (begin, end) = match (self.colours, level) {
            (false, _) => ("", ""),
            (true, Level::ERROR) => ("\x1b[31m", "\x1b[0m"),
            (true, Level::WARN) => ("\x1b[33m", "\x1b[0m"),
            (true, Level::INFO) => ("\x1b[32m", "\x1b[0m"),
            (true, _) => ("\x1b[2m", "\x1b[0m"),
        };
        let mut line = TextFields::default();
        event.record(&mut line);
        // Microseconds help nobody who reads.
        let now = now().to_rfc3339_bytes();
        let time = std::str::from_utf8(&now[..23]).map_err(|_| fmt::Error)?;
        writeln!(
            writer,
            "{time}Z {begin}{level:>5}{end} {}{}",
            line.message, line.fields
        )
    }
}

fn now() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros_clamped(i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX))
}

/// An event's message and its other fields, escaped.
#[derive(Default)]
struct TextFields {
    message: String,
    fields: String,
}

impl TextFields {
    fn add(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            escape_into(value, &mut self.message);
        } else {
            self.fields.push(' ');
            self.fields.push_str(field.name());
            self.fields.push('=');
            let is_plain = !value.is_empty() && !value.contains([' ', '"', '=']);
            if is_plain {
                escape_into(value, &mut self.fields);
            } else {
                let _ = write!(self.fields, "{value:?}");
            }
        }
    }
}

impl Visit for TextFields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, &format!("{value:?}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add(field, &value.to_string());
    }
}

fn escape_into(text: &str, line: &mut String) {
    for character in text.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_log() {
        let mut line = String::new();
        escape_into("a\nINFO forged\x1b[31m\r\u{9b}ü", &mut line);
        assert_eq!(line, "a\\nINFO forged\\u{1b}[31m\\r\\u{9b}ü");
    }
}
