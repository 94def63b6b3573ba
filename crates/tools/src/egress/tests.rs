use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn what_belongs_to_somebody_on_the_internet_is_public() {
    let public = [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2600::1",
        "2606:4700:4700::1111",
        "2001:4860:4860::8888",
        "2a00:1450::1",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
    ];
    for text in public {
        assert!(is_public(ip(text)), "{text}");
    }
}

#[test]
fn what_leads_into_a_machine_or_its_network_is_not_public() {
    let closed = [
        // The machine itself.
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "0.1.2.3",
        "::1",
        "::",
        // Its network, and that of its carrier.
        "10.0.0.1",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "fc00::1",
        "fdff::1",
        "fec0::1",
        // Link-local, and what clouds keep there or on addresses of their own.
        "169.254.169.254",
        "169.254.170.2",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd20:ce::254",
        "fe80::1",
        // Written as something else.
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::8.8.8.8",
        "2002:7f00:1::",
        "2002:808:808::",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        // Nobody's.
        "192.0.2.1",
        "198.51.100.1",
        "203.0.113.1",
        "198.18.0.1",
        "198.19.255.255",
        "192.88.99.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "2001:db8::1",
        "2001:2::1",
        "2001:10::1",
        "3fff::1",
        "5f00::1",
        "100::1",
        "ff02::1",
        "ff0e::1",
        "4000::1",
    ];
    for text in closed {
        assert!(!is_public(ip(text)), "{text}");
    }
}

#[test]
fn what_is_no_grant_is_refused_with_the_forms_there_are() {
    for text in [
        "",
        "a b",
        "*.",
        "**",
        "*.*.org",
        "http://a.org",
        "a.org:port",
        "a.org:70000",
        "10.0.0.0/33",
        "127.1",
        "0x7f.1.2.3.",
        "[::1",
        "[::1]8",
        "a..b",
        "user@a.org",
        "a.org/x",
    ] {
        let refused = text.parse::<Grant>();
        assert!(refused.as_ref().is_err_and(|why| why.contains("*.example.org")), "{text}: {refused:?}");
    }
}

/// Answers as it is told, and counts nothing: a wrong question is a panic.
struct Told(&'static [(&'static str, &'static [&'static str])]);

impl Names for Told {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Pending<'a, std::io::Result<Vec<SocketAddr>>> {
        let (_, found) = self.0.iter().find(|(name, _)| *name == host).expect("a name that is known");
        Box::pin(std::future::ready(Ok(found.iter().map(|text| SocketAddr::new(ip(text), port)).collect())))
    }
}

const NAMES: Told = Told(&[
    ("good.example", &["93.184.216.34", "2606:2800:220:1::1"]),
    ("a.good.example", &["93.184.216.35"]),
    ("GOOD.example.", &["93.184.216.34"]),
    ("rebound.example", &["127.0.0.1"]),
    ("mixed.example", &["10.0.0.7", "93.184.216.34"]),
    ("metadata.example", &["169.254.169.254"]),
    ("mapped.example", &["::ffff:127.0.0.1"]),
    ("nothing.example", &[]),
    // What the machine's resolver makes of such forms.
    ("2130706433", &["127.0.0.1"]),
    ("0177.0.0.1", &["127.0.0.1"]),
    ("0x7f.1", &["127.0.0.1"]),
    ("127.1", &["127.0.0.1"]),
    ("localhost", &["::1", "127.0.0.1"]),
]);

fn granted(grants: &[&str]) -> Egress {
    Egress::only(grants.iter().map(|text| text.parse().unwrap()).collect())
}

async fn pinned(egress: &Egress, host: &str, port: u16) -> Result<Vec<String>, Refused> {
    let found = egress.pin(&NAMES, host, port).await?;
    Ok(found.iter().map(ToString::to_string).collect())
}

#[tokio::test]
async fn a_public_name_is_pinned_to_the_addresses_that_were_judged() {
    let found = pinned(&Egress::public(), "good.example", 443).await.unwrap();
    assert_eq!(found, ["93.184.216.34:443", "[2606:2800:220:1::1]:443"]);
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_whatever_its_form() {
    let inside = [
        "rebound.example",
        "metadata.example",
        "mapped.example",
        "2130706433",
        "0177.0.0.1",
        "0x7f.1",
        "127.1",
        "localhost",
        "127.0.0.1",
        "[::1]",
        "::1",
        "[::ffff:10.0.0.1]",
        "169.254.169.254",
    ];
    for host in inside {
        for egress in [Egress::public(), granted(&["*"])] {
            let refused = pinned(&egress, host, 80).await;
            assert!(matches!(refused, Err(Refused::NotPublic { .. })), "{host}: {refused:?}");
        }
    }
}

#[tokio::test]
async fn a_granted_name_opens_no_inner_address() {
    let refused = pinned(&granted(&["rebound.example"]), "rebound.example", 80).await;
    assert!(matches!(refused, Err(Refused::NotPublic { .. })), "{refused:?}");
}

#[tokio::test]
async fn of_mixed_answers_only_the_public_ones_are_used() {
    assert_eq!(pinned(&Egress::public(), "mixed.example", 80).await.unwrap(), ["93.184.216.34:80"]);
}

#[tokio::test]
async fn a_granted_range_opens_its_addresses_at_its_port_only() {
    let egress = granted(&["127.0.0.1:8080", "10.0.0.0/8"]);
    assert_eq!(pinned(&egress, "127.0.0.1", 8080).await.unwrap(), ["127.0.0.1:8080"]);
    let egress = granted(&["127.0.0.1:8080", "10.0.0.0/8", "rebound.example"]);
    assert_eq!(pinned(&egress, "rebound.example", 8080).await.unwrap(), ["127.0.0.1:8080"]);
    assert_eq!(pinned(&egress, "10.0.0.7", 5432).await.unwrap(), ["10.0.0.7:5432"]);
    for (host, port) in [("127.0.0.1", 8081), ("127.0.0.2", 8080), ("good.example", 8080), ("11.0.0.1", 80)] {
        assert!(pinned(&egress, host, port).await.is_err(), "{host}:{port}");
    }
}

#[tokio::test]
async fn only_granted_names_are_even_asked_for() {
    let egress = granted(&["good.example", "*.good.example:443"]);
    assert!(pinned(&egress, "good.example", 80).await.is_ok());
    assert!(pinned(&egress, "GOOD.example.", 80).await.is_ok());
    assert!(pinned(&egress, "a.good.example", 443).await.is_ok());
    // `Told` panics when it is asked for a name that it does not know.
    for (host, port) in [
        ("a.good.example", 80),
        ("evilgood.example", 443),
        ("good.example.evil", 443),
        ("other", 80),
        ("93.184.216.34", 443),
    ] {
        let refused = pinned(&egress, host, port).await;
        assert!(matches!(refused, Err(Refused::NotGranted { .. })), "{host}:{port}: {refused:?}");
    }
}

#[tokio::test]
async fn who_is_granted_addresses_asks_for_no_name_but_the_machine_s_own() {
    let egress = granted(&["10.0.0.0/8", "127.0.0.1:8080"]);
    assert_eq!(pinned(&egress, "localhost", 8080).await.unwrap(), ["127.0.0.1:8080"]);
    assert!(pinned(&egress, "[::ffff:10.0.0.7]", 80).await.is_ok());
    for host in ["secret.evil.example", "mixed.example", "x.localhost", "2130706433"] {
        let refused = pinned(&egress, host, 8080).await;
        assert!(matches!(refused, Err(Refused::NotGranted { .. })), "{host}: {refused:?}");
    }
}

#[tokio::test]
async fn nothing_is_reached_where_nothing_is_granted() {
    assert!(pinned(&Egress::default(), "good.example", 443).await.is_err());
    assert!(pinned(&Egress::default(), "8.8.8.8", 443).await.is_err());
}

#[tokio::test]
async fn a_name_without_an_address_says_so() {
    let refused = pinned(&Egress::public(), "nothing.example", 80).await.unwrap_err();
    assert_eq!(refused.to_string(), "`nothing.example` cannot be resolved: it has no address");
}
