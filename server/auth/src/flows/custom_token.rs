//! Custom tokens: a service that knows its people by itself signs them in.

use andiron_engine::{Caller, Permission};
use andiron_protocol::{Map, Timestamp, Value, data_from_json};
use serde_json::json;

use crate::account::{Account, AccountRecord, account_path, check_claims, check_uid};
use crate::audit::Event;
use crate::limit::Attempt;
use crate::records::{Batch, existing};
use crate::roles::{check_owner, check_owner_or};
use crate::session::Shown;
use crate::sign_up_question::SignUpQuestion;
use crate::token::Kind;
use crate::{Accounts, AuthError, ClientInfo, SecretText, SignedIn};

/// How long a custom token holds: an hour, as Firebase's do.
const CUSTOM_TOKEN_SECONDS: i64 = 3600;

impl Accounts {
    /// A token that signs an account in; the account is made at that moment if there is none of this id. The claims go
    /// into the tokens of that session.
    ///
    /// # Errors
    /// If the id or the claims cannot be, the account administers and the caller is a key with scopes, or the engine cannot
    /// write.
    pub async fn mint_custom_token(
        &self,
        caller: &Caller,
        uid: &str,
        claims: &Map,
        client: &ClientInfo,
    ) -> Result<(SecretText, Timestamp), AuthError> {
        check_owner_or(caller, Permission::TokensMint)?;
        check_uid(uid)?;
        check_claims(claims)?;
        let is_by_owner = check_owner(caller).is_ok();
        if !is_by_owner
            && self
                .find(uid)?
                .is_some_and(|record| Account::of(&record).admin_role().is_some())
        {
            return Err(AuthError::NotAllowed("this key signs nobody in who administers"));
        }
        self.signing_keys().ensure().await?;
        let now = self.now().as_micros() / 1_000_000;
        let expires = now + CUSTOM_TOKEN_SECONDS;
        let body = json!({
            "iss": self.options().url,
            "aud": self.options().audience,
            "sub": uid,
            "iat": now,
            "exp": expires,
            "claims": Value::Map(claims.clone()),
            "owner": is_by_owner,
        });
        let body = serde_json::to_vec(&body)
            .map_err(|error| AuthError::Internal(format!("claims cannot be written: {error}")))?;
        let token = self.signing_keys().sign(Kind::Custom, &body)?;
        let mut batch = Batch::default();
        self.audit(
            &mut batch,
            Event::new("custom-token-minted", uid, client).by(caller),
        )?;
        batch.commit(self.engine()).await?;
        let expires = Timestamp::from_micros_clamped(expires.saturating_mul(1_000_000));
        Ok((SecretText::new(token), expires))
    }

    /// Signs in with a custom token.
    ///
    /// # Errors
    /// [`AuthError::Unauthenticated`] if it is not one in force, or the account is disabled.
    pub async fn sign_in_with_custom_token(
        &self,
        token: &str,
        client: &ClientInfo,
    ) -> Result<SignedIn, AuthError> {
        let rate = self.options().limits.token_by_address;
        self.attempts()
            .count_client(Attempt::Token, client, rate, self.now())?;
        let refused = |_| AuthError::Unauthenticated;
        let payload = self
            .signing_keys()
            .verify(Kind::Custom, token)
            .map_err(|_| AuthError::Unauthenticated)?;
        let body = data_from_json(&payload).map_err(refused)?;
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let expires = match body.get("exp") {
            Some(Value::Integer(seconds)) => {
                Timestamp::from_micros_clamped(seconds.saturating_mul(1_000_000))
            }
            _ => return Err(AuthError::Unauthenticated),
        };
        let is_ours =
            text("iss") == Some(&self.options().url) && text("aud") == Some(&self.options().audience);
        let (Some(uid), true, true) = (text("sub"), is_ours, expires > self.now()) else {
            return Err(AuthError::Unauthenticated);
        };
        // The account may administer only since the token was minted.
        let is_by_owner = body.get("owner") == Some(&Value::Boolean(true));
        let mut shown = Shown::new(&[], "custom");
        shown.claims = body
            .get("claims")
            .and_then(Value::as_map)
            .cloned()
            .unwrap_or_default();
        if self.find(uid)?.is_none() {
            self.create_for_custom_token(uid, &shown, client).await?;
        }
        self.prepare_session(uid).await?;
        let (account, tokens) = self
            .change(uid, |account, batch| {
                if account.record.disabled || (account.admin_role().is_some() && !is_by_owner) {
                    return Err(AuthError::Unauthenticated);
                }
                self.audit(
                    batch,
                    Event::new("sign-in", &account.uid, client).detail("custom"),
                )?;
                self.begin_session(account, &shown, client, batch)
            })
            .await?;
        Ok(SignedIn { account, tokens })
    }

    async fn create_for_custom_token(
        &self,
        uid: &str,
        shown: &Shown,
        client: &ClientInfo,
    ) -> Result<Account, AuthError> {
        let account = Account {
            uid: uid.to_owned(),
            created: self.now(),
            record: AccountRecord::default(),
        };
        let mut batch = Batch::default();
        batch.ask(SignUpQuestion::new_account(&account, shown, client));
        batch.create(account_path(uid)?, &account.record)?;
        self.audit(&mut batch, Event::new("sign-up", uid, client).detail("custom"))?;
        match batch.commit(self.engine()).await {
            Ok(_) => Ok(account),
            // Another request with the same token made it.
            Err(error) if existing(&error).is_some() => Ok(account),
            Err(error) => Err(error.into()),
        }
    }
}
