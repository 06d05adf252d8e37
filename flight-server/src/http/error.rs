//! Errors as HTTP answers: a status, and JSON `{"error":{"code":…,"message":…}}` for programs and people.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ironbark_storage::ErrorKind;
use serde_json::json;

/// What kind of error it is: a word that programs can rely on, and its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// The request is wrong.
    BadRequest,
    /// The request is not allowed from there, or for that.
    Forbidden,
    /// What was named does not exist.
    NotFound,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// The state does not allow it: exists already, or a key used twice.
    Conflict,
    /// The body is too large.
    TooLarge,
    /// The body is of a type or encoding that is not taken.
    UnsupportedMediaType,
    /// None of the formats that the client accepts is there.
    NotAcceptable,
    /// A limit of this moment: try again.
    TooManyRequests,
    /// A limit of a query.
    LimitExceeded,
    /// The body did not come in time.
    RequestTimeout,
    /// The query took too long.
    Timeout,
    /// The server or the store is not available: try again.
    Unavailable,
    /// A defect, or damaged data.
    Internal,
}

impl Code {
    /// Its word.
    const fn word(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::NotAcceptable => "not_acceptable",
            Self::TooManyRequests => "too_many_requests",
            Self::LimitExceeded => "limit_exceeded",
            Self::RequestTimeout => "request_timeout",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// Its status.
    const fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::LimitExceeded => StatusCode::UNPROCESSABLE_ENTITY,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// An error as an answer.
#[derive(Debug)]
pub(crate) struct HttpError {
    code: Code,
    message: String,
    retry_after: Option<Duration>,
}

impl HttpError {
    /// An error with the message that its reader sees.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after: None }
    }

    /// The error with the time after which the request may be sent again.
    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }
}

fn code_of(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::Retry => Code::Unavailable,
        ErrorKind::Request => Code::BadRequest,
        ErrorKind::Conflict => Code::Conflict,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Corrupt | ErrorKind::TooNew | ErrorKind::Fatal => Code::Internal,
    }
}

impl From<ironbark_query::Error> for HttpError {
    fn from(error: ironbark_query::Error) -> Self {
        use ironbark_query::ErrorKind as Kind;
        let code = match error.kind() {
            Kind::Request => Code::BadRequest,
            Kind::Refused => Code::Forbidden,
            Kind::NotFound => Code::NotFound,
            Kind::Exists => Code::Conflict,
            Kind::Deadline => Code::Timeout,
            Kind::Exhausted => Code::LimitExceeded,
            Kind::Busy => Code::Unavailable,
            Kind::Storage(kind) => code_of(kind),
            Kind::Fatal => Code::Internal,
        };
        Self::new(code, error.to_string())
    }
}

impl From<ironbark_engine::Error> for HttpError {
    fn from(error: ironbark_engine::Error) -> Self {
        // Nothing was stored, and the request may come again after a while.
        let code = match error.kind() {
            ErrorKind::Retry => Code::TooManyRequests,
            kind => code_of(kind),
        };
        Self { retry_after: error.retry_after(), ..Self::new(code, error.to_string()) }
    }
}

impl From<ironbark_storage::Error> for HttpError {
    fn from(error: ironbark_storage::Error) -> Self {
        Self::new(code_of(error.kind()), error.to_string())
    }
}

impl From<crate::tenant::Refusal> for HttpError {
    fn from(refusal: crate::tenant::Refusal) -> Self {
        let code = match refusal {
            crate::tenant::Refusal::NotLocal(_) => Code::Forbidden,
            _ => Code::BadRequest,
        };
        Self::new(code, refusal.to_string())
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        if self.code == Code::Internal {
            tracing::error!(message = self.message, "an HTTP request failed");
        }
        let body = json!({ "error": { "code": self.code.word(), "message": self.message } });
        let mut response = (self.code.status(), Json(body)).into_response();
        if let Some(wait) = self.retry_after {
            // Whole seconds, and never 0: that would be no hint at all.
            let seconds = wait.as_millis().div_ceil(1_000).max(1).to_string();
            if let Ok(seconds) = HeaderValue::from_str(&seconds) {
                response.headers_mut().insert(header::RETRY_AFTER, seconds);
            }
        }
        response
    }
}

/// The answer to a path that does not exist.
pub(super) async fn not_found(uri: axum::http::Uri) -> HttpError {
    HttpError::new(Code::NotFound, format!("there is nothing at {}; see /openapi.json", uri.path()))
}

/// The answer to a method that a path does not have.
pub(super) async fn not_allowed(method: axum::http::Method, uri: axum::http::Uri) -> HttpError {
    let message = format!("{} does not take {method}; see /openapi.json", uri.path());
    HttpError::new(Code::MethodNotAllowed, message)
}
