//! Statuses with `google.rpc` details (AIP-193): every one has an `ErrorInfo` of the service's domain.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::violation::Violations;

/// Makes the statuses of one service.
#[derive(Clone, Copy, Debug)]
pub struct Details {
    /// The domain of `ErrorInfo`, such as `users.selvedge`.
    pub domain: &'static str,
}

/// A resource that a status is about.
#[derive(Clone, Copy, Debug)]
pub struct Resource<'a> {
    /// Its type, such as `users.selvedge/User`.
    pub kind: &'static str,
    /// Its name, such as `users/ada1`.
    pub name: &'a str,
}

impl Details {
    /// INVALID_ARGUMENT with `BadRequest`: every field that is wrong, and why. Reason `INVALID_FIELDS`.
    #[must_use]
    pub fn invalid(self, violations: &Violations) -> Status {
        let mut details = self.info("INVALID_FIELDS");
        details.set_bad_request(violations.listed().to_vec());
        Status::with_error_details(Code::InvalidArgument, violations.to_string(), details)
    }

    /// A status about a resource, with `ResourceInfo`.
    #[must_use]
    pub fn resource(self, code: Code, reason: &str, resource: Resource<'_>, message: &str) -> Status {
        let mut details = self.info(reason);
        details.set_resource_info(resource.kind, resource.name, "", message);
        Status::with_error_details(code, message, details)
    }

    /// A status that is about no field and no resource.
    #[must_use]
    pub fn status(self, code: Code, reason: &str, message: &str) -> Status {
        Status::with_error_details(code, message, self.info(reason))
    }

    /// The end of a stream that the caller may go on with: its token is in the metadata of `ErrorInfo`.
    #[must_use]
    pub fn ended(self, code: Code, reason: &str, message: &str, resume_token: String) -> Status {
        let metadata = HashMap::from([("resume_token".to_owned(), resume_token)]);
        Status::with_error_details(code, message, ErrorDetails::with_error_info(reason, self.domain, metadata))
    }

    /// INTERNAL, without internals: what went wrong is for the log.
    #[must_use]
    pub fn internal(self) -> Status {
        self.status(Code::Internal, "INTERNAL", "an internal error occurred; it was logged")
    }

    fn info(self, reason: &str) -> ErrorDetails {
        ErrorDetails::with_error_info(reason, self.domain, HashMap::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: Details = Details { domain: "users.selvedge" };

    #[test]
    fn an_invalid_request_lists_its_fields() {
        let mut violations = Violations::one("user.email", "is required");
        violations.add("user_id", "is too short");
        let status = USERS.invalid(&violations);
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "user.email: is required; user_id: is too short");
        let request = status.get_details_bad_request().unwrap();
        assert_eq!(request.field_violations.len(), 2);
        assert_eq!(request.field_violations[0].field, "user.email");
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("INVALID_FIELDS", "users.selvedge"));
    }

    #[test]
    fn a_status_about_a_resource_names_it() {
        let resource = Resource { kind: "users.selvedge/User", name: "users/ada1" };
        let status = USERS.resource(Code::NotFound, "USER_NOT_FOUND", resource, "there is no users/ada1");
        let told = status.get_details_resource_info().unwrap();
        assert_eq!((told.resource_type.as_str(), told.resource_name.as_str()), (resource.kind, resource.name));
        assert_eq!(status.get_details_error_info().unwrap().reason, "USER_NOT_FOUND");
    }
}
