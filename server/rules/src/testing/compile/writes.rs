//! Writes: what they make of the documents and files that are given.

use std::sync::Arc;

use andiron_protocol::{
    DocumentPath, FieldPath, InputError, Map, Precondition, Transform, Value as Stored, Version, Write,
    WriteData, WriteKind, apply_write,
};

use super::{Compiled, Compiler, Operation, Place, Setting, input};
use crate::evaluate::Method;
use crate::explain::complete_metadata;
use crate::source::Span;
use crate::syntax::{Expr, ExprKind};
use crate::testing::constant::{ABSENT, Unclear};
use crate::testing::syntax::{self, Verb};

/// A document that a commit writes.
struct Touched {
    path: DocumentPath,
    /// What is there so far.
    left: Option<Arc<Map>>,
    /// What was written there last, if anything.
    undone: Option<Arc<Map>>,
}

impl<'a> Compiler<'a> {
    pub(super) fn file_write(
        &mut self,
        write: &'a syntax::Write,
        setting: &Setting<'a>,
    ) -> Compiled<Operation> {
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
    pub(super) fn commit(
        &mut self,
        writes: &'a [syntax::Write],
        setting: &Setting<'a>,
    ) -> Compiled<Vec<Operation>> {
        let mut touched: Vec<Touched> = Vec::new();
        let mut written = Vec::with_capacity(writes.len());
        for write in writes {
            let path = match self.place(&write.subject, setting)? {
                Place::Document(path) => path,
                Place::File { .. } | Place::Account(_) => {
                    return Err(Unclear::new(
                        write.subject.span,
                        "a commit writes documents, and neither files nor accounts",
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
            document.left = applied.after;
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
                    fields: Arc::new(fields),
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
}

fn is_absent(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Variable(name) if &*name.text == ABSENT)
}
