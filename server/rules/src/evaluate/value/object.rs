//! The request and its parts, as the rules see them: maps whose members are made when they are asked for.

use std::collections::BTreeMap;

use andiron_protocol::{Direction, DocumentPath, FieldPath, FieldRef, Map as StoredMap, Query};

use super::{List, Map, Path, Text, Value};
use crate::evaluate::fault::Fault;
use crate::evaluate::request::{Auth, Method, Request, Target};

/// Something of the request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Object<'a> {
    /// `request`
    Request(&'a Request<'a>),
    /// `request.auth`
    Auth(&'a Auth<'a>),
    /// `request.query`
    Query(&'a Query),
    /// A document: `resource`, `request.resource`, what `get` gives.
    Document {
        path: &'a DocumentPath,
        data: &'a StoredMap,
    },
}

const REQUEST_MEMBERS: &[&str] = &["auth", "method", "path", "query", "resource", "time"];
const AUTH_MEMBERS: &[&str] = &["token", "uid"];
const QUERY_MEMBERS: &[&str] = &["limit", "offset", "orderBy"];
const DOCUMENT_MEMBERS: &[&str] = &["__name__", "data", "id"];

impl<'a> Object<'a> {
    /// The member of that name, if there is one.
    pub(crate) fn get(self, name: &str) -> Option<Value<'a>> {
        match self {
            Self::Request(request) => match name {
                "auth" => Some(match &request.auth {
                    Some(auth) => Value::Object(Self::Auth(auth)),
                    None => Value::Null,
                }),
                "resource" if matches!(request.method, Method::Create | Method::Update) => {
                    Some(request.resource_of(request.after))
                }
                "time" => Some(Value::Timestamp(i128::from(request.time.as_micros()) * 1000)),
                "method" => Some(Value::string(request.method.as_str())),
                "path" => Some(Value::Path(match request.target {
                    Target::Document { path, .. } => Path::Reference(path),
                    Target::File { .. } | Target::Account { .. } => {
                        Path::from_segments(request.target.segments().into_iter())
                    }
                })),
                "query" if request.method == Method::List => {
                    request.query.map(|query| Value::Object(Self::Query(query)))
                }
                _ => None,
            },
            Self::Auth(auth) => match name {
                "uid" => Some(Value::string(auth.uid)),
                "token" => Some(Value::Map(Map::Stored(auth.token))),
                _ => None,
            },
            Self::Query(query) => match name {
                "limit" => Some(
                    query
                        .limit
                        .map_or(Value::Null, |limit| Value::Int(i64::from(limit))),
                ),
                "offset" => Some(Value::Int(i64::from(query.offset))),
                "orderBy" => Some(order_by(query)),
                _ => None,
            },
            Self::Document { path, data } => match name {
                "data" => Some(Value::Map(Map::Stored(data))),
                "id" => Some(Value::string(path.id())),
                "__name__" => Some(Value::Path(Path::Reference(path))),
                _ => None,
            },
        }
    }

    /// The same as a map, for what is asked of maps besides members.
    pub(crate) fn to_map(self) -> Result<Map<'a>, Fault> {
        let names = match self {
            Self::Request(_) => REQUEST_MEMBERS,
            Self::Auth(_) => AUTH_MEMBERS,
            Self::Query(_) => QUERY_MEMBERS,
            Self::Document { .. } => DOCUMENT_MEMBERS,
        };
        let members = names
            .iter()
            .filter_map(|name| Some((Text::Borrowed(name), self.get(name)?)));
        Map::built(members.collect())
    }
}

/// The fields of the explicit order with their directions, as a map.
fn order_by(query: &Query) -> Value<'_> {
    let entries: BTreeMap<_, _> = query
        .order_by
        .iter()
        .map(|order| {
            let field = match &order.field {
                FieldRef::Field(path) => Text::from(field_name(path)),
                FieldRef::Id => Text::Borrowed("__name__"),
            };
            let direction = match order.direction {
                Direction::Ascending => "ASC",
                Direction::Descending => "DESC",
            };
            (field, Value::string(direction))
        })
        .collect();
    Map::built(entries).map_or(Value::Null, Value::Map)
}

fn field_name(path: &FieldPath) -> String {
    path.segments().join(".")
}

impl<'a> Value<'a> {
    /// The value as a map, if it is one to the rules.
    pub(crate) fn as_map(&self) -> Option<Result<Map<'a>, Fault>> {
        match self {
            Self::Map(map) => Some(Ok(map.clone())),
            Self::Object(object) => Some(object.to_map()),
            _ => None,
        }
    }

    /// `value.name`
    pub(crate) fn member(&self, name: &str) -> Result<Value<'a>, Fault> {
        let found = match self {
            Self::Map(map) => map.get(name),
            Self::Object(object) => object.get(name),
            Self::Null => return Err(Fault::Null),
            _ => None,
        };
        found.ok_or_else(|| Fault::UndefinedProperty(name.into()))
    }

    /// The elements of a list or a set.
    pub(crate) fn elements(&self) -> Option<List<'a>> {
        match self {
            Self::List(list) => Some(list.clone()),
            Self::Set(items) => Some(List::Built(std::sync::Arc::clone(items))),
            _ => None,
        }
    }
}
