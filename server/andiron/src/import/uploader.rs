//! Documents on their way to the server: commits that create them, and what to make of a refusal.
//!
//! A commit is all or nothing, so one document that cannot be created would keep 499 others out. Whatever is wrong with
//! a single document is found and told of that document alone.

use std::collections::HashMap;
use std::time::Duration;

use andiron_protocol::{DocumentPath, ErrorCode, data_from_json, write_json_string};
use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::AndironError;
use crate::client::Client;
use crate::import::record::{NewDocument, Rejection};

/// Attempts at one commit before the import gives up.
const ATTEMPTS_MAX: u32 = 9;
/// The pause after a first attempt; it doubles.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Bytes of paths asked for at once, well below what a server takes for a body by default.
const PATHS_BYTES_MAX: usize = 256 * 1024;

/// What to do about a document that exists with other data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnExisting {
    /// Leave it and reject the record.
    Reject,
    /// Replace it.
    Replace,
}

/// What has become of the documents so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Written.
    pub(crate) written: u64,
    /// There already, with the same data.
    pub(crate) present: u64,
}

/// Sends documents in commits, one after the other, so that of two records with one id the first wins.
pub(crate) struct Uploader {
    client: Client,
    on_existing: OnExisting,
    tally: Tally,
    /// Whether the last documents were all there already: then it is cheaper to look first.
    looks_first: bool,
}

impl Uploader {
    pub(crate) fn new(client: Client, on_existing: OnExisting) -> Self {
        Self {
            client,
            on_existing,
            tally: Tally::default(),
            looks_first: false,
        }
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// Brings documents to the server, and gives back those that it does not take.
    ///
    /// # Errors
    /// If the server cannot be asked any more, or refuses whatever it is asked.
    pub(crate) async fn upload(
        &mut self,
        documents: Vec<NewDocument>,
    ) -> Result<Vec<Rejection>, AndironError> {
        let mut rejections = Vec::new();
        let mut documents = self.without_doubles(documents, &mut rejections);
        if self.looks_first && self.on_existing == OnExisting::Reject {
            documents = self
                .without_existing(documents, &mut rejections, Certainty::Before)
                .await?;
            self.looks_first = documents.is_empty();
        }
        // Parts that are still to be sent, the first at the end.
        let mut parts = vec![documents];
        while let Some(part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            let (attempts, answer) = self.commit(&part).await;
            let error = match answer {
                Ok(()) => {
                    self.tally.written += count(&part);
                    continue;
                }
                Err(error) => error,
            };
            match Blame::of(&error) {
                Blame::Exists => {
                    // After a lost answer the documents may be there because this very commit brought them.
                    let certainty = if attempts > 1 {
                        Certainty::AfterRetry
                    } else {
                        Certainty::Before
                    };
                    let before = part.len();
                    let missing = self.without_existing(part, &mut rejections, certainty).await?;
                    self.looks_first = missing.is_empty();
                    if missing.len() == before {
                        // Somebody deletes what we are told exists. Let them finish.
                        tokio::time::sleep(PAUSE_FIRST).await;
                    }
                    parts.push(missing);
                }
                Blame::Request => match split(part, &error) {
                    Split::One(document) => rejections.push(document.rejected(error.to_string())),
                    Split::Parts(first, second) => parts.extend([second, first]),
                },
                Blame::Server => return Err(error),
            }
        }
        Ok(rejections)
    }

    /// Commits documents. Says how many attempts it took.
    async fn commit(&mut self, documents: &[NewDocument]) -> (u32, Result<(), AndironError>) {
        let body = commit_body(documents, self.on_existing);
        let (attempts, answer) = self.ask::<serde::de::IgnoredAny>("/api/v1/commit", body).await;
        (attempts, answer.map(|_| ()))
    }

    /// Asks again and again while that may help. Says how many attempts it took.
    async fn ask<T: DeserializeOwned>(&mut self, path: &str, body: Bytes) -> (u32, Result<T, AndironError>) {
        let mut pause = PAUSE_FIRST;
        let mut attempts = 1;
        loop {
            match self.client.json(Method::POST, path, Some(body.clone())).await {
                Err(error) if attempts < ATTEMPTS_MAX && may_pass(&error) => {
                    tokio::time::sleep(pause).await;
                    pause = PAUSE_MAX.min(pause * 2);
                    attempts += 1;
                }
                answer => return (attempts, answer),
            }
        }
    }

    /// Of documents with one path the first stays; the others count as present if they say the same, else they are
    /// rejected.
    fn without_doubles(
        &mut self,
        documents: Vec<NewDocument>,
        rejections: &mut Vec<Rejection>,
    ) -> Vec<NewDocument> {
        if self.on_existing == OnExisting::Replace {
            return documents;
        }
        let mut kept: Vec<NewDocument> = Vec::with_capacity(documents.len());
        let mut places: HashMap<DocumentPath, usize> = HashMap::with_capacity(documents.len());
        for document in documents {
            match places.get(&document.path).map(|place| &kept[*place]) {
                None => {
                    places.insert(document.path.clone(), kept.len());
                    kept.push(document);
                }
                Some(first) if first.data == document.data => self.tally.present += 1,
                Some(first) => {
                    let reason = format!("`{}` is already the document of {}", document.path, first.place);
                    rejections.push(document.rejected(reason));
                }
            }
        }
        kept
    }

    /// The documents that do not exist. Of the others those with the same data count as done, and the rest is rejected.
    async fn without_existing(
        &mut self,
        documents: Vec<NewDocument>,
        rejections: &mut Vec<Rejection>,
        certainty: Certainty,
    ) -> Result<Vec<NewDocument>, AndironError> {
        let mut missing = Vec::new();
        let mut parts: Vec<Vec<NewDocument>> = by_path_bytes(documents);
        parts.reverse();
        while let Some(part) = parts.pop() {
            let found = match self.fetch(&part).await {
                Ok(found) => found,
                // The documents that exist may be larger together than one answer may be.
                Err(error) if Blame::of(&error) == Blame::Request && part.len() > 1 => {
                    let (first, second) = halves(part);
                    parts.extend([second, first]);
                    continue;
                }
                Err(error) => return Err(error),
            };
            for (document, existing) in part.into_iter().zip(found) {
                match existing {
                    None => missing.push(document),
                    Some(data) if is_same(&data, &document.data) => match certainty {
                        Certainty::Before => self.tally.present += 1,
                        Certainty::AfterRetry => self.tally.written += 1,
                    },
                    Some(_) => {
                        let reason = format!(
                            "`{}` exists with other data; --replace would replace it",
                            document.path
                        );
                        rejections.push(document.rejected(reason));
                    }
                }
            }
        }
        Ok(missing)
    }

    /// The data of those documents that exist.
    async fn fetch(&mut self, documents: &[NewDocument]) -> Result<Vec<Option<Box<RawValue>>>, AndironError> {
        #[derive(Deserialize)]
        struct Answer {
            documents: Vec<Option<Existing>>,
        }
        #[derive(Deserialize)]
        struct Existing {
            data: Box<RawValue>,
        }
        let paths: Vec<_> = documents.iter().map(|document| &document.path).collect();
        let body = Bytes::from(serde_json::json!({ "paths": paths }).to_string());
        let (_, answer) = self.ask::<Answer>("/api/v1/batch-get", body).await;
        let documents = answer?.documents.into_iter();
        Ok(documents
            .map(|document| document.map(|existing| existing.data))
            .collect())
    }
}

/// Whether documents that exist were there before this import's own attempts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Certainty {
    Before,
    AfterRetry,
}

/// What a refusal is about.
#[derive(Debug, PartialEq, Eq)]
enum Blame {
    /// A document that exists.
    Exists,
    /// A document that the server does not take, or too many at once.
    Request,
    /// Nothing that another request would change.
    Server,
}

impl Blame {
    fn of(error: &AndironError) -> Self {
        match error.code() {
            Some(ErrorCode::AlreadyExists) => Self::Exists,
            Some(
                ErrorCode::InvalidArgument
                | ErrorCode::FailedPrecondition
                | ErrorCode::OutOfRange
                | ErrorCode::PayloadTooLarge,
            ) => Self::Request,
            _ => Self::Server,
        }
    }
}

/// Whether the same request may succeed a little later.
fn may_pass(error: &AndironError) -> bool {
    matches!(error, AndironError::Unreachable { .. })
        || matches!(
            error.code(),
            Some(
                ErrorCode::Aborted
                    | ErrorCode::Unavailable
                    | ErrorCode::ResourceExhausted
                    | ErrorCode::DeadlineExceeded
            )
        )
}

enum Split {
    One(NewDocument),
    Parts(Vec<NewDocument>, Vec<NewDocument>),
}

/// Divides documents that were refused together: the one that the refusal names from the others, else in halves.
fn split(mut documents: Vec<NewDocument>, error: &AndironError) -> Split {
    if documents.len() == 1
        && let Some(document) = documents.pop()
    {
        return Split::One(document);
    }
    let named = match error {
        AndironError::Refused { problem } => problem.path.as_deref(),
        _ => None,
    };
    match documents
        .iter()
        .position(|document| Some(document.path.as_str()) == named)
    {
        Some(place) => {
            let document = documents.remove(place);
            Split::Parts(vec![document], documents)
        }
        None => {
            let (first, second) = halves(documents);
            Split::Parts(first, second)
        }
    }
}

fn halves(mut documents: Vec<NewDocument>) -> (Vec<NewDocument>, Vec<NewDocument>) {
    let second = documents.split_off(documents.len() / 2);
    (documents, second)
}

fn by_path_bytes(documents: Vec<NewDocument>) -> Vec<Vec<NewDocument>> {
    let mut parts = Vec::new();
    let mut part = Vec::new();
    let mut bytes = 0;
    for document in documents {
        bytes += document.path.as_str().len() + 3;
        if bytes > PATHS_BYTES_MAX && !part.is_empty() {
            parts.push(std::mem::take(&mut part));
            bytes = document.path.as_str().len() + 3;
        }
        part.push(document);
    }
    parts.push(part);
    parts
}

/// Whether the data on the server is what a record would have brought.
fn is_same(existing: &RawValue, data: &[u8]) -> bool {
    if existing.get().as_bytes() == data {
        return true;
    }
    match (data_from_json(existing.get().as_bytes()), data_from_json(data)) {
        (Ok(existing), Ok(data)) => {
            andiron_protocol::Value::Map(existing).is_identical(&andiron_protocol::Value::Map(data))
        }
        _ => false,
    }
}

fn commit_body(documents: &[NewDocument], on_existing: OnExisting) -> Bytes {
    let kind: &[u8] = match on_existing {
        OnExisting::Reject => b"{\"create\":",
        OnExisting::Replace => b"{\"set\":",
    };
    let mut body = b"{\"writes\":[".to_vec();
    for document in documents {
        body.extend_from_slice(kind);
        write_json_string(document.path.as_str(), &mut body);
        body.extend_from_slice(b",\"data\":");
        body.extend_from_slice(&document.data);
        body.extend_from_slice(b"},");
    }
    body.pop();
    body.extend_from_slice(b"]}");
    Bytes::from(body)
}

fn count(documents: &[NewDocument]) -> u64 {
    u64::try_from(documents.len()).unwrap_or(u64::MAX)
}
