//! Waits for a condition in place of sleeping.

use std::{pin::pin, time::Duration};

use anyhow::{Context, Result, anyhow};
use tokio::time::{Instant, sleep, timeout_at};

/// A limit for what takes a moment on an idle machine: reached only when something is broken.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(25);

/// Looks again and again until `probe` succeeds, and returns what it found.
///
/// # Errors
///
/// With the last error of `probe`, if `limit` passes first. A look that is under way then is given up.
pub async fn eventually<T>(limit: Duration, mut probe: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + limit;
    let mut last = anyhow!("the first look did not end");
    loop {
        let look = pin!(probe());
        match timeout_at(deadline, look).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(error)) => last = error,
            Err(_) => {}
        }
        // Asked here as well: a look that ends at once never meets the timeout.
        if Instant::now() >= deadline {
            return Err(last).with_context(|| format!("not within {limit:?}"));
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use anyhow::ensure;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn looks_until_it_succeeds() {
        let mut looks = 0;
        let found = eventually(LIMIT, async || {
            looks += 1;
            ensure!(looks == 3, "not yet");
            Ok(looks)
        });
        assert_eq!(found.await.unwrap(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn ends_with_the_last_error() {
        let found = eventually(LIMIT, || async { Err::<(), _>(anyhow!("two instances, not three")) }).await;
        assert_eq!(format!("{:#}", found.unwrap_err()), "not within 60s: two instances, not three");
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_hangs_is_given_up() {
        let found = eventually(LIMIT, pending::<Result<()>>).await;
        assert!(format!("{:#}", found.unwrap_err()).contains("the first look did not end"));
    }
}
