//! A request as JSON: what it may say, and what holds where it says nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use andiron_protocol::{
    CollectionPath, DocumentPath, InputError, Map, Query, Source, Timestamp, Value, from_json,
};
use serde::{Deserialize, Deserializer};

use crate::evaluate::{Auth, DATABASE_DEFAULT, Method, Request, Target};
use crate::syntax::ServiceKind;

/// How many requests one array may have.
pub const EXPLAIN_REQUESTS_MAX: usize = 1000;

/// What a request to be explained is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExplainTarget {
    /// A document.
    Document(DocumentPath),
    /// A collection, for `list`.
    Collection(CollectionPath),
    /// A file: the bucket and the whole name.
    File(String, String),
    /// An account: `accounts/UID`.
    Account(DocumentPath),
}

/// A request to be explained.
#[derive(Clone, Debug)]
pub struct ExplainRequest {
    /// On what.
    pub target: ExplainTarget,
    /// Which operation.
    pub method: Method,
    /// Who asks: the account's id and the claims of its token.
    pub auth: Option<(String, Map)>,
    /// When, if it says so.
    pub time: Option<Timestamp>,
    /// What is there before; the outer `None` if the request says nothing about it.
    pub before: Option<Option<Map>>,
    /// What is to be there after.
    pub after: Option<Map>,
    /// The query of a `list`.
    pub query: Option<Query>,
    documents: BTreeMap<DocumentPath, Option<Arc<Map>>>,
}

/// What the JSON may say.
#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    rename_all = "camelCase",
    expecting = "a request as an object"
)]
struct RequestJson {
    service: Option<String>,
    method: String,
    path: String,
    #[serde(default)]
    auth: Option<AuthJson>,
    #[serde(default)]
    time: Option<Timestamp>,
    #[serde(default, deserialize_with = "given")]
    before: Option<Option<Value>>,
    #[serde(default)]
    after: Option<Value>,
    #[serde(default)]
    query: Option<Query>,
    #[serde(default)]
    documents: BTreeMap<String, Option<Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `uid` and `token`")]
struct AuthJson {
    uid: String,
    #[serde(default)]
    token: Option<Value>,
}

/// Tells `null` from nothing.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Value>>, D::Error> {
    Option::<Value>::deserialize(deserializer).map(Some)
}

impl ExplainRequest {
    /// Reads one request or an array of them; with whether it is an array.
    ///
    /// # Errors
    /// The text is not JSON, or says something that a request does not say.
    pub fn read(json: &[u8]) -> Result<(Vec<Self>, bool), InputError> {
        let first = json.iter().find(|byte| !byte.is_ascii_whitespace());
        if first != Some(&b'[') {
            return Ok((vec![Self::from_json(from_json(json)?)?], false));
        }
        let requests: Vec<RequestJson> = from_json(json)?;
        if requests.len() > EXPLAIN_REQUESTS_MAX {
            return Err(InputError::new(format!(
                "at most {EXPLAIN_REQUESTS_MAX} requests are explained at once"
            )));
        }
        let read = |(place, request): (usize, RequestJson)| {
            Self::from_json(request).map_err(|error| InputError {
                detail: format!("request {}: {}", place + 1, error.detail),
                ..error
            })
        };
        let requests = requests.into_iter().enumerate().map(read);
        Ok((requests.collect::<Result<_, _>>()?, true))
    }

    fn from_json(json: RequestJson) -> Result<Self, InputError> {
        let service = match json.service.as_deref() {
            None => ServiceKind::Firestore,
            Some(name) => ServiceKind::ALL
                .into_iter()
                .find(|kind| kind.as_str() == name)
                .ok_or_else(|| {
                    InputError::new(format!(
                        "there is no service `{name}`; it is `cloud.firestore`, `firebase.storage` or `andiron.auth`"
                    ))
                    .in_field("service")
                })?,
        };
        let method = Method::ALL
            .into_iter()
            .find(|method| method.as_str() == json.method)
            .ok_or_else(|| {
                InputError::new(format!(
                    "there is no method `{}`; it is `get`, `list`, `create`, `update` or `delete`",
                    json.method
                ))
                .in_field("method")
            })?;
        let target = target(service, method, &json.path).map_err(|error| error.in_field("path"))?;
        let mut documents = BTreeMap::new();
        for (path, data) in json.documents {
            let path = document_path(&path).map_err(|error| error.in_field("documents"))?;
            let data = data.map(|data| map("documents", data)).transpose()?.map(Arc::new);
            documents.insert(path, data);
        }
        let auth = match json.auth {
            Some(auth) => {
                let token = match auth.token {
                    Some(token) => map("auth.token", token)?,
                    None => Map::new(),
                };
                Some((auth.uid, token))
            }
            None => None,
        };
        let mut before = match json.before {
            None => None,
            Some(before) => Some(before.map(|before| map("before", before)).transpose()?),
        };
        let mut after = json.after.map(|after| map("after", after)).transpose()?;
        if let ExplainTarget::File(bucket, name) = &target {
            for metadata in [before.iter_mut().flatten().next(), after.as_mut()]
                .into_iter()
                .flatten()
            {
                complete_metadata(metadata, bucket, name);
            }
        }
        if let (ExplainTarget::Account(_), Some(account)) = (&target, after.as_mut()) {
            complete_account(account)?;
        }
        if matches!(target, ExplainTarget::Collection(_)) && matches!(before, Some(Some(_))) {
            return Err(InputError::new(
                "`before` is the data of one document: for a `list` that has it, `path` names that document",
            )
            .in_field("before"));
        }
        let query = match (json.query, &target) {
            (Some(_), _) if method != Method::List => {
                return Err(InputError::new("only a `list` has a query").in_field("query"));
            }
            (None, ExplainTarget::Collection(collection)) => {
                Some(Query::all(Source::Collection(collection.clone())))
            }
            (None, ExplainTarget::Document(path)) if method == Method::List => {
                Some(Query::all(Source::Collection(path.collection())))
            }
            (query, _) => query,
        };
        Ok(Self {
            target,
            method,
            auth,
            time: json.time,
            before,
            after,
            query,
            documents,
        })
    }

    /// The documents that the request brings; `None` for those that it says do not exist.
    pub fn documents(&self) -> impl Iterator<Item = (&DocumentPath, &Option<Arc<Map>>)> {
        self.documents.iter()
    }

    /// The document that the request is about, if it says nothing of what is there before.
    pub fn unknown_document(&self) -> Option<&DocumentPath> {
        match &self.target {
            ExplainTarget::Document(path) if self.before.is_none() && !self.documents.contains_key(path) => {
                Some(path)
            }
            _ => None,
        }
    }

    /// Makes a document known to the request; `None` if it does not exist.
    pub fn add_document(&mut self, path: DocumentPath, data: Option<Arc<Map>>) {
        self.documents.insert(path, data);
    }

    /// Who asks, as the evaluator takes it.
    pub(super) fn auth(&self) -> Option<Auth<'_>> {
        self.auth.as_ref().map(|(uid, token)| Auth { uid, token })
    }

    /// The request on one document or file, as the evaluator takes it; `None` if it is about a collection. What is there
    /// before comes from `before`, else from the documents.
    pub(super) fn borrow(&self, now: Timestamp) -> Option<Request<'_>> {
        let target = match &self.target {
            ExplainTarget::File(bucket, name) => Target::File { bucket, name },
            ExplainTarget::Account(path) => Target::Account { path },
            ExplainTarget::Document(path) => Target::Document {
                database: DATABASE_DEFAULT,
                path,
            },
            ExplainTarget::Collection(_) => return None,
        };
        let before = match (&self.before, &self.target) {
            (Some(before), _) => before.as_ref(),
            (None, ExplainTarget::Document(path)) => self.documents.get(path).and_then(Option::as_deref),
            (None, _) => None,
        };
        Some(Request {
            target,
            method: self.method,
            auth: self.auth(),
            time: self.time.unwrap_or(now),
            before,
            after: match self.method {
                Method::Create | Method::Update => self.after.as_ref(),
                Method::Get | Method::List | Method::Delete => None,
            },
            query: self.query.as_ref(),
        })
    }
}

fn target(service: ServiceKind, method: Method, path: &str) -> Result<ExplainTarget, InputError> {
    match service {
        ServiceKind::Storage => {
            let path = path.strip_prefix('/').unwrap_or(path);
            let (bucket, name) = match path.strip_prefix("b/").and_then(|rest| rest.split_once("/o/")) {
                Some(parts) => parts,
                None => path.split_once('/').unwrap_or((path, "")),
            };
            if bucket.is_empty() || name.is_empty() {
                return Err(InputError::new(format!(
                    "`{path}` is no file: it is written as `bucket/name`"
                )));
            }
            Ok(ExplainTarget::File(bucket.to_owned(), name.to_owned()))
        }
        ServiceKind::Accounts => {
            let path = path.strip_prefix('/').unwrap_or(path);
            let uid = path.strip_prefix("accounts/").unwrap_or(path);
            if uid.contains('/') {
                return Err(InputError::new(format!(
                    "`{path}` is no account: it is written as `accounts/uid`"
                )));
            }
            format!("accounts/{uid}").parse().map(ExplainTarget::Account)
        }
        ServiceKind::Firestore => {
            let path = relative(path);
            if method == Method::List && path.split('/').count() % 2 == 1 {
                return path.parse().map(ExplainTarget::Collection);
            }
            path.parse().map(ExplainTarget::Document)
        }
    }
}

/// A document's path, which may be written as rules write it.
pub(crate) fn document_path(path: &str) -> Result<DocumentPath, InputError> {
    relative(path).parse()
}

/// A path without what stands before every document's.
fn relative(path: &str) -> &str {
    let path = path.strip_prefix('/').unwrap_or(path);
    let rest = path
        .strip_prefix("databases/")
        .and_then(|rest| rest.split_once("/documents/"));
    match rest {
        Some((_, rest)) => rest,
        None => path,
    }
}

fn map(field: &str, value: Value) -> Result<Map, InputError> {
    match value {
        Value::Map(map) => Ok(map),
        _ => Err(InputError::new(format!("`{field}` is an object")).in_field(field)),
    }
}

/// Adds what every account that is to be made has, as the rules see it: null, or what holds where nothing was said.
///
/// # Errors
/// If it has a field that no account has, or one of another type.
pub(crate) fn complete_account(account: &mut Map) -> Result<(), InputError> {
    let defaults = [
        ("email", Value::Null),
        ("emailVerified", Value::Boolean(false)),
        ("phone", Value::Null),
        ("name", Value::Null),
        ("picture", Value::Null),
        ("locale", Value::Null),
        ("metadata", Value::Map(Map::new())),
        ("anonymous", Value::Boolean(false)),
        ("provider", Value::String("password".to_owned())),
        ("claims", Value::Map(Map::new())),
    ];
    for (name, value) in account.iter() {
        let Some((_, default)) = defaults.iter().find(|(known, _)| known == name) else {
            let known = defaults.map(|(known, _)| format!("`{known}`")).join(", ");
            return Err(InputError::new(format!("an account has no `{name}`, but {known}")).in_field(name));
        };
        let (fits, what) = match default {
            Value::Boolean(_) => (matches!(value, Value::Boolean(_)), "true or false"),
            Value::Map(_) => (matches!(value, Value::Map(_)), "a map"),
            Value::String(_) => (matches!(value, Value::String(_)), "a string"),
            _ => (
                matches!(value, Value::String(_) | Value::Null),
                "a string or null",
            ),
        };
        if !fits {
            return Err(InputError::new(format!("`{name}` of an account is {what}")).in_field(name));
        }
    }
    for (name, value) in defaults {
        account.entry(name.to_owned()).or_insert(value);
    }
    Ok(())
}

/// Adds what every file's metadata has, and makes moments of texts that stand where moments do.
pub(crate) fn complete_metadata(metadata: &mut Map, bucket: &str, name: &str) {
    for (key, value) in [("bucket", bucket), ("name", name)] {
        metadata
            .entry(key.to_owned())
            .or_insert_with(|| Value::String(value.to_owned()));
    }
    for key in ["timeCreated", "updated"] {
        if let Some(slot) = metadata.get_mut(key)
            && let Some(moment) = slot.as_str().and_then(|text| text.parse::<Timestamp>().ok())
        {
            *slot = Value::Timestamp(moment);
        }
    }
}
