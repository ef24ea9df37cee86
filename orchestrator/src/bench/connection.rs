//! HTTP/1.1 as a load generator needs it: requests written by hand over one connection that stays
//! open, and of an answer only its status, its length and the store's head.
//!
//! A full client would measure itself. Answers without a length (chunked ones) are not understood;
//! the server sends none.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Why a call has no good answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// The bytes are no answer.
    #[error("the answer is not understood: {0}")]
    NotHttp(&'static str),
    /// The server refused.
    #[error("`{path}` answered {status}: {body}")]
    Refused {
        /// What was asked.
        path: String,
        /// The status.
        status: u16,
        /// Its words.
        body: String,
    },
    /// The body is not what was expected.
    #[error("the answer has another form: {0}")]
    Form(#[from] serde_json::Error),
}

/// One connection of one caller.
pub(super) struct Connection {
    stream: TcpStream,
    /// Everything between path and length of a request: the same each time.
    headers: String,
    request: Vec<u8>,
    answer: Vec<u8>,
    head: u64,
}

impl Connection {
    /// Connects as the holder of `token`.
    pub(super) async fn open(address: SocketAddr, token: &str) -> Result<Self, CallError> {
        Self::with(address, token, "").await
    }

    /// Connects as the owner, who acts as `agent`.
    pub(super) async fn open_as(
        address: SocketAddr,
        token: &str,
        agent: &str,
    ) -> Result<Self, CallError> {
        Self::with(address, token, &format!("phisync-agent: {agent}\r\n")).await
    }

    async fn with(address: SocketAddr, token: &str, more: &str) -> Result<Self, CallError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let headers = format!(
            " HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n{more}\
             content-type: application/json\r\ncontent-length: "
        );
        Ok(Self {
            stream,
            headers,
            request: Vec::with_capacity(1024),
            answer: Vec::with_capacity(4096),
            head: 0,
        })
    }

    /// Posts a body; answers with the body of a good answer, empty if it has none.
    pub(super) async fn post(&mut self, path: &str, body: &str) -> Result<&[u8], CallError> {
        self.send("POST ", path, "", body).await
    }

    /// Puts a body in the place of what is there, with headers of its own, each ended by a line end.
    pub(super) async fn put(
        &mut self,
        path: &str,
        headers: &str,
        body: &str,
    ) -> Result<&[u8], CallError> {
        self.send("PUT ", path, headers, body).await
    }

    /// Asks; answers as [`Self::post`] does.
    pub(super) async fn get(&mut self, path: &str) -> Result<&[u8], CallError> {
        self.send("GET ", path, "", "").await
    }

    async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> Result<&[u8], CallError> {
        self.request.clear();
        let length = body.len().to_string();
        let common = &self.headers;
        for part in [method, path, common, &length, "\r\n", headers, "\r\n", body] {
            self.request.extend_from_slice(part.as_bytes());
        }
        self.stream.write_all(&self.request).await?;
        self.answer.clear();
        let mut seen = 0;
        let end = loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err(CallError::NotHttp("it ends early"));
            }
            // The mark may lie across two reads.
            if let Some(end) = find(&self.answer[seen..], b"\r\n\r\n") {
                break seen + end + 4;
            }
            seen = self.answer.len().saturating_sub(3);
        };
        let summary = Summary::read(&self.answer[..end])?;
        while self.answer.len() < end + summary.length {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err(CallError::NotHttp("it ends early"));
            }
        }
        self.head = summary.head.unwrap_or(self.head);
        let body = &self.answer[end..end + summary.length];
        if !(200..300).contains(&summary.status) {
            return Err(CallError::Refused {
                path: path.to_owned(),
                status: summary.status,
                body: String::from_utf8_lossy(body).into_owned(),
            });
        }
        Ok(body)
    }

    /// The last sequence that an answer said was durable.
    pub(super) fn head(&self) -> u64 {
        self.head
    }
}

/// What matters of an answer's head.
#[derive(Debug, PartialEq, Eq)]
struct Summary {
    status: u16,
    length: usize,
    head: Option<u64>,
}

impl Summary {
    fn read(bytes: &[u8]) -> Result<Self, CallError> {
        let text = std::str::from_utf8(bytes).map_err(|_| CallError::NotHttp("no text"))?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
        let status = status.and_then(|line| line.get(..3)?.parse().ok());
        let status = status.ok_or(CallError::NotHttp("no status"))?;
        let (mut length, mut head) = (0, None);
        for line in lines {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                let number = value.parse();
                length = number.map_err(|_| CallError::NotHttp("a bad length"))?;
            } else if name.eq_ignore_ascii_case("phisync-head") {
                head = value.split(':').next().and_then(|seq| seq.parse().ok());
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                return Err(CallError::NotHttp("it has no length"));
            }
        }
        Ok(Self {
            status,
            length,
            head,
        })
    }
}

fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark)
}

#[cfg(test)]
mod tests {
    use super::Summary;

    #[test]
    fn status_length_and_head_are_read_whatever_the_case_of_their_names() {
        let head = b"HTTP/1.1 201 Created\r\nContent-Length: 12\r\nphisync-head: 77:ab\r\n\r\n";
        let expected = Summary {
            status: 201,
            length: 12,
            head: Some(77),
        };
        assert_eq!(Summary::read(head).expect("an answer"), expected);
    }

    #[test]
    fn an_answer_without_a_status_or_with_chunks_is_not_understood() {
        assert!(Summary::read(b"HTTP/1.1 \r\n\r\n").is_err());
        assert!(Summary::read(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }
}
