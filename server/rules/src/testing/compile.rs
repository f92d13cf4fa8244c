//! From the tree of a test file to checks: every value is computed, every path read, every write applied.
//!
//! What a test says wrongly (a document that is created though it is there, a path of a collection where a document's
//! belongs) is a diagnostic, so that nothing of a broken file runs. Here are the statements and the settings that they make;
//! `writes`, `lists` and `accounts` hold what is done in them.

mod accounts;
mod lists;
mod writes;

use std::collections::BTreeMap;
use std::sync::Arc;

use andiron_protocol::{DocumentPath, InputError, Map, Query, Timestamp, Value as Stored};

use super::constant::{Constants, Scope, Unclear, segments, to_timestamp};
use super::syntax::{self, Caller, Detail, Statement, Subject, SubjectKind, TestFile, Text};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::evaluate::constant::{Context, Patterns, Value};
use crate::evaluate::{DATABASE_DEFAULT, Method};
use crate::explain::complete_metadata;
use crate::limits::Limits;
use crate::source::{FileId, Span};
use crate::syntax::Expr;

/// Where accounts stand, as patterns of `service andiron.auth` have it.
const ACCOUNTS: &str = "accounts";
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

/// A document, a file or an account.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Document(DocumentPath),
    File {
        bucket: String,
        name: String,
    },
    /// `accounts/UID`
    Account(DocumentPath),
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
            (Place::Account(_), _) => {
                let message = "rules see no account but the one to be made";
                return Err(Unclear::new(given.subject.span, message)
                    .with_hint("who asks is said with `as`: `as { uid: 'alice', token: { … } } { … }`"));
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
        let text = segments.join("/");
        match (subject.kind, segments.as_slice()) {
            (SubjectKind::Document, _) => {}
            (SubjectKind::File, [bucket, name @ ..]) if !name.is_empty() => {
                return Ok(Place::File {
                    bucket: bucket.clone(),
                    name: name.join("/"),
                });
            }
            (SubjectKind::File, _) => {
                return Err(Unclear::new(subject.span, "a file has a bucket and a name")
                    .with_hint("write `file /bucket/avatars/alice.png`"));
            }
            (SubjectKind::Account, [accounts, _]) if accounts == ACCOUNTS => {
                let path = text
                    .parse()
                    .map_err(|error| Unclear::new(subject.span, input(error)))?;
                return Ok(Place::Account(path));
            }
            (SubjectKind::Account, _) => {
                return Err(Unclear::new(subject.span, "an account stands in `/accounts`")
                    .with_hint("write `account /accounts/alice`"));
            }
        }
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
                if let Place::Account(_) = place {
                    return Err(only_made(subject.span));
                }
                Work::One(Operation {
                    before: setting.world.at(&place),
                    place,
                    method: Method::Get,
                    after: None,
                    left: None,
                })
            }
            syntax::Action::List(list) => self.list(list, setting, expectation.allows)?,
            syntax::Action::Write(write) => Work::One(match write.subject.kind {
                SubjectKind::File => self.file_write(write, setting)?,
                SubjectKind::Account => self.account_write(write, setting)?,
                SubjectKind::Document => {
                    let mut operations = self.commit(std::slice::from_ref(write), setting)?;
                    operations.pop().expect("one write is one operation")
                }
            }),
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
}

fn check_detail(detail: &Detail, allows: bool) -> Compiled<()> {
    match detail {
        Detail::Reason(Text { span, .. }) | Detail::Field(Text { span, .. }) if allows => {
            Err(Unclear::new(*span, "only what is denied has a reason"))
        }
        _ => Ok(()),
    }
}

/// That accounts are not asked about otherwise.
fn only_made(span: Span) -> Unclear {
    Unclear::new(span, "rules are asked about accounts only when one is made")
        .with_hint("write `create account /accounts/alice { email: 'alice@example.org' }`")
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
            Place::Account(_) => None,
        }
    }
}
