//! An account: the document `_accounts/UID`, and what its owner and administrators see of it.
//!
//! `_account_emails/ADDRESS` makes the address unique: whoever creates it has it. Secrets of the record leave this
//! crate in no view.

use andiron_protocol::{DocumentPath, InputError, Map, Timestamp, Value, check_id, write_data_json};
use serde::{Deserialize, Serialize};

use crate::flows::EmailChange;
use crate::passkey::PasskeyRecord;
use crate::records::{Record, record_path};
use crate::roles::AdminRole;
use crate::session::Shown;
use crate::visible_text::{check_visible, visible_part};
use crate::{AuthError, EmailAddress};

pub(crate) const ACCOUNTS: &str = "_accounts";
const EMAILS: &str = "_account_emails";
/// Characters of an account's id.
const UID_CHARS_MAX: usize = 128;
const NAME_CHARS_MAX: usize = 200;
const PICTURE_CHARS_MAX: usize = 2000;
const LOCALE_CHARS_MAX: usize = 35;
/// Bytes of an account's metadata, as value JSON.
const METADATA_BYTES_MAX: usize = 16 * 1024;
/// Bytes of an account's claims, as JSON: they travel in every request.
const CLAIMS_BYTES_MAX: usize = 4 * 1024;
/// Claims that are the server's own.
const CLAIMS_RESERVED: [&str; 29] = [
    "acr",
    "act",
    "amr",
    "at_hash",
    "aud",
    "auth_time",
    "azp",
    "c_hash",
    "cnf",
    "email",
    "email_verified",
    "epoch",
    "exp",
    "firebase",
    "iat",
    "iss",
    "jti",
    "locale",
    "name",
    "nbf",
    "nonce",
    "phone_number",
    "picture",
    "roles",
    "sid",
    "sub",
    "typ",
    "uid",
    "user_id",
];

/// An account as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct AccountRecord {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) email: Option<String>,
    pub(crate) email_verified: bool,
    /// Changes of the address that can be taken back, the newest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) email_changes: Vec<EmailChange>,
    /// Confirmed, always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) phone: Option<String>,
    /// Whether codes to the phone are a second factor.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) phone_factor: bool,
    #[serde(flatten)]
    pub(crate) profile: Profile,
    /// Set by administrators; in the token.
    #[serde(skip_serializing_if = "Map::is_empty", with = "map_json")]
    pub(crate) claims: Map,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) roles: Vec<String>,
    pub(crate) disabled: bool,
    pub(crate) anonymous: bool,
    /// The hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) password: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) identities: Vec<IdentityRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) totp: Option<TotpRecord>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) passkeys: Vec<PasskeyRecord>,
    /// Hashes of recovery codes that have not been used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) recovery_codes: Vec<String>,
    /// Access tokens of an earlier epoch are refused.
    pub(crate) epoch: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_sign_in: Option<Timestamp>,
}

/// An identity at a provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IdentityRecord {
    /// The provider, as Firebase names it: `google.com`.
    pub(crate) provider: String,
    /// Who it is there.
    pub(crate) subject: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) email: Option<String>,
}

/// An authenticator that shows codes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TotpRecord {
    /// In base32, as authenticators take it.
    pub(crate) secret: String,
    /// Whether a code of it was seen; before that it is no factor.
    pub(crate) confirmed: bool,
    /// The time step of the last code that was taken: none is taken twice.
    pub(crate) last_step: i64,
}

/// What an account says about itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Profile {
    /// What people call its owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The URL of a picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    /// The language, as in `pt-BR`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Whatever the app keeps there.
    #[serde(skip_serializing_if = "Map::is_empty", with = "map_json")]
    pub metadata: Map,
}

/// A change of a profile: what is `Some` is set, and what is `Some(None)` is removed.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ProfileChange {
    /// See [`Profile::name`].
    #[serde(deserialize_with = "given")]
    pub name: Option<Option<String>>,
    /// See [`Profile::picture`].
    #[serde(deserialize_with = "given")]
    pub picture: Option<Option<String>>,
    /// See [`Profile::locale`].
    #[serde(deserialize_with = "given")]
    pub locale: Option<Option<String>>,
    /// See [`Profile::metadata`]; replaced as a whole.
    #[serde(deserialize_with = "given")]
    pub metadata: Option<Option<Value>>,
}

/// Tells an explicit null from a field that is not there.
pub(crate) fn given<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// A map as value JSON.
pub(crate) mod map_json {
    use andiron_protocol::{Map, Value};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(map: &Map, serializer: S) -> Result<S::Ok, S::Error> {
        // A map of its own, since the wrapping of tag-like keys is the value's.
        Value::Map(map.clone()).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Map(map) => Ok(map),
            _ => Err(serde::de::Error::custom("an object is expected")),
        }
    }
}

/// An account.
#[derive(Clone, Debug)]
pub struct Account {
    pub(crate) uid: String,
    pub(crate) created: Timestamp,
    pub(crate) record: AccountRecord,
}

/// An account as its owner and administrators see it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountView<'a> {
    uid: &'a str,
    email: Option<&'a str>,
    email_verified: bool,
    phone: Option<&'a str>,
    name: Option<&'a str>,
    picture: Option<&'a str>,
    locale: Option<&'a str>,
    #[serde(with = "map_json")]
    metadata: Map,
    #[serde(with = "map_json")]
    claims: Map,
    roles: &'a [String],
    providers: Vec<ProviderView<'a>>,
    factors: Vec<&'static str>,
    anonymous: bool,
    disabled: bool,
    create_time: Timestamp,
    last_sign_in_time: Option<Timestamp>,
}

/// A way to sign in.
#[derive(Clone, Debug, Serialize)]
struct ProviderView<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
}

impl Account {
    /// Its id.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// Its address, in the form that [`EmailAddress`] gives it.
    pub fn email(&self) -> Option<&str> {
        self.record.email.as_deref()
    }

    /// What its owner and administrators see.
    pub fn view(&self) -> AccountView<'_> {
        let record = &self.record;
        let password = record.password.as_ref().map(|_| ProviderView {
            id: "password",
            subject: None,
            email: record.email.as_deref(),
        });
        let others = record.identities.iter().map(|identity| ProviderView {
            id: &identity.provider,
            subject: Some(&identity.subject),
            email: identity.email.as_deref(),
        });
        let signs_in = record.passkeys.iter().any(|passkey| !passkey.second_factor);
        let passkey = signs_in.then_some(ProviderView {
            id: "passkey",
            subject: None,
            email: None,
        });
        let phone = record.phone.as_ref().map(|phone| ProviderView {
            id: "phone",
            subject: Some(phone),
            email: None,
        });
        AccountView {
            uid: &self.uid,
            email: record.email.as_deref(),
            email_verified: record.email_verified,
            phone: record.phone.as_deref(),
            name: record.profile.name.as_deref(),
            picture: record.profile.picture.as_deref(),
            locale: record.profile.locale.as_deref(),
            metadata: record.profile.metadata.clone(),
            claims: record.claims.clone(),
            roles: &record.roles,
            providers: {
                let own = [password, passkey, phone].into_iter().flatten();
                own.chain(others).collect()
            },
            factors: self.factors(),
            anonymous: record.anonymous,
            disabled: record.disabled,
            create_time: self.created,
            last_sign_in_time: record.last_sign_in,
        }
    }

    pub(crate) fn of(record: &Record<AccountRecord>) -> Self {
        Self {
            uid: record.path.id().to_owned(),
            created: record.created,
            record: record.data.clone(),
        }
    }

    /// Whether it has an authenticator that shows codes.
    pub(crate) fn has_totp(&self) -> bool {
        self.record.totp.as_ref().is_some_and(|totp| totp.confirmed)
    }

    /// Whether a sign-in by one factor is asked for a second.
    pub(crate) fn has_second_factor(&self) -> bool {
        self.has_totp()
            || self.has_phone_factor()
            || self.record.passkeys.iter().any(|passkey| passkey.second_factor)
    }

    fn has_phone_factor(&self) -> bool {
        self.record.phone_factor && self.record.phone.is_some()
    }

    /// The second factors for who has shown a first: the phone is not both.
    pub(crate) fn factors_after(&self, shown: &Shown) -> Vec<&'static str> {
        let is_by_phone = shown.amr.iter().any(|method| method == crate::flows::PHONE_AMR);
        let mut factors = self.factors();
        factors.retain(|factor| !(is_by_phone && *factor == "phone"));
        factors
    }

    /// The second factors that a sign-in asks for: any one of them will do.
    pub(crate) fn factors(&self) -> Vec<&'static str> {
        if !self.has_second_factor() {
            return Vec::new();
        }
        let record = &self.record;
        let factors = [
            ("totp", self.has_totp()),
            ("passkey", !record.passkeys.is_empty()),
            ("phone", self.has_phone_factor()),
            ("recovery", !record.recovery_codes.is_empty()),
        ];
        let factors = factors.into_iter().filter(|(_, is_there)| *is_there);
        factors.map(|(name, _)| name).collect()
    }

    /// What the rules of accounts see of it as `request.resource.data`: every field is there, null if there is nothing.
    pub(crate) fn seen_by_rules(&self, provider: &str, claims: &Map) -> Map {
        let record = &self.record;
        let text = |text: &Option<String>| text.as_deref().map_or(Value::Null, Value::from);
        let fields = [
            ("email", text(&record.email)),
            ("emailVerified", Value::Boolean(record.email_verified)),
            ("phone", text(&record.phone)),
            ("name", text(&record.profile.name)),
            ("picture", text(&record.profile.picture)),
            ("locale", text(&record.profile.locale)),
            ("metadata", Value::Map(record.profile.metadata.clone())),
            ("anonymous", Value::Boolean(record.anonymous)),
            ("provider", Value::from(provider)),
            ("claims", Value::Map(claims.clone())),
        ];
        fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    /// Its highest role as an administrator.
    pub(crate) fn admin_role(&self) -> Option<AdminRole> {
        AdminRole::of(self.record.roles.iter().map(String::as_str))
    }
}

impl ProfileChange {
    /// What an identity provider says of somebody. What cannot stand in a profile is left out: it is no reason to refuse
    /// somebody.
    pub(crate) fn from_provider(name: Option<&str>, picture: Option<&str>) -> Self {
        let is_picture = |url: &&str| url.len() <= PICTURE_CHARS_MAX && is_picture_url(url);
        Self {
            name: name.map(|name| Some(visible_part(name, NAME_CHARS_MAX))),
            picture: picture.filter(is_picture).map(|url| Some(url.to_owned())),
            ..Self::default()
        }
    }

    /// Applies it; refuses what cannot stand in a profile.
    pub(crate) fn apply(self, profile: &mut Profile) -> Result<(), AuthError> {
        let text = |field: &str, text: Option<String>, chars_max: usize| {
            let text = text.map(|text| text.trim().to_owned());
            let text = text.filter(|text| !text.is_empty());
            if let Some(text) = &text {
                check_visible(field, text, chars_max)?;
            }
            Ok::<_, AuthError>(text)
        };
        if let Some(name) = self.name {
            profile.name = text("name", name, NAME_CHARS_MAX)?;
        }
        if let Some(picture) = self.picture {
            let picture = text("picture", picture, PICTURE_CHARS_MAX)?;
            if picture.as_ref().is_some_and(|url| !is_picture_url(url)) {
                return Err(AuthError::input(
                    "picture",
                    "`picture` is a URL that begins with `https://` or `http://` and a host",
                ));
            }
            profile.picture = picture;
        }
        if let Some(locale) = self.locale {
            let locale = text("locale", locale, LOCALE_CHARS_MAX)?;
            let is_tag = |tag: &String| {
                tag.bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            };
            if locale.as_ref().is_some_and(|tag| !is_tag(tag)) {
                return Err(AuthError::input(
                    "locale",
                    "`locale` is a language tag such as `pt-BR`",
                ));
            }
            profile.locale = locale;
        }
        match self.metadata {
            None => {}
            Some(None) => profile.metadata = Map::new(),
            Some(Some(Value::Map(metadata))) => {
                check_size("metadata", &metadata, METADATA_BYTES_MAX)?;
                profile.metadata = metadata;
            }
            Some(Some(_)) => return Err(AuthError::input("metadata", "`metadata` is an object")),
        }
        Ok(())
    }
}

/// Whether it may stand where a page shows a picture: a whole URL of the web, without a password in it.
fn is_picture_url(url: &str) -> bool {
    let has_good_scheme = url.starts_with("https://") || url.starts_with("http://");
    let parsed: Option<hyper::Uri> = url.parse().ok().filter(|_| has_good_scheme);
    let authority = parsed.as_ref().and_then(hyper::Uri::authority);
    authority.is_some_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'))
}

fn check_size(field: &str, map: &Map, bytes_max: usize) -> Result<(), AuthError> {
    let mut json = Vec::new();
    write_data_json(map, &mut json);
    if json.len() > bytes_max {
        return Err(AuthError::input(
            field,
            format!("`{field}` has at most {bytes_max} bytes of JSON"),
        ));
    }
    Ok(())
}

/// Refuses claims that are the server's to make, or too large to travel.
pub(crate) fn check_claims(claims: &Map) -> Result<(), AuthError> {
    if let Some(name) = claims
        .keys()
        .find(|name| CLAIMS_RESERVED.contains(&name.as_str()))
    {
        return Err(AuthError::input(
            "claims",
            format!("the claim `{name}` is the server's own"),
        ));
    }
    check_size("claims", claims, CLAIMS_BYTES_MAX)
}

/// Refuses ids that an account cannot have.
pub(crate) fn check_uid(uid: &str) -> Result<(), InputError> {
    let is_valid = (1..=UID_CHARS_MAX).contains(&uid.len())
        && uid
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-:@+|".contains(&byte))
        && check_id(uid).is_ok();
    if is_valid {
        return Ok(());
    }
    Err(InputError::new(format!(
        "the id of an account has 1 to {UID_CHARS_MAX} letters, digits, `.`, `_`, `-`, `:`, `@`, `+` and `|`"
    ))
    .in_field("uid"))
}

/// Where an account stands.
pub(crate) fn account_path(uid: &str) -> Result<DocumentPath, InputError> {
    check_uid(uid)?;
    record_path(ACCOUNTS, uid)
}

/// Who has an address.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EmailRecord {
    pub(crate) uid: String,
}

/// Where it stands who has an address.
pub(crate) fn email_path(email: &EmailAddress) -> Result<DocumentPath, InputError> {
    record_path(EMAILS, &email.to_id())
}

/// The same for an address out of a record.
pub(crate) fn stored_email_path(email: &str) -> Result<DocumentPath, InputError> {
    email_path(&EmailAddress::of_record(email))
}
