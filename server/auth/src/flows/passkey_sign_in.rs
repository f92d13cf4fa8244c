//! Signing in with a passkey: alone, as the second factor, or once more within a session.
//!
//! Alone, also within a session that has shown nothing else, it must have made sure who uses it, and then it is two factors in one: nothing else is asked. A challenge is for
//! one of the three and for nothing else. Whether an address has an account, or passkeys, no answer tells: what a browser is
//! told to begin with is the same for all.

use andiron_engine::User;
use andiron_protocol::{Map, Value};

use super::passkey::{PasskeyOwnerRecord, passkey_id, passkey_path};
use crate::account::Account;
use crate::audit::Event;
use crate::codes::{CodeKind, CodeRecord, NewCode};
use crate::limit::Attempt;
use crate::passkey::{PasskeyRecord, Refusal, ShownPasskey};
use crate::records::{Batch, Record, read};
use crate::session::Shown;
use crate::{
    Accounts, AuthError, ClientInfo, EmailAddress, PasskeyOptions, PasskeyProof, SignInOutcome, SignedIn,
};

/// What sessions begun by a passkey are said to be begun by.
const PROVIDER: &str = "passkey";

/// What a passkey is to show.
#[derive(Clone, Copy, Debug)]
pub enum PasskeyUse<'u> {
    /// Who somebody is; with an address, that it is the account of that address.
    SignIn(Option<&'u str>),
    /// The second factor for a ticket.
    SecondFactor(&'u str),
    /// That it is still the caller: the session makes way for one that says so.
    StepUp(&'u User),
}

impl Accounts {
    /// Begins a sign-in with a passkey.
    ///
    /// # Errors
    /// If the settings name no domain, the ticket is not in force, or there were too many attempts from this address.
    pub async fn start_passkey_use(
        &self,
        what: PasskeyUse<'_>,
        client: &ClientInfo,
    ) -> Result<PasskeyOptions, AuthError> {
        let rp = self.relying_party()?;
        let rate = self.options().limits.token_by_address;
        self.attempts()
            .count_client(Attempt::Token, client, rate, self.now())?;
        let subject = self.engine().generate_id();
        let mut new = NewCode {
            kind: CodeKind::PasskeySignIn,
            subject: &subject,
            uid: None,
            email: None,
            data: Map::new(),
        };
        let (mut uid, mut passkeys, mut is_second_factor) = (None, Vec::new(), false);
        match what {
            // Nothing is looked up: the address is compared at the end. What cannot be one belongs to nobody.
            PasskeyUse::SignIn(email) => new.email = email,
            PasskeyUse::SecondFactor(ticket) => {
                let ticket = self.find_code(&[CodeKind::SecondFactor], ticket)?;
                new.kind = CodeKind::PasskeySecondFactor;
                let id = Value::from(ticket.path.id());
                new.data.insert("ticket".to_owned(), id);
                let account = self.account(ticket.data.uid.as_deref().unwrap_or_default())?;
                passkeys = account.record.passkeys;
                uid = Some(account.uid);
                is_second_factor = true;
            }
            // A guest signs in as somebody.
            PasskeyUse::StepUp(user) if self.account(&user.uid)?.record.anonymous => {}
            PasskeyUse::StepUp(user) => {
                Self::check_acts_for_itself(user)?;
                new.kind = CodeKind::PasskeyStepUp;
                is_second_factor = self.session_of(user)?.data.shown().has_another_factor();
                passkeys = self.account(&user.uid)?.record.passkeys;
                uid = Some(user.uid.clone());
            }
        }
        new.uid = uid.as_deref();
        let email = new.email.map(|email| match EmailAddress::parse(email) {
            Ok(email) => email.as_str().to_owned(),
            Err(_) => String::new(),
        });
        new.email = email.as_deref();
        let mut batch = Batch::default();
        let challenge = self.add_code(new, &mut batch)?;
        batch.commit(self.engine()).await?;
        Ok(PasskeyOptions::to_use(
            rp,
            challenge.expose(),
            &passkeys,
            is_second_factor,
        ))
    }

    /// Signs in with what a passkey has shown.
    ///
    /// # Errors
    /// [`AuthError::PasskeyRefused`] whatever is wrong with it; [`AuthError::CodeInvalid`] if its challenge, or the ticket, is
    /// not in force; [`AuthError::AccountDisabled`] once it was right.
    pub async fn finish_passkey_use(
        &self,
        what: PasskeyUse<'_>,
        proof: &PasskeyProof,
        client: &ClientInfo,
    ) -> Result<SignedIn, AuthError> {
        let rate = self.options().limits.sign_in_by_address;
        self.attempts()
            .count_client(Attempt::SignIn, client, rate, self.now())?;
        let kinds: &[CodeKind] = match what {
            PasskeyUse::SignIn(_) => &[CodeKind::PasskeySignIn],
            PasskeyUse::SecondFactor(_) => &[CodeKind::PasskeySecondFactor],
            // A browser sends its cookie with whatever it began.
            PasskeyUse::StepUp(_) => &[CodeKind::PasskeyStepUp, CodeKind::PasskeySignIn],
        };
        let challenge = proof.challenge().map_err(|_| AuthError::PasskeyRefused)?;
        let code = self.find_code(kinds, &challenge)?;
        let what = match code.data.kind {
            CodeKind::PasskeySignIn => PasskeyUse::SignIn(None),
            _ => what,
        };
        let ticket = match what {
            PasskeyUse::SecondFactor(ticket) => Some(self.find_ticket(ticket, &code)?),
            _ => None,
        };
        let path = passkey_path(&passkey_id(proof.credential()))?;
        let owner: Option<Record<PasskeyOwnerRecord>> = read(self.engine(), &path)?;
        let uid = owner.as_ref().map(|owner| owner.data.uid.as_str());
        let shown = match self.check_passkey(uid, what, &code, proof) {
            Ok(shown) => shown,
            Err(refusal) => {
                let event = Event::new("sign-in-refused", "", client).detail(format!("passkey: {refusal}"));
                self.audit_refusal(Event { uid, ..event }).await;
                return Err(AuthError::PasskeyRefused);
            }
        };
        let uid = uid.unwrap_or_default();
        let outcome = match (what, ticket) {
            (PasskeyUse::SecondFactor(_), Some(ticket)) => {
                self.pass_second_factor_by_passkey(uid, &code, &ticket, proof, shown, client)
                    .await
            }
            (PasskeyUse::StepUp(user), _) => self.step_up_by_passkey(user, &code, proof, shown, client).await,
            _ => self.sign_in_by_passkey(uid, &code, proof, shown, client).await,
        };
        if let Err(AuthError::PasskeyRefused) = outcome {
            let event = Event::new("passkey-copied", uid, client);
            self.audit_refusal(event.detail("the counter of a passkey has not gone up"))
                .await;
        }
        outcome
    }

    /// Says how somebody has shown who they are, or for the log why they have not.
    fn check_passkey(
        &self,
        uid: Option<&str>,
        what: PasskeyUse<'_>,
        code: &Record<CodeRecord>,
        proof: &PasskeyProof,
    ) -> Result<ShownPasskey, Refusal> {
        const UNKNOWN: Refusal = "it belongs to nobody";
        let rp = self.relying_party().map_err(|_| UNKNOWN)?;
        let uid = uid.ok_or(UNKNOWN)?;
        let account = self.account(uid).map_err(|_| UNKNOWN)?;
        let passkey = passkey_of(&account, proof).ok_or(UNKNOWN)?;
        let shown = proof.check(rp, passkey)?;
        match what {
            PasskeyUse::SignIn(_) => {
                if passkey.second_factor {
                    return Err("it is a second factor alone");
                }
                if code
                    .data
                    .email
                    .as_deref()
                    .is_some_and(|email| account.email() != Some(email))
                {
                    return Err("it belongs to another address");
                }
                // Nobody has said who they are, so the authenticator has to.
                if code.data.email.is_none() && proof.handle().is_none() {
                    return Err("the authenticator does not say whose it is");
                }
            }
            PasskeyUse::SecondFactor(_) | PasskeyUse::StepUp(_) => {
                let is_of_caller = match what {
                    PasskeyUse::StepUp(user) => user.uid == uid,
                    _ => true,
                };
                if !is_of_caller || code.data.uid.as_deref() != Some(uid) {
                    return Err("it belongs to another account");
                }
            }
        }
        let is_alone = match what {
            PasskeyUse::SignIn(_) => true,
            PasskeyUse::SecondFactor(_) => false,
            PasskeyUse::StepUp(user) => {
                let session = self.session_of(user).map_err(|_| UNKNOWN)?;
                !session.data.shown().has_another_factor()
            }
        };
        if is_alone && !shown.is_user_verified {
            return Err("the authenticator has not made sure who uses it");
        }
        Ok(shown)
    }

    /// The ticket that a challenge was given for.
    fn find_ticket(&self, ticket: &str, code: &Record<CodeRecord>) -> Result<Record<CodeRecord>, AuthError> {
        let ticket = self.find_code(&[CodeKind::SecondFactor], ticket)?;
        if code.data.data.get("ticket").and_then(Value::as_str) != Some(ticket.path.id()) {
            return Err(AuthError::CodeInvalid);
        }
        Ok(ticket)
    }

    /// Notes within a change that a passkey was used for a challenge, which is used up.
    fn use_passkey(
        &self,
        account: &mut Account,
        code: &Record<CodeRecord>,
        proof: &PasskeyProof,
        shown: ShownPasskey,
        batch: &mut Batch,
    ) -> Result<(), AuthError> {
        self.check_unused(code)?;
        let now = self.now();
        let mut passkeys = account.record.passkeys.iter_mut();
        let passkey = passkeys
            .find(|passkey| passkey.credential == proof.credential())
            .ok_or(AuthError::PasskeyRefused)?;
        passkey
            .note_use(shown, now)
            .map_err(|()| AuthError::PasskeyRefused)?;
        batch.consume(code);
        Ok(())
    }

    async fn sign_in_by_passkey(
        &self,
        uid: &str,
        code: &Record<CodeRecord>,
        proof: &PasskeyProof,
        shown: ShownPasskey,
        client: &ClientInfo,
    ) -> Result<SignedIn, AuthError> {
        let account = self.account(uid)?;
        let passkey = passkey_of(&account, proof).ok_or(AuthError::PasskeyRefused)?;
        let by = Shown::new(&passkey.amr(shown), PROVIDER);
        let outcome = self
            .pass_first_factor(uid, &by, client, |account, batch| {
                self.use_passkey(account, code, proof, shown, batch)
            })
            .await?;
        match outcome {
            SignInOutcome::SignedIn(signed_in) => Ok(*signed_in),
            // It has shown two factors, so none is due.
            SignInOutcome::SecondFactor(_) => Err(AuthError::PasskeyRefused),
        }
    }

    async fn pass_second_factor_by_passkey(
        &self,
        uid: &str,
        code: &Record<CodeRecord>,
        ticket: &Record<CodeRecord>,
        proof: &PasskeyProof,
        shown: ShownPasskey,
        client: &ClientInfo,
    ) -> Result<SignedIn, AuthError> {
        let account = self.account(uid)?;
        let passkey = passkey_of(&account, proof).ok_or(AuthError::PasskeyRefused)?;
        let by = first_factor(ticket).with(&passkey.amr(shown)).with(&["mfa"]);
        self.prepare_session(uid).await?;
        let (account, tokens) = self
            .change(uid, |account, batch| {
                if account.record.disabled {
                    return Err(AuthError::AccountDisabled);
                }
                self.check_unused(ticket)?;
                self.use_passkey(account, code, proof, shown, batch)?;
                batch.consume(ticket);
                let event = Event::new("sign-in", &account.uid, client);
                self.audit(batch, event.detail(format!("{} passkey", by.provider)))?;
                self.begin_session(account, &by, client, batch)
            })
            .await?;
        Ok(SignedIn { account, tokens })
    }

    async fn step_up_by_passkey(
        &self,
        user: &User,
        code: &Record<CodeRecord>,
        proof: &PasskeyProof,
        shown: ShownPasskey,
        client: &ClientInfo,
    ) -> Result<SignedIn, AuthError> {
        let account = self.account(&user.uid)?;
        let passkey = passkey_of(&account, proof).ok_or(AuthError::PasskeyRefused)?;
        let mut amr = passkey.amr(shown);
        if self.session_of(user)?.data.shown().has_another_factor() {
            amr.push("mfa");
        }
        self.step_up(user, &amr, client, |account, batch| {
            self.use_passkey(account, code, proof, shown, batch)?;
            Ok(PROVIDER)
        })
        .await
    }

    /// Shows another factor within a session, which makes way for one that says so. `take` takes the factor, and says which
    /// it was.
    pub(crate) async fn step_up(
        &self,
        user: &User,
        amr: &[&str],
        client: &ClientInfo,
        take: impl Fn(&mut Account, &mut Batch) -> Result<&'static str, AuthError>,
    ) -> Result<SignedIn, AuthError> {
        Self::check_acts_for_itself(user)?;
        self.prepare_session(&user.uid).await?;
        let (account, tokens) = self
            .change(&user.uid, |account, batch| {
                if account.record.disabled {
                    return Err(AuthError::AccountDisabled);
                }
                let session = self.session_of(user)?;
                let by = session.data.shown().with(amr);
                batch.consume(&session);
                let with = take(account, batch)?;
                let event = Event::new("stepped-up", &account.uid, client);
                self.audit(batch, event.detail(with))?;
                self.begin_session(account, &by, client, batch)
            })
            .await?;
        Ok(SignedIn { account, tokens })
    }
}

fn passkey_of<'a>(account: &'a Account, proof: &PasskeyProof) -> Option<&'a PasskeyRecord> {
    let mut passkeys = account.record.passkeys.iter();
    passkeys.find(|passkey| passkey.credential == proof.credential())
}

/// What a ticket says of how its first factor was passed.
pub(crate) fn first_factor(ticket: &Record<CodeRecord>) -> Shown {
    let data = &ticket.data.data;
    let amr = data.get("amr").and_then(Value::as_array).unwrap_or_default();
    let provider = data.get("provider").and_then(Value::as_str).unwrap_or_default();
    let amr: Vec<_> = amr.iter().filter_map(Value::as_str).collect();
    Shown::new(&amr, provider)
}
