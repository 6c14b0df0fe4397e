//! Reads a request's body whole, within limits of size and time.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header::CONTENT_LENGTH};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tonic::{Code, body::Body};

use crate::error::Failure;

/// Reads all of a body; a `content-length` over the limit is refused before a byte is read.
pub(crate) async fn collect(body: Body, headers: &HeaderMap, most: usize, time: Duration) -> Result<Bytes, Failure> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > most) {
        return Err(Failure::too_large(most));
    }
    let read = tokio::time::timeout(time, Limited::new(body, most).collect()).await.map_err(|_| {
        let message = format!("the request body did not end within {} s", time.as_secs());
        Failure::new(Code::DeadlineExceeded, message).with_http(StatusCode::REQUEST_TIMEOUT)
    })?;
    match read {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Failure::too_large(most)),
        Err(error) => Err(Failure::new(Code::Cancelled, format!("the request body broke off: {error}"))),
    }
}
