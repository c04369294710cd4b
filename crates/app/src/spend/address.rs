//! Whether an endpoint is of this machine or its network, by its address alone: nothing is looked up.

// `core` has addresses and no sockets.
use core::net::{IpAddr, Ipv6Addr};

/// Returns the host of an address such as `https://host:8000/v1`, without port and brackets.
pub(super) fn host_of(base_url: &str) -> &str {
    let rest = base_url.split_once("://").map_or(base_url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    }
}

/// Says whether a host is this machine or one of a private network: a loopback or private address, or a name that no public
/// name server answers for.
pub(super) fn is_local(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => {
            address.is_loopback() || address.is_private() || address.is_link_local() || address.is_unspecified()
        }
        Ok(IpAddr::V6(address)) => is_local_v6(address),
        Err(_) => is_local_name(&host.to_ascii_lowercase()),
    }
}

fn is_local_v6(address: Ipv6Addr) -> bool {
    match address.to_ipv4_mapped() {
        Some(address) => is_local(&address.to_string()),
        None => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || address.is_unicast_link_local()
        }
    }
}

fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    // A name without a point is one of this machine's network, such as that of a container.
    let has_point = name.contains('.');
    let is_reserved = [".localhost", ".local", ".internal"].iter().any(|ending| name.ends_with(ending));
    // An address in another notation, such as `0x8.8.8.8` or `134744072`, is a number and no name.
    let is_number = name.starts_with(|first: char| first.is_ascii_digit());
    !name.is_empty() && (is_reserved || (!has_point && !is_number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_found_in_every_form_of_an_address() {
        for (url, host) in [
            ("https://api.openai.com/v1", "api.openai.com"),
            ("http://localhost:8000/v1", "localhost"),
            ("http://[::1]:8000/v1", "::1"),
            ("http://10.0.0.1", "10.0.0.1"),
        ] {
            assert_eq!(host_of(url), host);
        }
    }

    #[test]
    fn only_what_cannot_be_public_is_local() {
        let local = [
            "localhost",
            "127.0.0.1",
            "127.8.8.8",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.5",
            "169.254.1.1",
            "0.0.0.0",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:127.0.0.1",
            "vllm",
            "box.local",
            "host.docker.internal",
            "LOCALHOST",
            "a.localhost.",
        ];
        for host in local {
            assert!(is_local(host), "{host}");
        }
        let public = [
            "api.openai.com",
            "8.8.8.8",
            "172.32.0.1",
            "100.64.0.1",
            "2001:4860::1",
            "::ffff:8.8.8.8",
            "localhost.example.com",
            "134744072",
            "0x08080808",
            "local.example",
            "",
        ];
        for host in public {
            assert!(!is_local(host), "{host}");
        }
    }
}
