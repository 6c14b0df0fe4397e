//! Whose an id is: the registration says it, so that nobody takes another's over, nor removes it, unawares.

use std::sync::Arc;

/// Metadata that tells who registered an instance: another with each process.
pub(crate) const OWNER: &str = "selvedge-owner";

/// An id, and who claims it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) id: Arc<str>,
    pub(crate) owner: Arc<str>,
}

/// Whose a registration is that has the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// It was made by this process.
    Own,
    /// It was made by a process that was at this address before: two cannot be there at once, as far as is known.
    Earlier,
    /// It is of an instance elsewhere, or of one at this address that took the id from us, and so is alive.
    Another,
}

impl Claim {
    pub(crate) fn new(id: String, owner: &Arc<str>) -> Self {
        Self { id: id.into(), owner: Arc::clone(owner) }
    }

    /// Returns the same with an id that is nobody else's.
    pub(crate) fn apart(&self) -> Self {
        Self::new(format!("{}-{}", self.id, self.owner), &self.owner)
    }

    /// Returns the id of the check that is passed: with the owner in it, so that each notices when its own is gone.
    pub(crate) fn lease(&self) -> String {
        format!("{}:ttl:{}", self.id, self.owner)
    }

    /// Compares with who registered what has the id; `here` if that is the same service at the same address, `healing`
    /// if this process had registered it before.
    pub(crate) fn compare(&self, owner: Option<&str>, here: bool, healing: bool) -> Finding {
        match owner {
            Some(owner) if *owner == *self.owner => Finding::Own,
            _ if here && !healing => Finding::Earlier,
            _ => Finding::Another,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_over_from_an_earlier_process_at_the_same_address_only() {
        let claim = Claim::new("a".into(), &"me".into());
        for (owner, here, healing, finding) in [
            (Some("me"), true, true, Finding::Own),
            (Some("me"), true, false, Finding::Own),
            (Some("other"), true, false, Finding::Earlier),
            (None, true, false, Finding::Earlier),
            (Some("other"), true, true, Finding::Another),
            (Some("other"), false, false, Finding::Another),
            (None, false, false, Finding::Another),
        ] {
            assert_eq!(claim.compare(owner, here, healing), finding, "{owner:?} {here} {healing}");
        }
    }

    #[test]
    fn an_id_apart_and_a_lease_name_their_owner() {
        let claim = Claim::new("a".into(), &"me".into());
        assert_eq!((&*claim.apart().id, claim.lease().as_str()), ("a-me", "a:ttl:me"));
    }
}
