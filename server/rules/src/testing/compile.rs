//! From the tree of a test file to checks: every value is computed, every path read, every write applied.
//!
//! What a test says wrongly (a document that is created though it is there, a path of a collection where a document's
//! belongs) is a diagnostic, so that nothing of a broken file runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use andiron_protocol::{
    DocumentPath, FieldPath, FieldRef, Filter, InputError, Map, OrderBy, Precondition, Query, Source,
    Timestamp, Transform, Value as Stored, Version, Write, WriteData, WriteKind, apply_write,
};

use super::constant::{ABSENT, Constants, Scope, Unclear, segments, to_document, to_timestamp};
use super::syntax::{self, Caller, Detail, ListSource, Statement, Subject, TestFile, Text, Verb};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::evaluate::constant::{Context, Patterns, Value};
use crate::evaluate::{DATABASE_DEFAULT, Method};
use crate::explain::complete_metadata;
use crate::limits::Limits;
use crate::source::{FileId, Span};
use crate::syntax::{Expr, ExprKind};

/// The time of a request whose test says none: 2026-01-01T00:00:00Z.
const TIME_DEFAULT: (i64, i64, i64) = (2026, 1, 1);

/// The documents and files that are there.
#[derive(Clone, Debug, Default)]
pub(super) struct World {
    pub(super) documents: BTreeMap<DocumentPath, Arc<Map>>,
    /// By bucket and name.
    files: BTreeMap<(String, String), Arc<Map>>,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(super) enum Asker {
    Nobody,
    Admin,
    User { uid: String, token: Map },
}

/// A document or a file.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Document(DocumentPath),
    File { bucket: String, name: String },
}

/// An operation on one document or file.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) place: Place,
    pub(super) method: Method,
    pub(super) before: Option<Arc<Map>>,
    /// What it writes.
    pub(super) after: Option<Arc<Map>>,
    /// What is there when the whole commit is done.
    pub(super) left: Option<Arc<Map>>,
}

/// What is done.
#[derive(Clone, Debug)]
pub(super) enum Work {
    One(Operation),
    /// One operation a write.
    Commit(Vec<Operation>),
    List {
        query: Box<Query>,
        gives: Option<Vec<DocumentPath>>,
    },
}

/// An expectation, ready to be judged.
#[derive(Clone, Debug)]
pub(super) struct Check {
    pub(super) span: Span,
    pub(super) allows: bool,
    pub(super) world: Arc<World>,
    pub(super) asker: Asker,
    pub(super) time: Timestamp,
    pub(super) work: Work,
    pub(super) details: Vec<Detail>,
}

/// A test with its expectations.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) name: Arc<str>,
    pub(super) span: Span,
    pub(super) checks: Vec<Check>,
}

/// Compiles a file whose syntax is right; `text` is its text.
pub(super) fn compile<'a>(file: &'a TestFile, text: &'a str) -> (Vec<Case>, Vec<Diagnostic>) {
    let patterns = Patterns::default();
    let mut compiler = Compiler {
        file: file.id,
        text,
        problems: 0,
        context: Context::new(DATABASE_DEFAULT, &patterns, Limits::default().value_bytes_max),
        cases: Vec::new(),
        diagnostics: Diagnostics::default(),
    };
    let (year, month, day) = TIME_DEFAULT;
    let mut setting = Setting {
        world: Arc::default(),
        asker: Asker::Nobody,
        time: Timestamp::from_date(year, month, day).expect("the day exists"),
        scope: Vec::new(),
    };
    compiler.statements(&file.statements, &mut setting);
    if compiler.cases.is_empty() {
        let message = "there is no test in this file";
        compiler.diagnostics.push(
            Diagnostic::new(Code::TestFile, file.span.at_start(), message)
                .with_hint("write `test \"what it shows\" { as nobody { deny get /posts/p1; } }`"),
        );
    }
    (compiler.cases, compiler.diagnostics.finish())
}

/// A document that a commit writes.
struct Touched {
    path: DocumentPath,
    /// What is there so far.
    left: Option<Arc<Map>>,
    /// What was written there last, if anything.
    undone: Option<Arc<Map>>,
}

/// What holds where a statement stands.
#[derive(Clone)]
struct Setting<'a> {
    world: Arc<World>,
    asker: Asker,
    time: Timestamp,
    scope: Scope<'a>,
}

struct Compiler<'a> {
    file: FileId,
    text: &'a str,
    /// How much has been complained about.
    problems: usize,
    context: Context<'a>,
    cases: Vec<Case>,
    diagnostics: Diagnostics,
}

type Compiled<T> = Result<T, Unclear>;

impl<'a> Compiler<'a> {
    fn statements(&mut self, statements: &'a [Statement], setting: &mut Setting<'a>) {
        for statement in statements {
            if let Err(unclear) = self.statement(statement, setting) {
                self.report(unclear);
            }
        }
    }

    fn report(&mut self, unclear: Unclear) {
        self.problems += 1;
        let mut diagnostic = Diagnostic::new(Code::TestFile, unclear.span, unclear.message);
        diagnostic.hint = unclear.hint.map(str::to_owned);
        self.diagnostics.push(diagnostic);
    }

    fn constants<'s>(&'s mut self, setting: &'s Setting<'a>) -> Constants<'a, 's> {
        Constants {
            context: &mut self.context,
            scope: &setting.scope,
            now: setting.time,
        }
    }

    fn statement(&mut self, statement: &'a Statement, setting: &mut Setting<'a>) -> Compiled<()> {
        match statement {
            Statement::Let(binding) => {
                let value = self.constants(setting).value(&binding.value)?;
                setting.scope.push((Arc::clone(&binding.name.text), value));
            }
            Statement::Given(documents) => {
                for given in documents {
                    if let Err(unclear) = self.given(given, setting) {
                        self.report(unclear);
                    }
                }
            }
            Statement::As { caller, body } => {
                let asker = self.asker(caller, setting)?;
                let mut inner = Setting {
                    asker,
                    ..setting.clone()
                };
                self.statements(body, &mut inner);
            }
            Statement::At { time, body } => {
                let value = self.constants(setting).value(time)?;
                let time = to_timestamp(&value).map_err(|message| Unclear::new(time.span, message))?;
                let mut inner = Setting {
                    time,
                    ..setting.clone()
                };
                self.statements(body, &mut inner);
            }
            Statement::Test { name, body } => {
                if let Some(other) = self.cases.iter().find(|case| case.name == name.text) {
                    let message = format!("there are two tests `{}`", name.text);
                    self.diagnostics.push(
                        Diagnostic::new(Code::DuplicateName, name.span, message)
                            .with_label(other.span, "the other one"),
                    );
                }
                self.cases.push(Case {
                    name: Arc::clone(&name.text),
                    span: name.span,
                    checks: Vec::new(),
                });
                let problems = self.problems;
                self.statements(body, &mut setting.clone());
                let is_empty = self.cases.last().is_some_and(|case| case.checks.is_empty());
                // An expectation that was complained about is one.
                if is_empty && self.problems == problems {
                    let message = "the test expects nothing";
                    self.diagnostics.push(
                        Diagnostic::new(Code::TestFile, name.span, message)
                            .with_hint("write what is to be allowed or denied: `deny get /posts/p1;`"),
                    );
                }
            }
            Statement::Expectation(expectation) => {
                let check = self.expectation(expectation, setting)?;
                if let Some(case) = self.cases.last_mut() {
                    case.checks.push(check);
                }
            }
        }
        Ok(())
    }

    fn given(&mut self, given: &'a syntax::Given, setting: &mut Setting<'a>) -> Compiled<()> {
        let place = self.place(&given.subject, setting)?;
        let data = match &given.data {
            Some(data) => Some(self.constants(setting).data(data)?),
            None => None,
        };
        let world = Arc::make_mut(&mut setting.world);
        match (place, data) {
            (Place::Document(path), Some(data)) => {
                world.documents.insert(path, Arc::new(data));
            }
            (Place::Document(path), None) => {
                world.documents.remove(&path);
            }
            (Place::File { bucket, name }, Some(mut data)) => {
                complete_metadata(&mut data, &bucket, &name);
                world.files.insert((bucket, name), Arc::new(data));
            }
            (Place::File { bucket, name }, None) => {
                world.files.remove(&(bucket, name));
            }
        }
        Ok(())
    }

    fn asker(&mut self, caller: &'a Caller, setting: &Setting<'a>) -> Compiled<Asker> {
        let expr = match caller {
            Caller::Nobody => return Ok(Asker::Nobody),
            Caller::Admin => return Ok(Asker::Admin),
            Caller::User(expr) => expr,
        };
        let shape = "somebody is a uid, as in `as 'alice'`, or `{ uid: 'alice', token: { … } }`";
        let (uid, mut token) = match self.constants(setting).stored(expr)? {
            Stored::String(uid) => (uid, Map::new()),
            Stored::Map(mut map) => {
                let uid = match map.remove("uid") {
                    Some(Stored::String(uid)) => uid,
                    _ => {
                        return Err(
                            Unclear::new(expr.span, "the caller has no `uid` that is a string")
                                .with_hint(shape),
                        );
                    }
                };
                let token = match map.remove("token") {
                    None => Map::new(),
                    Some(Stored::Map(token)) => token,
                    Some(_) => {
                        return Err(
                            Unclear::new(expr.span, "the caller's `token` is no map").with_hint(shape)
                        );
                    }
                };
                if let Some(key) = map.keys().next() {
                    let message = format!("a caller has no `{key}`, only `uid` and `token`");
                    return Err(Unclear::new(expr.span, message)
                        .with_hint("claims stand in the token: `{ uid: 'alice', token: { admin: true } }`"));
                }
                (uid, token)
            }
            _ => return Err(Unclear::new(expr.span, "this is nobody who could ask").with_hint(shape)),
        };
        token
            .entry("sub".to_owned())
            .or_insert_with(|| Stored::String(uid.clone()));
        Ok(Asker::User { uid, token })
    }

    fn segments(&mut self, path: &'a Expr, setting: &Setting<'a>) -> Compiled<Vec<String>> {
        match self.constants(setting).value(path)? {
            Value::Path(found) => segments(&found).map_err(|message| Unclear::new(path.span, message)),
            _ => Err(Unclear::new(path.span, "this is no path")),
        }
    }

    fn place(&mut self, subject: &'a Subject, setting: &Setting<'a>) -> Compiled<Place> {
        let segments = self.segments(&subject.path, setting)?;
        if subject.is_file {
            return match segments.as_slice() {
                [bucket, name @ ..] if !name.is_empty() => Ok(Place::File {
                    bucket: bucket.clone(),
                    name: name.join("/"),
                }),
                _ => Err(Unclear::new(subject.span, "a file has a bucket and a name")
                    .with_hint("write `file /bucket/avatars/alice.png`")),
            };
        }
        let text = segments.join("/");
        match text.parse() {
            Ok(path) => Ok(Place::Document(path)),
            Err(_) if segments.len() % 2 == 1 => {
                let message = format!("`/{text}` is a collection, and this is about a document");
                Err(Unclear::new(subject.span, message)
                    .with_hint("a document's path has its id behind the collection: `/posts/p1`"))
            }
            Err(error) => Err(Unclear::new(subject.span, input(error))),
        }
    }

    fn expectation(
        &mut self,
        expectation: &'a syntax::Expectation,
        setting: &Setting<'a>,
    ) -> Compiled<Check> {
        let work = match &expectation.action {
            syntax::Action::Get(subject) => {
                let place = self.place(subject, setting)?;
                Work::One(Operation {
                    before: setting.world.at(&place),
                    place,
                    method: Method::Get,
                    after: None,
                    left: None,
                })
            }
            syntax::Action::List(list) => self.list(list, setting, expectation.allows)?,
            syntax::Action::Write(write) => {
                if write.subject.is_file {
                    Work::One(self.file_write(write, setting)?)
                } else {
                    let mut operations = self.commit(std::slice::from_ref(write), setting)?;
                    let only = operations.pop().expect("one write is one operation");
                    Work::One(only)
                }
            }
            syntax::Action::Commit(writes) => {
                if writes.is_empty() {
                    return Err(Unclear::new(expectation.span, "the commit writes nothing"));
                }
                Work::Commit(self.commit(writes, setting)?)
            }
        };
        for detail in &expectation.details {
            check_detail(detail, expectation.allows)?;
        }
        Ok(Check {
            span: expectation.span,
            allows: expectation.allows,
            world: Arc::clone(&setting.world),
            asker: setting.asker.clone(),
            time: setting.time,
            work,
            details: expectation.details.clone(),
        })
    }

    fn file_write(&mut self, write: &'a syntax::Write, setting: &Setting<'a>) -> Compiled<Operation> {
        let place = self.place(&write.subject, setting)?;
        let before = setting.world.at(&place);
        let mut given = match &write.data {
            Some(data) => self.constants(setting).data(data)?,
            None => Map::new(),
        };
        let Place::File { bucket, name } = &place else {
            return Err(Unclear::new(write.subject.span, "this is no file"));
        };
        let (method, after) = match (write.verb, &before) {
            (Verb::Create, _) => {
                complete_metadata(&mut given, bucket, name);
                (Method::Create, Some(given))
            }
            (Verb::Update, Some(before)) => {
                let mut after = (**before).clone();
                after.extend(given);
                complete_metadata(&mut after, bucket, name);
                (Method::Update, Some(after))
            }
            (Verb::Delete, _) => (Method::Delete, None),
            (Verb::Update, None) => {
                return Err(Unclear::new(
                    write.span,
                    "there is no such file whose metadata could be updated",
                )
                .with_hint("put it into `given`: `file /bucket/name { size: 1 }`"));
            }
            (Verb::Set | Verb::Merge, _) => {
                return Err(Unclear::new(
                    write.span,
                    "a file is created (uploaded), updated (its metadata) or deleted",
                ));
            }
        };
        Ok(Operation {
            place,
            method,
            before,
            after: after.map(Arc::new),
            left: None,
        })
    }

    /// Applies writes one after the other, and gives the operation that each is for the rules: from what its document was
    /// before all of them to what it is after all of them.
    fn commit(&mut self, writes: &'a [syntax::Write], setting: &Setting<'a>) -> Compiled<Vec<Operation>> {
        let mut touched: Vec<Touched> = Vec::new();
        let mut written = Vec::with_capacity(writes.len());
        for write in writes {
            let path = match self.place(&write.subject, setting)? {
                Place::Document(path) => path,
                Place::File { .. } => {
                    return Err(Unclear::new(
                        write.subject.span,
                        "a commit writes documents, not files",
                    ));
                }
            };
            let slot = match touched.iter().position(|known| known.path == path) {
                Some(slot) => slot,
                None => {
                    touched.push(Touched {
                        path: path.clone(),
                        left: setting.world.documents.get(&path).cloned(),
                        undone: None,
                    });
                    touched.len() - 1
                }
            };
            let kind = self.write_kind(write, setting)?;
            let before = touched[slot].left.as_deref();
            let applied = apply_write(
                &Write {
                    path: path.clone(),
                    kind,
                    precondition: Precondition::None,
                },
                before.map(|data| (Version::ZERO, data)),
                setting.time,
            );
            let applied = applied.map_err(|_| {
                if write.verb == Verb::Create {
                    Unclear::new(
                        write.span,
                        format!("`/{path}` is there already, so it cannot be created"),
                    )
                    .with_hint("write `set` to replace it, or make it `absent` in `given`")
                } else {
                    Unclear::new(
                        write.span,
                        format!("`/{path}` is not there, so it cannot be updated"),
                    )
                    .with_hint("put it into `given`, or write `set` or `merge`")
                }
            })?;
            let document = &mut touched[slot];
            document.left = applied.after.map(Arc::new);
            // What the commit deletes in the end was something all the same.
            if document.left.is_some() {
                document.undone.clone_from(&document.left);
            }
            written.push((slot, write.verb));
        }
        let operations = written.into_iter().map(|(slot, verb)| {
            let Touched { path, left, undone } = &touched[slot];
            let before = setting.world.documents.get(path).cloned();
            let method = match (verb, &before) {
                (Verb::Delete, _) => Method::Delete,
                (_, None) => Method::Create,
                (_, Some(_)) => Method::Update,
            };
            Operation {
                place: Place::Document(path.clone()),
                after: match method {
                    Method::Delete => None,
                    _ => undone.clone(),
                },
                left: left.clone(),
                method,
                before,
            }
        });
        Ok(operations.collect())
    }

    fn write_kind(&mut self, write: &'a syntax::Write, setting: &Setting<'a>) -> Compiled<WriteKind> {
        let Some(data) = &write.data else {
            return Ok(WriteKind::Delete);
        };
        Ok(match write.verb {
            Verb::Delete => WriteKind::Delete,
            Verb::Create => WriteKind::Create(self.constants(setting).data(data)?.into()),
            Verb::Set => WriteKind::Set(self.constants(setting).data(data)?.into()),
            Verb::Merge => {
                let mut removed = Vec::new();
                let fields = self.merged(data, setting, &mut Vec::new(), &mut removed)?;
                WriteKind::Merge(WriteData {
                    fields,
                    transforms: removed,
                })
            }
            Verb::Update => {
                let (mut fields, mut transforms) = (Vec::new(), Vec::new());
                for (key, value, span) in self.entries(data, setting)? {
                    let path: FieldPath = key
                        .parse()
                        .map_err(|error: InputError| Unclear::new(span, input(error)))?;
                    match value {
                        Some(value) => fields.push((path, value)),
                        None => transforms.push((path, Transform::Delete)),
                    }
                }
                WriteKind::Update { fields, transforms }
            }
        })
    }

    /// The entries of a map, `None` for those that are `absent`; only what is written as a map can say that.
    fn entries(
        &mut self,
        data: &'a Expr,
        setting: &Setting<'a>,
    ) -> Compiled<Vec<(String, Option<Stored>, Span)>> {
        let mut constants = self.constants(setting);
        let ExprKind::Map(entries) = &data.kind else {
            let map = constants.data(data)?;
            return Ok(map
                .into_iter()
                .map(|(key, value)| (key, Some(value), data.span))
                .collect());
        };
        let mut found: Vec<(String, Option<Stored>, Span)> = Vec::with_capacity(entries.len());
        for entry in entries {
            let key = constants.key(&entry.key)?.to_string();
            let value = if is_absent(&entry.value) {
                None
            } else {
                Some(constants.stored(&entry.value)?)
            };
            if found.iter().any(|(known, ..)| *known == key) {
                let message = format!("the key `{key}` stands twice in one map");
                return Err(Unclear::new(entry.key.span, message));
            }
            found.push((key, value, entry.key.span));
        }
        Ok(found)
    }

    /// The data of a merge, and the fields that it removes.
    fn merged(
        &mut self,
        data: &'a Expr,
        setting: &Setting<'a>,
        way: &mut Vec<String>,
        removed: &mut Vec<(FieldPath, Transform)>,
    ) -> Compiled<Map> {
        let ExprKind::Map(entries) = &data.kind else {
            return self.constants(setting).data(data);
        };
        let mut map = Map::new();
        for entry in entries {
            let key = self.constants(setting).key(&entry.key)?.to_string();
            way.push(key.clone());
            if is_absent(&entry.value) {
                let path = FieldPath::from_segments(way.clone())
                    .map_err(|error| Unclear::new(entry.key.span, input(error)))?;
                removed.push((path, Transform::Delete));
            } else if matches!(entry.value.kind, ExprKind::Map(_)) {
                let inner = self.merged(&entry.value, setting, way, removed)?;
                map.insert(key, Stored::Map(inner));
            } else {
                let value = self.constants(setting).stored(&entry.value)?;
                map.insert(key, value);
            }
            way.pop();
        }
        Ok(map)
    }

    fn list(&mut self, list: &'a syntax::List, setting: &Setting<'a>, allows: bool) -> Compiled<Work> {
        let source = match &list.source {
            ListSource::Group(name) => Source::Group(name.text.to_string()),
            ListSource::Subject(subject) => {
                let segments = self.segments(&subject.path, setting)?;
                if subject.is_file {
                    return self.file_list(list, &segments, subject.span);
                }
                let text = segments.join("/");
                Source::Collection(text.parse().map_err(|error: InputError| {
                    if segments.len() % 2 == 0 {
                        let message = format!("`/{text}` is a document, and a list is of a collection");
                        Unclear::new(subject.span, message).with_hint("write `list /posts`")
                    } else {
                        Unclear::new(subject.span, input(error))
                    }
                })?)
            }
        };
        let mut query = Query::all(source);
        query.strict = list.is_strict;
        query.limit = list.limit;
        query.offset = list.offset.unwrap_or(0);
        if let Some(filter) = &list.filter {
            query.filter = Some(self.filter(filter)?);
        }
        for (field, direction) in &list.order {
            let text = &field.text;
            let field_ref: FieldRef = text
                .parse()
                .map_err(|error| Unclear::new(field.span, input(error)))?;
            query.order_by.push(OrderBy {
                field: field_ref,
                direction: *direction,
            });
        }
        query
            .check()
            .map_err(|error| Unclear::new(list.span, input(error)))?;
        let gives = match &list.gives {
            None => None,
            Some(_) if !allows => {
                return Err(Unclear::new(list.span, "what is denied gives nothing")
                    .with_hint("write `allow list … gives …`"));
            }
            Some(paths) => {
                let mut found = Vec::with_capacity(paths.len());
                for path in paths {
                    let Value::Path(value) = self.constants(setting).value(path)? else {
                        return Err(Unclear::new(path.span, "this is no path"));
                    };
                    found.push(to_document(&value).map_err(|message| Unclear::new(path.span, message))?);
                }
                Some(found)
            }
        };
        Ok(Work::List {
            query: Box::new(query),
            gives,
        })
    }

    fn file_list(&mut self, list: &syntax::List, segments: &[String], span: Span) -> Compiled<Work> {
        let is_plain = list.filter.is_none()
            && list.order.is_empty()
            && list.limit.is_none()
            && list.offset.is_none()
            && list.gives.is_none()
            && !list.is_strict;
        if !is_plain {
            return Err(Unclear::new(
                list.span,
                "a list of files has nothing but the name that they lie below",
            ));
        }
        let [bucket, name @ ..] = segments else {
            return Err(Unclear::new(span, "files lie in a bucket"));
        };
        Ok(Work::One(Operation {
            place: Place::File {
                bucket: bucket.clone(),
                name: name.join("/"),
            },
            method: Method::List,
            before: None,
            after: None,
            left: None,
        }))
    }

    /// Filters have a language of their own, without variables: the text is read again by it.
    fn filter(&mut self, expr: &Expr) -> Compiled<Filter> {
        let text = &self.text[expr.span.range()];
        Filter::from_expression(text).map_err(|error| {
            let offset = match error.position {
                Some(position) => offset_of(text, position),
                None => 0,
            };
            let start = expr.span.start as usize + offset;
            let span = Span::new(self.file, start, (start + 1).min(expr.span.end as usize));
            let span = if offset == 0 { expr.span } else { span };
            Unclear::new(span, error.detail)
                .with_hint("a filter is about the document's fields: `published == true && rating >= 4`")
        })
    }
}

/// The byte at a line and column, both from 1, the column in characters; kept within the text.
fn offset_of(text: &str, (line, column): (u32, u32)) -> usize {
    let line_start: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1) as usize)
        .map(str::len)
        .sum();
    let rest = &text[line_start.min(text.len())..];
    let within = rest.char_indices().nth(column.saturating_sub(1) as usize);
    line_start + within.map_or(0, |(offset, _)| offset)
}

fn is_absent(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Variable(name) if &*name.text == ABSENT)
}

fn check_detail(detail: &Detail, allows: bool) -> Compiled<()> {
    match detail {
        Detail::Reason(Text { span, .. }) | Detail::Field(Text { span, .. }) if allows => {
            Err(Unclear::new(*span, "only what is denied has a reason"))
        }
        _ => Ok(()),
    }
}

fn input(error: InputError) -> String {
    error.detail
}

impl World {
    /// What is at a place.
    fn at(&self, place: &Place) -> Option<Arc<Map>> {
        match place {
            Place::Document(path) => self.documents.get(path).cloned(),
            Place::File { bucket, name } => self.files.get(&(bucket.clone(), name.clone())).cloned(),
        }
    }
}
