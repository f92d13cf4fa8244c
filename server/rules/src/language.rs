//! What the language has besides its syntax, as data: types, methods, functions, and what `request` and `resource` hold.
//!
//! The checker and the evaluator read the same tables, so that neither knows a method that the other does not. Every
//! method and function has an identifier of its own ([`Method::id`], [`Builtin::id`]), so that an evaluator's `match` over
//! them is complete or does not compile.

mod function;
mod kind;
mod method;
mod object;

pub use function::{Builtin, BuiltinId, Namespace, all_builtins, builtin};
pub use kind::{Kind, Kinds};
pub use method::{Method, MethodId, Parameters, all_methods, method, methods_named};
pub(crate) use object::resource;
pub use object::{Object, Property, property, property_names};
