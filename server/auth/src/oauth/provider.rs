//! One provider: where it is, what it says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use andiron_engine::Engine;
use andiron_protocol::Timestamp;
use parking_lot::Mutex;
use serde_json::Value;

use super::client_secret::ClientSecret;
use super::id_token::{self, Expected};
use super::{Identity, Preset, ProviderList, ProviderOptions, preset_of, signs_for};
use crate::outbound::{Call, CallBody, Outbound, form, percent_encode};
use crate::token::after;
use crate::{AuthError, SecretText};

/// How long what a provider publishes about itself is kept.
const PUBLISHED_TIME: Duration = Duration::from_secs(3600);
/// How soon it is asked again because of a key that is not known: a flood of junk is not passed on.
const RELOAD_TIME: Duration = Duration::from_secs(30);

/// Bytes of what a provider calls somebody.
const SUBJECT_BYTES_MAX: usize = 512;

/// The providers of a server.
pub(crate) struct Providers(BTreeMap<String, Arc<Provider>>);

/// A provider.
pub(crate) struct Provider {
    pub(crate) id: String,
    preset: Preset,
    client_id: String,
    secret: ClientSecret,
    /// The clients whose ID tokens are taken.
    audiences: Vec<String>,
    outbound: Arc<Outbound>,
    engine: Engine,
    published: Mutex<Option<Arc<Published>>>,
}

/// What a provider publishes about itself.
struct Published {
    time: Timestamp,
    authorize_url: String,
    token_url: String,
    user_url: Option<String>,
    /// What it calls itself in ID tokens.
    issuers: Vec<String>,
    /// Its keys; none if it issues no ID tokens.
    keys: Option<Vec<Value>>,
}

/// A code of a provider, and what it was asked with.
pub(crate) struct ProviderCode<'c> {
    pub(crate) code: &'c str,
    pub(crate) redirect_uri: &'c str,
    pub(crate) verifier: &'c str,
    pub(crate) nonce: Option<&'c str>,
}

impl Providers {
    pub(crate) fn new(list: &ProviderList, allows_private: bool, engine: &Engine) -> Result<Self, AuthError> {
        let outbound = Arc::new(Outbound::new(allows_private));
        let providers = list.iter().map(|(id, options)| {
            let preset = preset_of(id, options).map_err(AuthError::NotPossible)?;
            let provider = Provider::new(id, preset, options, Arc::clone(&outbound), engine.clone());
            Ok((id.clone(), Arc::new(provider.map_err(AuthError::NotPossible)?)))
        });
        Ok(Self(providers.collect::<Result<_, AuthError>>()?))
    }

    pub(crate) fn get(&self, id: &str) -> Result<Arc<Provider>, AuthError> {
        self.0.get(id).map(Arc::clone).ok_or(AuthError::NoSuchProvider)
    }
}

impl Provider {
    pub(super) fn new(
        id: &str,
        preset: Preset,
        options: &ProviderOptions,
        outbound: Arc<Outbound>,
        engine: Engine,
    ) -> Result<Self, String> {
        let own = std::iter::once(&options.client_id);
        Ok(Self {
            id: id.to_owned(),
            secret: ClientSecret::of(options, signs_for(&preset))?,
            audiences: own.chain(&options.audiences).cloned().collect(),
            client_id: options.client_id.clone(),
            preset,
            outbound,
            engine,
            published: Mutex::new(None),
        })
    }

    /// Whether it answers with a form that the browser posts.
    pub(crate) fn posts_back(&self) -> bool {
        self.preset.posts_back()
    }

    /// Whether it calls itself so.
    pub(crate) async fn is_called(&self, issuer: &str) -> Result<bool, AuthError> {
        if self.preset.issuer.is_none() {
            return Ok(true);
        }
        let published = self.published(PUBLISHED_TIME).await?;
        let is_called = |form: &String| match form.split_once(id_token::TENANT) {
            None => form == issuer,
            // Which tenant it was, the ID token has to say.
            Some((before, _)) => issuer.starts_with(before),
        };
        Ok(published.issuers.iter().any(is_called))
    }

    /// Where somebody is sent to sign in there.
    pub(crate) async fn authorize_url(
        &self,
        redirect_uri: &str,
        state: &str,
        nonce: &str,
        challenge: &str,
    ) -> Result<String, AuthError> {
        let published = self.published(PUBLISHED_TIME).await?;
        let mut fields = vec![
            ("response_type", "code"),
            ("client_id", self.client_id.as_str()),
            ("redirect_uri", redirect_uri),
            ("state", state),
        ];
        if !self.preset.scopes.is_empty() {
            fields.push(("scope", self.preset.scopes.as_str()));
        }
        if self.preset.pkce {
            fields.extend([("code_challenge", challenge), ("code_challenge_method", "S256")]);
        }
        if published.keys.is_some() && self.preset.nonce {
            fields.push(("nonce", nonce));
        }
        let more = self.preset.authorize.iter();
        fields.extend(more.map(|(name, value)| (name.as_str(), value.as_str())));
        let separator = if published.authorize_url.contains('?') {
            '&'
        } else {
            '?'
        };
        Ok(format!("{}{separator}{}", published.authorize_url, form(&fields)))
    }

    /// Exchanges a code of the provider for who it is about.
    pub(crate) async fn exchange(&self, code: &ProviderCode<'_>) -> Result<Identity, AuthError> {
        let published = self.published(PUBLISHED_TIME).await?;
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code.code),
            ("redirect_uri", code.redirect_uri),
        ];
        if self.preset.pkce {
            fields.push(("code_verifier", code.verifier));
        }
        let now_seconds = self.engine.now().as_micros() / 1_000_000;
        let secret = self
            .secret
            .text(now_seconds)
            .map_err(|error| self.failed(error))?;
        let mut authorization = None;
        match &secret {
            Some(secret) if self.preset.basic => {
                authorization = Some(crate::outbound::basic(&self.client_id, secret));
            }
            Some(secret) => {
                fields.extend([
                    ("client_id", self.client_id.as_str()),
                    ("client_secret", secret.expose()),
                ]);
            }
            None => fields.push(("client_id", self.client_id.as_str())),
        }
        let headers = self.preset.headers.iter();
        let headers: Vec<_> = headers
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let call = Call {
            url: &published.token_url,
            body: Some(if self.preset.json {
                CallBody::Json(&fields)
            } else {
                CallBody::Form(&fields)
            }),
            headers: &headers,
            authorization,
        };
        let answer = self
            .outbound
            .json(call)
            .await
            .map_err(|error| self.failed(error))?;
        let access = answer["access_token"].as_str().unwrap_or_default();
        let access = SecretText::new(access.to_owned());
        if published.keys.is_some() {
            let token = answer["id_token"].as_str().unwrap_or_default();
            let nonce = code.nonce.filter(|_| self.preset.nonce);
            let claims = self.verified_claims(token, nonce).await?;
            let identity = self.identity(&claims, &Value::Null)?;
            return Ok(self.completed(identity, &claims, &published, &access).await);
        }
        let Some(user_url) = &published.user_url else {
            return self.identity(&answer, &Value::Null);
        };
        let user = self.ask(user_url, &access).await?;
        let emails = match &self.preset.emails_url {
            // Who may not see the addresses signs in without one.
            Some(url) => self.ask(url, &access).await.unwrap_or_default(),
            None => Value::Null,
        };
        self.identity(&user, &emails)
    }

    /// The identity with what the provider tells only where it is asked about somebody, if it tells.
    async fn completed(
        &self,
        mut identity: Identity,
        claims: &Value,
        published: &Published,
        access: &SecretText,
    ) -> Identity {
        let Some(user_url) = &published.user_url else {
            return identity;
        };
        if identity.email.is_some() && identity.name.is_some() {
            return identity;
        }
        let Ok(user) = self.ask(user_url, access).await else {
            return identity;
        };
        // What is said of somebody else is not taken (OpenID Connect Core, section 5.3.2).
        if user["sub"]
            .as_str()
            .is_none_or(|subject| claims["sub"] != subject)
        {
            return identity;
        }
        if identity.email.is_none() {
            (identity.email, identity.email_verified) = self.email(&user);
        }
        identity.name = identity.name.or_else(|| self.name(&user));
        identity.picture = identity.picture.or_else(|| self.picture(&user));
        identity
    }

    /// Verifies an ID token of the provider and says who it is about.
    pub(crate) async fn verify_id_token(
        &self,
        token: &str,
        nonce: Option<&str>,
    ) -> Result<Identity, AuthError> {
        let claims = self.verified_claims(token, nonce).await?;
        self.identity(&claims, &Value::Null)
    }

    async fn verified_claims(&self, token: &str, nonce: Option<&str>) -> Result<Value, AuthError> {
        if self.preset.issuer.is_none() {
            return Err(AuthError::NotPossible(
                "this provider issues no ID tokens".to_owned(),
            ));
        }
        let mut published = self.published(PUBLISHED_TIME).await?;
        let knows = |published: &Published| {
            let kid = id_token::kid(token);
            let keys = published.keys.as_deref().unwrap_or_default();
            kid.is_none() || keys.iter().any(|key| key["kid"].as_str() == kid.as_deref())
        };
        if !knows(&published) {
            published = self.published(RELOAD_TIME).await?;
        }
        let expected = Expected {
            issuers: &published.issuers,
            audiences: &self.audiences,
            nonce,
            now_seconds: self.engine.now().as_micros() / 1_000_000,
        };
        let keys = published.keys.as_deref().unwrap_or_default();
        id_token::verify(token, keys, &expected).map_err(|reason| {
            tracing::info!(provider = self.id, reason, "an ID token was refused");
            AuthError::ProviderRefused
        })
    }

    fn identity(&self, user: &Value, emails: &Value) -> Result<Identity, AuthError> {
        let parts = self
            .preset
            .subject
            .iter()
            .map(|pointer| match user.pointer(pointer) {
                Some(Value::String(part)) if !part.is_empty() => Some(part.clone()),
                Some(Value::Number(number)) => Some(number.to_string()),
                _ => None,
            });
        let parts: Option<Vec<_>> = parts.collect();
        let subject = parts
            .filter(|parts| !parts.is_empty())
            .map(|parts| parts.join("/"));
        let subject = subject
            .filter(|subject| subject.len() <= SUBJECT_BYTES_MAX)
            .ok_or_else(|| self.failed("the answer does not say who it is".to_owned()))?;
        let (mut email, mut email_verified) = self.email(user);
        let primary = emails
            .as_array()
            .into_iter()
            .flatten()
            .find(|entry| entry["primary"] == true);
        if let Some(primary) = primary {
            email = primary["email"].as_str().map(ToOwned::to_owned);
            email_verified = primary["verified"] == Value::Bool(true);
        }
        Ok(Identity {
            provider: self.preset.name.clone(),
            subject,
            email,
            email_verified,
            name: self.name(user),
            picture: self.picture(user),
        })
    }

    /// The address that a provider tells, and whether it plainly vouches for it. Some say `"true"` where they mean it, and
    /// others have been known to say `"false"`, so text counts only where the preset says so.
    fn email(&self, user: &Value) -> (Option<String>, bool) {
        let at = |pointer: &Option<String>| pointer.as_ref().and_then(|pointer| user.pointer(pointer));
        let email = at(&self.preset.email).and_then(Value::as_str);
        let is_verified = match at(&self.preset.email_verified) {
            Some(Value::Bool(verified)) => *verified,
            Some(Value::String(text)) => self.preset.verified_as_text && text == "true",
            _ => false,
        };
        (email.map(ToOwned::to_owned), is_verified && self.preset.vouches)
    }

    fn name(&self, user: &Value) -> Option<String> {
        let mut names = self
            .preset
            .user_name
            .iter()
            .filter_map(|pointer| user.pointer(pointer)?.as_str());
        names.find(|name| !name.is_empty()).map(ToOwned::to_owned)
    }

    fn picture(&self, user: &Value) -> Option<String> {
        let source = self.preset.picture.as_deref()?;
        if source.starts_with('/') {
            return user.pointer(source)?.as_str().map(ToOwned::to_owned);
        }
        let mut url = String::new();
        let mut rest = source;
        while let Some((before, after)) = rest.split_once('{') {
            let (pointer, after) = after.split_once('}')?;
            url.push_str(before);
            url.push_str(&percent_encode(user.pointer(pointer)?.as_str()?));
            rest = after;
        }
        url.push_str(rest);
        Some(url)
    }

    async fn ask(&self, url: &str, access: &SecretText) -> Result<Value, AuthError> {
        let call = Call {
            url,
            body: None,
            headers: &[],
            authorization: Some(SecretText::new(format!("Bearer {}", access.expose()))),
        };
        self.outbound.json(call).await.map_err(|error| self.failed(error))
    }

    /// What the provider publishes, not older than `age_max`.
    async fn published(&self, age_max: Duration) -> Result<Arc<Published>, AuthError> {
        let now = self.engine.now();
        let known = self.published.lock().clone();
        if let Some(known) = known.filter(|known| after(known.time, age_max) > now) {
            return Ok(known);
        }
        let published = match &self.preset.issuer {
            Some(issuer) => self.discover(issuer, now).await?,
            None => Published {
                time: now,
                authorize_url: self.preset.authorize_url.clone().unwrap_or_default(),
                token_url: self.preset.token_url.clone().unwrap_or_default(),
                user_url: self.preset.user_url.clone(),
                issuers: Vec::new(),
                keys: None,
            },
        };
        let published = Arc::new(published);
        *self.published.lock() = Some(Arc::clone(&published));
        Ok(published)
    }

    async fn discover(&self, issuer: &str, now: Timestamp) -> Result<Published, AuthError> {
        let get = async |url: &str| {
            let call = Call {
                url,
                body: None,
                headers: &[],
                authorization: None,
            };
            self.outbound.json(call).await.map_err(|error| self.failed(error))
        };
        let document = get(&format!("{issuer}/.well-known/openid-configuration")).await?;
        let named = document["issuer"].as_str().unwrap_or_default();
        if named != issuer && !self.has_form(named) {
            return Err(self.failed("the discovery document is of another issuer".to_owned()));
        }
        let url = |name: &str| {
            let url = document[name].as_str().map(ToOwned::to_owned);
            url.ok_or_else(|| self.failed(format!("the discovery document has no `{name}`")))
        };
        let keys = get(&url("jwks_uri")?).await?;
        Ok(Published {
            time: now,
            authorize_url: url("authorization_endpoint")?,
            token_url: url("token_endpoint")?,
            user_url: document["userinfo_endpoint"].as_str().map(ToOwned::to_owned),
            issuers: {
                let others = self.preset.other_issuers.iter().cloned();
                std::iter::once(named.to_owned()).chain(others).collect()
            },
            keys: Some(keys["keys"].as_array().cloned().unwrap_or_default()),
        })
    }

    /// Whether a discovery document may name this issuer: one tenant, or all of them by their placeholder.
    fn has_form(&self, issuer: &str) -> bool {
        self.preset.issuer_form.as_deref().is_some_and(|form| {
            let tenant = form
                .split_once(id_token::TENANT)
                .and_then(|(before, after)| issuer.strip_prefix(before)?.strip_suffix(after));
            issuer == form || id_token::is_issuer(form, issuer, tenant)
        })
    }

    fn failed(&self, error: String) -> AuthError {
        tracing::warn!(
            provider = self.id,
            error,
            "a provider did not say who somebody is"
        );
        AuthError::ProviderRefused
    }
}
