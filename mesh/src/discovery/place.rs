//! Where an instance is, as people write it.

/// Reads `host:port`, an IPv6 address in brackets.
pub(crate) fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port > 0)?;
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let plain = inner.is_some() || !host.contains([':', '[', ']', '/', '@', ' ']);
    let host = inner.unwrap_or(host);
    (plain && !host.is_empty()).then(|| (host.to_owned(), port))
}

/// Writes it again.
pub(crate) fn host_with_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_read_as_in_urls() {
        for (text, read) in [
            ("users.example:80", Some(("users.example", 80))),
            ("127.0.0.1:1", Some(("127.0.0.1", 1))),
            ("[::1]:2", Some(("::1", 2))),
            ("::1:2", None),
            ("users.example", None),
            ("users.example:0", None),
            ("users.example:99999", None),
            (":80", None),
            ("[]:80", None),
            ("", None),
        ] {
            assert_eq!(host_and_port(text), read.map(|(host, port)| (host.to_owned(), port)), "{text}");
            assert!(read.is_none_or(|(host, port)| host_with_port(host, port) == text), "{text}");
        }
    }
}
