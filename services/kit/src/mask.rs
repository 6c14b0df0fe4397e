//! Update masks (AIP-134, AIP-161): which fields an update changes.

use prost_types::FieldMask;

use crate::text;

/// More paths than any message of ours has fields.
const MOST_PATHS: usize = 100;

/// Fields that an update may name but never changes (AIP-203: what the service alone writes is ignored).
const IGNORED: [&str; 4] = ["name", "create_time", "update_time", "etag"];

/// Returns which of the fields that may change, an update changes: those that the mask names, all of them for `*`,
/// and without a mask, or with an empty one, those that are `present`.
///
/// # Errors
///
/// The descriptions of violations of `update_mask`.
pub fn fields<'a>(
    mask: Option<&FieldMask>,
    changeable: &[&'a str],
    present: impl Fn(&str) -> bool,
) -> Result<Vec<&'a str>, Vec<String>> {
    let paths = mask.map(|mask| mask.paths.as_slice()).unwrap_or_default();
    if paths.is_empty() {
        return Ok(changeable.iter().copied().filter(|field| present(field)).collect());
    }
    if paths == ["*"] {
        return Ok(changeable.to_vec());
    }
    if paths.len() > MOST_PATHS {
        return Err(vec![format!("must have at most {MOST_PATHS} paths")]);
    }
    let known = |path: &str| changeable.contains(&path) || IGNORED.contains(&path);
    let unknown: Vec<_> = paths.iter().filter(|path| !known(path)).map(|path| refusal(path, changeable)).collect();
    if !unknown.is_empty() {
        return Err(unknown);
    }
    let again = paths.iter().enumerate().find(|(i, path)| paths[..*i].contains(path));
    if let Some((_, path)) = again {
        return Err(vec![format!("must not name {path} twice")]);
    }
    Ok(changeable.iter().copied().filter(|field| paths.iter().any(|path| path == field)).collect())
}

fn refusal(path: &str, changeable: &[&str]) -> String {
    let may = changeable.join(", ");
    match path {
        "*" => "must have * alone, or no *".into(),
        _ => format!("{} is no field that can be changed: use {may} or *", text::quote(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: [&str; 2] = ["display_name", "email"];

    fn of(paths: &[&str]) -> Result<Vec<&'static str>, Vec<String>> {
        let mask = FieldMask { paths: paths.iter().map(ToString::to_string).collect() };
        fields(Some(&mask), &FIELDS, |field| field == "email")
    }

    #[test]
    fn a_mask_names_the_fields() {
        assert_eq!(of(&["email"]), Ok(vec!["email"]));
        assert_eq!(of(&["email", "display_name"]), Ok(vec!["display_name", "email"]));
        assert_eq!(of(&["*"]), Ok(vec!["display_name", "email"]));
    }

    #[test]
    fn without_a_mask_the_fields_that_are_present_change() {
        assert_eq!(of(&[]), Ok(vec!["email"]));
        assert_eq!(fields(None, &FIELDS, |_| true), Ok(vec!["display_name", "email"]));
    }

    #[test]
    fn what_only_the_service_writes_is_ignored() {
        assert_eq!(of(&["etag", "name", "email", "create_time", "update_time"]), Ok(vec!["email"]));
        assert_eq!(of(&["etag"]), Ok(vec![]));
    }

    #[test]
    fn unknown_paths_are_all_told() {
        let told = of(&["nick\0name", "email", "user.email", "*"]).unwrap_err();
        assert_eq!(told.len(), 3);
        assert!(told[0].contains(r#""nick\0name""#) && told[1].contains("user.email"), "{told:?}");
    }

    #[test]
    fn a_path_is_named_once() {
        for twice in [["email", "email"], ["etag", "etag"]] {
            assert_eq!(of(&twice), Err(vec![format!("must not name {} twice", twice[0])]));
        }
        assert!(of(&["*", "*"]).is_err());
    }

    #[test]
    fn a_huge_mask_is_refused_in_few_words() {
        assert_eq!(of(&vec!["x"; 1_000_000]).unwrap_err().len(), 1);
        assert!(of(&["x".repeat(4 << 20).as_str()]).unwrap_err()[0].len() < 500);
    }
}
