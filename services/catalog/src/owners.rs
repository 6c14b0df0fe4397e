//! Asks the users service whether an owner exists.

use std::future::Future;

use selvedge::Channel;
use selvedge_proto::users::v1::{GetUserRequest, user_service_client::UserServiceClient};
use tonic::{Code, Status};

/// Knows who may own a product.
pub trait Owners: Clone + Send + Sync + 'static {
    /// Says whether there is a user of that name (`users/…`).
    ///
    /// # Errors
    ///
    /// [`LookupError`] if that could not be learned.
    fn exists(&self, name: &str) -> impl Future<Output = Result<bool, LookupError>> + Send;
}

/// Why it could not be learned whether an owner exists.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum LookupError {
    /// The users service cannot be used now; the text says why.
    #[error("the owner cannot be looked up now: {0}")]
    Unavailable(String),
    /// The time of the call ended meanwhile.
    #[error("the deadline passed while the owner was looked up")]
    Deadline,
    /// The caller went away meanwhile.
    #[error("the call was cancelled while the owner was looked up")]
    Cancelled,
    /// The users service answered what it never should.
    #[error("the users service answered {0}")]
    Broken(String),
}

/// The users of the mesh.
#[derive(Clone, Debug)]
pub struct MeshOwners {
    users: UserServiceClient<Channel>,
}

impl MeshOwners {
    /// Asks over a channel to the users service.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        Self { users: UserServiceClient::new(channel) }
    }
}

impl Owners for MeshOwners {
    async fn exists(&self, name: &str) -> Result<bool, LookupError> {
        let request = GetUserRequest { name: name.into() };
        answer(self.users.clone().get_user(request).await.map(drop))
    }
}

/// Reads an answer of GetUser.
fn answer(answer: Result<(), Status>) -> Result<bool, LookupError> {
    let Err(status) = answer else { return Ok(true) };
    match status.code() {
        // What is no name to the users service is nobody's.
        Code::NotFound | Code::InvalidArgument => Ok(false),
        Code::Unavailable | Code::ResourceExhausted => Err(LookupError::Unavailable(status.message().into())),
        Code::DeadlineExceeded => Err(LookupError::Deadline),
        Code::Cancelled => Err(LookupError::Cancelled),
        _ => Err(LookupError::Broken(format!("{:?}: {}", status.code(), status.message()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_users_becomes_what_it_means_for_the_owner() {
        let of = |code| answer(Err(Status::new(code, "why")));
        assert_eq!(answer(Ok(())), Ok(true));
        assert_eq!(of(Code::NotFound), Ok(false));
        assert_eq!(of(Code::InvalidArgument), Ok(false));
        assert_eq!(of(Code::Unavailable), Err(LookupError::Unavailable("why".into())));
        assert_eq!(of(Code::ResourceExhausted), Err(LookupError::Unavailable("why".into())));
        assert_eq!(of(Code::DeadlineExceeded), Err(LookupError::Deadline));
        assert_eq!(of(Code::Cancelled), Err(LookupError::Cancelled));
        for code in [Code::Internal, Code::Unknown, Code::PermissionDenied, Code::Unimplemented] {
            assert!(matches!(of(code), Err(LookupError::Broken(_))), "{code:?}");
        }
    }
}
