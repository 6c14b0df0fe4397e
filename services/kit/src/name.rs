//! Resource names (AIP-122) and the ids that a caller may choose (AIP-133).

use uuid::Uuid;

use crate::text;

/// Returns the id of a new resource: the one that the caller chose, or a generated UUID if that is empty.
///
/// # Errors
///
/// The description of a field violation.
pub fn new_id(chosen: &str) -> Result<String, String> {
    if chosen.is_empty() {
        return Ok(Uuid::new_v4().to_string());
    }
    let named = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let begins = chosen.as_bytes()[0].is_ascii_lowercase();
    let shaped = (4..=63).contains(&chosen.len()) && begins && chosen.bytes().all(named) && !chosen.ends_with('-');
    if !shaped {
        return Err(format!(
            "{} must be 4 to 63 of a-z, 0-9 and -, begin with a letter and not end with -",
            text::quote(chosen)
        ));
    }
    // AIP-122: what looks like a UUID is the service's to give.
    if Uuid::try_parse(chosen).is_ok() {
        return Err("must not look like a UUID: choose another, or leave it out".into());
    }
    Ok(chosen.into())
}

/// Returns the id within a name such as `users/ada1`.
///
/// It takes any id that a URL shows as it is, 1 to 63 characters: whether there is such a resource is not asked
/// here.
///
/// # Errors
///
/// The description of a field violation.
pub fn id_of<'a>(name: &'a str, collection: &str) -> Result<&'a str, String> {
    if name.is_empty() {
        return Err(format!("is required: it must be {collection}/ and an id"));
    }
    let id = name.strip_prefix(collection).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
    // RFC 3986, section 2.3.
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    if !(1..=63).contains(&id.len()) || !id.bytes().all(unreserved) {
        return Err(format!("{} must be {collection}/ and an id", text::quote(name)));
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chosen_id_is_kept() {
        for id in ["ada1", "a-b-c-d", &"a".repeat(63)] {
            assert_eq!(new_id(id).as_deref(), Ok(id));
        }
    }

    #[test]
    fn a_chosen_id_that_breaks_the_rule_is_refused() {
        let uuid = "a7f3c1de-0000-4000-8000-000000000000";
        for bad in ["ada", "1ada", "-ada", "ada-", "Ada1", "ad/a", "ad a", "ädaa", "ada\0", uuid, &"a".repeat(64)] {
            assert!(new_id(bad).is_err(), "{bad:?}");
        }
        assert!(new_id(&"x".repeat(4 << 20)).unwrap_err().len() < 500);
    }

    #[test]
    fn an_id_that_was_not_chosen_is_generated_and_fits_into_a_name() {
        let (one, other) = (new_id("").unwrap(), new_id("").unwrap());
        assert_ne!(one, other);
        assert_eq!(id_of(&format!("users/{one}"), "users"), Ok(one.as_str()));
    }

    #[test]
    fn a_name_is_its_collection_and_an_id() {
        assert_eq!(id_of("users/x", "users"), Ok("x"));
        for bad in
            ["", "users", "users/", "user/ada1", "usersada1", "users/a/b", "users/a b", "users/\0", "/users/ada1"]
        {
            assert!(id_of(bad, "users").is_err(), "{bad:?}");
        }
        assert!(id_of(&format!("users/{}", "x".repeat(4 << 20)), "users").unwrap_err().len() < 500);
    }
}
