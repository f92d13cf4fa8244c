//! The door to everything about accounts, and what all flows share.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use andiron_engine::{Caller, Engine, User};
use andiron_protocol::{DocumentPath, Timestamp, Value, data_from_json};
use tokio::sync::Semaphore;

use crate::account::{Account, AccountRecord, EmailRecord, account_path, email_path};
use crate::audit::Event;
use crate::limit::{Attempt, Attempts};
use crate::mail::MailKind;
use crate::oauth::Providers;
use crate::password::PasswordHasher;
use crate::records::{Batch, Record, is_conflict, read};
use crate::roles::AdminRole;
use crate::session::{SessionRecord, session_path};
use crate::text_message::TextMessage;
use crate::token::{Kind, SigningKeys, VerifiedToken, VerifiedTokens};
use crate::{
    AuthError, AuthOptions, ClientInfo, Deliver, DeliverText, EmailAddress, JsonWebKey, MailTemplates,
    Mailbox, Password, SecretText, SigningKeyInfo,
};

/// How often a change is tried again whose account somebody else changed meanwhile.
pub(crate) const CONFLICTS_MAX: usize = 16;
/// Mails that may be under way at once.
const MAILS_UNDER_WAY_MAX: usize = 64;
/// How far ahead of ours the clock of another node may be.
const CLOCK_SKEW_SECONDS: i64 = 60;

/// The accounts of one engine. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Accounts(Arc<Parts>);

struct Parts {
    engine: Engine,
    options: AuthOptions,
    hasher: PasswordHasher,
    signing_keys: SigningKeys,
    verified: VerifiedTokens,
    attempts: Attempts,
    providers: Providers,
    post: Post,
    mails_under_way: Arc<Semaphore>,
}

/// How mails and text messages are written and sent.
#[derive(Clone, Default)]
pub struct Post {
    /// The way out; without one there are no flows by mail.
    pub deliver: Option<Arc<dyn Deliver>>,
    /// What mails say.
    pub templates: MailTemplates,
    /// The mailbox, if that is the way out.
    pub mailbox: Option<Mailbox>,
    /// The way out for text messages; without one there are no flows by phone.
    pub texts: Option<Arc<dyn DeliverText>>,
}

/// An access token of somebody who stays connected.
#[derive(Clone, Debug)]
pub struct LastingToken {
    /// Who calls.
    pub user: Arc<User>,
    /// When the token expires.
    pub expires: Timestamp,
    /// The documents of the account and the session.
    pub rests_on: Vec<DocumentPath>,
}

impl Accounts {
    /// The accounts that stand in this engine's store.
    ///
    /// # Errors
    /// If the engine cannot read, or a thread for hashing cannot be started.
    pub async fn open(engine: Engine, options: AuthOptions, post: Post) -> Result<Self, AuthError> {
        Ok(Self(Arc::new(Parts {
            hasher: PasswordHasher::start(engine.clone(), &options)?,
            signing_keys: SigningKeys::open(engine.clone()).await?,
            verified: VerifiedTokens::new(),
            attempts: Attempts::new(),
            providers: Providers::new(&options.providers, options.private_providers, &engine)?,
            post,
            mails_under_way: Arc::new(Semaphore::new(MAILS_UNDER_WAY_MAX)),
            engine,
            options,
        })))
    }

    /// The settings.
    pub fn options(&self) -> &AuthOptions {
        &self.0.options
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.engine.now()
    }

    pub(crate) fn hasher(&self) -> &PasswordHasher {
        &self.0.hasher
    }

    pub(crate) fn signing_keys(&self) -> &SigningKeys {
        &self.0.signing_keys
    }

    pub(crate) fn providers(&self) -> &Providers {
        &self.0.providers
    }

    pub(crate) fn attempts(&self) -> &Attempts {
        &self.0.attempts
    }

    /// The development mailbox, if that is where mails go.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        self.0.post.mailbox.as_ref()
    }

    /// Refuses what needs a mail where none can be sent.
    pub(crate) fn check_post(&self) -> Result<(), AuthError> {
        match self.0.post.deliver {
            Some(_) => Ok(()),
            None => Err(AuthError::NotPossible(
                "this server sends no mail: see `mail.smtp`".to_owned(),
            )),
        }
    }

    /// Does work for a mail or a text message after the answer, so that how long an answer takes does not tell whether there was a mail. What
    /// would be too much at once is dropped.
    pub(crate) fn after_answer<W>(&self, work: impl FnOnce(Self) -> W + Send + 'static)
    where
        W: Future<Output = Result<(), AuthError>> + Send,
    {
        let Ok(slot) = Arc::clone(&self.0.mails_under_way).try_acquire_owned() else {
            tracing::warn!("too many messages are under way; one is dropped");
            return;
        };
        let accounts = self.clone();
        tokio::spawn(async move {
            let _slot = slot;
            match work(accounts).await {
                // The rest is as it should be.
                Ok(()) | Err(AuthError::TooManyAttempts { .. }) => {}
                Err(error) => tracing::error!(%error, "a message was not sent"),
            }
        });
    }

    /// Refuses what needs a text message where none can be sent.
    pub(crate) fn check_texts(&self) -> Result<(), AuthError> {
        match self.0.post.texts {
            Some(_) => Ok(()),
            None => Err(AuthError::NotPossible(
                "this server sends no text messages: see `sms.webhook`".to_owned(),
            )),
        }
    }

    /// Hands a text message over.
    pub(crate) async fn send_text(&self, message: TextMessage) -> Result<(), AuthError> {
        let Some(texts) = &self.0.post.texts else {
            return Ok(());
        };
        let delivered = texts.deliver_text(message).await;
        delivered.map_err(|detail| AuthError::Internal(format!("sending a text message: {detail}")))
    }

    /// Writes a mail and hands it over. `code` is the secret of its link, or stands in the mail itself.
    pub(crate) async fn send_mail(
        &self,
        kind: MailKind,
        to: &EmailAddress,
        code: &SecretText,
        time: Duration,
        email: &str,
    ) -> Result<(), AuthError> {
        self.deliver_mail(kind, to, code, time, email).await.map(drop)
    }

    /// The same, and says what the mail server said.
    async fn deliver_mail(
        &self,
        kind: MailKind,
        to: &EmailAddress,
        code: &SecretText,
        time: Duration,
        email: &str,
    ) -> Result<String, AuthError> {
        let Some(deliver) = &self.0.post.deliver else {
            return Ok(String::new());
        };
        let options = self.options();
        let page = match options.link_url.as_str() {
            "" => format!("{}/api/v1/auth/action", options.url),
            page => page.to_owned(),
        };
        let link = format!("{page}#mode={}&code={}", kind.name(), code.expose());
        let minutes = (time.as_secs() / 60).to_string();
        let values = [
            ("app", options.app_name.as_str()),
            ("code", code.expose()),
            ("email", email),
            ("link", &link),
            ("minutes", &minutes),
        ];
        let mail = self.0.post.templates.write(kind, to.clone(), &values);
        let delivered = deliver.deliver(mail).await;
        delivered.map_err(|detail| AuthError::Internal(format!("sending a mail: {detail}")))
    }

    /// Sends a mail that shows that mails can be sent, and says what the mail server said to it.
    ///
    /// # Errors
    /// [`AuthError::NotPossible`] with what the mail server said.
    pub async fn send_test_mail(&self, to: &EmailAddress) -> Result<String, AuthError> {
        self.check_post()?;
        let none = SecretText::new(String::new());
        let sent = self
            .deliver_mail(MailKind::Test, to, &none, Duration::ZERO, to.as_str())
            .await;
        sent.map_err(|error| AuthError::NotPossible(error.to_string()))
    }

    /// The public keys with which other services can verify access tokens.
    pub fn public_keys(&self) -> Vec<JsonWebKey> {
        self.0.signing_keys.public()
    }

    /// The keys that sign, or signed tokens that may still be in force; newest first.
    pub fn signing_key_infos(&self) -> Vec<SigningKeyInfo> {
        self.0.signing_keys.info()
    }

    /// Makes a new key that signs from now on; the old one verifies for another day. Gives the new key's id.
    ///
    /// # Errors
    /// If the engine cannot write.
    pub async fn rotate_signing_key(
        &self,
        caller: &Caller,
        client: &ClientInfo,
    ) -> Result<String, AuthError> {
        Self::check_owner(caller)?;
        let kid = self.0.signing_keys.rotate().await?;
        let mut batch = Batch::default();
        let event = Event {
            uid: None,
            ..Event::new("signing-key-rotated", "", client)
        };
        self.audit(&mut batch, event.by(caller).detail(kid.clone()))?;
        batch.commit(self.engine()).await?;
        Ok(kid)
    }

    /// Verifies an access token and says who calls. Synchronous: what it needs is in memory once a token is in use.
    ///
    /// The account and the session behind the token are looked at each time, so that a disabled account and a revoked
    /// session are refused at the next request, and a role that was taken away is gone with it.
    ///
    /// # Errors
    /// [`AuthError::Unauthenticated`] for whatever is not a token in force, whyever; else if the engine cannot read.
    pub fn verify(&self, token: &str) -> Result<Arc<User>, AuthError> {
        Ok(Arc::clone(&self.verified(token)?.user))
    }

    /// The same for somebody who stays: says besides until when the token holds, and which documents have to be watched
    /// because a change of them may end it earlier, or change what the account may do.
    ///
    /// # Errors
    /// As [`Accounts::verify`].
    pub fn verify_lasting(&self, token: &str) -> Result<LastingToken, AuthError> {
        let verified = self.verified(token)?;
        Ok(LastingToken {
            user: Arc::clone(&verified.user),
            expires: verified.expires,
            rests_on: vec![verified.account.0.clone(), verified.session.0.clone()],
        })
    }

    fn verified(&self, token: &str) -> Result<Arc<VerifiedToken>, AuthError> {
        if let Some(verified) = self.0.verified.get(token) {
            if verified.expires <= self.now() {
                self.0.verified.remove(token);
                return Err(AuthError::Unauthenticated);
            }
            if self.is_unchanged(&verified)? {
                return Ok(verified);
            }
        }
        let verified = Arc::new(self.verify_anew(token)?);
        self.0.verified.put(token, Arc::clone(&verified));
        Ok(verified)
    }

    fn is_unchanged(&self, verified: &VerifiedToken) -> Result<bool, AuthError> {
        for (path, version) in [&verified.session, &verified.account] {
            let document = self.0.engine.get(&Caller::System, path)?;
            if document.is_none_or(|document| document.version != *version) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn verify_anew(&self, token: &str) -> Result<VerifiedToken, AuthError> {
        let payload = self
            .0
            .signing_keys
            .verify(Kind::Access, token)
            .map_err(|_| AuthError::Unauthenticated)?;
        let mut claims = data_from_json(&payload).map_err(|_| AuthError::Unauthenticated)?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let seconds = |name: &str| match claims.get(name) {
            Some(Value::Integer(seconds)) => Some(*seconds),
            _ => None,
        };
        let now = self.now();
        let options = self.options();
        let latest = now.as_micros() / 1_000_000 + CLOCK_SKEW_SECONDS;
        let is_of_ours = text("iss") == Some(&options.url) && text("aud") == Some(&options.audience);
        let expires = seconds("exp").and_then(|exp| Timestamp::from_micros(exp.checked_mul(1_000_000)?));
        let expires = expires.ok_or(AuthError::Unauthenticated)?;
        let is_in_time = expires > now && seconds("iat").is_some_and(|iat| iat <= latest);
        let (Some(uid), Some(sid), true, true) = (text("sub"), text("sid"), is_of_ours, is_in_time) else {
            return Err(AuthError::Unauthenticated);
        };
        let epoch = seconds("epoch").unwrap_or(0);
        let session_path = session_path(uid, sid).map_err(|_| AuthError::Unauthenticated)?;
        let session: Record<SessionRecord> =
            read(self.engine(), &session_path)?.ok_or(AuthError::Unauthenticated)?;
        let record = self.find(uid)?.ok_or(AuthError::Unauthenticated)?;
        let account = &record.data;
        if account.disabled || epoch < account.epoch || session.data.expires <= now {
            return Err(AuthError::Unauthenticated);
        }
        let uid = uid.to_owned();
        // Roles decide about administration, so they are those of now, not those of when the token was made.
        let roles = account.roles.iter().map(|role| Value::from(role.as_str()));
        let roles = Value::Array(roles.collect());
        let role = AdminRole::of(account.roles.iter().map(String::as_str));
        claims.insert("roles".to_owned(), roles);
        let user = User {
            uid,
            token: claims,
            is_admin: role.is_some_and(|role| role >= AdminRole::Editor)
                && session.data.impersonator.is_none(),
        };
        Ok(VerifiedToken {
            user: Arc::new(user),
            expires,
            account: (record.path, record.version),
            session: (session.path, session.version),
        })
    }

    /// The account of this id, as it is stored.
    pub(crate) fn find(&self, uid: &str) -> Result<Option<Record<AccountRecord>>, AuthError> {
        // What cannot be an id belongs to nobody.
        match account_path(uid) {
            Ok(path) => read(self.engine(), &path),
            Err(_) => Ok(None),
        }
    }

    pub(crate) fn must_find(&self, uid: &str) -> Result<Record<AccountRecord>, AuthError> {
        self.find(uid)?.ok_or_else(|| AuthError::NoSuchAccount {
            uid: uid.chars().take(64).filter(|c| !c.is_control()).collect(),
        })
    }

    /// The account that has this address.
    pub(crate) fn find_by_email(
        &self,
        email: &EmailAddress,
    ) -> Result<Option<Record<AccountRecord>>, AuthError> {
        let owner: Option<Record<EmailRecord>> = read(self.engine(), &email_path(email)?)?;
        match owner {
            Some(owner) => self.find(&owner.data.uid),
            None => Ok(None),
        }
    }

    /// Changes an account, with whatever else belongs to the change, as one commit; again from the reading on if somebody
    /// else changed it meanwhile.
    pub(crate) async fn change<R>(
        &self,
        uid: &str,
        change: impl Fn(&mut Account, &mut Batch) -> Result<R, AuthError>,
    ) -> Result<(Account, R), AuthError> {
        for _ in 0..CONFLICTS_MAX {
            let before = self.must_find(uid)?;
            let mut account = Account::of(&before);
            let mut batch = Batch::default();
            let result = change(&mut account, &mut batch)?;
            if account.record != before.data {
                batch.replace(&before, &account.record)?;
            } else if !batch.is_empty() {
                batch.verify(&before);
            } else {
                return Ok((account, result));
            }
            match batch.commit(self.engine()).await {
                Ok(_) => return Ok((account, result)),
                Err(error) if is_conflict(&error) => {}
                Err(error) if crate::records::existing(&error).is_some() => {
                    return Err(AuthError::AddressTaken);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(AuthError::Contended)
    }

    /// Checks a password of an account against attempts by others: counted before, forgotten if right.
    pub(crate) async fn check_password(
        &self,
        key: &str,
        password: &Password,
        stored: Option<&str>,
    ) -> Result<crate::password::Checked, AuthError> {
        let limits = &self.options().limits;
        self.attempts()
            .count(Attempt::SignIn, key, limits.sign_in_by_account, self.now())?;
        let checked = self.hasher().check(password, stored).await?;
        if checked != crate::password::Checked::Wrong {
            self.attempts().forget(Attempt::SignIn, key);
        }
        Ok(checked)
    }

    /// Does what time brings: a new signing key when the old one is due, an end to what has expired. To be called every
    /// hour or so.
    ///
    /// # Errors
    /// If the engine cannot read or write.
    pub async fn maintain(&self) -> Result<(), AuthError> {
        if self.0.signing_keys.is_due(self.options().signing_key_time) {
            let kid = self.0.signing_keys.rotate().await?;
            tracing::info!(kid, "a new key signs tokens");
        }
        self.drop_expired().await
    }
}
