//! From where a request comes: the address of its connection, or, of a proxy that was declared, the one that it names.
//!
//! Invariant: what headers say of addresses is believed of declared proxies alone, and decides on nothing but how much may be
//! asked and what is noted down.

use std::net::{IpAddr, Ipv4Addr};

use axum::http::{Extensions, HeaderMap};

/// The address at the other end of a connection. The door puts it beside each request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The address of whoever asks. The guard puts it beside each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address(pub IpAddr);

/// Says from where a request comes; without a connection from nowhere.
pub(crate) fn of(extensions: &Extensions, headers: &HeaderMap, proxies: &[IpAddr]) -> Address {
    let peer = extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.to_canonical());
    if !proxies.contains(&peer) {
        return Address(peer);
    }
    let named = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let named: Vec<&str> = named.flat_map(|value| value.split(',')).map(str::trim).collect();
    // Each proxy adds whom it heard: from behind, the first that is no proxy of ours.
    for text in named.into_iter().rev() {
        match address(text) {
            Some(address) if proxies.contains(&address) => {}
            Some(address) => return Address(address),
            None => break,
        }
    }
    Address(peer)
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.parse::<IpAddr>().ok();
    let bare = bare.or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip()));
    bare.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn seen(peer: &str, forwarded: &[&str]) -> String {
        let mut extensions = Extensions::new();
        extensions.insert(Peer(peer.parse().expect("an address")));
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_str(value).expect("a value"));
        }
        let proxies = ["10.0.0.1", "10.0.0.2"].map(|proxy| proxy.parse().expect("an address"));
        of(&extensions, &headers, &proxies).0.to_string()
    }

    #[test]
    fn forwarded_addresses_are_believed_of_declared_proxies_alone() {
        for (peer, forwarded, from) in [
            ("203.0.113.9", &[][..], "203.0.113.9"),
            ("203.0.113.9", &["127.0.0.1"], "203.0.113.9"),
            ("10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["198.51.100.7:4711"], "198.51.100.7"),
            ("::ffff:10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            // What the client itself has put in front is not looked at.
            ("10.0.0.1", &["127.0.0.1, 198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["127.0.0.1", "198.51.100.7, 10.0.0.2"], "198.51.100.7"),
            ("10.0.0.1", &["127.0.0.1, nonsense"], "10.0.0.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["2001:db8::1"], "2001:db8::1"),
        ] {
            assert_eq!(seen(peer, forwarded), from, "{peer} {forwarded:?}");
        }
    }
}
