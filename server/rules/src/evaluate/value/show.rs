//! Values as people read them in traces: close to how a rule would write them, cut where they are long.

use std::fmt::Write as _;

use super::{NANOS_PER_SECOND, Value};
use crate::evaluate::time;

/// How many characters of a value are shown.
pub const SHOWN_CHARACTERS_MAX: usize = 200;

/// The value as text.
pub(crate) fn show(value: &Value<'_>, database: &str) -> String {
    let mut text = String::new();
    write(value, database, &mut text);
    if let Some((end, _)) = text.char_indices().nth(SHOWN_CHARACTERS_MAX) {
        text.truncate(end);
        text.push('…');
    }
    text
}

fn write(value: &Value<'_>, database: &str, out: &mut String) {
    // What is cut away need not be written; the depth of values bounds the recursion.
    if out.len() > 4 * SHOWN_CHARACTERS_MAX {
        return;
    }
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(boolean) => out.push_str(if *boolean { "true" } else { "false" }),
        Value::Int(integer) => {
            let _ = write!(out, "{integer}");
        }
        Value::Float(float) => out.push_str(&float_text(*float)),
        Value::String(text) => quoted(text, out),
        Value::Bytes(bytes) => {
            out.push_str("b'");
            for byte in bytes.iter().take(SHOWN_CHARACTERS_MAX) {
                match byte {
                    b'\'' | b'\\' => {
                        out.push('\\');
                        out.push(char::from(*byte));
                    }
                    0x20..=0x7e => out.push(char::from(*byte)),
                    _ => {
                        let _ = write!(out, "\\x{byte:02x}");
                    }
                }
            }
            out.push('\'');
        }
        Value::Timestamp(nanos) => out.push_str(&time::to_rfc3339(*nanos)),
        Value::Duration(nanos) => {
            let sign = if *nanos < 0 { "-" } else { "" };
            let (seconds, rest) = (nanos.abs() / NANOS_PER_SECOND, nanos.abs() % NANOS_PER_SECOND);
            let _ = write!(out, "{sign}{seconds}");
            if rest != 0 {
                let _ = write!(out, ".{}", format!("{rest:09}").trim_end_matches('0'));
            }
            out.push('s');
        }
        Value::LatLng(point) => {
            let _ = write!(
                out,
                "latlng.value({}, {})",
                float_text(point.latitude()),
                float_text(point.longitude())
            );
        }
        Value::List(list) => {
            out.push('[');
            for (index, element) in list.iter().take(SHOWN_CHARACTERS_MAX).enumerate() {
                separate(index, out);
                write(&element, database, out);
            }
            out.push(']');
        }
        Value::Set(items) => {
            out.push_str("set[");
            for (index, element) in items.iter().take(SHOWN_CHARACTERS_MAX).enumerate() {
                separate(index, out);
                write(element, database, out);
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push('{');
            for (index, (key, entry)) in map.iter().take(SHOWN_CHARACTERS_MAX).enumerate() {
                separate(index, out);
                quoted(&key, out);
                out.push_str(": ");
                write(&entry, database, out);
            }
            out.push('}');
        }
        Value::Object(object) => match object.to_map() {
            Ok(map) => write(&Value::Map(map), database, out),
            Err(_) => out.push_str("{…}"),
        },
        Value::MapDiff(diff) => {
            out.push_str("map_diff(");
            write(&Value::Map(diff.new.clone()), database, out);
            out.push_str(", ");
            write(&Value::Map(diff.old.clone()), database, out);
            out.push(')');
        }
        Value::Path(path) => out.push_str(&path.to_text(database)),
    }
}

fn separate(index: usize, out: &mut String) {
    if index > 0 {
        out.push_str(", ");
    }
}

fn quoted(text: &str, out: &mut String) {
    out.push('\'');
    for character in text.chars().take(SHOWN_CHARACTERS_MAX) {
        match character {
            '\'' | '\\' => {
                out.push('\\');
                out.push(character);
            }
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            shown => out.push(shown),
        }
    }
    out.push('\'');
}

/// A float as text that is seen to be one.
pub(crate) fn float_text(float: f64) -> String {
    if float.is_nan() {
        "NaN".to_owned()
    } else if float.is_infinite() {
        if float > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else {
        format!("{float:?}")
    }
}
