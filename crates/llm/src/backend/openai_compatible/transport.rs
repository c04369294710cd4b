//! The HTTP side of one attempt, plugged in below `async-openai`.
//!
//! `async-openai` builds the request and reads the JSON; this service sends it. It stands in for the library's own
//! service because that one retries by rules of its own, reads bodies without bound, and drops the headers of an error.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use async_openai::config::Config;
use async_openai::middleware::HttpRequestFactory;
use greensand_types::BoxFuture;
use reqwest::header::{AUTHORIZATION, HeaderMap, LOCATION};
use reqwest::{Client, ClientBuilder, Proxy, Response, redirect};
use secrecy::SecretString;
use tower_service::Service;

use super::fault::Fault;
use super::retry::retry_after;
use super::settings::{CheckedSettings, ENTRY, OpenAiSettings};
use crate::OpenBackendError;

/// How much of an error's body is read: what is quoted of it is far less.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// What `async-openai` asks about the endpoint. Its own configuration would ask the environment.
pub(super) struct Endpoint {
    checked: Arc<CheckedSettings>,
    no_key: SecretString,
}

impl Endpoint {
    pub(super) fn new(checked: Arc<CheckedSettings>) -> Self {
        Self { checked, no_key: SecretString::default() }
    }
}

impl Config for Endpoint {
    fn headers(&self) -> HeaderMap {
        self.checked.authorization.iter().map(|value| (AUTHORIZATION, value.clone())).collect()
    }

    fn url(&self, _path: &str) -> String {
        self.checked.address.to_string()
    }

    fn query(&self) -> Vec<(&str, &str)> {
        Vec::new()
    }

    fn api_base(&self) -> &str {
        &self.checked.settings.base_url
    }

    fn api_key(&self) -> &SecretString {
        self.checked.settings.api_key.as_ref().map_or(&self.no_key, |key| key.as_secret())
    }
}

/// Makes the HTTP client: bounded waits, no redirects, no proxy but the one of the settings.
pub(super) fn http_client(settings: &OpenAiSettings) -> Result<Client, OpenBackendError> {
    // Fails when the program has chosen a provider already; then that one is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let proxy = settings.proxy.as_deref().map(proxy).transpose()?;
    let builder = || {
        let builder = ClientBuilder::new()
            .user_agent(concat!("greensand/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.request_timeout)
            // A redirect could carry the conversation, and the key with it, to somebody whom nobody chose.
            .redirect(redirect::Policy::none())
            .no_proxy();
        proxy.iter().cloned().fold(builder, ClientBuilder::proxy)
    };
    // A machine without certificates of its own, such as a bare container, gets the list that is compiled in.
    builder()
        .build()
        .or_else(|_| builder().tls_certs_only(compiled_in_certificates()).build())
        .map_err(|error| OpenBackendError::Client(error.to_string()))
}

fn proxy(url: &str) -> Result<Proxy, OpenBackendError> {
    Proxy::all(url).map_err(|_| OpenBackendError::BadSetting {
        backend: ENTRY.name,
        setting: "proxy",
        reason: "give the URL of an HTTP proxy, such as `http://proxy.example:3128`".to_owned(),
    })
}

fn compiled_in_certificates() -> impl Iterator<Item = reqwest::Certificate> {
    webpki_root_certs::TLS_SERVER_ROOT_CERTS
        .iter()
        .filter_map(|certificate| reqwest::Certificate::from_der(certificate.as_ref()).ok())
}

/// Sends one request and reads its answer within bounds; an answer that is not a success is a [`Fault`].
#[derive(Clone)]
pub(super) struct BoundedTransport {
    pub(super) client: Client,
    pub(super) max_reply_bytes: usize,
}

impl Service<HttpRequestFactory> for BoundedTransport {
    type Response = Response;
    type Error = Fault;
    type Future = BoxFuture<'static, Result<Response, Fault>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, factory: HttpRequestFactory) -> Self::Future {
        let Self { client, max_reply_bytes } = self.clone();
        Box::pin(async move {
            let request = factory.build().await?;
            let response = client.execute(request).await.map_err(Fault::from_connection)?;
            if !response.status().is_success() {
                return Err(refusal(response).await);
            }
            let body = read(response, max_reply_bytes).await?;
            if body.len() > max_reply_bytes {
                return Err(Fault::TooLarge { limit: max_reply_bytes });
            }
            Ok(Response::from(http::Response::new(body)))
        })
    }
}

async fn refusal(response: Response) -> Fault {
    let status = response.status().as_u16();
    let asked_for = retry_after(response.headers(), SystemTime::now());
    let location = response.headers().get(LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    // The status says enough when the connection breaks behind it.
    let body = read(response, MAX_ERROR_BYTES).await.unwrap_or_default();
    Fault::Refused { status, asked_for, location, body: String::from_utf8_lossy(&body).into_owned() }
}

/// Reads a body until its end or until it is past the limit, whichever is first.
async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Fault::from_connection)? {
        body.extend_from_slice(&chunk);
        if body.len() > limit {
            break;
        }
    }
    Ok(body)
}
