//! Signing in by what an identity provider says, and linking such identities to accounts.
//!
//! An identity belongs to one account: the document `_identities/ID`, whose id follows from provider and subject. An
//! address never says who somebody is unless the provider says plainly that it is theirs.

use andiron_engine::{Caller, User};
use andiron_protocol::{DocumentPath, Map, Value};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::account::{Account, AccountRecord, IdentityRecord, ProfileChange};
use crate::audit::Event;
use crate::codes::{CodeKind, NewCode};
use crate::limit::Attempt;
use crate::oauth::{Identity, ProviderCode};
use crate::records::{Batch, Record, read, record_path};
use crate::secret::{self, hash};
use crate::session::Shown;
use crate::{Accounts, AuthError, ClientInfo, EmailAddress, SecretText, SignInOutcome};

const IDENTITIES: &str = "_identities";

/// Whose an identity is.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct IdentityOwner {
    uid: String,
    provider: String,
    subject: String,
}

/// The beginning of a flow by redirects.
#[derive(Clone, Debug)]
pub struct OauthStart {
    /// Where the browser is sent.
    pub location: String,
    /// What the browser keeps in a cookie, to show at the end that it is the same.
    pub browser_secret: SecretText,
}

/// What a provider had a browser bring back.
#[derive(Clone, Copy, Debug, Default)]
pub struct OauthAnswer<'a> {
    /// What the flow was begun with.
    pub state: &'a str,
    /// The provider's code, if it gave one.
    pub code: Option<&'a str>,
    /// Who the provider says it is (RFC 9207).
    pub issuer: Option<&'a str>,
    /// What Apple says of somebody in the first answer alone, as JSON. It comes by the browser, so it names and proves nothing.
    pub user: Option<&'a str>,
}

/// What a client shows to sign in with a provider.
#[derive(Clone, Debug)]
pub enum OauthProof<'p> {
    /// The code that the end of a flow by redirects gave, and what its challenge was made of.
    Code {
        /// The code.
        code: &'p str,
        /// The secret behind the challenge that the flow was begun with, if there was one.
        verifier: Option<&'p str>,
    },
    /// An ID token that the client got by itself, and the nonce that it asked with.
    IdToken {
        /// The token.
        token: &'p str,
        /// The nonce.
        nonce: Option<&'p str>,
    },
    /// A code of the provider that the client got by itself.
    ProviderCode {
        /// The code.
        code: &'p str,
        /// Where it was sent.
        redirect_uri: &'p str,
        /// The secret behind its PKCE challenge.
        verifier: &'p str,
        /// The nonce that it asked with, if it did.
        nonce: Option<&'p str>,
    },
}

fn identity_path(provider: &str, subject: &str) -> Result<DocumentPath, AuthError> {
    Ok(record_path(IDENTITIES, &hash(&format!("{provider} {subject}")))?)
}

/// The PKCE challenge of a secret (RFC 7636, `S256`).
fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

/// Whether it can be the challenge of any secret.
fn is_challenge(text: &str) -> bool {
    URL_SAFE_NO_PAD
        .decode(text)
        .is_ok_and(|digest| digest.len() == 32)
}

impl Accounts {
    /// Where a provider sends browsers back to.
    fn oauth_callback(&self, provider: &str) -> String {
        format!("{}/api/v1/auth/oauth/{provider}/callback", self.options().url)
    }

    /// Whether a provider answers with a form that the browser posts.
    ///
    /// # Errors
    /// If there is no such provider.
    pub fn posts_back(&self, provider: &str) -> Result<bool, AuthError> {
        Ok(self.providers().get(provider)?.posts_back())
    }

    /// Begins to sign in with a provider in a browser. `redirect` is where the app wants to have it back, one of the
    /// settings'; `app_challenge` binds the end to the app that began.
    ///
    /// # Errors
    /// If there is no such provider, the settings do not name `redirect`, the challenge is none, or the provider cannot be reached.
    pub async fn start_oauth(
        &self,
        provider: &str,
        redirect: &str,
        app_challenge: Option<&str>,
        client: &ClientInfo,
    ) -> Result<OauthStart, AuthError> {
        let rate = self.options().limits.token_by_address;
        self.attempts()
            .count_client(Attempt::Token, client, rate, self.now())?;
        let found = self.providers().get(provider)?;
        // Compared whole: no prefix, host or path that looks alike passes.
        if !self.options().redirect_urls.iter().any(|known| known == redirect) {
            return Err(AuthError::input(
                "redirect",
                "this is none of the URLs in `auth.redirects`",
            ));
        }
        if app_challenge.is_some_and(|challenge| !is_challenge(challenge)) {
            return Err(AuthError::input(
                "challenge",
                "`challenge` is the base64url of a SHA-256, without padding: 43 characters",
            ));
        }
        let verifier = secret::random::<32>(self.engine());
        let nonce = secret::random::<16>(self.engine());
        let browser_secret = secret::random::<16>(self.engine());
        let mut data = Map::new();
        let mut note = |name: &str, text: &str| data.insert(name.to_owned(), Value::from(text));
        note("provider", provider);
        note("redirect", redirect);
        note("verifier", &verifier);
        note("nonce", &nonce);
        note("browser", &hash(&browser_secret));
        if let Some(challenge) = app_challenge {
            note("challenge", challenge);
        }
        let mut batch = Batch::default();
        let new = NewCode {
            kind: CodeKind::OauthState,
            subject: &self.engine().generate_id(),
            uid: None,
            email: None,
            data,
        };
        let state = self.add_code(new, &mut batch)?;
        let callback = self.oauth_callback(provider);
        let location = found
            .authorize_url(&callback, state.expose(), &nonce, &challenge(&verifier))
            .await?;
        batch.commit(self.engine()).await?;
        Ok(OauthStart {
            location,
            browser_secret: SecretText::new(browser_secret),
        })
    }

    /// Ends the part of a flow that happens in the browser: gives the URL of the app, with a code that signs in once, or
    /// with an error, behind `#`.
    ///
    /// # Errors
    /// [`AuthError::CodeInvalid`] if the state is not in force or was begun by another browser or for another provider.
    /// Then nobody is sent anywhere.
    pub async fn finish_oauth(
        &self,
        provider: &str,
        answer: OauthAnswer<'_>,
        browser_secret: Option<&str>,
        client: &ClientInfo,
    ) -> Result<String, AuthError> {
        let rate = self.options().limits.token_by_address;
        self.attempts()
            .count_client(Attempt::Token, client, rate, self.now())?;
        let state = self.find_code(&[CodeKind::OauthState], answer.state)?;
        let text = |name: &str| {
            state
                .data
                .data
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let is_same = text("provider") == provider
            && browser_secret.is_some_and(|secret| hash(secret) == text("browser"));
        if !is_same {
            return Err(AuthError::CodeInvalid);
        }
        let mut batch = Batch::default();
        batch.consume(&state);
        batch
            .commit(self.engine())
            .await
            .map_err(|_| AuthError::CodeInvalid)?;
        let redirect = text("redirect");
        let Some(code) = answer.code else {
            return Ok(format!("{redirect}#error=refused"));
        };
        // RFC 9207: a provider that says who it is must be the one that was asked.
        let asked = self.providers().get(provider)?;
        if let Some(issuer) = answer.issuer
            && !asked.is_called(issuer).await.unwrap_or(false)
        {
            return Ok(format!("{redirect}#error=failed"));
        }
        let callback = self.oauth_callback(provider);
        let code = ProviderCode {
            code,
            redirect_uri: &callback,
            verifier: text("verifier"),
            nonce: Some(text("nonce")),
        };
        let Ok(mut identity) = asked.exchange(&code).await else {
            return Ok(format!("{redirect}#error=failed"));
        };
        if identity.name.is_none() && asked.posts_back() {
            identity.name = answer.user.and_then(posted_name);
        }
        let mut data = identity_map(&identity);
        data.insert("via".to_owned(), Value::from(provider));
        if let Some(challenge) = state.data.data.get("challenge") {
            data.insert("challenge".to_owned(), challenge.clone());
        }
        let mut batch = Batch::default();
        let new = NewCode {
            kind: CodeKind::OauthResult,
            subject: &self.engine().generate_id(),
            uid: None,
            email: None,
            data,
        };
        let code = self.add_code(new, &mut batch)?;
        batch.commit(self.engine()).await?;
        Ok(format!("{redirect}#code={}&provider={provider}", code.expose()))
    }

    /// Signs in with what a client got from a provider; or, for an account that is signed in, links the identity to it.
    ///
    /// # Errors
    /// If the proof does not verify, the identity belongs to another account, or the settings let nobody sign up.
    pub async fn sign_in_with_provider(
        &self,
        caller: &Caller,
        provider: &str,
        proof: OauthProof<'_>,
        client: &ClientInfo,
    ) -> Result<SignInOutcome, AuthError> {
        let rate = self.options().limits.token_by_address;
        self.attempts()
            .count_client(Attempt::Token, client, rate, self.now())?;
        let found = self.providers().get(provider)?;
        let identity = match proof {
            OauthProof::IdToken { token, nonce } => found.verify_id_token(token, nonce).await?,
            OauthProof::ProviderCode {
                code,
                redirect_uri,
                verifier,
                nonce,
            } => {
                let code = ProviderCode {
                    code,
                    redirect_uri,
                    verifier,
                    nonce,
                };
                found.exchange(&code).await?
            }
            OauthProof::Code { code, verifier } => {
                let code = self.find_code(&[CodeKind::OauthResult], code)?;
                let data = &code.data.data;
                let bound = data.get("challenge").and_then(Value::as_str);
                let is_same = data.get("via").and_then(Value::as_str) == Some(provider)
                    && bound == verifier.map(challenge).as_deref();
                if !is_same {
                    return Err(AuthError::CodeInvalid);
                }
                let mut batch = Batch::default();
                batch.consume(&code);
                batch
                    .commit(self.engine())
                    .await
                    .map_err(|_| AuthError::CodeInvalid)?;
                identity_of(data)
            }
        };
        let path = identity_path(&identity.provider, &identity.subject)?;
        let owner: Option<Record<IdentityOwner>> = read(self.engine(), &path)?;
        match (caller, owner) {
            (Caller::User(user), owner) => {
                if owner.as_ref().is_some_and(|owner| owner.data.uid != user.uid) {
                    return Err(AuthError::NotPossible(
                        "this identity belongs to another account".to_owned(),
                    ));
                }
                self.check_recent(user)?;
                let is_new = owner.is_none();
                let linked_by = is_new.then_some(&**user);
                self.sign_in_as(&user.uid, &identity, is_new, linked_by, false, client)
                    .await
            }
            (_, Some(owner)) => {
                self.sign_in_as(&owner.data.uid, &identity, false, None, false, client)
                    .await
            }
            (_, None) => self.sign_in_first_time(&identity, client).await,
        }
    }

    /// Somebody whom no account is linked to: an account with the address, if that is surely theirs, or a new one.
    async fn sign_in_first_time(
        &self,
        identity: &Identity,
        client: &ClientInfo,
    ) -> Result<SignInOutcome, AuthError> {
        let email = verified_email(identity);
        if let Some(email) = &email
            && let Some(found) = self.find_by_email(email)?
        {
            return self
                .sign_in_as(found.path.id(), identity, true, None, true, client)
                .await;
        }
        self.check_sign_up_with(identity)?;
        let mut record = AccountRecord {
            email: email.as_ref().map(|email| email.as_str().to_owned()),
            email_verified: email.is_some(),
            identities: vec![identity_record(identity)],
            ..AccountRecord::default()
        };
        ProfileChange::from_provider(identity.name.as_deref(), identity.picture.as_deref())
            .apply(&mut record.profile)?;
        let shown = Shown::new(&["fed"], &identity.provider);
        let path = identity_path(&identity.provider, &identity.subject)?;
        let uid = self.engine().generate_id();
        let owner = owner_of(&uid, identity);
        let made = self
            .create_signed_in_as(uid, record, email.as_ref(), &shown, "sign-up", client, |batch| {
                batch.create(path.clone(), &owner)
            })
            .await?;
        Ok(SignInOutcome::SignedIn(Box::new(made)))
    }

    /// Refuses whom the settings do not let sign up by an identity.
    fn check_sign_up_with(&self, identity: &Identity) -> Result<(), AuthError> {
        match verified_email(identity) {
            Some(email) => self.check_sign_up(&email),
            None => self.check_sign_up_without_address(),
        }
    }

    async fn sign_in_as(
        &self,
        uid: &str,
        identity: &Identity,
        is_new: bool,
        linked_by: Option<&User>,
        proves_mailbox: bool,
        client: &ClientInfo,
    ) -> Result<SignInOutcome, AuthError> {
        let shown = Shown::new(&["fed"], &identity.provider);
        let sessions = self.session_records(uid).await?;
        let path = identity_path(&identity.provider, &identity.subject)?;
        self.pass_first_factor(uid, &shown, client, |account, batch| {
            if proves_mailbox {
                // The address must still be the account's.
                if account.email() != verified_email(identity).as_ref().map(EmailAddress::as_str) {
                    return Err(AuthError::Contended);
                }
                self.prove_mailbox(account, &sessions, client, batch)?;
            }
            if is_new {
                account.record.identities.push(identity_record(identity));
                if account.record.anonymous {
                    self.check_sign_up_with(identity)?;
                    self.become_somebody(account, &shown, linked_by, client, batch)?;
                    self.end_sessions(&sessions, None, batch);
                }
                batch.create(path.clone(), &owner_of(uid, identity))?;
                let event = Event::new("identity-linked", uid, client);
                self.audit(batch, event.detail(identity.provider.as_str()))?;
            }
            Ok(())
        })
        .await
    }

    /// Takes the identities of a provider from an account, unless it could not sign in without them.
    ///
    /// # Errors
    /// If there is none, it is the last way to sign in, or credentials were shown too long ago.
    pub async fn unlink_provider(
        &self,
        user: &User,
        provider: &str,
        client: &ClientInfo,
    ) -> Result<Account, AuthError> {
        self.check_recent(user)?;
        let (account, ()) = self
            .change(&user.uid, |account, batch| {
                let (gone, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut account.record.identities)
                    .into_iter()
                    .partition(|identity| identity.provider == provider);
                account.record.identities = kept;
                if gone.is_empty() {
                    return Err(AuthError::NoSuchProvider);
                }
                self.check_can_sign_in(&account.record)?;
                for identity in gone {
                    batch.delete(identity_path(&identity.provider, &identity.subject)?);
                }
                self.audit(
                    batch,
                    Event::new("identity-unlinked", &user.uid, client).detail(provider),
                )
            })
            .await?;
        Ok(account)
    }

    /// Refuses to leave an account without a way to sign in.
    pub(crate) fn check_can_sign_in(&self, record: &AccountRecord) -> Result<(), AuthError> {
        let by_mail = record.email_verified && self.check_post().is_ok();
        let by_passkey = record.passkeys.iter().any(|passkey| !passkey.second_factor);
        let by_phone = record.phone.is_some() && self.check_texts().is_ok();
        if record.password.is_some() || !record.identities.is_empty() || by_mail || by_passkey || by_phone {
            return Ok(());
        }
        Err(AuthError::NotPossible("it is the last way to sign in".to_owned()))
    }

    /// Frees, within a change, the identities of an account that loses them.
    pub(crate) fn drop_identities(record: &AccountRecord, batch: &mut Batch) -> Result<(), AuthError> {
        for identity in &record.identities {
            batch.delete(identity_path(&identity.provider, &identity.subject)?);
        }
        Ok(())
    }
}

/// The name in what Apple has a browser post: `{"name":{"firstName":…,"lastName":…}}`.
fn posted_name(user: &str) -> Option<String> {
    let user: serde_json::Value = serde_json::from_str(user).ok()?;
    let parts = ["firstName", "lastName"].map(|part| user["name"][part].as_str().unwrap_or_default());
    let name = parts.join(" ").trim().to_owned();
    (!name.is_empty()).then_some(name)
}

/// The address of an identity. One that is not surely theirs is none.
fn verified_email(identity: &Identity) -> Option<EmailAddress> {
    let email = identity.email.as_deref().filter(|_| identity.email_verified);
    email.and_then(|email| EmailAddress::parse(email).ok())
}

fn owner_of(uid: &str, identity: &Identity) -> IdentityOwner {
    IdentityOwner {
        uid: uid.to_owned(),
        provider: identity.provider.clone(),
        subject: identity.subject.clone(),
    }
}

fn identity_record(identity: &Identity) -> IdentityRecord {
    IdentityRecord {
        provider: identity.provider.clone(),
        subject: identity.subject.clone(),
        email: identity.email.clone(),
    }
}

fn identity_map(identity: &Identity) -> Map {
    let mut map = Map::from([
        ("provider".to_owned(), Value::from(identity.provider.as_str())),
        ("subject".to_owned(), Value::from(identity.subject.as_str())),
        (
            "emailVerified".to_owned(),
            Value::Boolean(identity.email_verified),
        ),
    ]);
    for (name, text) in [
        ("email", &identity.email),
        ("name", &identity.name),
        ("picture", &identity.picture),
    ] {
        if let Some(text) = text {
            map.insert(name.to_owned(), Value::from(text.as_str()));
        }
    }
    map
}

fn identity_of(map: &Map) -> Identity {
    let text = |name: &str| map.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
    Identity {
        provider: text("provider").unwrap_or_default(),
        subject: text("subject").unwrap_or_default(),
        email: text("email"),
        email_verified: map
            .get("emailVerified")
            .and_then(Value::as_boolean)
            .unwrap_or(false),
        name: text("name"),
        picture: text("picture"),
    }
}
