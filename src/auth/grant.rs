//! What a verified token says, and nothing of the token itself.

use std::sync::Arc;

use super::keys::KeyName;
use crate::market::Millis;

/// Who somebody is, what it may do, and until when.
///
/// Invariant: made by this module alone, from a token that was verified or in development mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    user: Arc<str>,
    email: Option<Arc<str>>,
    may_publish: bool,
    is_admin: bool,
    expires: Option<Millis>,
    /// The key of a set that the token was signed with: when it leaves the set, the grant ends.
    key: Option<Arc<KeyName>>,
}

impl Grant {
    pub(super) fn new(user: &str, email: Option<&str>, scopes: &Scopes, expires: Option<Millis>) -> Grant {
        Grant {
            user: user.into(),
            email: email.map(Arc::from),
            may_publish: scopes.publish,
            is_admin: scopes.admin,
            expires,
            key: None,
        }
    }

    /// The same, as long as this key is in force.
    pub(super) fn signed_with(self, key: Option<Arc<KeyName>>) -> Grant {
        Grant { key, ..self }
    }

    /// The key that it rests on, where that can rotate away.
    pub(super) const fn key(&self) -> Option<&Arc<KeyName>> {
        self.key.as_ref()
    }

    /// What somebody without a token is in development mode, which loopback alone allows.
    pub fn development(user: &str) -> Grant {
        Grant::new(user, None, &Scopes::default(), None)
    }

    /// The user.
    pub const fn user(&self) -> &Arc<str> {
        &self.user
    }

    /// The address that the token names; only `/stats` shows it.
    pub const fn email(&self) -> Option<&Arc<str>> {
        self.email.as_ref()
    }

    /// Whether it may publish.
    pub const fn may_publish(&self) -> bool {
        self.may_publish
    }

    /// Whether it may see everybody's.
    pub const fn is_admin(&self) -> bool {
        self.is_admin
    }

    /// When it ends, the leeway included; `None` is never.
    pub const fn expires(&self) -> Option<Millis> {
        self.expires
    }

    /// Whether it still holds at `now`.
    pub fn is_valid_at(&self, now: Millis) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

/// What a token's `scope` and `roles` hold of what means something here.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scopes {
    publish: bool,
    admin: bool,
}

impl Scopes {
    /// Adds one word.
    pub(super) fn add(&mut self, word: &str) {
        match word {
            "publish" => self.publish = true,
            "admin" => self.admin = true,
            _ => {}
        }
    }
}
