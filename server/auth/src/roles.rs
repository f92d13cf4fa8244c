//! Roles of accounts: those of administrators, which the server knows, and whatever else an app's rules ask about.

use andiron_engine::User;
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
