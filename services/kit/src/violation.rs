//! Collects everything that is wrong with a request, so that a caller learns it at once.

use tonic_types::FieldViolation;

/// How many violations an answer lists: errors travel in headers.
const MOST: usize = 16;

/// What is wrong with the fields of a request.
#[derive(Clone, Debug, Default)]
pub struct Violations {
    listed: Vec<FieldViolation>,
    more: usize,
}

impl Violations {
    /// Returns violations with nothing in them.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one: the field's path in the request (`user.email`), and what must be true of it.
    pub fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        if self.listed.len() < MOST {
            self.listed.push(FieldViolation {
                field: field.into(),
                description: description.into(),
                ..Default::default()
            });
        } else {
            self.more += 1;
        }
    }

    /// Adds one if a check failed, and returns what it gave if it did not.
    pub fn check<T>(&mut self, field: &str, result: Result<T, String>) -> Option<T> {
        result.map_err(|description| self.add(field, description)).ok()
    }

    /// Returns an error if there is any.
    ///
    /// # Errors
    ///
    /// The violations themselves.
    pub fn finish(self) -> Result<(), Self> {
        if self.listed.is_empty() { Ok(()) } else { Err(self) }
    }

    /// Returns violations that consist of one.
    #[must_use]
    pub fn one(field: impl Into<String>, description: impl Into<String>) -> Self {
        let mut violations = Self::new();
        violations.add(field, description);
        violations
    }

    /// Returns what is listed: the first sixteen.
    #[must_use]
    pub fn listed(&self) -> &[FieldViolation] {
        &self.listed
    }
}

impl std::fmt::Display for Violations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, violation) in self.listed.iter().enumerate() {
            let comma = if i == 0 { "" } else { "; " };
            write!(f, "{comma}{}: {}", violation.field, violation.description)?;
        }
        if self.more > 0 {
            write!(f, "; and {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for Violations {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_violations_are_told_at_once() {
        let mut violations = Violations::new();
        assert_eq!(violations.check("a", Ok(1)), Some(1));
        assert_eq!(violations.check::<()>("user.email", Err("is required".into())), None);
        violations.add("user_id", "is too short");
        let violations = violations.finish().unwrap_err();
        assert_eq!(violations.to_string(), "user.email: is required; user_id: is too short");
        assert_eq!(violations.listed().len(), 2);
    }

    #[test]
    fn the_list_is_bounded() {
        let mut violations = Violations::new();
        for i in 0..10_000 {
            violations.add(format!("product.tags[{i}]"), "is required");
        }
        assert_eq!(violations.listed().len(), MOST);
        assert!(violations.to_string().ends_with("; and 9984 more"));
        assert!(Violations::new().finish().is_ok());
    }
}
