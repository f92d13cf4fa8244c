//! The settings of accounts, each with its default.

use std::time::Duration;

use crate::{ProviderList, RelyingParty};

/// Settings of accounts.
#[derive(Clone, Debug)]
pub struct AuthOptions {
    /// The URL at which clients reach the server, without a slash at its end: the issuer of tokens, and what links in
    /// mails begin with. Never taken from a request. Default `http://127.0.0.1:8750`.
    pub url: String,
    /// The audience of tokens. Default `andiron`.
    pub audience: String,
    /// The name of the app, as mails and authenticators show it. Default `Andiron`.
    pub app_name: String,
    /// Where links in mails lead, before `#mode=…&code=…`: a page of the app, or if empty the server's own. Default empty.
    pub link_url: String,
    /// Who may make an account. Default [`SignUpPolicy::Open`].
    pub sign_up: SignUpPolicy,
    /// If there are any, addresses of accounts must be of one of these domains. Default none.
    pub sign_up_domains: Vec<String>,
    /// Identity providers, by their names in URLs. Default none.
    pub providers: ProviderList,
    /// The URLs of the app that sign-ins by providers may lead back to, each compared whole. Default none.
    pub redirect_urls: Vec<String>,
    /// Whether providers may be in private networks and speak plain HTTP. Default false.
    pub private_providers: bool,
    /// Whose passkeys are taken. Default none: nobody's.
    pub passkeys: Option<RelyingParty>,
    /// Whether anonymous accounts can be made. Default true.
    pub anonymous: bool,
    /// What one password hash costs.
    pub hash_cost: HashCost,
    /// Threads that hash passwords, each with memory for one hash. Default 1.
    pub hash_threads: usize,
    /// Passwords that may wait for such a thread; more are answered `unavailable`. Default 128.
    pub hash_queue_max: usize,
    /// Characters of a password, at least. Default 8.
    pub password_chars_min: usize,
    /// The same for accounts that administer the server. Default 15.
    pub admin_password_chars_min: usize,
    /// How long an access token holds. Default 15 minutes.
    pub access_time: Duration,
    /// The same for accounts that administer the server. Default 5 minutes.
    pub admin_access_time: Duration,
    /// How long a session lasts that is not refreshed. Default 30 days.
    pub session_idle_time: Duration,
    /// How long a session lasts at most. Default 90 days.
    pub session_time: Duration,
    /// How long after a refresh its old token counts as sent twice rather than stolen. Default 10 s.
    pub refresh_grace: Duration,
    /// How old the key that signs tokens may become. Default 90 days.
    pub signing_key_time: Duration,
    /// How long security events are kept. Default 365 days.
    pub audit_time: Duration,
    /// Limits of attempts.
    pub limits: AttemptLimits,
}

/// Who may make an account by signing up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignUpPolicy {
    /// Everybody.
    #[default]
    Open,
    /// Nobody: administrators make accounts.
    Closed,
    /// Whoever has an invitation to the address.
    Invitation,
}

/// What one Argon2id hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashCost {
    /// KiB of memory. Default 19,456, as OWASP advises.
    pub memory_kib: u32,
    /// Passes over the memory. Default 2.
    pub passes: u32,
}

/// So many attempts in so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Attempts; the next is refused.
    pub attempts: u32,
    /// In this time, counted from the first of them.
    pub period: Duration,
}

/// Limits of attempts. Addresses are counted whole for IPv4 and by their /64 for IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptLimits {
    /// Sign-ins and second factors from one address. Default 10 a minute.
    pub sign_in_by_address: Rate,
    /// Wrong passwords, codes and factors for one account. Default 5 in 15 minutes; then the account is locked to
    /// passwords for the rest of that time.
    pub sign_in_by_account: Rate,
    /// New accounts from one address. Default 30 an hour.
    pub sign_up_by_address: Rate,
    /// Mails to one mailbox. Default 3 an hour.
    pub mail_by_account: Rate,
    /// Mails asked for from one address. Default 20 an hour.
    pub mail_by_address: Rate,
    /// Text messages to one number. Default 3 an hour.
    pub text_by_number: Rate,
    /// Text messages asked for from one address. Default 20 an hour.
    pub text_by_address: Rate,
    /// All text messages of the server: they cost money, and some are paid for each that somebody has sent. Default 1,000 an
    /// hour.
    pub text_by_all: Rate,
    /// Refreshes and uses of codes from one address. Default 60 a minute.
    pub token_by_address: Rate,
}

impl Rate {
    /// So many attempts in so much time.
    pub const fn new(attempts: u32, period: Duration) -> Self {
        Self { attempts, period }
    }
}

impl Default for AttemptLimits {
    fn default() -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        const HOUR: Duration = Duration::from_secs(3600);
        Self {
            sign_in_by_address: Rate::new(10, MINUTE),
            sign_in_by_account: Rate::new(5, Duration::from_secs(15 * 60)),
            sign_up_by_address: Rate::new(30, HOUR),
            mail_by_account: Rate::new(3, HOUR),
            mail_by_address: Rate::new(20, HOUR),
            text_by_number: Rate::new(3, HOUR),
            text_by_address: Rate::new(20, HOUR),
            text_by_all: Rate::new(1000, HOUR),
            token_by_address: Rate::new(60, MINUTE),
        }
    }
}

impl Default for HashCost {
    fn default() -> Self {
        Self {
            memory_kib: 19_456,
            passes: 2,
        }
    }
}

impl Default for AuthOptions {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self {
            url: "http://127.0.0.1:8750".to_owned(),
            audience: "andiron".to_owned(),
            app_name: "Andiron".to_owned(),
            link_url: String::new(),
            sign_up: SignUpPolicy::default(),
            sign_up_domains: Vec::new(),
            providers: ProviderList::new(),
            redirect_urls: Vec::new(),
            private_providers: false,
            passkeys: None,
            anonymous: true,
            hash_cost: HashCost::default(),
            hash_threads: 1,
            hash_queue_max: 128,
            password_chars_min: 8,
            admin_password_chars_min: 15,
            access_time: Duration::from_secs(15 * 60),
            admin_access_time: Duration::from_secs(5 * 60),
            session_idle_time: 30 * DAY,
            session_time: 90 * DAY,
            refresh_grace: Duration::from_secs(10),
            signing_key_time: 90 * DAY,
            audit_time: 365 * DAY,
            limits: AttemptLimits::default(),
        }
    }
}
