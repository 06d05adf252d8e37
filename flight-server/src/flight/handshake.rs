//! The handshake: drivers that are given a user and a password trade them for a token here.
//!
//! Nothing authenticates yet: every user is taken as anonymous, and the token says so. What is malformed is refused
//! here all the same, because drivers show an error of the handshake well and later ones badly.

use arrow_flight::HandshakeResponse;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status, Streaming};

use super::caller::Caller;

/// The token that everybody gets.
const TOKEN: &str = "anonymous";
/// Messages of a handshake that are read; ours has one.
const MESSAGES_MAX: usize = 8;

/// Answers a handshake.
pub(super) async fn shake(
    request: Request<Streaming<arrow_flight::HandshakeRequest>>,
) -> Result<Response<BoxStream<'static, Result<HandshakeResponse, Status>>>, Status> {
    Caller::of(&request)?;
    if let Some(given) = request.metadata().get("authorization") {
        let given =
            given.to_str().map_err(|_| Status::unauthenticated("header authorization: it is not text"))?;
        let scheme = given.split_whitespace().next().unwrap_or_default();
        if !scheme.eq_ignore_ascii_case("basic") && !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Status::unauthenticated(format!(
                "header authorization: scheme {scheme:?} is unknown; send Basic (user and password) or Bearer (token)"
            )));
        }
    }
    // Some clients close their side only after they have been answered: one message is enough.
    let messages = request.into_inner().take(MESSAGES_MAX);
    let first = messages.boxed().try_next().await?;
    let answer = HandshakeResponse {
        protocol_version: first.map_or(0, |message| message.protocol_version),
        payload: Bytes::from_static(TOKEN.as_bytes()),
    };
    let mut response = Response::new(stream::iter([Ok(answer)]).boxed());
    let bearer = format!("Bearer {TOKEN}");
    let bearer = MetadataValue::try_from(bearer).map_err(|_| Status::internal("the token is no header"))?;
    response.metadata_mut().insert("authorization", bearer);
    Ok(response)
}
