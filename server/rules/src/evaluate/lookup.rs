//! Look-ups of documents: `get`, `exists`, `getAfter`, `existsAfter`.
//!
//! A document that is not known is noted, and the look-up stops what depends on it. A path counts once for one operation,
//! however often and by whatever function it is looked up; the request's own document counts too, but is never needed.

use andiron_protocol::{DocumentPath, InputError};

use super::fault::Fault;
use super::interpret::{Evaluated, Evaluator, Stop};
use super::method::check_arguments;
use super::observe::Observer;
use super::request::{Found, Method, Target};
use super::value::{Object, Part, Path, Value};
use crate::language::{Builtin, BuiltinId};
use crate::limits::Limits;
use crate::source::Span;
use crate::syntax::ServiceKind;

/// The documents looked up, and those that have to be known to go on.
#[derive(Debug)]
pub(crate) struct Lookups {
    used: Vec<DocumentPath>,
    used_max: usize,
    /// For the operations of a commit judged before: their documents, and the limit for all together.
    batch: Option<(Vec<DocumentPath>, usize)>,
    needs: Vec<DocumentPath>,
}

impl Lookups {
    /// For one operation.
    pub(crate) fn new(used_max: usize) -> Self {
        Self {
            used: Vec::new(),
            used_max,
            batch: None,
            needs: Vec::new(),
        }
    }

    /// For several operations.
    pub(crate) fn batch(used_max: usize, batch_max: usize) -> Self {
        Self {
            batch: Some((Vec::new(), batch_max)),
            ..Self::new(used_max)
        }
    }

    /// Goes on with the next operation; the documents that are needed stay so.
    pub(crate) fn next_operation(&mut self) {
        let used = std::mem::take(&mut self.used);
        if let Some((batch, _)) = &mut self.batch {
            for path in used {
                if !batch.contains(&path) {
                    batch.push(path);
                }
            }
        }
    }

    pub(crate) fn needs_some(&self) -> bool {
        !self.needs.is_empty()
    }

    /// How many documents are needed so far.
    pub(crate) fn needs_count(&self) -> usize {
        self.needs.len()
    }

    /// Takes back the needs behind the first so many: something else has decided.
    pub(crate) fn forget_needs(&mut self, first: usize) {
        for path in self.needs.drain(first..) {
            self.used.retain(|used| *used != path);
        }
    }

    pub(crate) fn into_needs(self) -> Vec<DocumentPath> {
        self.needs
    }

    /// Every document looked up.
    pub(crate) fn into_used(mut self) -> Vec<DocumentPath> {
        if self.batch.is_some() {
            self.next_operation();
        }
        match self.batch {
            Some((batch, _)) => batch,
            None => self.used,
        }
    }

    /// Counts a look-up.
    fn count(&mut self, path: &DocumentPath) -> Result<(), Fault> {
        if self.used.contains(path) {
            return Ok(());
        }
        if self.used.len() >= self.used_max {
            return Err(Fault::LookupsMax(self.used_max));
        }
        if let Some((batch, batch_max)) = &self.batch
            && !batch.contains(path)
        {
            let own = self.used.iter().filter(|used| !batch.contains(used)).count();
            if batch.len() + own >= *batch_max {
                return Err(Fault::LookupsMax(*batch_max));
            }
        }
        self.used.push(path.clone());
        Ok(())
    }

    /// Counts a look-up of a document that is not known; false if there are too many.
    pub(crate) fn count_unknown(&mut self) -> bool {
        self.used_max = self.used_max.saturating_sub(1);
        self.used.len() <= self.used_max
    }

    pub(crate) fn need(&mut self, path: DocumentPath) {
        if !self.needs.contains(&path) {
            self.needs.push(path);
        }
    }
}

impl<'a, O: Observer> Evaluator<'a, '_, O> {
    /// A function that looks a document up.
    pub(crate) fn look_up(
        &mut self,
        builtin: &'static Builtin,
        arguments: &[Value<'a>],
        span: Span,
    ) -> Evaluated<'a> {
        let service = self.request.target.service();
        let path = match resolve(
            builtin,
            arguments,
            service,
            self.context.database,
            &mut self.lookups,
        ) {
            Ok(path) => path,
            Err(fault) => return self.fail(fault, span),
        };
        let is_after = matches!(builtin.id, BuiltinId::GetAfter | BuiltinId::ExistsAfter);
        let Some(found) = self.find(&path, is_after) else {
            self.lookups.need(path);
            return Err(Stop::Needs);
        };
        match found_value(builtin, &path, found, self.limits, self.context.database) {
            Ok(value) => Ok(value),
            Err(fault) => self.fail(fault, span),
        }
    }

    /// The document, if it is known.
    fn find(&self, path: &DocumentPath, is_after: bool) -> Option<Found<'a>> {
        if is_after && let Some(found) = self.documents.find_after(path) {
            return Some(found);
        }
        match self.request.target {
            Target::Document { path: own, .. } if own == path => {
                let is_after = is_after && self.request.method.is_write();
                let data = match self.request.method {
                    _ if !is_after => self.request.before,
                    Method::Delete => None,
                    _ => self.request.after,
                };
                Some(data.map(|data| (own, data)))
            }
            _ => self.documents.find(path),
        }
    }
}

/// The document that a look-up is about, counted.
pub(crate) fn resolve(
    builtin: &Builtin,
    arguments: &[Value<'_>],
    service: ServiceKind,
    database: &str,
    lookups: &mut Lookups,
) -> Result<DocumentPath, Fault> {
    let is_elsewhere = builtin.service.is_some_and(|own| !service.has_functions_of(own));
    if is_elsewhere || builtin.parameters.len() != arguments.len() {
        return Err(Fault::FunctionNotFound(builtin.name.into()));
    }
    check_arguments(builtin.parameters, arguments, || builtin.name.to_owned())?;
    let path = document_path(&arguments[0], database)?;
    lookups.count(&path)?;
    Ok(path)
}

/// What a look-up gives for what was found.
pub(crate) fn found_value<'a>(
    builtin: &Builtin,
    path: &DocumentPath,
    found: Found<'a>,
    limits: &Limits,
    database: &str,
) -> Result<Value<'a>, Fault> {
    let only_exists = matches!(
        builtin.id,
        BuiltinId::Exists | BuiltinId::ExistsAfter | BuiltinId::FirestoreExists
    );
    match found {
        _ if only_exists => Ok(Value::Bool(found.is_some())),
        Some((path, data)) => Ok(Value::Object(Object::Document { path, data })),
        None if limits.get_missing_fails => {
            let path = format!("/databases/{database}/documents/{path}");
            Err(Fault::MissingDocument(path.into()))
        }
        None => Ok(Value::Null),
    }
}

fn document_path(value: &Value<'_>, database: &str) -> Result<DocumentPath, Fault> {
    let parts = match value {
        Value::Path(Path::Reference(path)) => return Ok((*path).clone()),
        Value::Path(Path::Built(parts)) => parts,
        _ => return Err(Fault::invalid("a document is looked up by its path")),
    };
    let is_segment = |part: &Part<'_>, wanted: &str| matches!(part, Part::Segment(text) if **text == *wanted);
    match &**parts {
        [databases, own, documents, rest @ ..]
            if is_segment(databases, "databases")
                && is_segment(own, database)
                && is_segment(documents, "documents") =>
        {
            let mut text = String::with_capacity(64);
            for part in rest {
                let Part::Segment(segment) = part else {
                    return Err(Fault::invalid("a part of the path is not bound"));
                };
                // A slash in a value must not become one between segments.
                if segment.contains('/') {
                    return Err(Fault::invalid("a segment of the path contains a slash"));
                }
                if !text.is_empty() {
                    text.push('/');
                }
                text.push_str(segment);
            }
            text.parse()
                .map_err(|error: InputError| Fault::invalid(error.detail))
        }
        _ => Err(Fault::invalid(format!(
            "the path of a document begins with /databases/{database}/documents"
        ))),
    }
}
