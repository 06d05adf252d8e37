//! An HTTP/1.1 client over one connection, just large enough to load and to ask: no TLS, no redirects, no retries. It
//! is our own so that a measurement contains no work of a client library.

use std::fmt::Write as _;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::{Error, Result};

/// Longest wait for one answer.
const ANSWER_SECONDS_MAX: u64 = 300;
/// Lines of a head.
const HEADER_LINES_MAX: usize = 100;

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    authority: String,
}

/// An answer.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after_seconds: Option<u64>,
    pub(crate) body: Vec<u8>,
    length: Option<usize>,
    is_chunked: bool,
}

impl Answer {
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Fails unless it is a success.
    pub(crate) fn success(self, request: &str) -> Result<Self> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        Err(Error::Status { request: request.to_owned(), status: self.status, body: self.text() })
    }
}

impl Connection {
    /// Connects to `http://host:port`.
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let authority = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let broken = |source| Error::Connection { request: format!("connect to {authority}"), source };
        let stream = TcpStream::connect(&authority).await.map_err(broken)?;
        stream.set_nodelay(true).map_err(broken)?;
        Ok(Self { stream: BufReader::with_capacity(64 << 10, stream), authority })
    }

    /// `GET path`, already encoded.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Answer> {
        self.request(&format!("GET {path}"), "", &[]).await
    }

    /// `POST path` with further header lines, each with its CRLF.
    pub(crate) async fn post(&mut self, path: &str, headers: &str, body: &[u8]) -> Result<Answer> {
        let headers = format!("{headers}content-length: {}\r\n", body.len());
        self.request(&format!("POST {path}"), &headers, body).await
    }

    async fn request(&mut self, line: &str, headers: &str, body: &[u8]) -> Result<Answer> {
        let head = format!("{line} HTTP/1.1\r\nhost: {}\r\n{headers}\r\n", self.authority);
        let exchange = async {
            self.stream.write_all(head.as_bytes()).await?;
            self.stream.write_all(body).await?;
            self.stream.flush().await?;
            self.answer().await
        };
        let limited = tokio::time::timeout(Duration::from_secs(ANSWER_SECONDS_MAX), exchange);
        let answer = limited.await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        answer.map_err(|source| Error::Connection { request: line.to_owned(), source })
    }

    async fn answer(&mut self) -> std::io::Result<Answer> {
        let mut answer = Answer { status: status(&self.line().await?)?, ..Answer::default() };
        for _ in 0..HEADER_LINES_MAX {
            let line = self.line().await?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            match (name, value.trim()) {
                ("content-length", length) => answer.length = length.parse().ok(),
                ("transfer-encoding", coding) => answer.is_chunked = coding == "chunked",
                ("retry-after", seconds) => answer.retry_after_seconds = seconds.parse().ok(),
                _ => {}
            }
        }
        if answer.is_chunked {
            self.chunks(&mut answer.body).await?;
        } else {
            answer.body.resize(answer.length.unwrap_or(0), 0);
            self.stream.read_exact(&mut answer.body).await?;
        }
        Ok(answer)
    }

    async fn chunks(&mut self, body: &mut Vec<u8>) -> std::io::Result<()> {
        loop {
            let line = self.line().await?;
            let digits = line.split(';').next().unwrap_or_default();
            let length = u64::from_str_radix(digits.trim(), 16).map_err(|_| invalid("a chunk", &line))?;
            let before = body.len() as u64;
            (&mut self.stream).take(length).read_to_end(body).await?;
            if body.len() as u64 - before < length {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            self.line().await?;
            if length == 0 {
                return Ok(());
            }
        }
    }

    async fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

fn status(line: &str) -> std::io::Result<u16> {
    let number = line.split(' ').nth(1).and_then(|number| number.parse().ok());
    number.ok_or_else(|| invalid("an answer", line))
}

fn invalid(what: &str, line: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, format!("{what} begins with {line:?}"))
}

/// Text as a value in a query string.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::{Connection, encode};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn answers_of_both_lengths_are_read() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 512];
            for answer in [
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
                "HTTP/1.1 429 Slow\r\nRetry-After: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            ] {
                assert!(stream.read(&mut asked).await.unwrap() > 0);
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let mut connection = Connection::open(&url).await.unwrap();
        let first = connection.get("/a").await.unwrap();
        assert_eq!((first.status, first.text().as_str()), (200, "hello"));
        let second = connection.get("/b").await.unwrap();
        assert_eq!((second.status, second.text().as_str()), (429, "abcde"));
        assert_eq!(second.retry_after_seconds, Some(3));
        assert!(second.success("GET /b").is_err());
        server.await.unwrap();
    }

    #[test]
    fn query_strings_are_encoded() {
        assert_eq!(encode("a b&c"), "a%20b%26c");
    }
}
