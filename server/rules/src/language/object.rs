//! What `request`, `resource` and what hangs on them hold.

use super::{Kind, Kinds};
use crate::syntax::ServiceKind;

/// A map whose keys the language defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Object {
    /// `request`
    Request,
    /// `request.auth`
    Auth,
    /// `request.auth.token`, which may hold more than is listed
    Token,
    /// `request.auth.token.firebase`
    TokenFirebase,
    /// `request.query`
    Query,
    /// `resource`, `request.resource`
    Document,
    /// What a look-up gives: a document of any collection
    LookedUp,
    /// `resource` and `request.resource` in the rules of files
    File,
}

impl Object {
    /// Whether there may be keys that are not listed.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Token)
    }

    /// How messages call it.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Request => "`request`",
            Self::Auth => "`request.auth`",
            Self::Token => "`request.auth.token`",
            Self::TokenFirebase => "`request.auth.token.firebase`",
            Self::Query => "`request.query`",
            Self::Document | Self::LookedUp => {
                "a document (`resource`, `request.resource`, or what `get` gives)"
            }
            Self::File => "a file (`resource` or `request.resource`)",
        }
    }

    /// What to do about a key that it does not have.
    pub fn hint(self, name: &str) -> Option<String> {
        match self {
            Self::Document => Some(format!("fields are in `data`: `resource.data.{name}`")),
            Self::LookedUp => Some(format!("fields are in `data`: `get(…).data.{name}`")),
            Self::Auth => Some(format!("claims are in `token`: `request.auth.token.{name}`")),
            Self::Request if name == "data" => {
                Some("the document to be written is `request.resource.data`".to_owned())
            }
            Self::Request if matches!(name, "user" | "uid" | "userId") => Some(
                "the caller is `request.auth`, null if nobody is signed in; the id is `request.auth.uid`"
                    .to_owned(),
            ),
            Self::File if name == "data" => {
                Some("a file has no `data`; its own keys are in `metadata`".to_owned())
            }
            _ => None,
        }
    }
}

/// A key of an [`Object`].
#[derive(Clone, Copy, Debug)]
pub struct Property {
    /// The key.
    pub name: &'static str,
    /// What its value may be.
    pub kinds: Kinds,
    /// What that value holds, if the language defines it.
    pub object: Option<Object>,
    /// The service whose rules have it, if only one does.
    pub service: Option<ServiceKind>,
}

const NULL_OR_MAP: Kinds = Kinds::of(&[Kind::Null, Kind::Map]);
const STRING: Kinds = Kinds::only(Kind::String);
const INT: Kinds = Kinds::only(Kind::Int);
const TIMESTAMP: Kinds = Kinds::only(Kind::Timestamp);
const MAP: Kinds = Kinds::only(Kind::Map);
const NULL_OR_STRING: Kinds = Kinds::of(&[Kind::Null, Kind::String]);

const fn plain(name: &'static str, kinds: Kinds) -> Property {
    Property {
        name,
        kinds,
        object: None,
        service: None,
    }
}

const fn holding(name: &'static str, kinds: Kinds, object: Object) -> Property {
    Property {
        object: Some(object),
        ..plain(name, kinds)
    }
}

const fn only_in(service: ServiceKind, property: Property) -> Property {
    Property {
        service: Some(service),
        ..property
    }
}

const REQUEST: &[Property] = &[
    holding("auth", NULL_OR_MAP, Object::Auth),
    plain("method", STRING),
    plain("path", Kinds::only(Kind::Path)),
    plain("time", TIMESTAMP),
    only_in(ServiceKind::Firestore, holding("query", MAP, Object::Query)),
    // What it holds depends on the service; see `property`.
    plain("resource", NULL_OR_MAP),
    plain("params", MAP),
];

const AUTH: &[Property] = &[plain("uid", STRING), holding("token", MAP, Object::Token)];

const TOKEN: &[Property] = &[
    plain("sub", STRING),
    plain("email", STRING),
    plain("email_verified", Kinds::only(Kind::Bool)),
    plain("phone_number", STRING),
    plain("name", STRING),
    plain("picture", STRING),
    plain("iss", STRING),
    plain("aud", STRING),
    plain("iat", INT),
    plain("exp", INT),
    plain("auth_time", INT),
    holding("firebase", MAP, Object::TokenFirebase),
];

const TOKEN_FIREBASE: &[Property] = &[
    plain("identities", MAP),
    plain("sign_in_provider", STRING),
    plain("tenant", STRING),
    plain("sign_in_second_factor", STRING),
    plain("second_factor_identifier", STRING),
    plain("sign_in_attributes", MAP),
];

const QUERY: &[Property] = &[
    plain("limit", Kinds::of(&[Kind::Null, Kind::Int])),
    plain("offset", Kinds::of(&[Kind::Null, Kind::Int])),
    plain("orderBy", Kinds::ANY),
];

const DOCUMENT: &[Property] = &[
    plain("data", MAP),
    plain("id", STRING),
    plain("__name__", Kinds::only(Kind::Path)),
];

const FILE: &[Property] = &[
    plain("name", STRING),
    plain("bucket", STRING),
    plain("generation", INT),
    plain("metageneration", INT),
    plain("size", INT),
    plain("timeCreated", TIMESTAMP),
    plain("updated", TIMESTAMP),
    plain("md5Hash", STRING),
    plain("crc32c", STRING),
    plain("etag", STRING),
    plain("contentDisposition", NULL_OR_STRING),
    plain("contentEncoding", NULL_OR_STRING),
    plain("contentLanguage", NULL_OR_STRING),
    plain("contentType", NULL_OR_STRING),
    plain("metadata", NULL_OR_MAP),
];

/// The key of that name, in the rules of a service or, for functions outside of one, in any.
pub fn property(object: Object, name: &str, service: Option<ServiceKind>) -> Option<Property> {
    let properties = match object {
        Object::Request => REQUEST,
        Object::Auth => AUTH,
        Object::Token => TOKEN,
        Object::TokenFirebase => TOKEN_FIREBASE,
        Object::Query => QUERY,
        Object::Document | Object::LookedUp => DOCUMENT,
        Object::File => FILE,
    };
    let property = properties.iter().find(|property| property.name == name)?;
    if property.service.is_some() && service.is_some() && property.service != service {
        return None;
    }
    let mut property = *property;
    if object == Object::Request && name == "resource" {
        property.object = resource(service);
    }
    Some(property)
}

/// What `resource` holds in the rules of a service; unknown in functions outside of one.
pub(crate) fn resource(service: Option<ServiceKind>) -> Option<Object> {
    match service? {
        ServiceKind::Firestore | ServiceKind::Accounts => Some(Object::Document),
        ServiceKind::Storage => Some(Object::File),
    }
}

/// The names of the keys that are listed.
pub fn property_names(object: Object) -> impl Iterator<Item = &'static str> {
    let properties = match object {
        Object::Request => REQUEST,
        Object::Auth => AUTH,
        Object::Token => TOKEN,
        Object::TokenFirebase => TOKEN_FIREBASE,
        Object::Query => QUERY,
        Object::Document | Object::LookedUp => DOCUMENT,
        Object::File => FILE,
    };
    properties.iter().map(|property| property.name)
}
