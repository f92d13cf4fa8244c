//! The forms that settings are written in: one reader for the file, the environment and flags.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use andiron_auth::{SecretText, SmtpSecurity};
use andiron_files::Variant;
use andiron_http::{CorsOrigin, TrustedProxy};

/// A kind of setting: how it is read from text and how it is shown.
pub(crate) trait SettingValue: Sized {
    /// What is expected, for error texts and the manual.
    const FORM: &'static str;

    /// Reads the text form.
    fn parse(text: &str) -> Option<Self>;

    /// The text form, such that [`SettingValue::parse`] gives the value back.
    fn show(&self) -> String;

    /// The value as it stands in `andiron.toml`.
    fn show_toml(&self) -> String {
        toml_string(&self.show())
    }
}

/// A number of bytes, written as `512KiB`, `16MiB` or `2GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteCount(pub u64);

/// How many of something there may be; never none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(pub u64);

/// How long something may take; never no time at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

/// The URL of a server, without a path; empty if it is not said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerUrl(pub String);

/// An SMTP server; none if it is not said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SmtpServer {
    text: String,
    /// How to get there: protection, host and port.
    pub(crate) place: Option<(SmtpSecurity, String, u16)>,
    /// Who signs in there; empty if nobody does.
    pub(crate) user: String,
}

/// The URL that something is posted to; none if it is not said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookUrl(pub String);

/// A text that is not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret(pub SecretText);

/// A URL of an app that sign-ins by providers lead back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUrl(pub String);

/// A page, or an app, that may use passkeys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasskeyOrigin(pub String);

/// A domain of e-mail addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain(pub String);

/// A variant of images that has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preset {
    /// The name.
    pub name: String,
    /// What images are made into.
    pub variant: Variant,
}

impl Count {
    /// The number as the platform counts; the largest there is if it is larger.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl ByteCount {
    /// The number as the platform counts memory; the largest there is if it is larger.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// Units of bytes, largest first, so that showing takes the first that divides.
const BYTE_UNITS: [(&str, u64); 5] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// Units of time in milliseconds, largest first.
const TIME_UNITS: [(&str, u64); 5] = [
    ("d", 24 * 3600 * 1000),
    ("h", 3600 * 1000),
    ("m", 60 * 1000),
    ("s", 1000),
    ("ms", 1),
];

impl SettingValue for ByteCount {
    const FORM: &'static str = "a number of bytes such as `512KiB`, `16MiB` or `2GiB`";

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split_number(text)?;
        if unit.is_empty() {
            return Some(Self(number));
        }
        let (_, factor) = BYTE_UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
        number.checked_mul(*factor).map(Self)
    }

    fn show(&self) -> String {
        show_with_unit(self.0, &BYTE_UNITS)
    }
}

impl SettingValue for Duration {
    const FORM: &'static str = "a time such as `500ms`, `5s`, `10m`, `12h` or `7d`";

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split_number(text)?;
        if number == 0 && unit.is_empty() {
            return Some(Self::ZERO);
        }
        let (_, factor) = TIME_UNITS.iter().find(|(name, _)| *name == unit)?;
        number.checked_mul(*factor).map(Self::from_millis)
    }

    fn show(&self) -> String {
        show_with_unit(u64::try_from(self.as_millis()).unwrap_or(u64::MAX), &TIME_UNITS)
    }
}

impl SettingValue for Period {
    const FORM: &'static str = "a time longer than none, such as `500ms`, `5s` or `10m`";

    fn parse(text: &str) -> Option<Self> {
        Duration::parse(text).filter(|time| !time.is_zero()).map(Self)
    }

    fn show(&self) -> String {
        self.0.show()
    }
}

impl SettingValue for u64 {
    const FORM: &'static str = "a whole number";

    fn parse(text: &str) -> Option<Self> {
        let digits = text.replace('_', "");
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|_| is_number)
    }

    fn show(&self) -> String {
        self.to_string()
    }

    fn show_toml(&self) -> String {
        self.show()
    }
}

impl SettingValue for Count {
    const FORM: &'static str = "a whole number from 1 on";

    fn parse(text: &str) -> Option<Self> {
        u64::parse(text).filter(|number| *number > 0).map(Self)
    }

    fn show(&self) -> String {
        self.0.to_string()
    }

    fn show_toml(&self) -> String {
        self.show()
    }
}

impl SettingValue for bool {
    const FORM: &'static str = "`true` or `false`";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn show(&self) -> String {
        self.to_string()
    }

    fn show_toml(&self) -> String {
        self.show()
    }
}

impl SettingValue for SocketAddr {
    const FORM: &'static str = "an address and port such as `127.0.0.1:8750` or `[::1]:8750`";

    fn parse(text: &str) -> Option<Self> {
        // Everybody writes `localhost`, and asking a resolver for it would only bring surprises.
        match text.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}").parse().ok(),
            None => text.parse().ok(),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl SettingValue for PathBuf {
    const FORM: &'static str = "a path";

    fn parse(text: &str) -> Option<Self> {
        (!text.is_empty() && !text.contains('\0')).then(|| Self::from(text))
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

impl SettingValue for String {
    const FORM: &'static str = "a text";

    fn parse(text: &str) -> Option<Self> {
        (!text.contains(char::is_control)).then(|| text.to_owned())
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl SettingValue for ServerUrl {
    const FORM: &'static str = "a URL without a path such as `https://api.example.org`";

    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let text = text.trim_end_matches('/');
        let uri: http::Uri = text.parse().ok()?;
        let is_bare = uri.path_and_query().is_none_or(|path| path.as_str() == "/");
        let has_user = uri
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'));
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        (is_http && is_bare && !has_user).then(|| Self(text.to_ascii_lowercase()))
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

impl SettingValue for SmtpServer {
    const FORM: &'static str = "an SMTP server such as `smtp://user@mail.example.org:587` (STARTTLS), \
                                `smtps://…` (TLS) or, on this machine, `smtp+plain://localhost:25`";

    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let (scheme, rest) = text.split_once("://")?;
        let (user, place) = match rest.rsplit_once('@') {
            Some((user, place)) => (user, place),
            None => ("", rest),
        };
        let security = match scheme {
            "smtp" => SmtpSecurity::StartTls,
            "smtps" => SmtpSecurity::Tls,
            "smtp+plain" => SmtpSecurity::None,
            _ => return None,
        };
        let port_default = match security {
            SmtpSecurity::StartTls => 587,
            SmtpSecurity::Tls => 465,
            SmtpSecurity::None => 25,
        };
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (place, port_default),
        };
        let is_here = matches!(host, "localhost" | "127.0.0.1");
        // A password in here would be shown with the other settings; it has a setting of its own.
        let is_sane = !host.is_empty() && !host.contains(['/', ':', ' ']) && !user.contains(':');
        (is_sane && (security != SmtpSecurity::None || is_here)).then(|| Self {
            text: text.to_owned(),
            place: Some((security, host.to_owned(), port)),
            user: user.to_owned(),
        })
    }

    fn show(&self) -> String {
        self.text.clone()
    }
}

impl SettingValue for WebhookUrl {
    const FORM: &'static str = "a URL such as `https://hooks.example.org/texts`";

    fn parse(text: &str) -> Option<Self> {
        let rest = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"));
        let host = rest.and_then(|rest| rest.split(['/', '?']).next());
        let is_url = host.is_some_and(|host| !host.is_empty() && !host.contains('@'))
            && !text.contains('#')
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        (text.is_empty() || is_url).then(|| Self(text.to_owned()))
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

impl SettingValue for Secret {
    const FORM: &'static str = "a text";

    fn parse(text: &str) -> Option<Self> {
        String::parse(text).map(|text| Self(SecretText::new(text)))
    }

    fn show(&self) -> String {
        if self.0.expose().is_empty() {
            String::new()
        } else {
            "(hidden)".to_owned()
        }
    }
}

/// An entry of a list in a setting.
pub(crate) trait ListEntry: FromStr + ToString {
    /// What is expected of the whole list.
    const FORM: &'static str;
}

impl ListEntry for CorsOrigin {
    const FORM: &'static str =
        "a list of origins such as [\"https://app.example.org\"], in the environment separated by commas";
}

impl ListEntry for TrustedProxy {
    const FORM: &'static str =
        "a list of addresses and networks such as [\"10.0.0.0/8\"], in the environment separated by commas";
}

impl ListEntry for RedirectUrl {
    const FORM: &'static str = "a list of URLs such as [\"https://app.example.org/signed-in\", \"myapp://signed-in\"], in \
                                the environment separated by commas";
}

impl FromStr for RedirectUrl {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (scheme, rest) = text.split_once("://").ok_or(())?;
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_lowercase())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte));
        let is_runnable = matches!(scheme, "javascript" | "data" | "vbscript" | "file" | "blob");
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        let is_sane = !rest.contains(['#', '\\'])
            && !host.contains('@')
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        (is_scheme && !is_runnable && is_sane)
            .then(|| Self(text.to_owned()))
            .ok_or(())
    }
}

impl std::fmt::Display for RedirectUrl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl ListEntry for PasskeyOrigin {
    const FORM: &'static str =
        "a list of origins such as [\"https://app.example.org\"], in the environment separated by commas";
}

impl FromStr for PasskeyOrigin {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let is_sane = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_sane.then(|| Self(text.to_owned())).ok_or(())
    }
}

impl std::fmt::Display for PasskeyOrigin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl ListEntry for Domain {
    const FORM: &'static str =
        "a list of domains such as [\"example.org\"], in the environment separated by commas";
}

impl FromStr for Domain {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        // The form that addresses are compared in.
        let address = andiron_auth::EmailAddress::parse(&format!("a@{text}")).map_err(drop)?;
        Ok(Self(address.domain().to_owned()))
    }
}

impl std::fmt::Display for Domain {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl ListEntry for Preset {
    const FORM: &'static str = "a list of named variants such as [\"thumb:width=200&height=200&fit=cover\"], in the environment separated by commas";
}

impl FromStr for Preset {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (name, variant) = text.split_once(':').ok_or(())?;
        let is_name = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if !is_name {
            return Err(());
        }
        Ok(Self {
            name: name.to_owned(),
            variant: variant.parse().map_err(|_| ())?,
        })
    }
}

impl std::fmt::Display for Preset {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.name, self.variant)
    }
}

impl<T: ListEntry> SettingValue for Vec<T> {
    const FORM: &'static str = T::FORM;

    fn parse(text: &str) -> Option<Self> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(|entry| entry.parse().ok()).collect()
    }

    fn show(&self) -> String {
        let entries: Vec<_> = self.iter().map(T::to_string).collect();
        entries.join(",")
    }

    fn show_toml(&self) -> String {
        let entries: Vec<_> = self.iter().map(|entry| toml_string(&entry.to_string())).collect();
        format!("[{}]", entries.join(", "))
    }
}

/// Implements [`SettingValue`] for an enum of names.
macro_rules! named_setting {
    ($type:ty, $form:literal, $($name:literal => $variant:path),+ $(,)?) => {
        impl crate::config::value::SettingValue for $type {
            const FORM: &'static str = $form;

            fn parse(text: &str) -> Option<Self> {
                match text {
                    $($name => Some($variant),)+
                    _ => None,
                }
            }

            fn show(&self) -> String {
                match self {
                    $($variant => $name.to_owned(),)+
                }
            }
        }
    };
}
pub(crate) use named_setting;

/// A string as TOML writes it.
fn toml_string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(control))),
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start()))
}

fn show_with_unit(number: u64, units: &[(&str, u64)]) -> String {
    if number == 0 {
        return "0".to_owned();
    }
    let fitting = units.iter().find(|(_, factor)| number.is_multiple_of(*factor));
    match fitting {
        Some((unit, factor)) => format!("{}{unit}", number / factor),
        None => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_back() {
        for bytes in [0, 1, 1023, 1024, 1536, 16 << 20, 2 << 30, u64::MAX] {
            assert_eq!(
                ByteCount::parse(&ByteCount(bytes).show()),
                Some(ByteCount(bytes)),
                "{bytes}"
            );
        }
        for millis in [0, 1, 999, 1000, 90_000, 7 * 24 * 3_600_000] {
            let time = Duration::from_millis(millis);
            assert_eq!(Duration::parse(&time.show()), Some(time), "{millis}");
        }
        assert_eq!(ByteCount(16 << 20).show(), "16MiB");
        assert_eq!(Duration::from_secs(7 * 24 * 3600).show(), "7d");
        assert_eq!(Duration::from_secs(90).show(), "90s");
    }

    #[test]
    fn forms_without_a_meaning_are_refused() {
        for text in ["", "7", "7 weeks", "-1s", "s", "1.5h", "99999999999999999999d"] {
            assert_eq!(Duration::parse(text), None, "{text}");
        }
        for text in ["", "-1", "16MB2", "KiB", "99999999999TiB", "1e3"] {
            assert_eq!(ByteCount::parse(text), None, "{text}");
        }
        for text in ["", "8750", "127.0.0.1", "example.org:80", "127.0.0.1:99999"] {
            assert_eq!(SocketAddr::parse(text), None, "{text}");
        }
        for text in ["", "+5", "-5", "0", "1.5", "_"] {
            assert_eq!(Count::parse(text), None, "{text}");
        }
        for text in [
            "mail.example.org",
            "http://mail.example.org",
            "smtp://",
            "smtp://user:password@mail.example.org",
            "smtp+plain://mail.example.org",
            "smtp://mail.example.org:99999",
        ] {
            assert_eq!(SmtpServer::parse(text), None, "{text}");
        }
        for text in [
            "api.example.org",
            "https://api.example.org/path",
            "https://a@b",
            "ftp://x",
        ] {
            assert_eq!(ServerUrl::parse(text), None, "{text}");
        }
        assert_eq!(Count::parse("1_000_000"), Some(Count(1_000_000)));
        assert_eq!(Period::parse("0"), None);
        assert_eq!(Duration::parse("0"), Some(Duration::ZERO));
    }

    #[test]
    fn a_toml_string_can_hold_anything() {
        let text = "a\"b\\c\n\u{7f}ü";
        let table = format!("key = {}", toml_string(text));
        let parsed: toml::de::DeTable<'_> = toml::de::DeTable::parse(&table).unwrap().into_inner();
        assert_eq!(parsed["key"].get_ref().as_str(), Some(text));
    }
}
