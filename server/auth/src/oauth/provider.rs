//! One provider: where it is, what it says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use andiron_engine::Engine;
use andiron_protocol::Timestamp;
use parking_lot::Mutex;
use serde_json::Value;

use super::id_token::{self, Expected};
use super::{Identity, Preset, ProviderList, ProviderOptions, preset_of};
use crate::outbound::{Call, Outbound, form};
use crate::token::after;
use crate::{AuthError, SecretText};

/// How long what a provider publishes about itself is kept.
const PUBLISHED_TIME: Duration = Duration::from_secs(3600);
/// How soon it is asked again because of a key that is not known: a flood of junk is not passed on.
const RELOAD_TIME: Duration = Duration::from_secs(30);

/// The providers of a server.
pub(crate) struct Providers(BTreeMap<String, Arc<Provider>>);

/// A provider.
pub(crate) struct Provider {
    pub(crate) id: String,
    preset: Preset,
    options: ProviderOptions,
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
            let provider = Provider {
                id: id.clone(),
                preset,
                options: options.clone(),
                outbound: Arc::clone(&outbound),
                engine: engine.clone(),
                published: Mutex::new(None),
            };
            Ok((id.clone(), Arc::new(provider)))
        });
        Ok(Self(providers.collect::<Result<_, AuthError>>()?))
    }

    pub(crate) fn get(&self, id: &str) -> Result<Arc<Provider>, AuthError> {
        self.0.get(id).map(Arc::clone).ok_or(AuthError::NoSuchProvider)
    }
}

impl Provider {
    /// What it calls itself in tokens.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.preset.issuer.as_deref()
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
            ("client_id", self.options.client_id.as_str()),
            ("redirect_uri", redirect_uri),
            ("scope", self.preset.scopes.as_str()),
            ("state", state),
            ("code_challenge", challenge),
            ("code_challenge_method", "S256"),
        ];
        if published.keys.is_some() {
            fields.push(("nonce", nonce));
        }
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
            ("code_verifier", code.verifier),
            ("client_id", self.options.client_id.as_str()),
        ];
        let secret = self.options.client_secret.as_ref();
        if let (Some(secret), false) = (secret, self.preset.basic) {
            fields.push(("client_secret", secret.expose()));
        }
        let basic = secret.filter(|_| self.preset.basic);
        let call = Call {
            url: &published.token_url,
            form: Some(&fields),
            authorization: basic.map(|secret| crate::outbound::basic(&self.options.client_id, secret)),
        };
        let answer = self
            .outbound
            .json(call)
            .await
            .map_err(|error| self.failed(error))?;
        if published.keys.is_some() {
            let token = answer["id_token"].as_str().unwrap_or_default();
            return self.verify_id_token(token, code.nonce).await;
        }
        let Some(user_url) = &published.user_url else {
            return self.identity(&answer, &Value::Null);
        };
        let access = answer["access_token"].as_str().unwrap_or_default();
        let access = SecretText::new(access.to_owned());
        let user = self.ask(user_url, &access).await?;
        let emails = match &self.preset.emails_url {
            Some(url) => self.ask(url, &access).await?,
            None => Value::Null,
        };
        self.identity(&user, &emails)
    }

    /// Verifies an ID token of the provider and says who it is about.
    pub(crate) async fn verify_id_token(
        &self,
        token: &str,
        nonce: Option<&str>,
    ) -> Result<Identity, AuthError> {
        let mut published = self.published(PUBLISHED_TIME).await?;
        let knows = |published: &Published| {
            let kid = id_token::kid(token);
            let keys = published.keys.as_deref().unwrap_or_default();
            kid.is_none() || keys.iter().any(|key| key["kid"].as_str() == kid.as_deref())
        };
        if !knows(&published) {
            published = self.published(RELOAD_TIME).await?;
        }
        let issuer = self
            .preset
            .issuer
            .as_deref()
            .ok_or_else(|| AuthError::NotPossible("this provider issues no ID tokens".to_owned()))?;
        let expected = Expected {
            issuer,
            audience: &self.options.client_id,
            nonce,
            now_seconds: self.engine.now().as_micros() / 1_000_000,
        };
        let keys = published.keys.as_deref().unwrap_or_default();
        let claims = id_token::verify(token, keys, &expected).map_err(|reason| {
            tracing::info!(provider = self.id, reason, "an ID token was refused");
            AuthError::ProviderRefused
        })?;
        let text = |name: &str| claims[name].as_str().map(ToOwned::to_owned);
        Ok(Identity {
            provider: self.preset.name.clone(),
            subject: text("sub").unwrap_or_default(),
            email: text("email"),
            // Only the boolean: providers have been known to say `"false"`.
            email_verified: claims["email_verified"] == Value::Bool(true),
            name: text("name"),
            picture: text("picture"),
        })
    }

    fn identity(&self, user: &Value, emails: &Value) -> Result<Identity, AuthError> {
        let at = |pointer: &Option<String>| pointer.as_ref().and_then(|pointer| user.pointer(pointer));
        let text = |pointer: &Option<String>| at(pointer).and_then(Value::as_str).map(ToOwned::to_owned);
        let subject = match at(&self.preset.subject) {
            Some(Value::String(subject)) if !subject.is_empty() => subject.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => return Err(self.failed("the answer does not say who it is".to_owned())),
        };
        let mut email = text(&self.preset.email);
        let mut email_verified = at(&self.preset.email_verified) == Some(&Value::Bool(true));
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
            name: text(&self.preset.user_name),
            picture: text(&self.preset.picture),
        })
    }

    async fn ask(&self, url: &str, access: &SecretText) -> Result<Value, AuthError> {
        let call = Call {
            url,
            form: None,
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
                form: None,
                authorization: None,
            };
            self.outbound.json(call).await.map_err(|error| self.failed(error))
        };
        let document = get(&format!("{issuer}/.well-known/openid-configuration")).await?;
        if document["issuer"].as_str() != Some(issuer) {
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
            user_url: None,
            keys: Some(keys["keys"].as_array().cloned().unwrap_or_default()),
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
