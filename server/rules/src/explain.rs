//! Explanations: a request as JSON in, and out of it which allows were tried, what every sub-expression came to, which
//! allow decided, and what would have to be otherwise.
//!
//! `andiron rules explain` and the admin API answer with the same [`Explanation`]; [`explain_json`] is the whole way from
//! text to text. An explanation says everything that rules know: it is for those who may see the rules and the documents,
//! never for the client that was denied.
//!
//! - `request`: what a request looks like, and what it may leave out.
//! - `steps`: the trace as a tree.
//! - `obstacle`: what stood in the way.
//! - `answer`: what is said of it.
//! - `list`: the same for a list as a whole: what the rules demand of its documents, and what a strict query leaves open.
//! - `text`: the same for people.
//!
//! Left out: where documents come from. [`explain`] asks for those that it lacks; [`explain_json`] takes them not to exist.

mod answer;
mod list;
mod obstacle;
mod request;
mod steps;
mod text;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use andiron_protocol::{DocumentPath, InputError, Map, Timestamp};
use serde::{Deserialize, Serialize};

pub use answer::{Explanation, FieldProblem, Operand, Place, Step, TriedAllow, WouldPass};
pub(crate) use list::missing;
pub use list::{ListExplanation, MissingWhere};
pub use request::{EXPLAIN_REQUESTS_MAX, ExplainRequest, ExplainTarget};
pub(crate) use request::{complete_account, complete_metadata};
pub(crate) use steps::Index;
pub use text::explanation_text;

use crate::evaluate::{Decision, Documents, Ruleset};
use crate::program::Program;

/// How often documents are supplied before an explanation is given up: every round makes known what the one before asked
/// for, and a condition's look-ups are limited.
const ROUNDS_MAX: usize = 64;

/// The answer to one request, or to an array of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Explanations {
    /// One request.
    One(Box<Explanation>),
    /// An array.
    Many(Vec<Explanation>),
}

impl Explanations {
    /// All of them, in the order of the requests.
    pub fn iter(&self) -> std::slice::Iter<'_, Explanation> {
        match self {
            Self::One(explanation) => std::slice::from_ref(&**explanation).iter(),
            Self::Many(explanations) => explanations.iter(),
        }
    }
}

/// What comes of explaining.
#[derive(Clone, Debug)]
pub enum Explained {
    /// The explanation.
    Answer(Box<Explanation>),
    /// These documents have to be known first.
    Needs(Vec<DocumentPath>),
}

/// Explains the requests in a JSON text, one or an array of them; `now` is the time of those that name none. Documents
/// that a request does not bring do not exist.
///
/// # Errors
/// The text is not JSON, or not a request; with line and column where that is known.
pub fn explain_json(
    ruleset: &Ruleset,
    program: &Program,
    json: &[u8],
    now: Timestamp,
) -> Result<String, InputError> {
    let explanations = explain_all(ruleset, program, json, now, &mut |_| None)?;
    Ok(serde_json::to_string(&explanations).expect("an explanation is plain data"))
}

/// Like [`explain_json`], with documents from elsewhere: `read` gives those that a request does not bring, as they are; that
/// which it is about too, if it has no `before`.
///
/// # Errors
/// The text is not JSON, or not a request.
pub fn explain_all(
    ruleset: &Ruleset,
    program: &Program,
    json: &[u8],
    now: Timestamp,
    read: &mut dyn FnMut(&DocumentPath) -> Option<Arc<Map>>,
) -> Result<Explanations, InputError> {
    let (requests, is_array) = ExplainRequest::read(json)?;
    let index = Index::new(program);
    let mut answers = Vec::with_capacity(requests.len());
    for request in &requests {
        answers.push(explain_reading(ruleset, &index, request, now, read));
    }
    Ok(match answers.pop() {
        Some(only) if !is_array => Explanations::One(Box::new(only)),
        last => {
            answers.extend(last);
            Explanations::Many(answers)
        }
    })
}

/// Explains one request with the documents that are known; those that the request brings are known besides.
pub fn explain(
    ruleset: &Ruleset,
    program: &Program,
    request: &ExplainRequest,
    documents: &Documents,
    now: Timestamp,
) -> Explained {
    explain_with(ruleset, &Index::new(program), request, documents.clone(), now)
}

fn explain_reading(
    ruleset: &Ruleset,
    index: &Index<'_>,
    request: &ExplainRequest,
    now: Timestamp,
    read: &mut dyn FnMut(&DocumentPath) -> Option<Arc<Map>>,
) -> Explanation {
    let mut known: HashMap<DocumentPath, Option<Arc<Map>>> = HashMap::new();
    let mut request = Cow::Borrowed(request);
    if let Some(path) = request.unknown_document().cloned() {
        let data = read(&path);
        request.to_mut().add_document(path, data);
    }
    for _ in 0..ROUNDS_MAX {
        let mut documents = Documents::new();
        for (path, data) in &known {
            documents.insert(path.clone(), data.clone());
        }
        match explain_with(ruleset, index, &request, documents, now) {
            Explained::Answer(answer) => return *answer,
            Explained::Needs(paths) => known.extend(paths.into_iter().map(|path| {
                let data = read(&path);
                (path, data)
            })),
        }
    }
    Explanation::undecided()
}

fn explain_with(
    ruleset: &Ruleset,
    index: &Index<'_>,
    request: &ExplainRequest,
    mut documents: Documents,
    now: Timestamp,
) -> Explained {
    for (path, data) in request.documents() {
        documents.insert(path.clone(), data.clone());
    }
    let Some(borrowed) = request.borrow(now) else {
        return list::explain_list(ruleset, index, request, &documents, now);
    };
    let (decision, attempts) = ruleset.explain(&borrowed, &documents);
    match decision {
        Decision::Needs(paths) => Explained::Needs(paths),
        decision => Explained::Answer(Box::new(Explanation::new(index, &borrowed, &decision, &attempts))),
    }
}
