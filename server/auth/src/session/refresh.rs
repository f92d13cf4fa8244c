//! Refresh tokens: `ar_` and four parts, the account, the session, a secret of the session (its family) and one that each refresh
//! changes.
//!
//! Both secrets are stored hashed. A token of the right family with an old secret was stolen, or its thief has the new one: the
//! session ends, unless the refresh was a moment ago, when it is the same client sending twice.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{SessionRecord, SignedIn, session_path};
use crate::account::Account;
use crate::accounts::CONFLICTS_MAX;
use crate::audit::Event;
use crate::limit::Attempt;
use crate::records::{Batch, Record, is_conflict, read};
use crate::secret::{self, hash};
use crate::token::after;
use crate::{Accounts, AuthError, ClientInfo, SecretText};

/// What every refresh token begins with.
const PREFIX: &str = "ar_";
/// Characters of a refresh token that is looked at.
const REFRESH_TOKEN_CHARS_MAX: usize = 512;

/// A refresh token taken apart.
pub(super) struct RefreshToken {
    pub(super) uid: String,
    pub(super) id: String,
    pub(super) family: String,
    pub(super) secret: String,
}

impl RefreshToken {
    fn parse(token: &str) -> Option<Self> {
        if token.len() > REFRESH_TOKEN_CHARS_MAX {
            return None;
        }
        let mut parts = token.strip_prefix(PREFIX)?.split('.');
        let uid = String::from_utf8(URL_SAFE_NO_PAD.decode(parts.next()?).ok()?).ok()?;
        let (id, family, secret) = (parts.next()?, parts.next()?, parts.next()?);
        parts.next().is_none().then(|| Self {
            uid,
            id: id.to_owned(),
            family: family.to_owned(),
            secret: secret.to_owned(),
        })
    }

    pub(super) fn write(&self) -> SecretText {
        let Self {
            id, family, secret, ..
        } = self;
        let uid = URL_SAFE_NO_PAD.encode(&self.uid);
        SecretText::new(format!("{PREFIX}{uid}.{id}.{family}.{secret}"))
    }
}

impl Accounts {
    /// Exchanges a refresh token for new tokens.
    ///
    /// # Errors
    /// [`AuthError::Unauthenticated`] for whatever is not the newest token of a session in force; the session of an
    /// older one has then ended. [`AuthError::RefreshRaced`] if the token was used a moment ago.
    pub async fn refresh(&self, token: &str, client: &ClientInfo) -> Result<SignedIn, AuthError> {
        let rate = self.options().limits.token_by_address;
        self.attempts()
            .count_client(Attempt::Token, client, rate, self.now())?;
        let token = RefreshToken::parse(token).ok_or(AuthError::Unauthenticated)?;
        let path = session_path(&token.uid, &token.id).map_err(|_| AuthError::Unauthenticated)?;
        self.signing_keys().ensure().await?;
        for _ in 0..CONFLICTS_MAX {
            let session: Record<SessionRecord> =
                read(self.engine(), &path)?.ok_or(AuthError::Unauthenticated)?;
            if session.data.family != hash(&token.family) {
                return Err(AuthError::Unauthenticated);
            }
            let now = self.now();
            let presented = hash(&token.secret);
            if session.data.current != presented {
                return Err(self.old_refresh_token(&session, &presented, client).await?);
            }
            let account = self.find(&token.uid)?.ok_or(AuthError::Unauthenticated)?;
            if account.data.disabled || !self.is_alive(&session.data, now) {
                return Err(AuthError::Unauthenticated);
            }
            let next = RefreshToken {
                uid: token.uid.clone(),
                id: token.id.clone(),
                family: token.family.clone(),
                secret: secret::random::<32>(self.engine()),
            };
            let mut data = session.data.clone();
            data.previous = Some(std::mem::replace(&mut data.current, hash(&next.secret)));
            data.last_used = now;
            data.device = client.device().to_owned();
            data.address = client.address();
            let mut batch = Batch::default();
            batch.replace(&session, &data)?;
            batch.verify(&account);
            match batch.commit(self.engine()).await {
                Ok(_) => {
                    let account = Account::of(&account);
                    let tokens = self.tokens(&account, &data, &next)?;
                    return Ok(SignedIn { account, tokens });
                }
                Err(error) if is_conflict(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AuthError::Contended)
    }

    /// What becomes of a refresh token that is not the newest of its session.
    async fn old_refresh_token(
        &self,
        session: &Record<SessionRecord>,
        presented: &str,
        client: &ClientInfo,
    ) -> Result<AuthError, AuthError> {
        let data = &session.data;
        let is_recent = after(data.last_used, self.options().refresh_grace) > self.now();
        if is_recent && data.previous.as_deref() == Some(presented) {
            return Ok(AuthError::RefreshRaced);
        }
        let mut batch = Batch::default();
        batch.delete(session.path.clone());
        let event = Event::new("refresh-token-reused", &data.uid, client);
        self.audit(&mut batch, event.detail(format!("session {}", session.path.id())))?;
        batch.commit(self.engine()).await?;
        Ok(AuthError::Unauthenticated)
    }
}
