//! In which form a stream of messages is written, by `Accept` (RFC 9110 section 12.5.1).

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header::ACCEPT};

/// The form of a streamed answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One JSON array that grows.
    Array,
    /// One JSON text per line.
    Lines,
    /// Server-sent events (HTML standard, section 9.2).
    Events,
}

impl Form {
    /// Chooses what the client likes best; an array if it has no word for any of them.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
        let known = ranges.filter_map(|range| Some((Self::of_media_type(range)?, quality(range))));
        let mut best = (Self::Array, 0);
        for (form, quality) in known {
            if quality > best.1 {
                best = (form, quality);
            }
        }
        best.0
    }

    fn of_media_type(range: &str) -> Option<Self> {
        let essence = range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/json" | "application/*" | "*/*" => Some(Self::Array),
            "text/event-stream" => Some(Self::Events),
            other => is_lines(other).then_some(Self::Lines),
        }
    }

    /// Returns the media type.
    pub(crate) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Array => "application/json",
            Self::Lines => "application/x-ndjson",
            Self::Events => "text/event-stream",
        })
    }

    /// Writes one message; `first` if none was written before.
    pub(crate) fn message(self, first: bool, id: Option<&str>, json: &[u8]) -> Bytes {
        let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
        match self {
            Self::Array => [if first { b"[" } else { b"," }, json].concat(),
            Self::Lines => [json, b"\n"].concat(),
            Self::Events => [id.as_bytes(), b"data: ", json, b"\n\n"].concat(),
        }
        .into()
    }

    /// Writes the end of a stream that ended well.
    pub(crate) fn end(self, empty: bool) -> Bytes {
        Bytes::from_static(match self {
            Self::Array if empty => b"[]",
            Self::Array => b"]",
            Self::Lines => b"",
            // Without it a browser takes the end for a broken connection, and asks again.
            Self::Events => b"event: stream-end\ndata: {}\n\n",
        })
    }

    /// Writes the end of a stream that failed; `status` is a `google.rpc.Status` with its `@type`.
    pub(crate) fn failed(self, first: bool, status: &[u8]) -> Bytes {
        match self {
            Self::Array => [if first { b"[" } else { b"," }, status, b"]"].concat(),
            Self::Lines => [status, b"\n"].concat(),
            // Not `error`: a browser uses that name for connections that broke.
            Self::Events => [b"event: stream-error\ndata: ", status, b"\n\n"].concat(),
        }
        .into()
    }
}

/// Tells whether this is a media type of JSON texts in lines.
pub(crate) fn is_lines(essence: &str) -> bool {
    matches!(essence, "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines")
}

/// Returns the weight in thousandths.
fn quality(range: &str) -> u16 {
    let weight = range.split(';').skip(1).find_map(|parameter| parameter.trim().strip_prefix("q="));
    let Some(weight) = weight else { return 1000 };
    let (whole, part) = weight.split_once('.').unwrap_or((weight, ""));
    let thousandths = format!("{part:0<3}").get(..3).and_then(|part| part.parse::<u16>().ok());
    whole.parse::<u16>().ok().zip(thousandths).map_or(0, |(whole, part)| (whole.min(1) * 1000 + part).min(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_chooses_the_form() {
        for (accept, wanted) in [
            ("", Form::Array),
            ("*/*", Form::Array),
            ("application/json", Form::Array),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Form::Array),
            ("application/x-ndjson", Form::Lines),
            ("Application/NDJSON; charset=utf-8", Form::Lines),
            ("application/jsonl, */*", Form::Lines),
            ("text/event-stream", Form::Events),
            ("application/json;q=0.5, text/event-stream", Form::Events),
            ("application/json, text/event-stream", Form::Array),
            ("application/json;q=0.9, application/x-ndjson;q=0.95", Form::Lines),
            ("text/event-stream;q=0, application/x-ndjson;q=0.001", Form::Lines),
            ("text/event-stream;q=0", Form::Array),
            ("text/event-stream;q=nonsense", Form::Array),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]);
            assert_eq!(Form::of(&headers), wanted, "{accept}");
        }
    }

    #[test]
    fn each_form_tells_messages_ends_and_failures() {
        for (form, good, bad, none) in [
            (Form::Array, "[1,2]", "[1,!]", "[]"),
            (Form::Lines, "1\n2\n", "1\n!\n", ""),
            (
                Form::Events,
                "id: a\ndata: 1\n\ndata: 2\n\nevent: stream-end\ndata: {}\n\n",
                "id: a\ndata: 1\n\nevent: stream-error\ndata: !\n\n",
                "event: stream-end\ndata: {}\n\n",
            ),
        ] {
            let (one, two) = (form.message(true, Some("a"), b"1"), form.message(false, None, b"2"));
            assert_eq!([&one[..], &two, &form.end(false)].concat(), good.as_bytes());
            assert_eq!([&one[..], &form.failed(false, b"!")].concat(), bad.as_bytes());
            assert_eq!(form.end(true), none.as_bytes());
        }
        assert_eq!(Form::Array.failed(true, b"!"), "[!]");
    }
}
