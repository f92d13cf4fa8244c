//! Configuration: flags over `ANDIRON_*` variables over `andiron.toml` over defaults, all into one [`Settings`].
//!
//! Nothing else in the workspace reads the environment or the file. Names that nobody knows are refused, because a
//! setting that is silently ignored is worse than one that is missing.

mod buckets;
mod file;
mod files_store;
mod settings;
mod suggestion;
mod value;

use std::path::{Path, PathBuf};

use andiron_protocol::InputError;

pub use files_store::{FilesStore, StoreEndpoint};
pub use settings::{Durability, LogFormat, LogLevel, MetricsAccess, RulesLimits, Settings, SignUp};
pub use value::{
    ByteCount, Count, Domain, PasskeyOrigin, Period, RedirectUrl, Secret, ServerUrl, SmtpServer, WebhookUrl,
};

pub(crate) use settings::{SETTINGS, Setting, setting};
pub(crate) use value::SettingValue;

use suggestion::nearest;

/// The name of the configuration file in a project folder.
pub const CONFIG_FILE: &str = "andiron.toml";

/// What variables of ours begin with.
const VARIABLE_PREFIX: &str = "ANDIRON_";

/// Variables that are no settings but belong to commands.
const COMMAND_VARIABLES: &[&str] = &["ANDIRON_DIR", "ANDIRON_URL", "ANDIRON_KEY"];

/// What Kubernetes sets for a service named `andiron`; none of it is meant for us.
const FOREIGN_VARIABLES: &[&str] = &["ANDIRON_SERVICE_", "ANDIRON_PORT"];

/// Something in the configuration that cannot be used. The text names the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {detail}")]
pub struct ConfigError {
    place: String,
    detail: String,
}

impl ConfigError {
    /// Something wrong in what a setting says together with others.
    pub(crate) fn of_setting(key: &str, detail: impl Into<String>) -> Self {
        Self {
            place: format!("`{key}`"),
            detail: detail.into(),
        }
    }

    /// Something wrong in a file beside the configuration.
    pub(crate) fn in_file(path: &Path, error: &InputError) -> Self {
        let field = error.field.as_ref().map(|field| format!("`{field}`: "));
        Self {
            place: match error.position {
                Some((line, column)) => format!("{}:{line}:{column}", path.display()),
                None => path.display().to_string(),
            },
            detail: format!("{}{}", field.unwrap_or_default(), error.detail),
        }
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A line of the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The 1-based line.
        line: usize,
    },
    /// A variable of the environment.
    Environment(String),
    /// A flag of the command.
    Flag(&'static str),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File { path, line } => write!(formatter, "{}:{line}", path.display()),
            Self::Environment(variable) => formatter.write_str(variable),
            Self::Flag(flag) => formatter.write_str(flag),
        }
    }
}

/// A value that a flag gives to a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagValue {
    /// The flag, for error texts.
    pub flag: &'static str,
    /// The key of the setting.
    pub key: String,
    /// The text form of the value.
    pub value: String,
}

/// Settings, and where each comes from.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The result of all layers.
    pub settings: Settings,
    /// One for each of [`SETTINGS`].
    origins: Vec<Origin>,
}

impl Configuration {
    /// Puts the layers over each other: `environment` gives the variables of the process.
    ///
    /// # Errors
    /// If the file cannot be read, or anything in the layers has no meaning.
    pub fn load(
        folder: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &[FlagValue],
    ) -> Result<Self, ConfigError> {
        let mut configuration = Self::default();
        configuration.apply_file(&folder.join(CONFIG_FILE))?;
        configuration.apply_environment(environment)?;
        configuration.apply_flags(flags)?;
        Ok(configuration)
    }

    /// Every setting with its value in TOML and its origin.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'static Setting, String, &Origin)> {
        SETTINGS
            .iter()
            .zip(&self.origins)
            .map(|(setting, origin)| (setting, (setting.show_toml)(&self.settings), origin))
    }

    fn apply_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                return Err(ConfigError {
                    place: path.display().to_string(),
                    detail: format!("the configuration cannot be read: {error}"),
                });
            }
        };
        let (entries, buckets) = file::entries(path, &text)?;
        self.settings.buckets = buckets;
        for entry in entries {
            let place = || format!("{}:{}", path.display(), entry.line);
            let origin = Origin::File {
                path: path.to_owned(),
                line: entry.line,
            };
            self.set(&entry.key, &entry.value, origin, place)?;
        }
        Ok(())
    }

    fn apply_environment(
        &mut self,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        for (variable, value) in environment {
            let is_ours = variable.starts_with(VARIABLE_PREFIX)
                && !COMMAND_VARIABLES.contains(&variable.as_str())
                && !FOREIGN_VARIABLES
                    .iter()
                    .any(|prefix| variable.starts_with(prefix));
            if !is_ours {
                continue;
            }
            let Some(setting) = SETTINGS.iter().find(|setting| setting.variable() == variable) else {
                let known: Vec<_> = SETTINGS.iter().map(Setting::variable).collect();
                return Err(ConfigError {
                    detail: unknown("variable", &variable, known.iter().map(String::as_str)),
                    place: "the environment".to_owned(),
                });
            };
            let origin = Origin::Environment(variable.clone());
            self.set(setting.key, &value, origin, || variable)?;
        }
        Ok(())
    }

    fn apply_flags(&mut self, flags: &[FlagValue]) -> Result<(), ConfigError> {
        for FlagValue { flag, key, value } in flags {
            self.set(key, value, Origin::Flag(flag), || (*flag).to_owned())?;
        }
        Ok(())
    }

    fn set(
        &mut self,
        key: &str,
        value: &str,
        origin: Origin,
        place: impl FnOnce() -> String,
    ) -> Result<(), ConfigError> {
        let detail = match setting(key) {
            Some((number, setting)) => {
                if (setting.set)(&mut self.settings, value) {
                    self.origins[number] = origin;
                    return Ok(());
                }
                format!(
                    "`{}` is not a value of `{key}`: expected {}",
                    excerpt(value),
                    setting.form
                )
            }
            None => unknown("setting", key, SETTINGS.iter().map(|setting| setting.key)),
        };
        Err(ConfigError {
            place: place(),
            detail,
        })
    }
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            origins: vec![Origin::Default; SETTINGS.len()],
        }
    }
}

fn unknown<'c>(kind: &str, name: &str, known: impl IntoIterator<Item = &'c str>) -> String {
    let suggestion = match nearest(name, known) {
        Some(known) => format!("did you mean `{known}`?"),
        None => "`andiron config show` lists all there are".to_owned(),
    };
    format!("there is no {kind} `{}`; {suggestion}", excerpt(name))
}

/// User input as it may stand in an error text.
fn excerpt(text: &str) -> String {
    const EXCERPT_CHARS_MAX: usize = 80;
    let shown = text.chars().take(EXCERPT_CHARS_MAX);
    shown.flat_map(char::escape_debug).collect()
}
