//! Who asks: where a token is set, only who names it may write, and sees anything.
//!
//! Rules and words: Consul with `default_policy = "deny"` and one token that may do everything.

use crate::answer::Refusal;

/// Who asks, by the token of the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Caller {
    /// May do everything: names the token, or none is set.
    #[default]
    Trusted,
    /// Names no token: sees empty lists.
    Anonymous,
    /// Names a token that does not exist.
    Unknown,
}

impl Caller {
    /// Tells who names `named` where `token` is set.
    pub(crate) fn of(named: Option<&str>, token: Option<&str>) -> Self {
        match (token, named.filter(|named| !named.is_empty())) {
            (None, _) => Self::Trusted,
            (Some(_), None) => Self::Anonymous,
            (Some(token), Some(named)) if is_same(token, named) => Self::Trusted,
            (Some(_), Some(_)) => Self::Unknown,
        }
    }

    /// Refuses a token that does not exist.
    pub(crate) fn known(self) -> Result<(), Refusal> {
        if self == Self::Unknown { Err(Refusal::forbidden("ACL not found")) } else { Ok(()) }
    }

    /// Refuses who may not do what a permission allows, as in `service:write` on the name of a service.
    pub(crate) fn may(self, permission: &str, name: &str) -> Result<(), Refusal> {
        self.known()?;
        if self == Self::Trusted {
            return Ok(());
        }
        Err(Refusal::forbidden(format!(
            "Permission denied: anonymous token lacks permission '{permission}' on {name:?}. \
             The anonymous token is used implicitly when a request does not specify a token."
        )))
    }

    /// Whether it sees what is in a list.
    pub(crate) fn sees(self) -> bool {
        self == Self::Trusted
    }
}

/// Compares in a time that does not tell how much is right.
fn is_same(token: &str, named: &str) -> bool {
    let differ = token.bytes().zip(named.bytes()).fold(0, |differ, (one, other)| differ | (one ^ other));
    token.len() == named.len() && differ == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_names_the_token_is_trusted() {
        let table = [
            (None, None, Caller::Trusted),
            (Some("x"), None, Caller::Trusted),
            (None, Some("secret"), Caller::Anonymous),
            (Some(""), Some("secret"), Caller::Anonymous),
            (Some("secret"), Some("secret"), Caller::Trusted),
            (Some("secre"), Some("secret"), Caller::Unknown),
            (Some("secreT"), Some("secret"), Caller::Unknown),
        ];
        for (named, token, caller) in table {
            assert_eq!(Caller::of(named, token), caller, "{named:?} where {token:?} is set");
        }
    }

    #[test]
    fn a_refusal_says_what_is_missing() {
        let text = |refused: Result<(), Refusal>| refused.unwrap_err().text.into_owned();
        assert_eq!(Caller::Trusted.may("key:read", "k"), Ok(()));
        assert!(text(Caller::Anonymous.may("key:read", "k")).contains("'key:read' on \"k\""));
        assert_eq!(text(Caller::Unknown.may("key:read", "k")), "ACL not found");
        assert_eq!(Caller::Anonymous.known(), Ok(()));
    }
}
