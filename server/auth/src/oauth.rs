//! Identity providers: OpenID Connect by discovery, and OAuth 2.0 as data describes it.
//!
//! A provider says who somebody is; what account that is, `flows::oauth` decides. Everything that a provider says is
//! taken from its answers to this server, or from an ID token that its published keys verify; never from a client.

mod client_secret;
mod id_token;
#[cfg(test)]
mod preset_tests;
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
    /// For Apple, in the place of a secret: the team, and the id and text (PKCS #8 in PEM, the `.p8` file) of its key.
    pub team_id: Option<String>,
    /// See [`ProviderOptions::team_id`].
    pub key_id: Option<String>,
    /// See [`ProviderOptions::team_id`].
    #[serde(default, deserialize_with = "secret")]
    pub private_key: Option<SecretText>,
    /// Other clients of the same app, as those on devices are, whose ID tokens are taken.
    #[serde(default)]
    pub audiences: Vec<String>,
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

/// A preset: all that is particular to a provider, as data.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Preset {
    pub(crate) name: String,
    /// Where its discovery document is, and who signs its ID tokens. Without one it issues none.
    pub(crate) issuer: Option<String>,
    /// What else it calls itself in ID tokens.
    pub(crate) other_issuers: Vec<String>,
    /// What its discovery document may name instead, with `{tenantid}` for any: each token then has to be of the tenant that it
    /// names itself.
    pub(crate) issuer_form: Option<String>,
    pub(crate) authorize_url: Option<String>,
    pub(crate) token_url: Option<String>,
    pub(crate) user_url: Option<String>,
    pub(crate) emails_url: Option<String>,
    /// What else it wants to hear where somebody signs in.
    pub(crate) authorize: BTreeMap<String, String>,
    /// Headers that it wants with a code.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) scopes: String,
    /// Whether the client shows its secret by HTTP Basic rather than in the form.
    pub(crate) basic: bool,
    /// Whether codes are sent as JSON rather than as a form.
    pub(crate) json: bool,
    /// Whether it may be sent PKCE and a nonce, and gives the nonce back.
    pub(crate) pkce: bool,
    pub(crate) nonce: bool,
    /// Whether the client's secret may be signed by a key.
    pub(crate) signs_secret: bool,
    /// JSON pointers into what the provider says of somebody. The subject is all of its parts; a name the first that is there.
    pub(crate) subject: Vec<String>,
    pub(crate) email: Option<String>,
    pub(crate) email_verified: Option<String>,
    pub(crate) user_name: Vec<String>,
    /// A pointer, or a URL with pointers in braces.
    pub(crate) picture: Option<String>,
    /// Whether it says `"true"` where others say `true`.
    pub(crate) verified_as_text: bool,
    /// Whether an address of its is ever taken for verified: where anybody can set any, it is not.
    pub(crate) vouches: bool,
}

impl Default for Preset {
    fn default() -> Self {
        Self {
            name: String::new(),
            issuer: None,
            other_issuers: Vec::new(),
            issuer_form: None,
            authorize_url: None,
            token_url: None,
            user_url: None,
            emails_url: None,
            authorize: BTreeMap::new(),
            headers: BTreeMap::new(),
            scopes: String::new(),
            basic: false,
            json: false,
            pkce: true,
            nonce: true,
            signs_secret: false,
            subject: Vec::new(),
            email: None,
            email_verified: None,
            user_name: Vec::new(),
            picture: None,
            verified_as_text: false,
            vouches: true,
        }
    }
}

impl Preset {
    /// Fills in the claims that OpenID Connect names, where a preset names none.
    fn with_standard_claims(mut self) -> Self {
        let list = |list: &mut Vec<String>, pointer: &str| {
            if list.is_empty() {
                list.push(pointer.to_owned());
            }
        };
        list(&mut self.subject, "/sub");
        list(&mut self.user_name, "/name");
        let one = |slot: &mut Option<String>, pointer: &str| {
            slot.get_or_insert_with(|| pointer.to_owned());
        };
        one(&mut self.email, "/email");
        one(&mut self.email_verified, "/email_verified");
        one(&mut self.picture, "/picture");
        self
    }

    /// Whether the provider answers with a form that the browser posts.
    pub(crate) fn posts_back(&self) -> bool {
        self.authorize
            .get("response_mode")
            .is_some_and(|mode| mode == "form_post")
    }
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
    if preset.issuer.is_some() {
        preset = preset.with_standard_claims();
    }
    client_secret::ClientSecret::of(options, signs_for(&preset))?;
    Ok(preset)
}

/// Who takes secrets that the client signs.
fn signs_for(preset: &Preset) -> Option<&str> {
    preset.issuer.as_deref().filter(|_| preset.signs_secret)
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
                preset.authorize_url.is_some() && preset.token_url.is_some() && !preset.subject.is_empty();
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
            (
                r#"{"apple": {"clientId": "x", "teamId": "t", "keyId": "k"}}"#,
                false,
            ),
            (
                r#"{"apple": {"clientId": "x", "teamId": "t", "keyId": "k", "privateKey": "no key"}}"#,
                false,
            ),
            (
                r#"{"google": {"clientId": "x", "teamId": "t", "keyId": "k", "privateKey": "no key"}}"#,
                false,
            ),
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
