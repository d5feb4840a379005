//! The REST API of an instance, from a client's side.

use std::time::Duration;

use hyper::{Method, StatusCode};
use senary_web::{Client, Response, WebError};
use serde_json::{Value, json};

use super::address::Address;
use crate::ask_error::AskError;

/// The largest state that is taken, in bytes.
const MAX_STATE: usize = 1 << 30;

/// Asks one instance.
#[derive(Clone, Debug)]
pub struct ApiClient {
    pub address: Address,
    web: Client,
    /// How long an answer may take that nothing has to be waited for.
    limit: Duration,
}

impl ApiClient {
    pub fn new(address: Address, web: Client, limit: Duration) -> Self {
        Self { address, web, limit }
    }

    /// The bytes of the run's state.
    pub async fn state(&self) -> Result<Vec<u8>, AskError> {
        let url = self.address.url("/v1/state");
        let response = within(self.limit, self.web.request_large(&url, MAX_STATE)).await?;
        match response.status {
            StatusCode::OK => Ok(response.body.into()),
            StatusCode::FORBIDDEN | StatusCode::SERVICE_UNAVAILABLE => Err(refused(&response)),
            status => Err(AskError::NoState(format!("HTTP {}", status.as_u16()))),
        }
    }

    pub async fn is_paused(&self) -> Result<bool, AskError> {
        let status = self.send(Method::GET, "/v1/status", Vec::new(), self.limit).await?;
        Ok(attributes(&status)["paused"] == true)
    }

    /// Changes the status: `paused`, `stopped` or `linger`.
    pub async fn set(&self, attribute: &str, value: bool) -> Result<(), AskError> {
        let document = json!({"data": {"type": "status", "id": "default", "attributes": {attribute: value}}});
        let sent = self.send(Method::PATCH, "/v1/status", document.to_string().into_bytes(), self.limit);
        sent.await.map(drop)
    }

    /// Calls `setup()`, and gives back what that returns, if it returns something.
    pub async fn run_setup(&self, limit: Duration) -> Result<Option<Value>, AskError> {
        let answer = self.send(Method::POST, "/v1/setup", Vec::new(), limit.max(self.limit)).await?;
        Ok(attributes(&answer).get("data").cloned())
    }

    pub async fn put_setup_data(&self, data: Option<&Value>) -> Result<(), AskError> {
        let body = data.map(Value::to_string).unwrap_or_default();
        self.send(Method::PUT, "/v1/setup", body.into_bytes(), self.limit).await.map(drop)
    }

    pub async fn run_teardown(&self, limit: Duration) -> Result<(), AskError> {
        self.send(Method::POST, "/v1/teardown", Vec::new(), limit.max(self.limit)).await.map(drop)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        limit: Duration,
    ) -> Result<Response, AskError> {
        let url = self.address.url(path);
        let response = within(limit, self.web.send(method, &url, &[], body.into())).await?;
        if response.status.is_success() { Ok(response) } else { Err(refused(&response)) }
    }
}

async fn within(
    limit: Duration,
    asked: impl Future<Output = Result<Response, WebError>>,
) -> Result<Response, AskError> {
    match tokio::time::timeout(limit, asked).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(AskError::Silent(error.reason())),
        Err(_) => Err(AskError::Silent(format!("no answer within {}s", limit.as_secs_f64()))),
    }
}

/// What an error says of itself.
fn refused(response: &Response) -> AskError {
    let document: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let error = &document["errors"][0];
    let texts = [&error["title"], &error["detail"]].into_iter().filter_map(Value::as_str);
    AskError::Refused { status: response.status.as_u16(), detail: texts.collect::<Vec<_>>().join(": ") }
}

fn attributes(of: &Response) -> Value {
    let mut document: Value = serde_json::from_slice(&of.body).unwrap_or_default();
    document["data"]["attributes"].take()
}
