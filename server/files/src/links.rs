//! Signed links: a URL that lets whoever has it read or upload one file for a while.
//!
//! A link says what it is good for itself, and a key of the server's own makes sure that it says what it was given. The
//! rules are asked when it is minted, on behalf of who mints it; afterwards the link is the right. The key lies in a
//! document, and another key in its place ends all links at once. This is the one secret that stands in URLs; it is never
//! logged.

use andiron_engine::{Caller, FileMethod, FileOperation};
use andiron_protocol::{
    CommitBody, DocumentPath, InputError, Map, Precondition, Timestamp, Value, Write, WriteKind,
    data_from_json,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::fields::Fields;
use crate::upload::declared_map;
use crate::{ContentType, FileName, Files, FilesError, UploadRequest};

/// The document of the key.
const KEY_DOCUMENT: &str = "_file_links/key";
/// Bytes of the key.
const KEY_BYTES: usize = 32;
/// How long a link may hold, in seconds: a week.
pub const LINK_SECONDS_MAX: u32 = 7 * 24 * 3600;
/// Characters of a link's token.
const TOKEN_CHARS_MAX: usize = 6 * 1024;
/// Characters of the name that a download is to have.
const DOWNLOAD_NAME_CHARS_MAX: usize = 200;

/// What a link lets its holder do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkMethod {
    /// Read the file as often as wanted.
    #[serde(rename = "GET")]
    Get,
    /// Upload it, as often as wanted.
    #[serde(rename = "PUT")]
    Put,
}

/// What a link is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkGrant {
    /// What it lets its holder do.
    pub method: LinkMethod,
    /// With which file.
    pub name: FileName,
    /// Until when.
    pub expires: Timestamp,
    /// Of an upload: how many bytes at most.
    pub bytes_max: Option<u64>,
    /// Of an upload: what kind of bytes they have to be.
    pub content_type: Option<ContentType>,
    /// Of a download: what it is to be called. It is a download then, whatever it is.
    pub download_name: Option<String>,
    /// Of an image: which variant of it, as its parameters stand in the URL.
    pub variant: Option<String>,
    /// The account that minted it, to which uploads count.
    pub account: Option<String>,
}

/// The same as it stands in a link.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    #[serde(rename = "m")]
    method: LinkMethod,
    #[serde(rename = "b")]
    bucket: String,
    #[serde(rename = "n")]
    name: String,
    #[serde(rename = "e")]
    expires_micros: i64,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    bytes_max: Option<u64>,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    download_name: Option<String>,
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    account: Option<String>,
}

impl Files {
    /// Mints a link, if the rules let the caller do itself what the link is for. It holds for this many seconds. Gives the
    /// token that makes the file's URL a link, and what it is good for.
    ///
    /// # Errors
    /// If the rules deny it, or something about the link is not of its method.
    pub async fn mint_link(
        &self,
        caller: &Caller,
        mut grant: LinkGrant,
        seconds: u32,
    ) -> Result<(String, LinkGrant), FilesError> {
        check(&grant, seconds)?;
        match grant.method {
            LinkMethod::Get => {
                let _ = self.get(caller, &grant.name)?;
            }
            LinkMethod::Put => self.judge_upload_link(caller, &grant)?,
        }
        grant.account = account_of(caller);
        let now = self.engine().now().as_micros();
        grant.expires = Timestamp::from_micros_clamped(now + i64::from(seconds) * 1_000_000);
        let payload = Payload {
            method: grant.method,
            bucket: grant.name.bucket().to_string(),
            name: grant.name.name().to_owned(),
            expires_micros: grant.expires.as_micros(),
            bytes_max: grant.bytes_max,
            content_type: grant.content_type.as_ref().map(|kind| kind.as_str().to_owned()),
            download_name: grant.download_name.clone(),
            variant: grant.variant.clone(),
            account: grant.account.clone(),
        };
        let payload = serde_json::to_vec(&payload)
            .map_err(|error| FilesError::Internal(format!("a link cannot be written: {error}")))?;
        let key = match self.link_key()? {
            Some(key) => key,
            None => self.make_link_key(Precondition::Exists(false)).await?,
        };
        let signature = signing(&key, &payload).finalize().into_bytes();
        let token = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(payload),
            URL_SAFE_NO_PAD.encode(signature)
        );
        Ok((token, grant))
    }

    /// What a link is good for, if it holds and is for this.
    ///
    /// # Errors
    /// [`FilesError::LinkInvalid`] whatever is wrong with it.
    pub fn open_link(
        &self,
        token: &str,
        method: LinkMethod,
        name: &FileName,
    ) -> Result<LinkGrant, FilesError> {
        let key = self.link_key()?.ok_or(FilesError::LinkInvalid)?;
        let grant = read(token, &key).ok_or(FilesError::LinkInvalid)?;
        if grant.method == method && grant.name == *name && grant.expires > self.engine().now() {
            Ok(grant)
        } else {
            Err(FilesError::LinkInvalid)
        }
    }

    /// The file that a link is for; `None` if there is none now.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn get_by_link(&self, grant: &LinkGrant) -> Result<Option<crate::StoredFile>, FilesError> {
        self.find(&grant.name)
    }

    /// Ends all links.
    ///
    /// # Errors
    /// If the key cannot be replaced.
    pub async fn revoke_links(&self) -> Result<(), FilesError> {
        self.make_link_key(Precondition::None).await.map(drop)
    }

    /// Judges what a link would let be uploaded: the largest of it, and of the type that it is bound to.
    fn judge_upload_link(&self, caller: &Caller, grant: &LinkGrant) -> Result<(), FilesError> {
        let request = UploadRequest {
            size: grant.bytes_max,
            content_type: grant.content_type.clone(),
            ..UploadRequest::of(grant.name.clone())
        };
        let before = self.find(&grant.name)?;
        let judge = self.engine().file_judge(caller, grant.name.bucket().as_str())?;
        // What no link is bound to is not known, and cannot be judged later: a rule about it denies.
        let _ = judge.decide(FileOperation {
            method: FileMethod::Create,
            bucket: grant.name.bucket().as_str(),
            name: grant.name.name(),
            before: before.map(|file| file.to_rules()).as_ref(),
            after: Some(&declared_map(&request)),
            unknown: &[],
        })?;
        Ok(())
    }

    fn link_key(&self) -> Result<Option<[u8; KEY_BYTES]>, FilesError> {
        let path: DocumentPath = KEY_DOCUMENT.parse()?;
        let Some(document) = self.engine().get(&Caller::System, &path)? else {
            return Ok(None);
        };
        let map = data_from_json(document.data.as_bytes())
            .map_err(|error| FilesError::Internal(format!("the key of links cannot be read: {error}")))?;
        Ok(Some(Fields::new(&map, KEY_DOCUMENT).needed_bytes("key")?))
    }

    async fn make_link_key(&self, precondition: Precondition) -> Result<[u8; KEY_BYTES], FilesError> {
        let mut key = [0; KEY_BYTES];
        self.engine().fill_random(&mut key);
        let encoded = base64::engine::general_purpose::STANDARD.encode(key);
        let write = Write {
            path: KEY_DOCUMENT.parse()?,
            kind: WriteKind::Set(Map::from([("key".to_owned(), Value::from(encoded))]).into()),
            precondition,
        };
        let body = CommitBody {
            writes: vec![write],
            ..CommitBody::default()
        };
        match self.engine().commit(&Caller::System, body, None).await {
            Ok(_) => Ok(key),
            // Somebody else has made it meanwhile.
            Err(error) if crate::files::is_conflict(&error) => self
                .link_key()?
                .ok_or_else(|| FilesError::Internal("the key of links comes and goes".to_owned())),
            Err(error) => Err(error.into()),
        }
    }
}

/// The account of a caller, if it has one.
pub(crate) fn account_of(caller: &Caller) -> Option<String> {
    match caller {
        Caller::User(user) => Some(user.uid.clone()),
        _ => None,
    }
}

fn check(grant: &LinkGrant, seconds: u32) -> Result<(), InputError> {
    if seconds == 0 || seconds > LINK_SECONDS_MAX {
        return Err(
            InputError::new(format!("a link holds for 1 to {LINK_SECONDS_MAX} seconds"))
                .in_field("expiresIn"),
        );
    }
    let (of_uploads, of_downloads) = (
        grant.bytes_max.is_some() || grant.content_type.is_some(),
        grant.download_name.is_some() || grant.variant.is_some(),
    );
    match grant.method {
        LinkMethod::Get if of_uploads => Err(InputError::new(
            "`size` and `contentType` are for links to upload",
        )),
        LinkMethod::Put if of_downloads => Err(InputError::new(
            "`fileName` and `variant` are for links to download",
        )),
        LinkMethod::Get
            if grant
                .variant
                .as_deref()
                .is_some_and(|variant| variant.parse::<crate::Variant>().is_err()) =>
        {
            Err(InputError::new("it is of the form `width=200&height=200&fit=cover`").in_field("variant"))
        }
        LinkMethod::Put if grant.bytes_max.is_none() => {
            Err(InputError::new("a link to upload says how many bytes at most").in_field("size"))
        }
        _ => {
            let name = grant.download_name.as_deref().unwrap_or_default();
            if name.chars().count() > DOWNLOAD_NAME_CHARS_MAX || name.chars().any(char::is_control) {
                return Err(InputError::new(format!(
                    "a file name has at most {DOWNLOAD_NAME_CHARS_MAX} characters and no control characters"
                ))
                .in_field("fileName"));
            }
            Ok(())
        }
    }
}

fn signing(key: &[u8; KEY_BYTES], payload: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    let mut signing = Hmac::<Sha256>::new_from_slice(key).expect("a key of 32 bytes");
    signing.update(b"andiron file link 1\n");
    signing.update(payload);
    signing
}

fn read(token: &str, key: &[u8; KEY_BYTES]) -> Option<LinkGrant> {
    if token.len() > TOKEN_CHARS_MAX {
        return None;
    }
    let (payload, signature) = token.split_once('.')?;
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    // In a time that does not tell how much of it is right.
    signing(key, &payload).verify_slice(&signature).ok()?;
    let payload: Payload = serde_json::from_slice(&payload).ok()?;
    Some(LinkGrant {
        method: payload.method,
        name: FileName::new(payload.bucket.parse().ok()?, &payload.name).ok()?,
        expires: Timestamp::from_micros(payload.expires_micros)?,
        bytes_max: payload.bytes_max,
        content_type: match payload.content_type {
            Some(content_type) => Some(ContentType::parse(&content_type).ok()?),
            None => None,
        },
        download_name: payload.download_name,
        variant: payload.variant,
        account: payload.account,
    })
}
