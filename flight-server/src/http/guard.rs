//! Stands between web pages and this port.
//!
//! Any page in a browser on this machine can send requests here. It cannot read answers of another origin, and it
//! can send only a few content types without asking first. So:
//!
//! ```text
//!   every request      Host is a name of this machine while only this machine is listened to (DNS rebinding)
//!   POST, PUT, DELETE  no Origin, or one that is the Host itself
//!   with a body        a content type that a page cannot send unasked: JSON, NDJSON …, never text or a form
//! ```
//!
//! A statement as plain text that only reads is let through to `/sql`, whose handler refuses text that would change anything.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::Response;

use super::{Code, Http, HttpError};

/// Content types that state-changing requests may have.
const BODY_TYPES: [&str; 6] = [
    "application/json",
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
    "application/vnd.apache.arrow.stream",
];

/// Paths that take plain text too, because the text can only read.
const READ_ONLY_TEXT_PATHS: [&str; 1] = ["/sql"];

/// Lets a request pass, or says why not.
pub(super) async fn guard(
    State(http): State<Http>,
    request: Request,
    next: Next,
) -> Result<Response, HttpError> {
    let headers = request.headers();
    let host = host(&request);
    if http.node.only_local && !host.is_some_and(is_local_name) {
        return Err(HttpError::new(
            Code::Forbidden,
            format!(
                "host {:?} is not a name of this machine: use localhost, 127.0.0.1 or [::1]",
                host.unwrap_or_default()
            ),
        ));
    }
    if changes_state(request.method()) {
        same_origin(headers, host)?;
        let text_reads = READ_ONLY_TEXT_PATHS.contains(&request.uri().path());
        content_type(headers, text_reads)?;
    }
    Ok(next.run(request).await)
}

fn changes_state(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// The host that was asked for, with its port; HTTP/2 has it in the URI.
fn host(request: &Request) -> Option<&str> {
    let header = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    header.or_else(|| request.uri().authority().map(axum::http::uri::Authority::as_str))
}

fn is_local_name(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let loopback = name.parse().is_ok_and(|address: std::net::IpAddr| address.to_canonical().is_loopback());
    loopback || name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost")
}

fn same_origin(headers: &HeaderMap, host: Option<&str>) -> Result<(), HttpError> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    let own = origin.split_once("://").map(|(_, authority)| authority);
    if own.is_some() && own == host {
        return Ok(());
    }
    Err(HttpError::new(
        Code::Forbidden,
        format!(
            "a page of {origin:?} may not change anything here: send the request from a program, or from a page of this server"
        ),
    ))
}

fn content_type(headers: &HeaderMap, text_reads: bool) -> Result<(), HttpError> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if BODY_TYPES.contains(&essence.as_str()) || (text_reads && essence == "text/plain") {
        return Ok(());
    }
    Err(HttpError::new(
        Code::UnsupportedMediaType,
        format!(
            "content type {given:?} is not taken here: send application/json or application/x-ndjson \
             (curl -H 'content-type: application/x-ndjson' --data-binary @FILE)"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        for host in ["localhost", "localhost:8514", "127.0.0.1:1", "[::1]:8514", "a.localhost", "LOCALHOST."]
        {
            assert!(is_local_name(host), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "10.0.0.1:80"] {
            assert!(!is_local_name(host), "{host}");
        }
    }

    #[test]
    fn pages_of_other_origins_change_nothing() {
        let origin = |origin: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            same_origin(&headers, Some("localhost:8514")).is_ok()
        };
        assert!(same_origin(&HeaderMap::new(), None).is_ok());
        assert!(origin("http://localhost:8514"));
        for other in ["http://evil.example", "null", "http://localhost:9999", "http://localhost"] {
            assert!(!origin(other), "{other}");
        }
    }

    #[test]
    fn a_page_cannot_send_what_is_taken() {
        let taken = |content_type: &'static str, text_reads| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            self::content_type(&headers, text_reads).is_ok()
        };
        assert!(taken("application/json; charset=utf-8", false) && taken("Application/X-NDJSON", false));
        assert!(taken("text/plain", true));
        for unasked in
            ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
        {
            assert!(!taken(unasked, false), "{unasked}");
        }
    }
}
