//! Sends requests to the agent that is asked at present: its URL, the token, and what is said when it fails.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use reqwest::{Response, Url};
use tokio::time::{Instant, sleep};
use tracing::debug;

use crate::{
    config::{RegistryConfig, Secret},
    consul::{
        agents::Agents,
        login::{self, Login, Session},
        polls::Polls,
        request::{Answer, Cause, Failure, Request},
        source::Source,
        tls::{Clients, innermost},
        token::Token,
    },
    error::{Error, ErrorKind},
};

/// More than this of an error's text is left out.
const LONGEST_TEXT: usize = 300;

/// How long an agent that gave no answer gets to answer what needs nobody else.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);

/// How long an agent of several may be silent before it is asked for a sign of life: who waits for news hears nothing
/// for a minute, of an agent that is well as of one that is frozen.
const SILENT: Duration = Duration::from_secs(10);

/// The agents' HTTP servers. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    agents: Agents,
    clients: Clients,
    token: Token,
    polls: Polls,
}

impl Http {
    pub(crate) fn new(config: &RegistryConfig, polls: Polls) -> Result<Self, Error> {
        let agents = Agents::new(config.urls()?);
        Ok(Self { agents, clients: Clients::new(config)?, token: Token::new(config)?, polls })
    }

    /// Says which agent is asked: `consul at http://127.0.0.1:8500`.
    pub(crate) fn describe(&self) -> String {
        self.name(self.agents.present())
    }

    /// Says which agents may be asked.
    pub(crate) fn describe_all(&self) -> String {
        let names: Vec<_> = (0..self.agents.count()).map(|agent| self.name(agent)).collect();
        names.join(" or ")
    }

    fn name(&self, agent: usize) -> String {
        format!("consul at {}", self.agents.url(agent).as_str().trim_end_matches('/'))
    }

    /// Sends a request and reads the whole answer; to the next agent, if one gives none.
    pub(crate) async fn send(&self, request: &Request) -> Result<Answer, Failure> {
        let mut tries = self.agents.count();
        loop {
            let agent = self.agents.present();
            let result = self.send_to(agent, request).await;
            tries -= 1;
            match result {
                Err(failure) if tries > 0 && self.is_left(agent, &failure).await => {}
                result => return result,
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn leave(&self) {
        self.agents.failed(self.agents.present(), &Error::new(ErrorKind::Registry, "it was left"));
    }

    /// Gives up the token that a login brought.
    pub(crate) async fn log_out(&self) -> Result<(), Failure> {
        let Token::Login(login) = &self.token else { return Ok(()) };
        let Some(session) = login.session().await.take() else { return Ok(()) };
        self.exchange(self.agents.present(), &login::logout(), Some(&session.token)).await.map(drop)
    }

    /// Whether another agent is asked from now on, because this one gives no answer to anything.
    async fn is_left(&self, agent: usize, failure: &Failure) -> bool {
        let answered = matches!(failure.cause, Cause::Status(_) | Cause::UnknownToken);
        if answered || self.agents.count() == 1 {
            return false;
        }
        // One request says little: it may have waited for a leader, as it would at any other agent.
        self.sign_of_life(agent).await.is_err() && self.agents.failed(agent, &failure.error)
    }

    /// Ends when another agent is asked because this one has gone silent.
    async fn silence(&self, agent: usize) {
        if self.agents.count() == 1 {
            return std::future::pending().await;
        }
        loop {
            sleep(SILENT).await;
            if self.agents.is_silent(agent, SILENT)
                && let Err(error) = self.sign_of_life(agent).await
                && self.agents.failed(agent, &error)
            {
                return;
            }
        }
    }

    /// Asks an agent for what it needs nobody else for; whatever it answers, it lives.
    async fn sign_of_life(&self, agent: usize) -> Result<(), Error> {
        let request = Request { timeout: SIGN_OF_LIFE, ..Request::get(&["agent", "self"]) };
        match self.exchange(agent, &request, None).await {
            Ok(_) | Err(Failure { cause: Cause::Status(_) | Cause::UnknownToken, .. }) => Ok(()),
            Err(failure) => Err(failure.error),
        }
    }

    /// Sends a request with a token; once more, if the agent does not know the token that a login brought.
    async fn send_to(&self, agent: usize, request: &Request) -> Result<Answer, Failure> {
        let token = self.token(agent).await?;
        let result = self.exchange(agent, request, token.as_ref()).await;
        match (&self.token, &result, &token) {
            (Token::Login(login), Err(Failure { cause: Cause::UnknownToken, .. }), Some(token)) => {
                forget(login, token).await;
                let token = self.token(agent).await?;
                self.exchange(agent, request, token.as_ref()).await
            }
            _ => result,
        }
    }

    async fn token(&self, agent: usize) -> Result<Option<Secret>, Failure> {
        match &self.token {
            Token::None => Ok(None),
            Token::Value(token) => Ok(Some(token.clone())),
            Token::File(file) => Ok(file.read().await),
            Token::Login(login) => self.log_in(agent, login).await.map(Some),
        }
    }

    /// Returns the token of the session, or of another one if its time is over.
    async fn log_in(&self, agent: usize, login: &Login) -> Result<Secret, Failure> {
        let mut session = login.session().await;
        if let Some(session) = session.as_ref().filter(|session| session.is_fresh(Instant::now())) {
            return Ok(session.token.clone());
        }
        let granted = match login.request().await {
            Ok(request) => self.exchange(agent, &request, None).await,
            Err(failure) => Err(failure),
        };
        match granted.and_then(|answer| Session::read(&answer, Instant::now())) {
            Ok(new) => {
                let token = new.token.clone();
                if let Some(old) = session.replace(new)
                    && let Err(failure) = self.exchange(agent, &login::logout(), Some(&old.token)).await
                {
                    debug!(error = %failure.error, "the token before this one is left to expire");
                }
                Ok(token)
            }
            Err(failure) => {
                let Some(old) = session.as_mut() else { return Err(failure) };
                old.outlasts(Instant::now(), &failure.error).then(|| old.token.clone()).ok_or(failure)
            }
        }
    }

    async fn exchange(&self, agent: usize, request: &Request, token: Option<&Secret>) -> Result<Answer, Failure> {
        let client = self.clients.get().await;
        let mut builder = client.request(request.method.clone(), self.url(agent, request)).timeout(request.timeout);
        if let Some(token) = token {
            builder = builder.header("X-Consul-Token", token.expose());
        }
        if let Some(body) = &request.body {
            builder = builder.header("Content-Type", "application/json").body(body.clone());
        }
        let response = builder.send().await.map_err(|error| self.lost(agent, request, &error))?;
        self.agents.answered(agent);
        self.polls.note(response.version());
        let absent = request.or_null && response.status() == StatusCode::NOT_FOUND;
        if response.status() != StatusCode::OK && !absent {
            return Err(self.refused(agent, request, response, token.is_some()).await);
        }
        let (index, filtered) = read_headers(response.headers());
        let body = response.bytes().await.map_err(|error| self.lost(agent, request, &error))?;
        Ok(Answer { index, filtered, body: if absent { Bytes::from_static(b"null") } else { body } })
    }

    fn url(&self, agent: usize, request: &Request) -> Url {
        let mut url = self.agents.url(agent).clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().push("v1").extend(&request.path);
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        url
    }

    fn lost(&self, agent: usize, request: &Request, error: &reqwest::Error) -> Failure {
        let name = self.name(agent);
        let told = if error.is_timeout() && !error.is_connect() {
            let seconds = request.timeout.as_secs();
            format!("{name} did not answer {} within {seconds} s", title(request))
        } else if error.is_connect() || error.is_builder() {
            format!("{name} cannot be reached ({}): {}", innermost(error), advice(self.agents.url(agent)))
        } else {
            format!("{name} ended the connection before its answer to {} ({})", title(request), innermost(error))
        };
        let cut = !error.is_timeout() && !error.is_connect() && !error.is_builder();
        let cause = if cut { Cause::Cut } else { Cause::Unreachable };
        Failure { cause, error: Error::new(ErrorKind::Registry, told) }
    }

    async fn refused(&self, agent: usize, request: &Request, response: Response, with_token: bool) -> Failure {
        let status = response.status();
        let text = response.text().await.unwrap_or_default();
        let text = one_line(&text);
        let name = self.name(agent);
        let told = match (status, with_token) {
            (StatusCode::FORBIDDEN, true) => format!("{name} refused the token for {}: {text}", title(request)),
            (StatusCode::FORBIDDEN, false) => format!(
                "{name} refused {} without a token: {text}; set registry.token (CONSUL_HTTP_TOKEN)",
                title(request)
            ),
            _ => format!("{name} answered {} to {}: {text}", status.as_u16(), title(request)),
        };
        let unknown = status == StatusCode::FORBIDDEN && text.contains("ACL not found");
        let cause = if unknown { Cause::UnknownToken } else { Cause::Status(status) };
        Failure { cause, error: Error::new(ErrorKind::Registry, told) }
    }
}

impl Source for Http {
    fn agent(&self) -> usize {
        self.agents.present()
    }

    async fn ask(&self, agent: usize, request: Request) -> Result<Answer, Failure> {
        let left = || {
            let told = format!("{} is asked in place of {}", self.describe(), self.name(agent));
            Failure { cause: Cause::Left, error: Error::new(ErrorKind::Registry, told) }
        };
        if self.agents.count() == 1 {
            return self.send_to(agent, &request).await;
        }
        tokio::select! {
            result = self.send_to(agent, &request) => match result {
                Err(failure) if self.is_left(agent, &failure).await => Err(left()),
                result => result,
            },
            () = self.agents.left(agent) => Err(left()),
            () = self.silence(agent) => Err(left()),
        }
    }

    fn describe(&self) -> String {
        self.describe()
    }
}

/// Forgets a token, unless somebody else did, and has another.
async fn forget(login: &Login, token: &Secret) {
    let mut session = login.session().await;
    if session.as_ref().is_some_and(|session| session.token.expose() == token.expose()) {
        *session = None;
    }
}

/// What to do when there is no connection.
fn advice(url: &Url) -> &'static str {
    match url.scheme() {
        "https" => "start it, or set registry.address (CONSUL_HTTP_ADDR) and registry.ca_cert (CONSUL_CACERT)",
        _ => "start it, or set registry.address (CONSUL_HTTP_ADDR)",
    }
}

/// Reads `X-Consul-Index`, and whether ACLs left something out.
fn read_headers(headers: &HeaderMap) -> (Option<u64>, bool) {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let index = text("X-Consul-Index").and_then(|value| value.parse().ok());
    (index, text("X-Consul-Results-Filtered-By-ACLs") == Some("true"))
}

/// `PUT /v1/agent/service/register`, as errors name it.
fn title(request: &Request) -> String {
    let method: &Method = &request.method;
    format!("{method} /v1/{}", request.path.join("/"))
}

fn one_line(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(LONGEST_TEXT) {
        line.truncate(end);
        line.push('…');
    }
    if line.is_empty() { "(no text)".into() } else { line }
}
