//! E-mail addresses: the plain form that mail is sent to, `local@domain`.
//!
//! Of RFC 5321 it takes the dot-string and the domain name, not the quoted local part nor an address literal;
//! of an internationalised domain it takes the ASCII form (`xn--…`).

/// RFC 5321, section 4.5.3.1, with erratum 1690.
const LONGEST: usize = 254;
const LONGEST_LOCAL: usize = 64;
/// RFC 1035, section 2.3.4.
const LONGEST_LABEL: usize = 63;

/// Checks the form of an address.
///
/// # Errors
///
/// The description of a field violation.
pub(crate) fn check(address: &str) -> Result<(), String> {
    if address.is_empty() {
        return Err("is required".into());
    }
    if address.len() > LONGEST {
        return Err(format!("must have at most {LONGEST} characters"));
    }
    let Some((local, domain)) = address.split_once('@') else {
        return Err("must be an e-mail address such as ada@example.com: there is no @".into());
    };
    if local.len() > LONGEST_LOCAL || !local.split('.').all(is_atom) {
        return Err(format!(
            "must have 1 to {LONGEST_LOCAL} letters, digits, single dots and !#$%&'*+-/=?^_`{{|}}~ before its one @"
        ));
    }
    let labels = domain.split('.').count();
    if labels < 2 || !domain.split('.').all(is_label) {
        return Err("must have a domain name such as example.com after its one @".into());
    }
    Ok(())
}

/// Returns the form in which two addresses of one user are the same.
pub(crate) fn key(address: &str) -> String {
    address.to_ascii_lowercase()
}

/// RFC 5322, section 3.2.3.
fn is_atom(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
}

fn is_label(label: &str) -> bool {
    let named = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (1..=LONGEST_LABEL).contains(&label.len()) && named && !label.starts_with('-') && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_people_have_are_taken() {
        let longest_local = format!("{}@example.com", "a".repeat(64));
        for good in ["ada@example.com", "a.b+c@mail.example.co.uk", "O'Hara@xn--bcher-kva.example", &longest_local] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long_local = format!("{}@example.com", "a".repeat(65));
        let long_label = format!("a@{}.com", "a".repeat(64));
        let long = format!("a@{}com", "abcdefgh.".repeat(30));
        let huge = format!("a@{}.com", "a".repeat(4 << 20));
        let bad = [
            "",
            "ada",
            "@",
            "@example.com",
            "ada@",
            "ada@example",
            "a@b@example.com",
            "a b@example.com",
            "a..b@example.com",
            ".a@example.com",
            "a.@example.com",
            "ada@.com",
            "ada@example.com.",
            "ada@exa mple.com",
            "ada@-a.com",
            "ada@a-.com",
            "ada\0@example.com",
            "ada@example.com\n",
            "ada@exämple.com",
            "Ada <ada@example.com>",
        ];
        for bad in bad.into_iter().chain([&*long_local, &*long_label, &*long, &*huge]) {
            let reason = check(bad).unwrap_err();
            assert!(reason.len() < 200, "{reason}");
        }
    }

    #[test]
    fn upper_and_lower_case_are_the_same_address() {
        assert_eq!(key("Ada@Example.COM"), key("ada@example.com"));
    }
}
