//! Messages on their way in: none is decoded before what it would become is known to be small enough.

use arrow_flight::FlightData;
use arrow_flight::decode::FlightDataDecoder;
use arrow_flight::error::FlightError;
use futures::{Stream, StreamExt as _};
use tonic::Status;

use crate::decode::ipc::Guard;

/// A decoder of a client's messages, of which none takes more than `bytes_max` bytes when it is decompressed, nor do
/// the dictionaries that it keeps.
pub(super) fn decoder<S>(stream: S, bytes_max: usize) -> FlightDataDecoder
where
    S: Stream<Item = Result<FlightData, FlightError>> + Send + 'static,
{
    let mut guard = Guard::new(bytes_max);
    FlightDataDecoder::new(stream.map(move |message| {
        let message = message?;
        let passed = guard.check(&message.data_header, &message.data_body);
        passed.map_err(|error| FlightError::from(Status::invalid_argument(error.to_string())))?;
        Ok(message)
    }))
}
