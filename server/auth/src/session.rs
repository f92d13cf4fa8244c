//! Sessions: what a sign-in begins, and what every access token belongs to.
//!
//! A session is the document `_accounts/UID/_sessions/ID`; to revoke it is to delete it. It goes on by its refresh token
//! ([`refresh`]).

mod refresh;

use andiron_engine::{Caller, User};
use andiron_protocol::{
    CollectionPath, DocumentPath, FieldRef, Filter, InputError, Map, Operator, Source, Timestamp, Value,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use self::refresh::RefreshToken;
use crate::account::{Account, account_path, map_json};
use crate::audit::{AUDIT, Event};
use crate::codes::CODES;
use crate::records::{Batch, RECORDS_MAX, Record, list, read};
use crate::secret::{self, hash};
use crate::token::{Kind, after};
use crate::{Accounts, AuthError, ClientInfo, SecretText};

/// Sessions of one account; the one that was not used for longest makes way for a new one.
const SESSIONS_MAX: usize = 100;
/// How long an impersonation lasts at most.
pub(crate) const IMPERSONATION_TIME: std::time::Duration = std::time::Duration::from_secs(3600);
/// Expired documents that one round of cleaning removes in one commit.
const EXPIRED_BATCH_MAX: usize = 400;

/// A session as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionRecord {
    pub(crate) uid: String,
    /// The hash of the secret that all its refresh tokens share.
    family: String,
    /// The hash of the secret of the newest refresh token.
    current: String,
    /// The hash of the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<String>,
    /// When it was last refreshed, or begun.
    pub(crate) last_used: Timestamp,
    /// When it ends whatever happens.
    pub(crate) expires: Timestamp,
    /// When credentials were last shown.
    pub(crate) auth_time: Timestamp,
    /// How they were shown (RFC 8176).
    pub(crate) amr: Vec<String>,
    /// By what, as Firebase names it.
    pub(crate) provider: String,
    device: String,
    address: String,
    /// The administrator who acts as this account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) impersonator: Option<String>,
    /// Claims of the custom token that began it.
    #[serde(default, skip_serializing_if = "Map::is_empty", with = "map_json")]
    claims: Map,
}

/// The tokens of a session.
#[derive(Clone, Debug)]
pub struct SessionTokens {
    /// Shows who calls, for some minutes.
    pub access_token: SecretText,
    /// Gives new tokens, once.
    pub refresh_token: SecretText,
    /// When the access token expires.
    pub expires_at: Timestamp,
    /// The session.
    pub id: String,
}

/// What a sign-in ends in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Who signed in.
    pub account: Account,
    /// The tokens.
    pub tokens: SessionTokens,
}

/// A session as its owner sees it in a list.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    id: String,
    /// Whether it is the one that asks.
    current: bool,
    device: String,
    address: String,
    create_time: Timestamp,
    last_used_time: Timestamp,
    expire_time: Timestamp,
    auth_time: Timestamp,
    amr: Vec<String>,
    provider: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    impersonator: Option<String>,
}

/// How somebody has shown who they are.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) amr: Vec<String>,
    pub(crate) provider: String,
    pub(crate) impersonator: Option<String>,
    pub(crate) claims: Map,
}

impl Shown {
    pub(crate) fn new(amr: &[&str], provider: &str) -> Self {
        Self {
            amr: amr.iter().map(|method| (*method).to_owned()).collect(),
            provider: provider.to_owned(),
            impersonator: None,
            claims: Map::new(),
        }
    }

    /// The same, with more that was shown.
    pub(crate) fn with(mut self, amr: &[&str]) -> Self {
        for method in amr {
            if !self.amr.iter().any(|known| known == method) {
                self.amr.push((*method).to_owned());
            }
        }
        self
    }

    /// Whether something was shown that a passkey makes two of.
    pub(crate) fn has_another_factor(&self) -> bool {
        self.amr
            .iter()
            .any(|method| matches!(method.as_str(), "pwd" | "email" | "fed" | "sms"))
    }

    /// Whether two factors were shown.
    pub(crate) fn has_two_factors(&self) -> bool {
        self.amr.iter().any(|method| method == "mfa")
    }
}

impl SessionRecord {
    /// How its owner has shown who they are.
    pub(crate) fn shown(&self) -> Shown {
        Shown {
            amr: self.amr.clone(),
            provider: self.provider.clone(),
            impersonator: self.impersonator.clone(),
            claims: self.claims.clone(),
        }
    }
}

fn sessions(uid: &str) -> Result<CollectionPath, InputError> {
    account_path(uid)?.child("_sessions")
}

pub(crate) fn session_path(uid: &str, id: &str) -> Result<DocumentPath, InputError> {
    sessions(uid)?.document(id)
}

impl Accounts {
    /// Begins a session within a change of its account. Call [`Accounts::prepare_session`] before.
    pub(crate) fn begin_session(
        &self,
        account: &mut Account,
        shown: &Shown,
        client: &ClientInfo,
        batch: &mut Batch,
    ) -> Result<SessionTokens, AuthError> {
        let (options, now) = (self.options(), self.now());
        let token = RefreshToken {
            uid: account.uid.clone(),
            id: self.engine().generate_id(),
            family: secret::random::<16>(self.engine()),
            secret: secret::random::<32>(self.engine()),
        };
        let time = match shown.impersonator {
            Some(_) => IMPERSONATION_TIME,
            None => options.session_time,
        };
        let session = SessionRecord {
            uid: account.uid.clone(),
            family: hash(&token.family),
            current: hash(&token.secret),
            previous: None,
            last_used: now,
            expires: after(now, time),
            auth_time: now,
            amr: shown.amr.clone(),
            provider: shown.provider.clone(),
            device: client.device().to_owned(),
            address: client.address(),
            impersonator: shown.impersonator.clone(),
            claims: shown.claims.clone(),
        };
        if shown.impersonator.is_none() {
            account.record.last_sign_in = Some(now);
        }
        batch.create(session_path(&account.uid, &token.id)?, &session)?;
        self.tokens(account, &session, &token)
    }

    /// Makes room for a session of an account, and sees to a key to sign with.
    pub(crate) async fn prepare_session(&self, uid: &str) -> Result<(), AuthError> {
        self.signing_keys().ensure().await?;
        let mut sessions = self.session_records(uid).await?;
        let now = self.now();
        let mut batch = Batch::default();
        sessions.retain(|session| {
            let is_alive = self.is_alive(&session.data, now);
            if !is_alive {
                batch.delete(session.path.clone());
            }
            is_alive
        });
        sessions.sort_by_key(|session| session.data.last_used);
        let superfluous = (sessions.len() + 1).saturating_sub(SESSIONS_MAX);
        for session in sessions.iter().take(superfluous) {
            batch.delete(session.path.clone());
        }
        if !batch.is_empty() {
            batch.commit(self.engine()).await?;
        }
        Ok(())
    }

    fn is_alive(&self, session: &SessionRecord, now: Timestamp) -> bool {
        session.expires > now && after(session.last_used, self.options().session_idle_time) > now
    }

    pub(crate) async fn session_records(&self, uid: &str) -> Result<Vec<Record<SessionRecord>>, AuthError> {
        list(self.engine(), Source::Collection(sessions(uid)?), None).await
    }

    /// The session of a caller, as it is stored.
    pub(crate) fn session_of(&self, user: &User) -> Result<Record<SessionRecord>, AuthError> {
        let path = session_path(&user.uid, session_id(user))?;
        read(self.engine(), &path)?.ok_or(AuthError::Unauthenticated)
    }

    /// Notes within a change that the caller's session has shown more; its next access token says so.
    pub(crate) fn raise_session(
        &self,
        user: &User,
        amr: &[&str],
        batch: &mut Batch,
    ) -> Result<(), AuthError> {
        let session = self.session_of(user)?;
        let mut data = session.data.clone();
        data.amr = data.shown().with(amr).amr;
        data.auth_time = self.now();
        batch.replace(&session, &data)
    }

    /// Ends the sessions of an account, all or all but one, within a change.
    pub(crate) fn end_sessions(
        &self,
        sessions: &[Record<SessionRecord>],
        but: Option<&str>,
        batch: &mut Batch,
    ) {
        for session in sessions.iter().filter(|session| Some(session.path.id()) != but) {
            batch.delete(session.path.clone());
        }
    }

    fn tokens(
        &self,
        account: &Account,
        session: &SessionRecord,
        token: &RefreshToken,
    ) -> Result<SessionTokens, AuthError> {
        let options = self.options();
        let time = if account.admin_role().is_some() {
            options.admin_access_time
        } else {
            options.access_time
        };
        let now = self.now();
        let expires_at = after(now, time).min(session.expires);
        // Whole seconds, as tokens have them.
        let expires_at = Timestamp::from_micros_clamped(expires_at.as_micros() / 1_000_000 * 1_000_000);
        let claims = self.claims(account, session, &token.id, now, expires_at)?;
        Ok(SessionTokens {
            access_token: SecretText::new(self.signing_keys().sign(Kind::Access, &claims)?),
            refresh_token: token.write(),
            expires_at,
            id: token.id.clone(),
        })
    }

    /// The claims of an access token, by the names that Firebase gives them.
    fn claims(
        &self,
        account: &Account,
        session: &SessionRecord,
        sid: &str,
        now: Timestamp,
        expires: Timestamp,
    ) -> Result<Vec<u8>, AuthError> {
        let seconds = |time: Timestamp| time.as_micros() / 1_000_000;
        let record = &account.record;
        let mut identities = serde_json::Map::new();
        if let Some(email) = &record.email {
            identities.insert("email".to_owned(), json!([email]));
        }
        if let Some(phone) = &record.phone {
            identities.insert("phone".to_owned(), json!([phone]));
        }
        for identity in &record.identities {
            let subjects = identities.entry(&identity.provider).or_insert(json!([]));
            if let Some(subjects) = subjects.as_array_mut() {
                subjects.push(json!(identity.subject));
            }
        }
        let options = self.options();
        let mut claims = serde_json::Map::new();
        for (name, value) in record.claims.iter().chain(&session.claims) {
            let value = serde_json::to_value(value)
                .map_err(|error| AuthError::Internal(format!("a claim cannot be written: {error}")))?;
            claims.insert(name.clone(), value);
        }
        let mut claim = |name: &str, value: serde_json::Value| {
            claims.insert(name.to_owned(), value);
        };
        claim("iss", json!(options.url));
        claim("aud", json!(options.audience));
        claim("sub", json!(account.uid));
        claim("user_id", json!(account.uid));
        claim("iat", json!(seconds(now)));
        claim("exp", json!(seconds(expires)));
        claim("auth_time", json!(seconds(session.auth_time)));
        claim("sid", json!(sid));
        claim("amr", json!(session.amr));
        claim(
            "firebase",
            json!({"identities": identities, "sign_in_provider": session.provider}),
        );
        if let Some(email) = &record.email {
            claim("email", json!(email));
            claim("email_verified", json!(record.email_verified));
        }
        for (name, value) in [
            ("phone_number", &record.phone),
            ("name", &record.profile.name),
            ("picture", &record.profile.picture),
            ("locale", &record.profile.locale),
        ] {
            if let Some(value) = value {
                claim(name, json!(value));
            }
        }
        if !record.roles.is_empty() {
            claim("roles", json!(record.roles));
        }
        if record.epoch > 0 {
            claim("epoch", json!(record.epoch));
        }
        if let Some(impersonator) = &session.impersonator {
            claim("act", json!({"sub": impersonator}));
        }
        serde_json::to_vec(&claims)
            .map_err(|error| AuthError::Internal(format!("claims cannot be written: {error}")))
    }

    /// Ends the caller's session, or all of its account.
    ///
    /// # Errors
    /// If the engine cannot write.
    pub async fn sign_out(&self, user: &User, all: bool, client: &ClientInfo) -> Result<(), AuthError> {
        let mut batch = Batch::default();
        if all {
            let sessions = self.session_records(&user.uid).await?;
            self.end_sessions(&sessions, None, &mut batch);
        } else {
            batch.delete(session_path(&user.uid, session_id(user))?);
        }
        let event = if all { "sign-out-all" } else { "sign-out" };
        self.audit(&mut batch, Event::new(event, &user.uid, client))?;
        batch.commit(self.engine()).await?;
        Ok(())
    }

    /// The sessions of an account, the one that was used last first.
    ///
    /// # Errors
    /// If the engine cannot read.
    pub async fn sessions(&self, uid: &str, current: Option<&str>) -> Result<Vec<SessionView>, AuthError> {
        let now = self.now();
        let mut records = self.session_records(uid).await?;
        records.retain(|session| self.is_alive(&session.data, now));
        records.sort_by_key(|session| std::cmp::Reverse(session.data.last_used));
        let view = |record: Record<SessionRecord>| SessionView {
            current: Some(record.path.id()) == current,
            id: record.path.id().to_owned(),
            device: record.data.device,
            address: record.data.address,
            create_time: record.created,
            last_used_time: record.data.last_used,
            expire_time: record.data.expires,
            auth_time: record.data.auth_time,
            amr: record.data.amr,
            provider: record.data.provider,
            impersonator: record.data.impersonator,
        };
        Ok(records.into_iter().map(view).collect())
    }

    /// Ends one session of an account.
    ///
    /// # Errors
    /// If there is no such session, or the engine cannot write.
    pub async fn revoke_session(
        &self,
        uid: &str,
        id: &str,
        caller: &Caller,
        client: &ClientInfo,
    ) -> Result<(), AuthError> {
        let path = session_path(uid, id).map_err(|_| AuthError::NoSuchSession)?;
        let session: Record<SessionRecord> = read(self.engine(), &path)?.ok_or(AuthError::NoSuchSession)?;
        let mut batch = Batch::default();
        batch.delete(session.path);
        let event = Event::new("session-revoked", uid, client).by(caller);
        self.audit(&mut batch, event.detail(format!("session {id}")))?;
        batch.commit(self.engine()).await?;
        Ok(())
    }

    /// Removes sessions that have ended by themselves and security events that are too old.
    pub(crate) async fn drop_expired(&self) -> Result<(), AuthError> {
        let now = self.now();
        let text = |time: Timestamp| Value::String(time.to_string());
        let less = |field: &str, value: Value| -> Result<Filter, AuthError> {
            let field = FieldRef::Field(field.parse()?);
            Ok(Filter::compare(field, Operator::Less, value)?)
        };
        let oldest = |age: std::time::Duration| {
            let micros = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
            Timestamp::from_micros_clamped(now.as_micros().saturating_sub(micros))
        };
        let audit = Source::Collection(AUDIT.parse()?);
        let codes = Source::Collection(CODES.parse()?);
        let group = || Source::Group("_sessions".to_owned());
        for (source, filter) in [
            (group(), less("expires", text(now))?),
            (
                group(),
                less("lastUsed", text(oldest(self.options().session_idle_time)))?,
            ),
            (codes, less("expires", text(now))?),
            (audit, less("time", text(oldest(self.options().audit_time)))?),
        ] {
            // A list has so many at most: there may be more, if many began what they did not end.
            loop {
                let records: Vec<Record<serde_json::Value>> =
                    list(self.engine(), source.clone(), Some(filter.clone())).await?;
                for some in records.chunks(EXPIRED_BATCH_MAX) {
                    let mut batch = Batch::default();
                    for record in some {
                        batch.delete(record.path.clone());
                    }
                    batch.commit(self.engine()).await?;
                }
                if records.len() < RECORDS_MAX as usize {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// The session of a caller.
pub(crate) fn session_id(user: &User) -> &str {
    user.token.get("sid").and_then(Value::as_str).unwrap_or_default()
}

/// When the caller's session last showed credentials.
pub(crate) fn auth_time(user: &User) -> Timestamp {
    match user.token.get("auth_time") {
        Some(Value::Integer(seconds)) => Timestamp::from_micros_clamped(seconds.saturating_mul(1_000_000)),
        _ => Timestamp::from_micros_clamped(0),
    }
}
