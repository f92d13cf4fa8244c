//! Roles of accounts: those of administrators, which the server knows, and whatever else an app's rules ask about.

use andiron_engine::{Caller, Permission, User, authorize_administration};
use andiron_protocol::Value;

use crate::AuthError;

/// Roles of one account.
const ROLES_MAX: usize = 32;
/// Characters of a role.
const ROLE_CHARS_MAX: usize = 64;

/// What an administrator may do, from little to much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AdminRole {
    /// See everything, change nothing.
    Viewer,
    /// Everything but what decides about who administers: keys, roles and claims, impersonation.
    Editor,
    /// Everything. `admin` is another name for it.
    Owner,
}

impl AdminRole {
    /// The highest of an account's roles.
    pub(crate) fn of<'r>(roles: impl IntoIterator<Item = &'r str>) -> Option<Self> {
        roles
            .into_iter()
            .filter_map(|role| match role {
                "owner" | "admin" => Some(Self::Owner),
                "editor" => Some(Self::Editor),
                "viewer" => Some(Self::Viewer),
                _ => None,
            })
            .max()
    }
}

/// The administrator's role of a caller, if it has one.
pub fn admin_role(user: &User) -> Option<AdminRole> {
    let roles = user.token.get("roles").and_then(Value::as_array)?;
    AdminRole::of(roles.iter().filter_map(Value::as_str))
}

/// Refuses whoever may not decide about who administers.
///
/// # Errors
/// [`AuthError::NotAllowed`] unless the caller is the folder's owner, a service key for everything or an account with the
/// role `owner`.
pub(crate) fn check_owner(caller: &Caller) -> Result<(), AuthError> {
    match caller {
        Caller::User(user) if user.is_admin && admin_role(user) == Some(AdminRole::Owner) => Ok(()),
        Caller::User(_) | Caller::Anonymous => Err(AuthError::NotAllowed("this takes the role `owner`")),
        Caller::ServiceKey(_) | Caller::Owner | Caller::System => {
            Ok(authorize_administration(caller, Permission::Everything)?)
        }
    }
}

/// The same for what a service key may do besides that has a scope for it.
pub(crate) fn check_owner_or(caller: &Caller, permission: Permission) -> Result<(), AuthError> {
    match caller {
        Caller::ServiceKey(_) => Ok(authorize_administration(caller, permission)?),
        _ => check_owner(caller),
    }
}

/// Refuses roles that cannot be.
pub(crate) fn check(roles: &[String]) -> Result<(), AuthError> {
    let is_role = |role: &String| {
        (1..=ROLE_CHARS_MAX).contains(&role.len())
            && role
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte))
    };
    if roles.len() <= ROLES_MAX && roles.iter().all(is_role) {
        return Ok(());
    }
    Err(AuthError::input(
        "roles",
        format!(
            "an account has at most {ROLES_MAX} roles, each of 1 to {ROLE_CHARS_MAX} letters, digits, `_`, `-`, `.` and `:`"
        ),
    ))
}
