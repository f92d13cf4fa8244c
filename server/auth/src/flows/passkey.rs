//! Passkeys of an account: making, listing, naming and removing them.
//!
//! A passkey belongs to one account: the document `_passkeys/ID`, whose id follows from the credential's; the rest stands in
//! the account. The challenge of a ceremony is a single-use code like those of mails, and comes back inside what the
//! authenticator signs.

use andiron_engine::User;
use andiron_protocol::{DocumentPath, Map, Timestamp, Value};
use serde::{Deserialize, Serialize};

use crate::account::{Account, AccountRecord};
use crate::audit::Event;
use crate::codes::{CodeKind, NewCode};
use crate::limit::Attempt;
use crate::passkey::{PasskeyOwner, PasskeyRecord, unusable};
use crate::records::{Batch, Record, read, record_path};
use crate::secret::{self, hash};
use crate::session::{Shown, session_id};
use crate::visible_text::check_visible;
use crate::{
    Accounts, AuthError, ClientInfo, NewPasskey, PasskeyOptions, RecoveryCodes, RelyingParty, SecretText,
};

const PASSKEYS: &str = "_passkeys";
/// Hexadecimal digits of a passkey's id.
const ID_CHARS: usize = 32;
/// Passkeys of one account.
const PASSKEYS_MAX: usize = 20;
const NAME_CHARS_MAX: usize = 100;

/// Whose a passkey is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PasskeyOwnerRecord {
    pub(crate) uid: String,
}

/// A passkey as its owner sees it in a list.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PasskeyView {
    id: String,
    name: String,
    create_time: Timestamp,
    last_used_time: Option<Timestamp>,
    /// Whether it is kept in more than one place.
    backed_up: bool,
    /// Whether it makes sign-ins without it ask for a second factor.
    second_factor: bool,
    transports: Vec<String>,
}

/// A passkey that was added.
#[derive(Clone, Debug)]
pub struct AddedPasskey {
    /// The passkey.
    pub passkey: PasskeyView,
    /// If it is the account's first second factor: what does in its place.
    pub recovery_codes: Option<RecoveryCodes>,
}

/// The id of a passkey, which also says where it stands whose it is.
pub(crate) fn passkey_id(credential: &str) -> String {
    let mut id = hash(credential);
    id.truncate(ID_CHARS);
    id
}

pub(crate) fn passkey_path(id: &str) -> Result<DocumentPath, AuthError> {
    Ok(record_path(PASSKEYS, id)?)
}

fn view(passkey: &PasskeyRecord) -> PasskeyView {
    PasskeyView {
        id: passkey_id(&passkey.credential),
        name: passkey.name.clone(),
        create_time: passkey.created,
        last_used_time: passkey.last_used,
        backed_up: passkey.backed_up,
        second_factor: passkey.second_factor,
        transports: passkey.transports.clone(),
    }
}

fn check_name(name: &str) -> Result<String, AuthError> {
    let name = name.trim();
    check_visible("name", name, NAME_CHARS_MAX)?;
    Ok(if name.is_empty() { "Passkey" } else { name }.to_owned())
}

impl Accounts {
    /// Whose passkeys are taken.
    ///
    /// # Errors
    /// [`AuthError::NotPossible`] where the settings do not say it.
    pub(crate) fn relying_party(&self) -> Result<&RelyingParty, AuthError> {
        self.options().passkeys.as_ref().ok_or_else(|| {
            AuthError::NotPossible(
                "this server takes no passkeys: they belong to a domain, which `url` or `auth.passkey_domain` has to name"
                    .to_owned(),
            )
        })
    }

    /// Begins to make a passkey. One that is a second factor alone need not make sure who uses it, and makes every sign-in
    /// without it ask for a second factor.
    ///
    /// # Errors
    /// If the settings name no domain, credentials were shown too long ago, or the account has a second factor and the
    /// session has not shown it.
    pub async fn start_passkey(
        &self,
        user: &User,
        is_second_factor: bool,
        client: &ClientInfo,
    ) -> Result<PasskeyOptions, AuthError> {
        let rp = self.relying_party()?;
        let rate = self.options().limits.token_by_address;
        self.attempts()
            .count_client(Attempt::Token, client, rate, self.now())?;
        let account = self.account(&user.uid)?;
        self.check_may_change_factors(user, &account)?;
        if account.record.passkeys.len() >= PASSKEYS_MAX {
            return Err(too_many());
        }
        // One for all of an account, so that an authenticator keeps one passkey of it.
        let handle = match account.record.passkeys.first() {
            Some(passkey) => passkey.handle.clone(),
            None => secret::random::<32>(self.engine()),
        };
        let data = Map::from([
            ("handle".to_owned(), Value::from(handle.as_str())),
            ("secondFactor".to_owned(), Value::Boolean(is_second_factor)),
        ]);
        let mut batch = Batch::default();
        let new = NewCode {
            kind: CodeKind::PasskeyRegistration,
            subject: &self.engine().generate_id(),
            uid: Some(&user.uid),
            email: None,
            data,
        };
        let challenge = self.add_code(new, &mut batch)?;
        batch.commit(self.engine()).await?;
        let name = account.email().unwrap_or(&self.options().app_name);
        let owner = PasskeyOwner {
            handle: &handle,
            name,
            display_name: account.record.profile.name.as_deref().unwrap_or(name),
        };
        Ok(PasskeyOptions::to_create(
            rp,
            &self.options().app_name,
            challenge.expose(),
            &owner,
            &account.record.passkeys,
            is_second_factor,
        ))
    }

    /// Takes the passkey that an authenticator has made.
    ///
    /// # Errors
    /// [`AuthError::CodeInvalid`] if its challenge is not in force or somebody else's; if what the authenticator says does not
    /// hold; as [`Accounts::start_passkey`].
    pub async fn add_passkey(
        &self,
        user: &User,
        new: &NewPasskey,
        name: &str,
        client: &ClientInfo,
    ) -> Result<AddedPasskey, AuthError> {
        let rp = self.relying_party()?;
        let rate = self.options().limits.token_by_address;
        self.attempts()
            .count_client(Attempt::Token, client, rate, self.now())?;
        let name = check_name(name)?;
        let challenge = new.challenge().map_err(unusable)?;
        let code = self.find_code(&[CodeKind::PasskeyRegistration], &challenge)?;
        if code.data.uid.as_deref() != Some(&user.uid) {
            return Err(AuthError::CodeInvalid);
        }
        let data = &code.data.data;
        let is_second_factor = data.get("secondFactor").and_then(Value::as_boolean) == Some(true);
        let mut passkey = new.check(rp).map_err(unusable)?;
        if !is_second_factor && !new.is_user_verified() {
            return Err(unusable("the authenticator has not made sure who uses it"));
        }
        data.get("handle")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .clone_into(&mut passkey.handle);
        passkey.second_factor = is_second_factor;
        passkey.name = name;
        passkey.created = self.now();
        let path = passkey_path(&passkey_id(&passkey.credential))?;
        let owner: Option<Record<PasskeyOwnerRecord>> = read(self.engine(), &path)?;
        if owner.is_some() {
            return Err(taken());
        }
        let recovery_codes = self.new_recovery_codes();
        let sessions = self.session_records(&user.uid).await?;
        let (_, is_first_factor) = self
            .change(&user.uid, |account, batch| {
                self.check_unused(&code)?;
                self.check_may_change_factors(user, account)?;
                if account.record.passkeys.len() >= PASSKEYS_MAX {
                    return Err(too_many());
                }
                batch.consume(&code);
                let uid = account.uid.clone();
                batch.create(path.clone(), &PasskeyOwnerRecord { uid })?;
                let had_factors = account.has_second_factor();
                account.record.passkeys.push(passkey.clone());
                let becomes_somebody = account.record.anonymous;
                if becomes_somebody {
                    self.check_sign_up_without_address()?;
                    let shown = Shown::new(&[], "passkey");
                    self.become_somebody(account, &shown, Some(user), client, batch)?;
                }
                let is_first_factor = !had_factors && account.has_second_factor();
                if is_first_factor {
                    account.record.recovery_codes = recovery_codes.iter().map(|code| hash(code)).collect();
                    self.raise_session(user, &["mfa"], batch)?;
                }
                if is_first_factor || becomes_somebody {
                    // They were begun without.
                    self.end_sessions(&sessions, Some(session_id(user)), batch);
                }
                let event = Event::new("passkey-added", &account.uid, client);
                self.audit(batch, event.detail(passkey.name.as_str()))?;
                Ok(is_first_factor)
            })
            .await
            .map_err(|error| match error {
                // Somebody else has added it meanwhile.
                AuthError::AddressTaken => taken(),
                error => error,
            })?;
        Ok(AddedPasskey {
            passkey: view(&passkey),
            recovery_codes: is_first_factor
                .then(|| RecoveryCodes(recovery_codes.into_iter().map(SecretText::new).collect())),
        })
    }

    /// The passkeys of the caller's account, the oldest first.
    ///
    /// # Errors
    /// If the account has a second factor and the session has not shown it.
    pub fn passkeys(&self, user: &User) -> Result<Vec<PasskeyView>, AuthError> {
        let account = self.account(&user.uid)?;
        self.check_factors_shown(user, &account)?;
        Ok(account.passkey_views())
    }

    /// Gives a passkey another name.
    ///
    /// # Errors
    /// If there is no such passkey, the name cannot be one, or as [`Accounts::passkeys`].
    pub async fn rename_passkey(
        &self,
        user: &User,
        id: &str,
        name: &str,
        client: &ClientInfo,
    ) -> Result<PasskeyView, AuthError> {
        let name = check_name(name)?;
        let (_, renamed) = self
            .change(&user.uid, |account, batch| {
                self.check_factors_shown(user, account)?;
                let passkey = find(&mut account.record, id)?;
                if passkey.name != name {
                    passkey.name.clone_from(&name);
                    let event = Event::new("passkey-renamed", &user.uid, client);
                    self.audit(batch, event.detail(name.as_str()))?;
                }
                Ok(view(find(&mut account.record, id)?))
            })
            .await?;
        Ok(renamed)
    }

    /// Takes a passkey away, unless the account could not sign in without it. With the last second factor the recovery codes
    /// go.
    ///
    /// # Errors
    /// If there is no such passkey, it is the last way to sign in, or as [`Accounts::start_passkey`].
    pub async fn remove_passkey(&self, user: &User, id: &str, client: &ClientInfo) -> Result<(), AuthError> {
        self.change(&user.uid, |account, batch| {
            self.check_may_change_factors(user, account)?;
            let name = find(&mut account.record, id)?.name.clone();
            let is_meant = |passkey: &PasskeyRecord| passkey_id(&passkey.credential) == id;
            Self::drop_passkeys(&mut account.record, batch, is_meant)?;
            self.check_can_sign_in(&account.record)?;
            if !account.has_second_factor() {
                account.record.recovery_codes.clear();
            }
            self.audit(
                batch,
                Event::new("passkey-removed", &user.uid, client).detail(name),
            )
        })
        .await
        .map(drop)
    }

    /// Refuses to touch what an account signs in with unless its caller has shown credentials a short time ago, and whatever
    /// second factor there is.
    pub(crate) fn check_may_change_factors(&self, user: &User, account: &Account) -> Result<(), AuthError> {
        self.check_recent(user)?;
        self.check_factors_shown(user, account)
    }

    /// Takes, within a change, passkeys from an account, which frees them.
    pub(crate) fn drop_passkeys(
        record: &mut AccountRecord,
        batch: &mut Batch,
        are_dropped: impl Fn(&PasskeyRecord) -> bool,
    ) -> Result<(), AuthError> {
        for passkey in record.passkeys.extract_if(.., |passkey| are_dropped(passkey)) {
            batch.delete(passkey_path(&passkey_id(&passkey.credential))?);
        }
        Ok(())
    }
}

impl Account {
    /// Its passkeys, the oldest first.
    pub(crate) fn passkey_views(&self) -> Vec<PasskeyView> {
        self.record.passkeys.iter().map(view).collect()
    }
}

fn find<'r>(record: &'r mut AccountRecord, id: &str) -> Result<&'r mut PasskeyRecord, AuthError> {
    let mut passkeys = record.passkeys.iter_mut();
    passkeys
        .find(|passkey| passkey_id(&passkey.credential) == id)
        .ok_or(AuthError::NoSuchPasskey)
}

fn too_many() -> AuthError {
    AuthError::NotPossible(format!("an account has at most {PASSKEYS_MAX} passkeys"))
}

fn taken() -> AuthError {
    AuthError::NotPossible("the passkey belongs to an account already".to_owned())
}
