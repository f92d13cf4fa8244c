//! Identity providers: OpenID Connect by discovery, and OAuth 2.0 as data describes it.
//!
//! A provider says who somebody is; what account that is, `flows::oauth` decides. Everything that a provider says is
//! taken from its answers to this server, or from an ID token that its published keys verify; never from a client.

mod id_token;
mod provider;

use andiron_protocol::InputError;
use serde::Deserialize;
use std::collections::BTreeMap;

pub(crate) use provider::{ProviderCode, Providers};

use crate::SecretText;

/// The presets: everything about a provider but the client's registration.
const PRESETS: &str = include_str!("oauth/presets.json");

/// Who somebody is at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The provider, as Firebase names it.
    pub(crate) provider: String,
    /// Who it is there, for ever.
    pub(crate) subject: String,
    /// The address there, if the provider tells.
    pub(crate) email: Option<String>,
    /// Whether the provider says, plainly, that the address is theirs.
    pub(crate) email_verified: bool,
    pub(crate) name: Option<String>,
    pub(crate) picture: Option<String>,
}

/// A provider as settings describe it: a preset and a registration, or all of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProviderOptions {
    /// The client's id there.
    pub client_id: String,
    /// Its secret; clients without one rely on PKCE.
    #[serde(default, deserialize_with = "secret")]
    pub client_secret: Option<SecretText>,
    /// In the place of a preset: the issuer, whose discovery document tells the rest.
    pub issuer: Option<String>,
    /// For Microsoft: the tenant.
    pub tenant: Option<String>,
    /// What is asked for, in the place of the preset's.
    pub scopes: Option<String>,
}

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<SecretText>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretText::new))
}

/// A preset.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Preset {
    pub(crate) name: String,
    pub(crate) issuer: Option<String>,
    pub(crate) authorize_url: Option<String>,
    pub(crate) token_url: Option<String>,
    pub(crate) user_url: Option<String>,
    pub(crate) emails_url: Option<String>,
    #[serde(default)]
    pub(crate) scopes: String,
    /// Whether the client shows its secret by HTTP Basic rather than in the form.
    #[serde(default)]
    pub(crate) basic: bool,
    /// JSON pointers into what the provider says of somebody.
    pub(crate) subject: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) email_verified: Option<String>,
    pub(crate) user_name: Option<String>,
    pub(crate) picture: Option<String>,
}

/// Providers by their names in URLs.
pub type ProviderList = BTreeMap<String, ProviderOptions>;

/// Reads a file of providers: `{"google": {"clientId": …, "clientSecret": …}, "mine": {"issuer": …, "clientId": …}}`.
///
/// # Errors
/// If it is no such JSON, or a provider is no preset and has no issuer.
pub fn parse_providers(json: &str) -> Result<ProviderList, InputError> {
    let list: ProviderList = andiron_protocol::from_json(json.as_bytes())?;
    for (id, options) in &list {
        let is_name = !id.is_empty()
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !is_name {
            return Err(InputError::new("the name of a provider has letters, digits and `-`").in_field(id));
        }
        preset_of(id, options).map_err(|detail| InputError::new(detail).in_field(id))?;
    }
    Ok(list)
}

/// The preset of a provider with the options put in.
pub(crate) fn preset_of(id: &str, options: &ProviderOptions) -> Result<Preset, String> {
    let mut presets: BTreeMap<String, Preset> =
        serde_json::from_str(PRESETS).map_err(|error| format!("the presets: {error}"))?;
    let mut preset = match (presets.remove(id), &options.issuer) {
        (_, Some(issuer)) => Preset {
            name: id.to_owned(),
            issuer: Some(issuer.trim_end_matches('/').to_owned()),
            scopes: "openid email profile".to_owned(),
            ..Preset::default()
        },
        (Some(preset), None) => preset,
        (None, None) => return Err(format!("`{id}` is no preset, so it needs an `issuer`")),
    };
    if let Some(issuer) = &preset.issuer
        && issuer.contains("{tenant}")
    {
        let tenant = options
            .tenant
            .as_ref()
            .ok_or_else(|| format!("`{id}` needs a `tenant`"))?;
        if tenant.is_empty()
            || !tenant
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
        {
            return Err("`tenant` is an id or a domain".to_owned());
        }
        preset.issuer = Some(issuer.replace("{tenant}", tenant));
    }
    if let Some(scopes) = &options.scopes {
        preset.scopes.clone_from(scopes);
    }
    Ok(preset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_whole() {
        let presets: BTreeMap<String, Preset> = serde_json::from_str(PRESETS).unwrap();
        assert_eq!(presets.len(), 13);
        for (id, preset) in presets {
            let is_oidc = preset.issuer.is_some();
            let is_oauth =
                preset.authorize_url.is_some() && preset.token_url.is_some() && preset.subject.is_some();
            assert!(is_oidc != is_oauth, "{id}");
            let urls = [
                &preset.issuer,
                &preset.authorize_url,
                &preset.token_url,
                &preset.user_url,
                &preset.emails_url,
            ];
            assert!(
                urls.into_iter().flatten().all(|url| url.starts_with("https://")),
                "{id}"
            );
        }
    }

    #[test]
    fn a_file_of_providers_is_read_strictly() {
        for (json, is_good) in [
            (r#"{"google": {"clientId": "x", "clientSecret": "y"}}"#, true),
            (
                r#"{"mine": {"clientId": "x", "issuer": "https://id.example.org"}}"#,
                true,
            ),
            (
                r#"{"microsoft": {"clientId": "x", "tenant": "example.org"}}"#,
                true,
            ),
            (r#"{"microsoft": {"clientId": "x"}}"#, false),
            (r#"{"microsoft": {"clientId": "x", "tenant": "../evil"}}"#, false),
            (r#"{"mine": {"clientId": "x"}}"#, false),
            (r#"{"google": {}}"#, false),
            (r#"{"google": {"clientId": "x", "clientsecret": "y"}}"#, false),
            (
                r#"{"a/b": {"clientId": "x", "issuer": "https://id.example.org"}}"#,
                false,
            ),
        ] {
            assert_eq!(parse_providers(json).is_ok(), is_good, "{json}");
        }
    }
}
